"""Resampling, and convolutions merged with it, against the two in turn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import convolution, resample

IMAGE = np.arange(1, 13, dtype=np.float32).reshape(
  1, 2, 6, 1
)  # 1 .. 6 above 7 .. 12


def upsample_then_convolve(x, kernel):
  padding = kernel.shape[0] // 2
  up = resample.upsample_nearest(x)
  return convolution.convolve(up, kernel, padding=padding)


def convolve_then_downsample(x, kernel):
  padding = kernel.shape[0] // 2
  return resample.downsample_mean(
    convolution.convolve(x, kernel, padding=padding)
  )


PAIRS = {
  'up': (resample.upsample_convolve, upsample_then_convolve),
  'down': (resample.convolve_downsample, convolve_then_downsample),
}


def test_nearest_repeats_every_pixel():
  y = jax.jit(resample.upsample_nearest)(IMAGE[:, :, :2])[0, :, :, 0]
  expected = [[1, 1, 2, 2], [1, 1, 2, 2], [7, 7, 8, 8], [7, 7, 8, 8]]
  np.testing.assert_array_equal(y, expected)


def test_mean_and_max_of_windows():
  mean = jax.jit(resample.downsample_mean)(IMAGE)[0, 0, :, 0]
  np.testing.assert_array_equal(mean, [4.5, 6.5, 8.5])
  most = jax.jit(resample.downsample_max)(IMAGE)[0, 0, :, 0]
  np.testing.assert_array_equal(most, [8, 10, 12])


def test_pooling_to_a_side():
  x = np.arange(24, dtype=np.float32).reshape(1, 4, 6, 1)
  y = jax.jit(resample.pool_to, static_argnums=1)(x, 2)[0, :, :, 0]
  np.testing.assert_array_equal(y, [[4, 7], [16, 19]])
  with pytest.raises(ValueError, match=r'\(4, 6\): .* multiples of 4'):
    resample.pool_to(x, 4)


def test_quadrants_are_of_each_image():
  x = np.arange(5 * 16, dtype=np.float32).reshape(5, 4, 4, 1)
  y = jax.jit(resample.select_quadrant)(x, np.int32([0, 1, 2, 3, 1]))
  expected = [
    *(x[0, :2, :2], x[1, :2, 2:], x[2, 2:, :2]),
    *(x[3, 2:, 2:], x[4, :2, 2:]),
  ]
  np.testing.assert_array_equal(y, expected)
  with pytest.raises(AssertionError):
    resample.select_quadrant(x, np.int32([0]))


def test_max_drops_a_last_row_and_column():
  x = np.arange(15, dtype=np.float32).reshape(1, 3, 5, 1)
  y = jax.jit(resample.downsample_max)(x)
  np.testing.assert_array_equal(y[0, 0, :, 0], [6, 8])


@pytest.mark.parametrize('pair', PAIRS)
@pytest.mark.parametrize('size, channels', [(1, 5), (3, 5), (5, 5), (3, 36)])
def test_merged_equals_the_two_in_turn(pair, size, channels):
  x = jax.random.normal(jax.random.key(0), (2, 4, 6, channels))
  shape = (size, size, channels, channels + 1)
  kernel = jax.random.normal(jax.random.key(1), shape) / (size * channels**0.5)

  def everything(function, x, kernel):
    run = lambda x, k: jnp.tanh(function(x, k)).sum()
    norm = lambda x, k: jnp.square(jax.grad(run)(x, k)).sum()
    gradients = [jax.grad(f, (0, 1))(x, kernel) for f in (run, norm)]
    return function(x, kernel), gradients

  found, expected = (
    jax.jit(everything, static_argnums=0)(function, x, kernel)
    for function in PAIRS[pair]
  )
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max())


def test_layers_have_the_parameters_of_a_convolution():
  x = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
  plain = layers.Conv(5, size=3, padding=1)

  @jax.jit
  def run(key):
    variables = plain.init(key, x)
    bias = jnp.arange(5.0)  # which pooling leaves as it is
    variables = {'params': {**variables['params'], 'bias': bias}}
    up = layers.UpsampleConv(5).apply(variables, x)
    expected_up = plain.apply(variables, resample.upsample_nearest(x))
    down = layers.DownsampleConv(5).apply(variables, x)
    expected_down = resample.downsample_mean(plain.apply(variables, x))
    return (up, down), (expected_up, expected_down)

  for found, expected in zip(*run(jax.random.key(1))):
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('pair', PAIRS)
def test_even_kernels_are_refused(pair):
  with pytest.raises(ValueError, match=r'kernel of \(2, 2\): must be square'):
    PAIRS[pair][0](jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 1)))


def test_odd_images_are_refused():
  x, kernel = jnp.ones((1, 4, 5, 1)), jnp.ones((3, 3, 1, 1))
  for call in (
    lambda: resample.downsample_mean(x),
    lambda: resample.convolve_downsample(x, kernel),
  ):
    with pytest.raises(ValueError, match=r'\(4, 5\): both sides must be even'):
      call()


TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def filtered(x, padding):
  """Direct sum of the filter's taps over a padded image, in numpy."""
  x = np.pad(x, ((0, 0), padding, padding, (0, 0)))
  sides = [n - 3 for n in x.shape[1:3]]
  return sum(
    TAPS[i, j] * x[:, i : i + sides[0], j : j + sides[1]]
    for i in range(4)
    for j in range(4)
  )


