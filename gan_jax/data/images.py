"""Converts images of any format to uint8 [size, size, channels]."""

import contextlib
from typing import Callable

import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageOps

WHITE = (255, 255, 255)
_MODES = {1: 'L', 3: 'RGB', 4: 'RGBA'}
_LARGEST = 8192  # pixels per side
_DARK = 2**12  # all values of cameras and scanners with 12 bits are below
_TURNS = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_270,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_90,
}


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


def parse_color(color: str) -> tuple[int, int, int]:
  """Returns the red, green and blue of a color, from 0 to 255.

  Args:
    color: a name of CSS or '#rrggbb'.

  Raises:
    ValueError: if it is no color, or a transparent one.
  """
  with contextlib.suppress(ValueError):
    found = ImageColor.getrgb(color)
    if len(found) == 3:
      return found
  raise ValueError(
    f"background={color!r}: must be a color such as 'white', 'black' or "
    "'#808080'"
  )


def ignore(remark: str) -> None:
  """Ignores a remark on an image."""


def convert_mode(
  image: Image.Image,
  channels: int,
  *,
  background: tuple[int, int, int] = WHITE,
  remark: Callable[[str], None] = ignore,
) -> Image.Image:
  """Converts an image to 8-bit gray, RGB or RGBA.

  Transparent images are composited on the background before the alpha channel
  is dropped; 16-bit gray keeps its upper 8 bits.

  Args:
    image: any Pillow image.
    channels: 1, 3 or 4.
    background: red, green and blue behind transparent pixels, from 0 to 255.
    remark: called with a sentence about what the conversion decided.

  Returns:
    The converted image.

  Raises:
    ValueError: for pixels of 32 bits, whose range is unknown.
  """
  if image.mode == 'F' or image.mode == 'I' and image.format == 'TIFF':
    raise ValueError('it has pixels of 32 bits: save it with 8 or 16')
  if image.mode.startswith('I'):
    wide = np.asarray(image).clip(0, 65535)
    if 0 < wide.max() < _DARK:
      remark(
        '16-bit images keep the upper 8 bits, and come out dark: some have no '
        f'value above {_DARK - 1:,} of 65,535'
      )
    image = Image.fromarray((wide // 256).astype(np.uint8))
  transparent = image.mode in ('LA', 'PA', 'RGBA', 'RGBa', 'La') or (
    'transparency' in image.info
  )
  if transparent:
    image = image.convert('RGBA')
    if channels != 4:
      if image.getchannel('A').getextrema()[0] < 255:
        remark(
          'transparent pixels are laid on the color '
          f'#{background[0]:02x}{background[1]:02x}{background[2]:02x}'
        )
      behind = Image.new('RGBA', image.size, background)
      image = Image.alpha_composite(behind, image)
  return image.convert(_MODES[channels])


def turn_upright(image: Image.Image) -> Image.Image:
  """Turns an image as its metadata ask; unreadable metadata ask for nothing.

  Args:
    image: any Pillow image.
  """
  image.load()  # a PNG has metadata after its pixels, too
  try:
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
  except Exception:  # readers of EXIF raise any type
    return image
  return image if turn is None else image.transpose(turn)


def crop_and_resize(
  image: Image.Image,
  size: int,
  channels: int,
  *,
  background: tuple[int, int, int] = WHITE,
  remark: Callable[[str], None] = ignore,
) -> np.ndarray:
  """Turns an image upright, crops its central square and resizes it.

  The resizing is bicubic, with antialiasing.

  Args:
    image: any Pillow image.
    size: side of the result, in pixels.
    channels: 1, 3 or 4.
    background: as for convert_mode.
    remark: as for convert_mode.

  Returns:
    `[size, size, channels]` uint8.

  Raises:
    ValueError: as convert_mode does.
  """
  image = turn_upright(image)
  image = convert_mode(image, channels, background=background, remark=remark)
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
