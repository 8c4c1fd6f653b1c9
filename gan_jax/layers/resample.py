"""Resampling of images by two, alone and merged with a convolution.

A convolution after nearest upsampling is one transposed convolution of stride
2, and one before average pooling a convolution of stride 2, both with a kernel
that is larger by one: the kernel, convolved with the 2 x 2 window. Up to
rounding the numbers are the same, for 16 / 36 of the products of a 3 x 3 kernel
(and for a quarter of them on CPU, with `layers.winograd`).

Images are NHWC. All functions can be differentiated any number of times.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution

Array = jax.Array


def _check_even(x: Array) -> None:
  chex.assert_rank(x, 4)
  if x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(f'an image of {x.shape[1:3]}: both sides must be even')


def upsample_nearest(x: Array) -> Array:
  """Repeats every pixel twice along both axes.

  Args:
    x: images, `[B, H, W, C]`.

  Returns:
    Images, `[B, 2 H, 2 W, C]`.
  """
  chex.assert_rank(x, 4)
  return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def downsample_mean(x: Array) -> Array:
  """Averages windows of 2 x 2 pixels.

  Args:
    x: images of even sides, `[B, H, W, C]`, float.

  Returns:
    Images, `[B, H / 2, W / 2, C]`.

  Raises:
    ValueError: if a side is odd.
  """
  _check_even(x)
  batch, height, width, channels = x.shape
  windows = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
  return windows.mean(axis=(2, 4))


def downsample_max(x: Array) -> Array:
  """Takes the largest number of windows of 2 x 2 pixels.

  A last row or column that fills no window is dropped.

  Args:
    x: images, `[B, H, W, C]`.

  Returns:
    Images, `[B, H // 2, W // 2, C]`.
  """
  chex.assert_rank(x, 4)
  x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
  rows = jnp.maximum(x[:, ::2], x[:, 1::2])
  return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def _widened(kernel: Array) -> Array:
  """Convolves a kernel with the 2 x 2 window of ones: `[k + 1, k + 1, ...]`."""
  for axis in (0, 1):
    padding = [(0, 0)] * 4
    padding[axis] = (1, 1)
    padded = jnp.pad(kernel, padding)
    size = padded.shape[axis]
    part = lambda x, start, axis=axis, size=size: jax.lax.slice_in_dim(
      x, start, start + size - 1, axis=axis
    )
    kernel = part(padded, 0) + part(padded, 1)
  return kernel


def _check_odd(kernel: Array) -> int:
  """Returns the padding that keeps the size of an image."""
  chex.assert_rank(kernel, 4)
  size = kernel.shape[0]
  if size % 2 == 0 or size != kernel.shape[1]:
    raise ValueError(f'a kernel of {kernel.shape[:2]}: must be square and odd')
  return size // 2


def upsample_convolve(x: Array, kernel: Array) -> Array:
  """Computes `convolve(upsample_nearest(x), kernel)`, of the same size.

  Args:
    x: images, `[B, H, W, I]`, float.
    kernel: kernel of an odd side, `[k, k, I, O]`, float.

  Returns:
    Images, `[B, 2 H, 2 W, O]`.

  Raises:
    ValueError: if the kernel is not square and odd.
  """
  padding = _check_odd(kernel)
  dual = jnp.flip(_widened(kernel), (0, 1)).swapaxes(2, 3)
  return convolution.convolve_transpose(x, dual, stride=2, padding=padding)


def convolve_downsample(x: Array, kernel: Array) -> Array:
  """Computes `downsample_mean(convolve(x, kernel))`, of half the size.

  Args:
    x: images of even sides, `[B, H, W, I]`, float.
    kernel: kernel of an odd side, `[k, k, I, O]`, float.

  Returns:
    Images, `[B, H / 2, W / 2, O]`.

  Raises:
    ValueError: if the kernel is not square and odd, or a side of the images is
      odd.
  """
  padding = _check_odd(kernel)
  _check_even(x)
  wide = _widened(kernel) / 4
  return convolution.convolve(x, wide, stride=2, padding=padding)
