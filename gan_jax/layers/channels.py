"""Sums over all but the channels, and their transpose, fast on CPU.

XLA's CPU backend reads an image channel by channel to sum over its pixels,
several times as slowly as a product with a matrix of ones computes the same
sums, more accurately too. Normalization and biases consist of such sums, in
their gradients as well: the gradient of a value that is spread over pixels is
a sum over pixels. `spread` is therefore a product, too, which XLA turns into a
broadcast, and whose transpose is the product that sums.

On GPU and TPU, for small arrays, without pixels, and for narrow dtypes they are
XLA's own sums and broadcasts.
"""

import math

import chex
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution

Array = jax.Array
_MANY = 1 << 14  # numbers from which products are faster


def _uses_products(shape: tuple[int, ...], dtype) -> bool:
  # First, because sizes of exported programs may be symbolic.
  if not convolution.uses_own_gradients(None):
    return False
  many = len(shape) > 2 and math.prod(shape) >= _MANY
  return many and jnp.dtype(dtype).itemsize >= 4


def sum_channels(x: Array) -> Array:
  """Sums each channel over all other axes.

  Args:
    x: activations, `[B, ..., C]`, float.

  Returns:
    `[C]`, of the dtype of x.

  Raises:
    AssertionError: if x is not floating point.
  """
  chex.assert_type(x, float)
  if not _uses_products(x.shape, x.dtype):
    return x.sum(axis=tuple(range(x.ndim - 1)))
  x = x.reshape(len(x), -1, x.shape[-1])
  ones = jnp.ones(x.shape[:2], x.dtype)
  x = jax.lax.dot_general(ones, x, (((1,), (1,)), ((0,), (0,))))
  return jnp.ones(len(x), x.dtype) @ x


def spread(values: Array, shape: tuple[int, ...]) -> Array:
  """Repeats a number per channel over all other axes, or over all pixels.

  Args:
    values: `[C]`, or `[B, C]` for numbers that differ between examples; float.
    shape: shape of the result, (B, ..., C).

  Returns:
    Array of that shape and the dtype of values, or one that broadcasts to it.

  Raises:
    AssertionError: if values are not floating point, or of another shape.
  """
  chex.assert_type(values, float)
  each = values.ndim > 1
  chex.assert_shape(values, (shape[0], shape[-1]) if each else shape[-1:])
  if not _uses_products(shape, values.dtype):
    ones = [1] * (len(shape) - values.ndim)
    return values.reshape(*values.shape[:-1], *ones, -1)
  if not each:
    values = _outer(jnp.ones(shape[0], values.dtype), values)
  pixels = jnp.ones((shape[0], math.prod(shape[1:-1])), values.dtype)
  return _outer(pixels, values, axes=1).reshape(shape)


def _outer(x: Array, y: Array, axes: int = 0) -> Array:
  """Multiplies all of x by all of y, apart from the first axes of both."""
  batch = tuple(range(axes))
  return jax.lax.dot_general(x, y, (((), ()), (batch, batch)))
