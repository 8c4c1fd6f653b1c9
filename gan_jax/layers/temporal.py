"""Convolution over time, and its transpose, for sound `[B, T, C]`.

A convolution of stride s is one of stride 1 on frames of s samples, with s times
the channels and a kernel of as many frames as its samples touch. It computes
the same sums, and a few products with zeros, but never a dilated convolution:
on CPU those of short activations are 40 times slower.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution

Array = jax.Array


def convolve_time(x: Array, kernel: Array, stride: int = 1) -> Array:
  """Convolves sound (cross-correlation) with 'same' padding.

  There are size - stride zeros around the input, the odd one at the end, for a
  kernel of length size.

  Args:
    x: sound, `[B, T, I]`, float.
    kernel: kernel, `[size, I, O]`, float; size is at least the stride.
    stride: step between windows in samples, which divides T.

  Returns:
    `[B, T / stride, O]`.

  Raises:
    ValueError: if the stride does not divide T, or is not from 1 to size.
  """
  chex.assert_rank([x, kernel], 3)
  batch, length, channels = x.shape
  if length % stride:
    raise ValueError(
      f'stride={stride}: must divide the {length} samples of the input'
    )
  kernel, padding = _in_frames(kernel, stride)
  frames = x.reshape(batch, 1, length // stride, stride * channels)
  kernel = kernel.reshape(1, len(kernel), stride * channels, -1)
  return convolution.convolve(frames, kernel, padding=((0, 0), padding))[:, 0]


def convolve_time_transpose(x: Array, kernel: Array, stride: int = 1) -> Array:
  """Applies the transpose of convolve_time.

  Args:
    x: sound, `[B, T, I]`, float.
    kernel: kernel of the convolution that is transposed, `[size, O, I]`, float.
    stride: stride of that convolution, the factor by which the length grows.

  Returns:
    `[B, stride T, O]`.

  Raises:
    ValueError: if the stride is not from 1 to size.
  """
  chex.assert_rank([x, kernel], 3)
  out = kernel.shape[1]
  kernel, padding = _in_frames(kernel, stride)
  kernel = kernel.reshape(1, len(kernel), stride * out, -1)
  frames = convolution.convolve_transpose(
    x[:, None], kernel, padding=((0, 0), padding)
  )
  return frames.reshape(x.shape[0], stride * x.shape[1], out)


def _in_frames(kernel: Array, stride: int) -> tuple[Array, tuple[int, int]]:
  """Cuts a kernel into frames, `[n, stride, ...]`; returns the padding, too."""
  size = len(kernel)
  if not 1 <= stride <= size:
    raise ValueError(f'stride={stride}: must be from 1 to size={size}')
  before = (size - stride) // 2
  zeros = -before % stride  # so that a frame begins at the first output
  frames = -(-(zeros + size) // stride)
  padding = [(zeros, frames * stride - zeros - size), (0, 0), (0, 0)]
  kernel = jnp.pad(kernel, padding)
  kernel = kernel.reshape(frames, stride, *kernel.shape[1:])
  first = (before + zeros) // stride
  return kernel, (first, frames - 1 - first)
