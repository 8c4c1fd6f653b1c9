"""Preprocesses images for the FID network, by protocol.

FID depends on how images are resized to 299 x 299. Each protocol here is that
of one published implementation, under the name that clean-fid gives it. All of
them take 8-bit images, so apply `quantize` first.

References:
  Parmar et al., On Aliased Resizing and Surprising Subtleties in GAN
  Evaluation, https://arxiv.org/abs/2104.11222, 2022.
"""

import functools
from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import pixels, tracing

Array = jax.Array

SIZE = 299


def legacy_tensorflow_matrix(size: int, target: int) -> np.ndarray:
  """Returns the TensorFlow 1 bilinear matrix: position = index * size / target.

  There is no half-pixel offset.

  Args:
    size: pixels of the image along the axis.
    target: pixels of the resized image along the axis.

  Returns:
    `[target, size]` float64, rows sum to 1.

  Raises:
    ValueError: if either is below 1.
  """
  _check_sizes(size, target)
  # Positions are float32, as in the libraries.
  scale = np.float32(size / target)
  return _bilinear(np.arange(target, dtype=np.float32) * scale, size)


def legacy_pytorch_matrix(size: int, target: int) -> np.ndarray:
  """Returns the matrix of bilinear resizing between pixel centers.

  It is not antialiased. Arguments, result and errors are as in
  legacy_tensorflow_matrix.
  """
  _check_sizes(size, target)
  # Rounded once, like the multiply-add of torch.
  scale = np.float64(np.float32(size / target))
  centers = np.float32((np.arange(target) + 0.5) * scale - 0.5)
  return _bilinear(np.maximum(centers, 0), size)


def clean_matrix(size: int, target: int) -> np.ndarray:
  """Returns the matrix of Pillow's bicubic resizing (a = -1/2).

  It is antialiased when it shrinks. Arguments, result and errors are as in
  legacy_tensorflow_matrix.
  """
  _check_sizes(size, target)
  scale = max(size / target, 1)
  centers = (np.arange(target)[:, None] + 0.5) * (size / target)
  # Window of Pillow: pixels whose index is within 2 scales, rounded.
  index = np.arange(size)[None]
  first = np.floor(centers - 2 * scale + 0.5)
  inside = (index >= first) & (index < np.floor(centers + 2 * scale + 0.5))
  weights = np.where(inside, _cubic((index + 0.5 - centers) / scale), 0)
  return weights / weights.sum(axis=1, keepdims=True)


def _check_sizes(size, target):
  if min(size, target) < 1:
    raise ValueError(f'size={size}, target={target}: must be at least 1')


def _bilinear(positions, size):
  low = np.minimum(np.floor(positions).astype(int), size - 1)
  high = np.minimum(low + 1, size - 1)
  share = np.float64(positions - low)[:, None]
  rows = np.eye(size)
  return (1 - share) * rows[low] + share * rows[high]


def _cubic(x):
  x = np.abs(x)
  near = (1.5 * x - 2.5) * x * x + 1
  far = -0.5 * (((x - 5) * x + 8) * x - 4)
  return np.where(x < 1, near, np.where(x < 2, far, 0))


class PreprocessingProtocol(NamedTuple):
  """Preprocessing of images in one implementation.

  Attributes:
    matrix: function (size, target) of one axis that returns a matrix
      `[target, size]`.
    center: value in 0..255 that is subtracted.
    scale: divisor after the subtraction.
    clip: whether values outside 0..255, which bicubic resizing produces, are
      clipped.
  """

  matrix: Callable[[int, int], np.ndarray]
  center: float
  scale: float
  clip: bool = False


# In order: the original FID and torch-fidelity; pytorch-fid; clean-fid.
PREPROCESSORS = {
  'legacy_tensorflow': PreprocessingProtocol(
    legacy_tensorflow_matrix, 128.0, 128.0
  ),
  'legacy_pytorch': PreprocessingProtocol(legacy_pytorch_matrix, 127.5, 127.5),
  'clean': PreprocessingProtocol(clean_matrix, 128.0, 128.0, clip=True),
}


def quantize(images: Array) -> Array:
  """Converts floats in [-1, 1] to the 8-bit images of every protocol.

  Args:
    images: float, of any shape; values out of range are clipped.

  Returns:
    uint8 of the same shape: (x + 1) * 127.5, rounded. Under jax.jit a NaN
    becomes an arbitrary level.

  Raises:
    AssertionError: if the images are integers.
    ValueError: if there are NaNs, except under jax.jit.
  """
  chex.assert_type(images, float)
  if tracing.fails(lambda images: not jnp.isnan(images).any(), images):
    raise ValueError(
      f'images: {np.isnan(images).sum()} of {images.size} values are NaN'
    )
  return pixels.to_uint8(jnp.asarray(images))


@functools.lru_cache(maxsize=32)
def _axis(matrix, size, target):
  return matrix(size, target).astype(np.float32)


def resize(
  images: Array, matrix: Callable[[int, int], np.ndarray], size: int = SIZE
) -> Array:
  """Resizes images by a linear map of each axis.

  Args:
    images: `[B, H, W, C]`, float32.
    matrix: one of the `*_matrix` functions.
    size: side of the result, in pixels.

  Returns:
    `[B, size, size, C]` float32.
  """
  chex.assert_rank(images, 4)
  rows, columns = (_axis(matrix, n, size) for n in images.shape[1:3])
  # Columns first, as in Pillow; float32 instead of TF32 on GPUs.
  apply = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
  wide = apply('Ww,bhwc->bhWc', columns, images)
  return apply('Hh,bhwc->bHwc', rows, wide)


def preprocess(images: Array, protocol: str) -> Array:
  """Converts 8-bit images to the input of the FID network.

  Args:
    images: `[B, H, W, C]` uint8, see `quantize`; C is 3, or 1, which is
      repeated.
    protocol: a key of PREPROCESSORS.

  Returns:
    `[B, 299, 299, 3]` float32, within [-1, 1].

  Raises:
    ValueError: if the protocol is unknown, or the images have another dtype,
      number of channels or no pixels.
  """
  if protocol not in PREPROCESSORS:
    raise ValueError(
      f'protocol {protocol!r}: must be one of {", ".join(PREPROCESSORS)}'
    )
  chex.assert_rank(images, 4)
  if images.dtype != jnp.uint8:
    raise ValueError(
      f'images of {images.dtype}: must be uint8; quantize() converts floats in '
      '[-1, 1]'
    )
  if images.shape[-1] not in (1, 3):
    raise ValueError(
      f'images of shape {images.shape} have {images.shape[-1]} channels: must '
      'be 1 or 3, on the last axis'
    )
  how = PREPROCESSORS[protocol]
  resized = resize(jnp.asarray(images, jnp.float32), how.matrix)
  if how.clip:
    resized = jnp.clip(resized, 0, 255)
  resized = jnp.broadcast_to(resized, (*resized.shape[:-1], 3))
  return (resized - how.center) / how.scale
