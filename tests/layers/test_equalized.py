"""Equalized learning rate: scaled kernels, and what an optimizer sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import convolution, equalized, resample

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
IMAGE = np.random.default_rng(1).normal(size=(2, 6, 6, 3)).astype(np.float32)


@pytest.mark.parametrize('multiplier', [1.0, 0.01])
def test_training_is_that_of_a_plain_layer_with_a_scaled_rate(multiplier):
  """SGD at rate r on w' is SGD at rate c^2 r on w = c w', c the scale."""
  layer = layers.EqualizedDense(5, bias=0.5, lr_multiplier=multiplier)
  params = jax.jit(layer.init)(jax.random.key(0), X)['params']
  scale = multiplier / np.sqrt(3)
  assert abs(float(params['kernel'].std()) * multiplier - 1) < 0.5
  kernel, bias = params['kernel'] * scale, params['bias'] * multiplier
  np.testing.assert_allclose(bias, 0.5, rtol=1e-6)
  loss = lambda y: jnp.square(jnp.tanh(y) - 0.3).sum()

  @jax.jit
  def step(params, kernel, bias):
    own = jax.grad(lambda p: loss(layer.apply({'params': p}, X)))(params)
    plain = jax.grad(lambda k, b: loss(X @ k + b[None]), (0, 1))(kernel, bias)
    params = jax.tree.map(lambda p, g: p - 0.1 * g, params, own)
    kernel = kernel - 0.1 * scale**2 * plain[0]
    return params, kernel, bias - 0.1 * multiplier**2 * plain[1]

  for _ in range(10):
    params, kernel, bias = step(params, kernel, bias)
  y = layer.apply({'params': params}, X)
  np.testing.assert_allclose(y, X @ kernel + bias[None], rtol=1e-5, atol=1e-6)


def test_the_mapping_learns_at_its_own_rate():
  layer = layers.EqualizedDense(64, lr_multiplier=0.01)
  params = jax.jit(layer.init)(jax.random.key(0), X)['params']
  assert 80 < float(params['kernel'].std()) < 120
  y = layer.apply({'params': params}, X)
  assert 0.5 < float(y.std()) < 2


@pytest.mark.parametrize('size', [1, 3])
@pytest.mark.parametrize('downsample', [False, True])
def test_convolutions_with_the_filter(size, downsample):
  layer = layers.EqualizedConv(4, size=size, downsample=downsample)
  params = jax.jit(layer.init)(jax.random.key(0), IMAGE)['params']
  kernel = params['kernel'] / np.sqrt(size * size * 3)

  @jax.jit
  def expected(x):
    if not downsample:
      return convolution.convolve(x, kernel, padding=size // 2)
    # The filter, then a convolution of stride 2 without padding.
    x = resample.blur(x, (1 + size // 2, 1 + size // 2))
    return convolution.convolve(x, kernel, stride=2)

  y = jax.jit(layer.apply)({'params': params}, IMAGE)
  np.testing.assert_allclose(y, expected(IMAGE), atol=2e-5)


def test_activations_and_vectors_keep_their_second_moment():
  x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
  y = equalized.scaled_leaky_relu(x)
  np.testing.assert_allclose(np.square(y).mean(), 1.04, rtol=0.02)
  np.testing.assert_allclose(equalized.scaled_leaky_relu(-1.0), -0.2 * 2**0.5)
  z = equalized.normalize_second_moment(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
  np.testing.assert_allclose(z, [[0.6 * 2**0.5, 0.8 * 2**0.5], [0, 0]])
