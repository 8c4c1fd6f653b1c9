"""Converts images of any format to uint8 [size, size, channels]."""

import numpy as np
from PIL import Image, ImageOps

_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
_LARGEST = 8192  # pixels per side


def check_format(size: int, channels: int) -> None:
  """Checks an image size and a number of channels.

  Raises:
    ValueError: if either is out of range; the message has the allowed values.
  """
  if not 1 <= size <= _LARGEST:
    raise ValueError(f'size={size}: must be from 1 to {_LARGEST} pixels')
  if channels not in _MODES:
    raise ValueError(
      f'channels={channels}: choose 1 (gray), 3 (RGB) or 4 (RGBA)'
    )


def convert_mode(image: Image.Image, channels: int) -> Image.Image:
  """Converts an image to 8-bit gray, RGB or RGBA.

  Transparent images are composited on white before the alpha channel is
  dropped; 16-bit gray keeps its upper 8 bits.

  Args:
    image: any Pillow image.
    channels: 1, 3 or 4.

  Returns:
    The converted image.
  """
  if image.mode.startswith('I'):
    wide = np.asarray(image).clip(0, 65535) // 256
    image = Image.fromarray(wide.astype(np.uint8))
  transparent = image.mode in ('LA', 'PA', 'RGBA', 'RGBa', 'La') or (
    'transparency' in image.info
  )
  if transparent:
    image = image.convert('RGBA')
    if channels != 4:
      white = Image.new('RGBA', image.size, 'white')
      image = Image.alpha_composite(white, image)
  return image.convert(_MODES[channels])


def crop_and_resize(image: Image.Image, size: int, channels: int) -> np.ndarray:
  """Turns an image upright, crops its central square and resizes it.

  The resizing is bicubic, with antialiasing.

  Args:
    image: any Pillow image.
    size: side of the result, in pixels.
    channels: 1, 3 or 4.

  Returns:
    `[size, size, channels]` uint8.
  """
  image = convert_mode(ImageOps.exif_transpose(image), channels)
  if image.size != (size, size):
    image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
  return np.asarray(image).reshape(size, size, channels)


def crop_and_resize_arrays(
  x: np.ndarray, size: int, channels: int
) -> np.ndarray:
  """Applies crop_and_resize to decoded images that all have one shape.

  Args:
    x: `[N, H, W, C]` uint8 with C in 1, 3, 4.
    size: side of the result, in pixels.
    channels: 1, 3 or 4.

  Returns:
    `[N, size, size, channels]` uint8.
  """
  if x.shape[1:] == (size, size, channels):
    return x
  out = np.empty((len(x), size, size, channels), np.uint8)
  for i, picture in enumerate(x):
    gray = picture.shape[-1] == 1
    image = Image.fromarray(picture[..., 0] if gray else picture)
    out[i] = crop_and_resize(image, size, channels)
  return out
