"""Layers of R3GAN, against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import grouped

X = np.random.default_rng(0).normal(size=(64, 4, 4, 32)).astype(np.float32)


def init(layer, x):
  return jax.jit(layer.init)(jax.random.key(0), x)['params']


def test_a_block_begins_as_the_identity():
  layer = layers.GroupedBottleneck(groups=4, blocks=8)
  params = init(layer, X)
  y = jax.jit(layer.apply)({'params': params}, X)
  np.testing.assert_array_equal(y, X)
  assert params['conv_1']['kernel'].shape == (3, 3, 16, 64)


def test_gains_of_fixup_and_of_the_inputs_of_a_group():
  gain = 1.3868 * 8**-0.25
  assert abs(gain - 0.8246) < 1e-4
  params = init(layers.GroupedBottleneck(groups=4, blocks=8), X)
  std = lambda name: float(params[name]['kernel'].std())
  assert abs(std('conv_0') / (gain / 32**0.5) - 1) < 0.05
  assert abs(std('conv_1') / (gain / (16 * 9) ** 0.5) - 1) < 0.05


def test_variance_of_the_residual():
  """Each leaky ReLU halves gain^2 (1 + 0.2^2) / 2, without a gain of its own."""
  layer = layers.GroupedBottleneck(groups=1, blocks=1)
  x = np.random.default_rng(1).normal(size=(4, 8, 8, 256)).astype(np.float32)
  params = init(layer, x)
  last = np.random.default_rng(2).normal(size=(1, 1, 512, 256)) / 512**0.5
  params['conv_2']['kernel'] = jnp.float32(last)
  y = jax.jit(layer.apply)({'params': params}, x) - x
  # Gains keep the second moment through both; the last convolution has gain 1
  # behind a leaky ReLU, which leaves (1 + 0.2^2) / 2 of it.
  inside = np.asarray(y)[:, 1:-1, 1:-1]
  expected = grouped.LEAKY_RELU_GAIN**2 * (1 + 0.2**2) / 2
  np.testing.assert_allclose(np.square(inside).mean(), expected, rtol=0.1)


def test_the_ends():
  basis = layers.BasisInput(6)
  z = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
  params = init(basis, z)
  y = jax.jit(basis.apply)({'params': params}, z)
  expected = params['basis'][None] * (z @ params['kernel'])[:, None, None]
  np.testing.assert_allclose(y, expected, rtol=1e-5)
  pool = layers.DepthwisePool()
  params = init(pool, X)
  expected = np.einsum('bhwc,hwc->bc', X, params['weights'])
  y = jax.jit(pool.apply)({'params': params}, X)
  np.testing.assert_allclose(y, expected, atol=1e-5)
  assert abs(float(params['weights'].std()) - 0.25) < 0.02


def test_groups_that_do_not_divide():
  with pytest.raises(ValueError, match='groups=5: must divide the 32'):
    init(layers.GroupedConv(10, groups=5), X)
