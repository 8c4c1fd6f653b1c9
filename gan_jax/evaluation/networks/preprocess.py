"""Images to the input of the FID network, by protocol.

FID depends on how images are brought to 299 x 299: each protocol here is that
of one published implementation, under the name that clean-fid gives it. All
of them start from 8-bit images, so `quantise` comes first.

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

from gan_jax.metrics import checks

Array = jax.Array

SIZE = 299


def legacy_tensorflow_matrix(size: int, target: int) -> np.ndarray:
  """TensorFlow 1 bilinear: position = index * size / target, no half pixels.

  Args:
    size: pixels of the image along the axis.
    target: pixels wanted.

  Returns:
    `[target, size]` float64, rows sum to 1.

  Raises:
    ValueError: for less than 1 pixel.
  """
  _check_sizes(size, target)
  # Positions are float32, as those of the libraries.
  scale = np.float32(size / target)
  return _bilinear(np.arange(target, dtype=np.float32) * scale, size)


def legacy_pytorch_matrix(size: int, target: int) -> np.ndarray:
  """Bilinear between pixel centres, not antialiased; as above."""
  _check_sizes(size, target)
  # Rounded once, as by the multiply-add of torch.
  scale = np.float64(np.float32(size / target))
  centres = np.float32((np.arange(target) + 0.5) * scale - 0.5)
  return _bilinear(np.maximum(centres, 0), size)


def clean_matrix(size: int, target: int) -> np.ndarray:
  """Pillow's bicubic (a = -1/2), antialiased where it shrinks; as above."""
  _check_sizes(size, target)
  scale = max(size / target, 1)
  centres = (np.arange(target)[:, None] + 0.5) * (size / target)
  # Pillow's window: pixels whose index is within 2 scales, rounded.
  pixels = np.arange(size)[None]
  first = np.floor(centres - 2 * scale + 0.5)
  inside = (pixels >= first) & (pixels < np.floor(centres + 2 * scale + 0.5))
  weights = np.where(inside, _cubic((pixels + 0.5 - centres) / scale), 0)
  return weights / weights.sum(axis=1, keepdims=True)


def _check_sizes(size, target):
  if min(size, target) < 1:
    raise ValueError(f'{size} pixels to {target}: must be at least 1 each')


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
  """How one implementation prepares images.

  Attributes:
    matrix: of one axis, from its size and its target to `[target, size]`.
    centre: of the values 0..255, subtracted.
    scale: what is then divided by.
    clip: whether values outside 0..255 are cut off; bicubic makes them.
  """

  matrix: Callable[[int, int], np.ndarray]
  centre: float
  scale: float
  clip: bool = False


# Original FID and torch-fidelity; pytorch-fid; clean-fid.
PREPROCESSORS = {
  'legacy_tensorflow': PreprocessingProtocol(
    legacy_tensorflow_matrix, 128.0, 128.0
  ),
  'legacy_pytorch': PreprocessingProtocol(legacy_pytorch_matrix, 127.5, 127.5),
  'clean': PreprocessingProtocol(clean_matrix, 128.0, 128.0, clip=True),
}


def quantize(images: Array) -> Array:
  """Floats in [-1, 1] to the 8-bit images that every protocol starts from.

  Args:
    images: float, of any shape; values outside are cut off.

  Returns:
    uint8 of the same shape: (x + 1) * 127.5, rounded. Under jax.jit a NaN
    comes out as some level.

  Raises:
    AssertionError: for integers.
    ValueError: for NaNs, where there are values to look at.
  """
  chex.assert_type(images, float)
  if not checks.is_traced(images) and bool(jnp.isnan(images).any()):
    raise ValueError(
      f'images: {int(jnp.isnan(images).sum())} of {images.size} numbers are NaN'
    )
  levels = jnp.round((images + 1) * 127.5)
  return jnp.clip(levels, 0, 255).astype(jnp.uint8)


@functools.lru_cache(maxsize=32)
def _axis(matrix, size, target):
  return matrix(size, target).astype(np.float32)


def resize(
  images: Array, matrix: Callable[[int, int], np.ndarray], size: int = SIZE
) -> Array:
  """Resizes both axes of images by a linear map of each.

  Args:
    images: `[B, H, W, C]`, float32.
    matrix: one of the `*_matrix` functions.
    size: pixels wanted a side.

  Returns:
    `[B, size, size, C]` float32.
  """
  chex.assert_rank(images, 4)
  rows, columns = (_axis(matrix, n, size) for n in images.shape[1:3])
  # Columns first, as Pillow does; float32 on GPUs too, so no TF32.
  apply = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
  wide = apply('Ww,bhwc->bhWc', columns, images)
  return apply('Hh,bhwc->bHwc', rows, wide)


def preprocess(images: Array, protocol: str) -> Array:
  """Brings 8-bit images to the input of the FID network.

  Args:
    images: `[B, H, W, C]` uint8, see `quantise`; C is 3, or 1, which is
      repeated.
    protocol: of PREPROCESS.

  Returns:
    `[B, 299, 299, 3]` float32, within [-1, 1].

  Raises:
    ValueError: for an unknown protocol, another type or other channels, or
      images of no pixels.
  """
  if protocol not in PREPROCESSORS:
    raise ValueError(
      f'protocol {protocol!r}: must be one of {", ".join(PREPROCESSORS)}'
    )
  chex.assert_rank(images, 4)
  if images.dtype != jnp.uint8:
    raise ValueError(
      f'images of {images.dtype}: must be uint8; quantise() makes them of '
      'floats in [-1, 1]'
    )
  if images.shape[-1] not in (1, 3):
    raise ValueError(
      f'images of {images.shape[-1]} channels, shape {images.shape}: must '
      'have 1 or 3, last'
    )
  how = PREPROCESSORS[protocol]
  resized = resize(jnp.asarray(images, jnp.float32), how.matrix)
  if how.clip:
    resized = jnp.clip(resized, 0, 255)
  resized = jnp.broadcast_to(resized, (*resized.shape[:-1], 3))
  return (resized - how.centre) / how.scale
