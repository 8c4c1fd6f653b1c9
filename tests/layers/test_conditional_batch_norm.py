"""Batch norm whose scale and shift are linear in a vector."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import conditioning, spectral_norm

X = 3 + 2 * jax.random.normal(jax.random.key(0), (6, 4, 4, 5))
LABEL = jnp.array([0, 1, 2, 0, 1, 1])
VECTOR = conditioning.one_hot(LABEL, 3)


def apply(layer, variables, train):
  return layer.apply(variables, X, VECTOR, train=train, mutable=['batch_stats'])


@pytest.mark.parametrize('train', [True, False])
def test_without_scales_and_shifts_it_is_batch_norm(train):
  layer = layers.ConditionalBatchNorm()
  variables = layer.init(jax.random.key(0), X, VECTOR, train=False)
  for kernel in jax.tree.leaves(variables['params']):
    assert kernel.shape == (3, 5) and not kernel.any()  # 2 V C in all
  y, new = apply(layer, variables, train)
  plain = nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5)
  start = plain.init(jax.random.key(0), X)
  expected, plain_new = plain.apply(start, X, mutable=['batch_stats'])
  np.testing.assert_array_equal(y, expected)
  np.testing.assert_array_equal(
    jax.tree.leaves(new['batch_stats']),
    jax.tree.leaves(plain_new['batch_stats']),
  )


def test_statistics_are_those_of_all_classes():
  layer = layers.ConditionalBatchNorm(kernel_init=nn.initializers.normal(0.3))
  variables = layer.init(jax.random.key(0), X, VECTOR, train=False)
  y, _ = apply(layer, variables, True)
  tables = {n: p['kernel'][LABEL] for n, p in variables['params'].items()}
  gain, bias = (
    t[:, None, None] for t in (1 + tables['scale'], tables['shift'])
  )
  normalized = (y - bias) / gain
  np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(normalized.var((0, 1, 2)), 1, rtol=1e-4)
  # But of one class they are others.
  assert np.abs(normalized[:1].mean((0, 1, 2))).max() > 0.05


def test_gain_is_one_more_than_the_kernel():
  layer = layers.ConditionalBatchNorm()
  variables = layer.init(jax.random.key(0), X, VECTOR, train=False)
  plain, _ = apply(layer, variables, True)
  params = {
    'scale': {'kernel': jnp.array([[0.0], [1.0], [-1.0]]) * jnp.ones(5)[None]},
    'shift': {'kernel': jnp.array([[0.0], [0.0], [7.0]]) * jnp.ones(5)[None]},
  }
  y, _ = apply(layer, {**variables, 'params': params}, True)
  np.testing.assert_allclose(y[0], plain[0], atol=1e-6)
  np.testing.assert_allclose(y[1], 2 * plain[1], atol=1e-6)
  np.testing.assert_allclose(y[2], 7 + 0 * plain[2], atol=1e-6)


def test_both_kernels_can_be_spectrally_normalized():
  init = nn.initializers.normal(0.3)
  layer = layers.ConditionalBatchNorm(spectral=True, kernel_init=init)
  variables = layer.init(jax.random.key(0), X, VECTOR, train=False)
  norms = spectral_norm.spectral_norms(variables['batch_stats'])
  assert set(norms) == {'scale', 'shift'}


def test_a_label_out_of_range_gives_nan():
  vector = conditioning.label_vector(jnp.array([0, 3, -1, 2, 2, 2]), 3)
  assert np.isnan(vector).any(axis=1).tolist() == [0, 1, 1, 0, 0, 0]
  assert conditioning.label_vector(None, 0) is None
  with pytest.raises(ValueError, match=r'label=None: .* 3 classes .* 0 \.\. 2'):
    conditioning.label_vector(None, 3)
