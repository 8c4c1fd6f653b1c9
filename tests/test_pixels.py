"""Conversions between pixels and floats."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import pixels

LEVELS = np.arange(256, dtype=np.uint8)


def test_to_float():
  x = np.array([0, 51, 255], np.uint8)
  np.testing.assert_allclose(pixels.to_float(x), [-1, -0.6, 1], rtol=1e-6)
  np.testing.assert_array_equal(pixels.to_float(np.float32([3.0])), [3.0])


@pytest.mark.parametrize('dtype', [np.int32, bool])
def test_to_float_refuses_what_has_no_known_range(dtype):
  with pytest.raises(ValueError, match=f'{np.dtype(dtype)}: must be uint8'):
    pixels.to_float(np.ones(3, dtype))


@pytest.mark.parametrize('place', [np.asarray, jnp.asarray])
def test_levels_come_back(place):
  x = pixels.to_float(place(LEVELS))
  back = pixels.to_uint8(x)
  np.testing.assert_array_equal(back, LEVELS)
  assert x.dtype == np.float32 and back.dtype == np.uint8
  kinds = {type(place(LEVELS)), type(x), type(back)}
  assert len(kinds) == 1  # NumPy or JAX, as it came


@pytest.mark.parametrize('dtype', [jnp.bfloat16, np.float16, np.float32])
def test_numpy_and_jax_are_the_same(dtype):
  x = np.random.default_rng(0).normal(size=10_000).astype(dtype)
  host, device = pixels.to_uint8(x), pixels.to_uint8(jnp.asarray(x))
  if dtype != jnp.bfloat16:  # in which NumPy does not compute
    np.testing.assert_array_equal(device, host)
  exact = (np.clip(x.astype(np.float64), -1, 1) + 1) * 127.5
  bits = jnp.finfo(dtype).nmant  # sums of that precision, then products
  for levels in (host, np.asarray(device)):
    assert np.abs(levels - exact).max() <= 0.5 + 2 * 255 * 0.5**bits


def test_rounds_to_the_nearest_and_clips():
  x = np.float32([-9, -1, 0.5 / 127.5 - 1.01, 0.51 / 127.5 - 1, 0, 1, 1e30])
  expected = [0, 0, 0, 1, 128, 255, 255]
  np.testing.assert_array_equal(pixels.to_uint8(x), expected)
  infinite = np.float32([-np.inf, np.inf])
  np.testing.assert_array_equal(pixels.to_uint8(infinite), [0, 255])
  # (60000 + 1) * 127.5 would be infinite in 16 bits, and warn.
  large = np.float16([-60_000, 60_000])
  np.testing.assert_array_equal(pixels.to_uint8(large), [0, 255])


@pytest.mark.parametrize('low, high', [(0, 1), (0, 255), (-0.1, 0.7), (-3, 9)])
def test_any_range(low, high):
  x = np.float32(low + (high - low) / 255 * LEVELS.astype(np.float64))
  np.testing.assert_array_equal(pixels.to_uint8(x, (low, high)), LEVELS)
  beyond = np.float32([low - 1, high + 1])
  np.testing.assert_array_equal(pixels.to_uint8(beyond, (low, high)), [0, 255])


def test_under_jit():
  x = jnp.linspace(-1.5, 1.5, 1000)
  np.testing.assert_array_equal(
    jax.jit(pixels.to_uint8)(x), pixels.to_uint8(np.asarray(x))
  )


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, bool])
def test_to_uint8_refuses_integers(dtype):
  with pytest.raises(AssertionError):
    pixels.to_uint8(np.ones(3, dtype))
