"""Opens and decodes image files from anywhere.

Pixels decide whether a file is good: one whose pixels are whole loads whatever
its metadata hold, and one whose pixel data end early is broken even if all its
checksums are right.
"""

import contextlib
import io
import pathlib
import stat
import struct
import zlib
from typing import Callable, Iterator

import numpy as np
from PIL import Image

from gan_jax.data import images
from gan_jax.io import files

_FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP', 'GIF', 'TIFF')
MAX_BYTES = 2**30  # per file
_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_PIXELS = (b'IHDR', b'PLTE', b'tRNS', b'IDAT')
_PNG_END = b'\0\0\0\0IEND\xaeB`\x82'
_JPEG_END = b'\xff\xd9'
# Application data but JFIF's and Adobe's, which hold the color space; comments.
_JPEG_METADATA = (*range(0xE1, 0xEE), 0xEF, 0xFE)
# Bits that no encoder writes at the end of a picture, after any restart marker.
_NOISE = np.random.default_rng(0).integers(0, 255, (8, 64), np.uint8)
_FILLER = b''.join(
  noise.tobytes() + bytes((0xFF, 0xD0 + i)) for i, noise in enumerate(_NOISE)
)
_ROWS = 64
_TILE_TAGS = 322, 323  # of a TIFF: TileWidth, TileLength
_MAX_TILE = 2**22  # pixels
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@contextlib.contextmanager
def open_image(path: pathlib.Path) -> Iterator[Image.Image]:
  """Opens an image without decoding its pixels.

  Args:
    path: path of a PNG, JPEG, WEBP, BMP, GIF or TIFF file, with any suffix.

  Yields:
    The image.

  Raises:
    ValueError: if anything fails while the image is open, or if it has more
      pixels than PIL.Image.MAX_IMAGE_PIXELS, more than 1 GiB or is not a
      regular file. The message names the file.
  """
  with naming_errors(path):
    _check_regular(path)
    try:
      image = _open(path)
    except _BOMBS:
      raise
    except Exception:
      image = _open(io.BytesIO(_without_metadata(path.read_bytes())))
    with image:
      yield image


@contextlib.contextmanager
def open_content(content: bytes) -> Iterator[Image.Image]:
  """Opens an image in memory without decoding its pixels.

  Args:
    content: content of a file, as for open_image.

  Yields:
    The image.

  Raises:
    Exception: of any type; see naming_errors.
  """
  try:
    image = _open(io.BytesIO(content))
  except _BOMBS:
    raise
  except Exception:
    image = _open(io.BytesIO(_without_metadata(content)))
  with image:
    yield image


def load_image(
  path: pathlib.Path,
  convert: Callable[[Image.Image], np.ndarray],
  *,
  draft: tuple[str, int] | None = None,
  verify: bool = True,
  remark: Callable[[str], None] = images.ignore,
) -> np.ndarray:
  """Decodes an image, of an animation the first frame.

  Args:
    path: path of a PNG, JPEG, WEBP, BMP, GIF or TIFF file, with any suffix.
    convert: function that makes an array of the decoded image.
    draft: mode and least side in pixels; JPEG files are decoded straight to
      about this size, several times faster.
    verify: whether to check that the pixel data are whole: the checksums of a
      PNG, and for all formats that they do not end early.
    remark: called with a sentence if there are more frames or pages.

  Returns:
    What `convert` returns.

  Raises:
    ValueError: as open_image does, or if `convert` fails; with `verify`, also
      if the pixel data are not whole.
  """
  with naming_errors(path):
    return decode_image(
      read_regular(path), convert, draft=draft, verify=verify, remark=remark
    )


