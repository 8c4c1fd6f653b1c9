"""Embeddings of labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers


def test_embedding_looks_up_rows_and_marks_unknown_labels():
  layer = layers.Embed(3, 4)
  variables = jax.jit(layer.init)(jax.random.key(0), jnp.array([0]))
  table = np.asarray(variables['params']['embedding'])
  y = np.asarray(jax.jit(layer.apply)(variables, jnp.array([2, 0, 3, -1])))
  np.testing.assert_array_equal(y[:2], table[[2, 0]])
  assert np.isnan(y[2:]).all()
  for label in (jnp.zeros(2), jnp.zeros((2, 1), jnp.int32)):
    with pytest.raises(AssertionError):
      layer.apply(variables, label)


def test_weights_of_classes_mix_their_vectors():
  for spectral in (False, True):
    layer = layers.Embed(3, 4, spectral=spectral)
    variables = jax.jit(layer.init)(jax.random.key(0), jnp.array([0]))
    apply = jax.jit(layer.apply)
    vectors = np.asarray(apply(variables, jnp.arange(3)))
    weights = jnp.array([[0, 1, 0], [0.5, 0, 0.5]])
    found = apply(variables, weights)
    wanted = [vectors[1], (vectors[0] + vectors[2]) / 2]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    with pytest.raises(AssertionError):
      layer.apply(variables, jnp.ones((2, 4)))
