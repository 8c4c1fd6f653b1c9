"""Encodes pictures and sound for pages."""

import base64
import io

import numpy as np
from PIL import Image, features

from gan_jax.report.html_report.records import Picture

_MAX_PIXELS = 2**26  # of a picture that is read
_MAX_SIDE = 1024  # pixels of a picture in a page
_LOSSLESS_BYTES = 150_000  # of a picture; above, it is compressed with loss
_QUALITY = 85


def data_uri(content: bytes, kind: str) -> str:
  """Returns a file as a `data:` URI.

  Args:
    content: the file.
    kind: its media type, such as 'image/webp'.
  """
  return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def encode_picture(png: bytes, step: int = 0) -> Picture:
  """Encodes a PNG as a smaller picture of the same content.

  A picture that was enlarged by a whole factor is written at its own size, and
  one of more than 1,024 pixels a side is reduced. WebP without loss, unless it
  was reduced or has more than 150 kB.

  Args:
    png: content of the file.
    step: number of train steps done.

  Returns:
    The picture.

  Raises:
    ValueError: if the file is no PNG, is damaged, or has too many pixels.
  """
  image = _decode(png)
  factor = _enlargement(np.asarray(image))
  if factor > 1:
    size = (image.width // factor, image.height // factor)
    image = image.resize(size, Image.Resampling.NEAREST)
  is_large = max(image.size) > _MAX_SIDE
  if is_large:
    image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX)
  if not features.check('webp'):
    uri = data_uri(_saved(image, 'PNG'), 'image/png')
    return Picture(step, uri, image.width, factor > 1)
  content = b''
  if not is_large:
    content = _saved(image, 'WEBP', lossless=True, quality=50, method=2)
  if is_large or len(content) > _LOSSLESS_BYTES:
    content = _saved(image, 'WEBP', quality=_QUALITY, method=2)
  uri = data_uri(content, 'image/webp')
  return Picture(step, uri, image.width, factor > 1)


def _decode(png: bytes) -> Image.Image:
  """Returns the pixels of a PNG, 8 bits each."""
  try:
    image = Image.open(io.BytesIO(png), formats=['PNG'])
    if image.width * image.height > _MAX_PIXELS:
      raise ValueError(
        f'a picture of {image.width} x {image.height} pixels; at most '
        f'{_MAX_PIXELS:,} are shown'
      )
    image.load()
  except (OSError, SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError(f'no picture: {error}') from error
  return image if image.mode in ('L', 'RGB', 'RGBA') else image.convert('RGBA')


def _saved(image: Image.Image, kind: str, **options) -> bytes:
  out = io.BytesIO()
  image.save(out, kind, **options)
  return out.getvalue()


def _enlargement(pixels: np.ndarray) -> int:
  """Returns the largest factor by which each pixel is repeated."""
  height, width = pixels.shape[:2]
  for factor in range(16, 1, -1):
    if height % factor or width % factor:
      continue
    small = pixels[::factor, ::factor]
    wide = np.repeat(small, factor, axis=1)
    if all(np.array_equal(pixels[i::factor], wide) for i in range(factor)):
      return factor
  return 1