def decode_image(
  content: bytes,
  convert: Callable[[Image.Image], np.ndarray],
  *,
  draft: tuple[str, int] | None = None,
  verify: bool = True,
  remark: Callable[[str], None] = images.ignore,
) -> np.ndarray:
  """Decodes an image in memory, of an animation the first frame.

  Args:
    content: content of a file, as for load_image, as the other arguments are.
    convert: function that makes an array of the decoded image.
    draft: mode and least side in pixels.
    verify: whether to check that the pixel data are whole.
    remark: called with a sentence if there are more frames or pages.

  Returns:
    What `convert` returns.

  Raises:
    Exception: of any type; see naming_errors.
  """
  if verify and content.startswith(_PNG):
    _png_pixels(content)
  try:
    image = _decode(content, draft)
  except _BOMBS:
    raise
  except Exception:
    pixels = _without_metadata(content)
    if pixels == content:
      raise
    content, image = pixels, _decode(pixels, draft)
    verify = True  # what was added to the file may hide that it ends early
  if verify and _ends_early(content, image, draft):
    raise ValueError('its pixel data end early')
  if _has_more_frames(image):
    remark('of images with several frames or pages, the first is read')
  return convert(image)


def _has_more_frames(image: Image.Image) -> bool:
  if image.format == 'MPO':  # its other frames are previews or depths
    return False
  try:
    return getattr(image, 'is_animated', False)
  except Exception:  # whatever the other frames hold
    return False


def _check_regular(path: pathlib.Path) -> None:
  """Refuses special and huge files."""
  about = path.stat()  # opening a pipe would block forever
  if not stat.S_ISREG(about.st_mode):
    raise ValueError('it is not a regular file')
  if about.st_size > MAX_BYTES:
    raise ValueError(f'it has {about.st_size:,} bytes')


def read_regular(path: pathlib.Path) -> bytes:
  """Reads a regular file of at most 1 GiB.

  Args:
    path: path of the file.

  Raises:
    OSError: if it cannot be read.
    ValueError: if it is another kind of file, or larger.
  """
  _check_regular(path)
  return path.read_bytes()


@contextlib.contextmanager
def naming_errors(path: pathlib.Path | str) -> Iterator[None]:
  """Turns any error into a ValueError that names the file.

  Args:
    path: path of the image, or another name of it.

  Raises:
    ValueError: if anything is raised in the context.
  """
  name = files.printable(path)
  try:
    yield
  except _BOMBS as error:
    raise ValueError(f'image {name} is too large: {error}') from error
  except Image.UnidentifiedImageError as error:
    raise ValueError(
      f'broken image {name}: its format is none of {", ".join(_FORMATS)}, or '
      'its header is broken'
    ) from error
  except Exception as error:  # decoders raise any type
    raise ValueError(
      f'broken image {name}: {files.short_message(error)}'
    ) from error


def _open(file: pathlib.Path | io.BytesIO) -> Image.Image:
  """Opens an image; raises an error for bombs, for which Pillow only warns."""
  image = Image.open(file, formats=_FORMATS)
  try:
    _check_pixels(image)
  except Image.DecompressionBombError:
    image.close()
    raise
  return image


def _check_pixels(image: Image.Image) -> None:
  """Raises an error for decompression bombs."""
  most, size = Image.MAX_IMAGE_PIXELS, image.width * image.height
  if most is None:
    return
  if size > most:
    raise Image.DecompressionBombError(
      f'{image.width} x {image.height} pixels, more than '
      f'PIL.Image.MAX_IMAGE_PIXELS, {most}'
    )
  tags = getattr(image, 'tag_v2', {})
  tile = [tags.get(tag, 0) for tag in _TILE_TAGS]  # a whole one is decoded
  if tile[0] * tile[1] > max(4 * size, _MAX_TILE):
    raise Image.DecompressionBombError(
      f'tiles of {tile[0]} x {tile[1]} pixels in an image of {image.width} x '
      f'{image.height}'
    )


def _decode(content: bytes, draft: tuple[str, int] | None) -> Image.Image:
  image = _open(io.BytesIO(content))
  if draft is not None:
    mode, size = draft
    image.draft(mode, (size, size))
  image.load()
  return image


def _without_metadata(content: bytes) -> bytes:
  """Returns a PNG or JPEG with its pixels alone; other files unchanged."""
  if content.startswith(_PNG):
    return _PNG + b''.join(_png_pixels(content)) + _PNG_END
  if content.startswith(b'\xff\xd8'):
    return _jpeg_pixels(content)[0] + _JPEG_END
  return content