def filtered_up(x):
  batch, height, width, channels = x.shape
  spread = np.zeros((batch, 2 * height, 2 * width, channels))
  spread[:, ::2, ::2] = x
  spread = np.pad(spread, ((0, 0), (2, 1), (2, 1), (0, 0)))
  return 4 * filtered(spread, (0, 0))


FILTERS = {
  'up': (resample.filter_upsample, filtered_up),
  'down': (
    resample.filter_downsample,
    lambda x: filtered(x, (1, 1))[:, ::2, ::2],
  ),
  'blur': (lambda x: resample.blur(x, (2, 2)), lambda x: filtered(x, (2, 2))),
  'gain': (
    lambda x: resample.blur(x, (1, 2), gain=4.0),
    lambda x: 4 * filtered(x, (1, 2)),
  ),
}


@pytest.mark.parametrize('name', FILTERS)
def test_filters_are_direct_sums(name):
  run, expected = FILTERS[name]
  x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
  np.testing.assert_allclose(jax.jit(run)(x), expected(x), atol=2e-6)


@pytest.mark.parametrize('name', FILTERS)
def test_gradients_of_filters(name):
  """Of <w, f(x)>: <gradient, v> is <w, f(v)>, whose gradient by w is f(v)."""
  run, expected = FILTERS[name]
  draw = np.random.default_rng(0).normal
  x, v = draw(size=(2, 2, 4, 6, 3)).astype(np.float32)
  w = draw(size=expected(v).shape).astype(np.float32)

  @jax.jit
  def both_orders(w):
    gradient = lambda w: jax.grad(lambda x: (w * run(x)).sum())(x)
    return jax.value_and_grad(lambda w: (gradient(w) * v).sum())(w)

  product, second = both_orders(w)
  np.testing.assert_allclose(product, (w * expected(v)).sum(), rtol=1e-5)
  np.testing.assert_allclose(second, expected(v), atol=2e-6)


def test_filters_keep_a_constant_image():
  assert TAPS.sum() == 1
  x = np.ones((1, 8, 8, 1), np.float32)
  inside = lambda y: np.asarray(y)[0, 2:-2, 2:-2, 0]
  for run in (resample.filter_upsample, lambda x: resample.blur(x, (1, 1))):
    np.testing.assert_allclose(inside(jax.jit(run)(x)), 1, rtol=1e-6)
  down = jax.jit(resample.filter_downsample)(x)
  np.testing.assert_allclose(down[0, 1:-1, 1:-1, 0], 1, rtol=1e-6)


def test_filters_of_what_is_too_small():
  with pytest.raises(ValueError, match='both sides must be even'):
    resample.filter_downsample(jnp.zeros((1, 3, 4, 1)))
  with pytest.raises(ValueError, match='smaller than the filter of 4 pixels'):
    resample.blur(jnp.zeros((1, 2, 2, 1)), (0, 0))
