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


def init(layer):
  run = lambda key: layer.init(key, X, VECTOR, train=False)
  return jax.jit(run)(jax.random.key(0))


def apply(layer, variables, train):
  options = dict(train=train, mutable=['batch_stats'])
  run = lambda variables: layer.apply(variables, X, VECTOR, **options)
  return jax.device_get(jax.jit(run)(variables))


@pytest.mark.parametrize('train', [True, False])
def test_without_scales_and_shifts_it_is_batch_norm(train):
  layer = layers.ConditionalBatchNorm()
  variables = init(layer)
  for kernel in jax.tree.leaves(jax.device_get(variables['params'])):
    assert kernel.shape == (3, 5) and not kernel.any()  # 2 V C in all
  # Without jax.jit, or XLA would round products and sums differently.
  options = dict(mutable=['batch_stats'])
  y, new = layer.apply(variables, X, VECTOR, train=train, **options)
  plain = nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5)
  start = jax.jit(plain.init)(jax.random.key(0), X)
  expected, plain_new = plain.apply(start, X, **options)
  np.testing.assert_array_equal(y, expected)
  np.testing.assert_array_equal(
    jax.tree.leaves(new['batch_stats']),
    jax.tree.leaves(plain_new['batch_stats']),
  )


def test_statistics_are_those_of_all_classes():
  layer = layers.ConditionalBatchNorm(kernel_init=nn.initializers.normal(0.3))
  variables = init(layer)
  y, _ = apply(layer, variables, True)
  label, params = np.asarray(LABEL), jax.device_get(variables['params'])
  tables = {n: p['kernel'][label] for n, p in params.items()}
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
  variables = init(layer)
  plain, _ = apply(layer, variables, True)
  params = {
    'scale': {'kernel': np.float32([[0], [1], [-1]]) * np.ones((1, 5))},
    'shift': {'kernel': np.float32([[0], [0], [7]]) * np.ones((1, 5))},
  }
  y, _ = apply(layer, {**variables, 'params': params}, True)
  np.testing.assert_allclose(y[0], plain[0], atol=1e-6)
  np.testing.assert_allclose(y[1], 2 * plain[1], atol=1e-6)
  np.testing.assert_allclose(y[2], 7 + 0 * plain[2], atol=1e-6)


def test_both_kernels_can_be_spectrally_normalized():
  layer = layers.ConditionalBatchNorm(
    spectral=True, kernel_init=nn.initializers.normal(0.3)
  )
  variables = init(layer)
  norms = spectral_norm.spectral_norms(variables['batch_stats'])
  assert set(norms) == {'scale', 'shift'}


def test_a_label_out_of_range_gives_nan():
  vector = conditioning.label_vector(jnp.array([0, 3, -1, 2, 2, 2]), 3)
  assert np.isnan(vector).any(axis=1).tolist() == [0, 1, 1, 0, 0, 0]
  assert conditioning.label_vector(None, 0) is None
  with pytest.raises(ValueError, match=r'label=None: .* 3 classes .* 0 \.\. 2'):
    conditioning.label_vector(None, 3)