def _png_pixels(content: bytes) -> list[bytes]:
  """Returns the chunks of a PNG that decide its pixels.

  Raises:
    ValueError: if the checksum of one is wrong, or the file ends within one.
  """
  chunks, at = [], len(_PNG)
  while at + 8 <= len(content):
    length, kind = struct.unpack_from('>I4s', content, at)
    end = at + length + 12
    if kind == b'IEND':
      break
    if kind in _PNG_PIXELS:
      if end > len(content):
        raise ValueError('the file ends within its pixels')
      (checksum,) = struct.unpack_from('>I', content, end - 4)
      if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != checksum:
        raise ValueError(f'wrong checksum of the chunk {kind.decode()}')
      chunks.append(content[at:end])
    at = end
  return chunks


def _jpeg_pixels(content: bytes) -> tuple[bytes, bool]:
  """Returns a JPEG without metadata and end, and whether it has an end."""
  parts, at = [content[:2]], 2
  while at + 4 <= len(content):
    marker, kind, length = struct.unpack_from('>BBH', content, at)
    if marker != 0xFF or kind == 0xDA:  # the pixels, or no JPEG at all
      break
    if kind == 0xFF:  # padding
      at += 1
      continue
    if kind not in _JPEG_METADATA:
      parts.append(content[at : at + 2 + length])
    at += 2 + length
  # In pixel data 0xFF is always followed by 0 or the number of a restart.
  end = content.find(_JPEG_END, at)
  if end >= 0:
    return b''.join([*parts, content[at:end]]), True
  # What was never written of a file is often 0; pixels rarely end in two 0.
  size = len(content[at:].rstrip(b'\0'))
  return b''.join([*parts, content[at : at + size + 2]]), False


def _has_all_scans(pixels: bytes) -> bool:
  """Returns whether a progressive JPEG has all bits of all coefficients."""
  missing: dict[tuple[int, int], int] = {}  # of (component, coefficient)
  at = pixels.find(b'\xff\xda')
  while at >= 0 and at + 5 <= len(pixels):
    count = pixels[at + 4]
    header = pixels[at + 5 : at + 8 + 2 * count]
    if len(header) == 2 * count + 3:
      first, last, bits = header[-3:]
      for component in header[: 2 * count : 2]:
        for coefficient in range(first, min(last, 63) + 1):
          missing[component, coefficient] = bits & 15
    at = pixels.find(b'\xff\xda', at + 2)
  components = {component for component, _ in missing}
  return len(missing) == 64 * len(components) and not any(missing.values())


def _ends_early(
  content: bytes, image: Image.Image, draft: tuple[str, int] | None
) -> bool:
  """Returns whether the pixel data of a file end before the picture does.

  Decoders leave what is missing as it was: gray in a JPEG, 0 elsewhere. Only if
  the last pixel is so, or could be of an earlier scan, the file is decoded
  again, with something else in place of what is missing: the picture must not
  change.

  Args:
    content: content of the file.
    image: image decoded from it.
    draft: as for load_image.
  """
  last = image.getpixel((image.width - 1, image.height - 1))
  last = last if isinstance(last, tuple) else (last,)
  box = (0, 0, *image.size)
  if image.format in ('JPEG', 'MPO'):
    pixels, has_end = _jpeg_pixels(content)
    is_gray = all(value in (127, 128) for value in last)
    if 'progressive' in image.info:
      if not _has_all_scans(pixels):
        return True
    elif has_end and not is_gray:
      return False
    again = _decode(pixels + _FILLER + _JPEG_END, draft)
  elif image.format == 'WEBP':  # libwebp checks it itself
    return False
  elif any(last) and not image.info.get('interlace'):
    return False
  else:
    again = _open(io.BytesIO(content))
    if image.format == 'GIF':  # whose frame may be a part of the picture
      box = again.tile[0][1]
    bands = len(again.getbands())
    other = (255,) * bands if bands > 1 else 255
    again.im = Image.new(again.mode, again.size, other).im
    again.load()
  return not _is_equal(again, image, box)


def _is_equal(
  a: Image.Image, b: Image.Image, box: tuple[int, int, int, int]
) -> bool:
  """Returns whether two images are equal within a box, row by row."""
  left, top, right, bottom = box
  for row in range(top, bottom, _ROWS):  # both at once take much memory
    strip = left, row, right, min(row + _ROWS, bottom)
    if a.crop(strip).tobytes() != b.crop(strip).tobytes():
      return False
  return True
