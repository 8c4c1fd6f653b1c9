"""Modulated convolution against one kernel per example; noise; the mapping."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import convolution, resample

random = np.random.default_rng(0)
X = random.normal(size=(3, 4, 4, 5)).astype(np.float32)
KERNEL = random.normal(size=(3, 3, 5, 6)).astype(np.float32)
STYLE = (1 + 0.5 * random.normal(size=(3, 5))).astype(np.float32)


def per_example(x, kernel, style, *, demodulate, upsample):
  """The paper's equations 1 to 3, with a kernel for each example."""

  def one(x, style):
    scaled = kernel * style[None, None, :, None]
    if demodulate:
      norm = jnp.square(scaled).sum(axis=(0, 1, 2))
      scaled = scaled * jax.lax.rsqrt(norm + 1e-8)[None, None, None]
    if not upsample:
      return convolution.convolve(x[None], scaled, padding=1)[0]
    dual = scaled.swapaxes(2, 3)
    y = convolution.convolve_transpose(x[None], dual, stride=2)
    return resample.blur(y, (1, 1), gain=4.0)[0]

  return jax.vmap(one)(x, style)


@pytest.mark.parametrize('demodulate', [True, False])
@pytest.mark.parametrize('upsample', [True, False])
def test_equals_a_kernel_for_each_example(demodulate, upsample):
  options = dict(demodulate=demodulate, upsample=upsample)

  @jax.jit
  def everything(*operands):
    found = []
    for function in (layers.modulated_convolve, per_example):
      run = lambda *a, f=function: jnp.tanh(f(*a, **options) / 5).sum()
      norm = lambda *a, r=run: sum(
        jnp.square(g).sum() for g in jax.grad(r, (0, 2))(*a)
      )
      value = function(*operands, **options)
      gradients = jax.grad(norm, (0, 1, 2))(*operands)  # of second order
      found.append((value, jax.grad(run, (0, 1, 2))(*operands), gradients))
    return found

  ours, expected = everything(X, KERNEL, STYLE)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, atol=1e-5 * max(1, np.abs(b).max()))


def test_demodulated_kernels_have_norm_1():
  """White noise keeps its variance, whatever the styles."""
  x = random.normal(size=(4, 32, 32, 8)).astype(np.float32)
  kernel = random.normal(size=(3, 3, 8, 16)).astype(np.float32)
  style = random.uniform(0.1, 9, size=(4, 8)).astype(np.float32)
  y = jax.jit(layers.modulated_convolve)(x, kernel, style)
  inside = np.asarray(y)[:, 1:-1, 1:-1]
  assert abs(inside.var() - 1) < 0.02
  # A single pixel of each input channel reads the effective kernel.
  points = np.zeros((8, 3, 3, 8), np.float32)
  points[range(8), 1, 1, range(8)] = 1
  same = np.repeat(style[:1], 8, axis=0)
  taps = jax.jit(layers.modulated_convolve)(points, kernel, same)
  squares = np.square(taps).sum(axis=(0, 1, 2))
  np.testing.assert_allclose(squares, 1, atol=1e-4)


def test_to_image_has_the_gain_of_its_weights():
  layer = layers.ToImage(3)
  w = np.zeros((3, 7), np.float32)  # styles of 1, the initial biases
  params = jax.jit(layer.init)(jax.random.key(0), X, w)['params']
  assert params['bias'].shape == (3,)
  y = jax.jit(layer.apply)({'params': params}, X, w)
  kernel = params['conv']['kernel'][0, 0] / np.sqrt(5)
  np.testing.assert_allclose(y, X @ kernel, atol=1e-5)


def test_noise_is_of_the_example_and_the_layer():
  keys = jax.random.split(jax.random.key(1), 3)
  params = {'scale': jnp.float32(0.5)}
  run = jax.jit(
    lambda index, keys: layers.NoiseInput(index).apply(
      {'params': params}, X, keys
    ),
    static_argnums=0,
  )
  first, second = run(0, keys) - X, run(1, keys) - X
  assert abs(first[0] - second[0]).max() > 0.1
  assert abs(first[0] - first[1]).max() > 0.1
  np.testing.assert_allclose(first[..., 0], first[..., 4], atol=1e-6)
  again = run(0, keys[::-1]) - X
  np.testing.assert_allclose(again[0], first[2], atol=1e-6)
  np.testing.assert_array_equal(run(0, None), X)


def test_the_mean_of_w():
  layer = layers.MappingNetwork(4, layers=2)
  z = random.normal(size=(6, 3)).astype(np.float32)
  variables = jax.jit(lambda z: layer.init(jax.random.key(0), z, train=True))(z)
  np.testing.assert_array_equal(variables['batch_stats']['track_w'], 0)

  @jax.jit
  def run(z):
    train = layer.apply(variables, z, train=True, mutable=['batch_stats'])
    return *train, layer.apply(variables, z, train=False)

  w, updates, same = run(z)
  np.testing.assert_array_equal(w, same)
  mean = updates['batch_stats']['track_w']
  np.testing.assert_allclose(mean, 0.005 * w.mean(axis=0), rtol=1e-5)
  # Latents are normalized: only their direction matters.
  np.testing.assert_allclose(run(5 * z)[0], w, rtol=1e-4, atol=1e-6)
