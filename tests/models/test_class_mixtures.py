"""Conditional generators take weights of classes in place of classes."""

import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import models
from gan_jax.layers import conditioning
from gan_jax.models import mlp

SHAPES = {'mlp': (2,), 'wavegan': (4096, 1)}


@pytest.mark.parametrize('name', models.MODELS)
def test_every_generator_with_classes_takes_them(name):
  generator = importlib.import_module(f'gan_jax.models.{name}').Generator
  if 'classes' not in inspect.signature(generator).parameters:
    pytest.skip(f'{name} has no classes')
  shape = SHAPES.get(name, (32, 32, 3))
  module, z = generator(shape=shape, classes=5), jnp.zeros((2, 40))
  apply = lambda label: jax.eval_shape(
    lambda key: module.init_with_output(key, z, label, train=False)[0],
    jax.random.key(0),
  )
  assert apply(jnp.zeros(2, jnp.int32)).shape == (2, *shape)
  assert apply(jnp.full((2, 5), 0.2)).shape == (2, *shape)
  with pytest.raises(AssertionError):
    apply(jnp.full((2, 4), 0.25))


def test_one_hot_weights_are_the_class():
  module, z = (
    mlp.Generator(shape=(2,), features=(8,), classes=3),
    jnp.ones((3, 4)),
  )
  label = jnp.array([2, 0, 1])
  variables = jax.jit(lambda k: module.init(k, z, label, train=False))(
    jax.random.key(0)
  )
  apply = jax.jit(lambda label: module.apply(variables, z, label, train=False))
  corners = conditioning.one_hot(label, 3)
  np.testing.assert_allclose(apply(corners), apply(label), atol=1e-6)
