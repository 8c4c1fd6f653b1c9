"""Batch norm with its own gradients, against Flax's."""

import functools
from unittest import mock

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import collectives, layers
from gan_jax.layers import batch_norm

OPTIONS = dict(momentum=0.9, axis_name='batch')


def everything(layer, x, variables, **options):
  """Returns outputs, statistics, and gradients of first and second order.

  Args:
    layer: batch norm.
    x: activations of all devices, `[devices, B, ..., F]`.
    variables: variables of the layer.
    **options: those of the call.
  """

  def on_device(x):
    def run(x, params):
      given = variables | {'params': params}
      return layer.apply(given, x, mutable=['batch_stats'], **options)

    def loss(*both):
      y = jnp.sin(run(*both)[0])
      return jnp.square(y.mean(range(y.ndim - 1)) + 0.3).sum()

    norm = lambda *both: sum(
      jnp.square(g).sum() for g in jax.tree.leaves(gradient(*both))
    )
    gradient = jax.grad(loss, (0, 1))
    both = x, variables.get('params', {})
    found = [gradient(*both), jax.grad(norm, (0, 1))(*both)]
    # Only the means of the parameters' gradients are the same on all devices.
    found = [(dx, collectives.pmean(d, 'batch')) for dx, d in found]
    return run(*both), found

  return jax.vmap(on_device, axis_name='batch')(x)


@pytest.mark.parametrize(
  'shape, affine',
  [
    ((2, 3, 4, 5, 6), True),
    ((1, 3, 64, 64, 2), True),  # two passes
    ((2, 5, 6), False),
  ],
)
def test_values_statistics_and_gradients_of_gpu(shape, affine):
  options = OPTIONS | dict(use_scale=affine, use_bias=affine)
  x = 2 + jax.random.normal(jax.random.key(0), shape)
  ours, flax = batch_norm.BatchNorm(**options), nn.BatchNorm(False, **options)
  variables = flax.init(jax.random.key(1), x[0])
  variables = jax.tree.map(
    lambda v: v + 0.1 * jnp.arange(v.size, dtype=v.dtype), variables
  )
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    found = jax.jit(functools.partial(everything, ours, train=True))(
      x, variables
    )
  wanted = jax.jit(functools.partial(everything, flax))(x, variables)
  assert jax.tree.structure(found) == jax.tree.structure(wanted)
  for a, b in zip(*map(jax.tree.leaves, (found, wanted))):
    np.testing.assert_allclose(a, b, atol=5e-5 * np.abs(b).max(), rtol=1e-4)


def test_variables_are_those_of_flax():
  x = jax.random.normal(jax.random.key(0), (3, 4, 5))
  layer = layers.Norm('batch')
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    variables = layer.init(jax.random.key(1), x, train=True)
    stored = layer.apply(variables, x, train=False)
  assert variables['params'].keys() == {'BatchNorm_0'}
  flax = nn.BatchNorm(False, momentum=0.9)
  wanted = flax.init(jax.random.key(1), x)
  own = {k: v['BatchNorm_0'] for k, v in variables.items()}
  chex.assert_trees_all_equal(own, wanted)
  np.testing.assert_allclose(stored, x / np.sqrt(1 + 1e-5), rtol=1e-6)


def test_half_precision_goes_in_and_comes_out():
  x = jnp.full((4, 2), 3, jnp.bfloat16) * jnp.arange(4)[:, None]
  run = lambda x: batch_norm.batch_normalize(
    x, jnp.ones(2), jnp.zeros(2), dtype=jnp.bfloat16
  )
  y, gradient = jax.value_and_grad(lambda x: run(x)[0].sum())(x)
  assert y.dtype == gradient.dtype == jnp.bfloat16
  want = np.float32([-3, -1, 1, 3]) / np.sqrt(5)
  np.testing.assert_allclose(run(x)[:, 0], want, atol=0.01)


@pytest.mark.parametrize('shape', [(6, 8, 8, 64), (6, 3)])
def test_other_platforms_are_flax_s(shape):
  x = 0.5 + jax.random.normal(jax.random.key(0), shape)
  ours = batch_norm.BatchNorm()
  flax = nn.BatchNorm(momentum=0.9, epsilon=1e-5, use_running_average=False)
  weights = flax.init(jax.random.key(1), x)
  weights['params']['scale'] += 0.02 * jnp.arange(shape[-1])
  chex.assert_trees_all_equal_shapes(
    weights, ours.init(jax.random.key(1), x, train=True)
  )

  def penalty(weights, x, apply, **options):
    """Depends on the second derivatives with respect to x."""
    sum_of = lambda x: jnp.sin(
      apply(weights, x, mutable='batch_stats', **options)[0]
    ).sum()
    return (jax.grad(sum_of)(x) ** 2).sum()

  def evaluate(module, **options):
    apply = functools.partial(
      module.apply, weights, x, mutable='batch_stats', **options
    )
    slopes = jax.grad(penalty, (0, 1))(weights, x, module.apply, **options)
    return apply(), slopes

  chex.assert_trees_all_close(
    jax.jit(evaluate, static_argnums=0, static_argnames='train')(
      ours, train=True
    ),
    jax.jit(evaluate, static_argnums=0)(flax),
    rtol=2e-4,
    atol=2e-4,
  )
  weights['batch_stats']['mean'] += 1.0
  options = dict(use_running_average=True, epsilon=1e-5)
  np.testing.assert_allclose(
    ours.apply(weights, x, train=False),
    nn.BatchNorm(**options).apply(weights, x),
    atol=1e-6,
  )
