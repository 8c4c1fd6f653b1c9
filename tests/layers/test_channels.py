"""Sums over all but the channels, and their transpose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.layers import channels, convolution, linear

SHAPES = [(4, 8, 8, 64), (256, 64), (4, 64, 64), (3, 2, 2, 5), (3, 5), (7,)]


def draw(shape, seed=0):
  return np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32)


@pytest.mark.parametrize('shape', SHAPES)
def test_sums_and_spread_are_those_of_numpy(shape):
  x = draw(shape)
  expected = x.astype(np.float64).sum(tuple(range(x.ndim - 1)))
  np.testing.assert_allclose(channels.sum_channels(x), expected, rtol=1e-5)
  values = draw(shape[-1:])
  found = channels.spread(jnp.asarray(values), shape) + np.zeros(shape)
  np.testing.assert_array_equal(found, np.broadcast_to(values, shape))


def test_spread_takes_numbers_of_each_example():
  for shape in ((4, 8, 8, 64), (3, 2, 2, 5)):
    values = draw((shape[0], shape[-1]))
    found = channels.spread(jnp.asarray(values), shape) + np.zeros(shape)
    expected = np.broadcast_to(values[:, None, None], shape)
    np.testing.assert_array_equal(found, expected)


def test_gradients_of_large_arrays_are_products_on_cpu_only():
  x, bias = draw((4, 8, 8, 64)), draw(64)
  weights = draw(x.shape, 1)
  loss = lambda bias: (linear.add_bias(x, bias) ** 2 * weights).sum()
  slope, curve = jax.grad(loss), jax.grad(lambda b: jax.grad(loss)(b).sum())
  for f in (slope, curve):
    own = str(jax.make_jaxpr(f)(bias))
    with convolution.plain_convolutions():
      plain, expected = str(jax.make_jaxpr(f)(bias)), f(bias)
    assert 'dot_general' in own and 'dot_general' not in plain
    np.testing.assert_allclose(f(bias), expected, rtol=1e-4, atol=1e-3)


def test_forward_mode_is_supported():
  x, bias = jnp.asarray(draw((4, 8, 8, 64))), jnp.asarray(draw(64))
  _, slope = jax.jvp(lambda b: linear.add_bias(x, b), (bias,), (bias,))
  np.testing.assert_array_equal(slope, np.broadcast_to(bias, x.shape))


def test_narrow_numbers_are_summed_by_xla():
  x = jnp.ones((4, 8, 8, 64), jnp.bfloat16)
  assert 'dot' not in str(jax.make_jaxpr(channels.sum_channels)(x))
