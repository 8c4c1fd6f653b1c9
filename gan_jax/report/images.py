"""Saves image grids and scatter plots as PNG files.

Images are NHWC in [-1, 1].
"""

import io
import json
import math
import pathlib
from typing import Any, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from gan_jax import pixels
from gan_jax.io import files

_REAL, _FAKE, _INK = (66, 110, 180), (226, 115, 38), (70, 70, 70)
TEXT_CHUNK = 'gan_jax'  # key of the text chunk of a PNG
_LINE = 160  # gray between images, apart from white and from black ones


def encode_png(
  image: Image.Image, about: Mapping[str, Any] | None = None
) -> bytes:
  """Returns an image as a PNG.

  Args:
    image: the image.
    about: facts about it for its text chunk 'gan_jax', as JSON; None for none.
  """
  text = None
  if about is not None:
    text = PngImagePlugin.PngInfo()
    text.add_text(TEXT_CHUNK, json.dumps(about, sort_keys=True))
  png = io.BytesIO()
  image.save(png, 'PNG', pnginfo=text)
  return png.getvalue()


def read_about(path: pathlib.Path) -> dict[str, Any]:
  """Reads the facts about an image from the text chunk of its PNG.

  Args:
    path: path of the PNG.

  Returns:
    The facts; {} for a PNG without any.

  Raises:
    OSError: if the file cannot be read, or is no image.
    ValueError: if the chunk holds no JSON object.
  """
  with Image.open(path, formats=['PNG']) as image:
    text = getattr(image, 'text', {}).get(TEXT_CHUNK, '{}')
  try:
    found = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{path}: its text chunk is not JSON: {error}') from error
  if not isinstance(found, dict):
    raise ValueError(f'{path}: its text chunk does not hold a JSON object')
  return found


def save_png(
  image: Image.Image,
  path: pathlib.Path,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves an image as a PNG, atomically, and makes its directory.

  Args:
    image: the image.
    path: path of the PNG.
    about: facts about it for its text chunk 'gan_jax'; None for none.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  files.atomic_write(path, encode_png(image, about))


def to_image(picture: np.ndarray) -> Image.Image:
  """Returns pixels as an image.

  Args:
    picture: pixels, `[H, W, C]` uint8, C of 1, 3 or 4.
  """
  gray = picture.shape[-1] == 1
  return Image.fromarray(picture[..., 0] if gray else picture)


def read_picture(path: pathlib.Path) -> np.ndarray:
  """Reads a PNG that this package wrote.

  Args:
    path: path of the PNG.

  Returns:
    `[H, W, C]` uint8, C of 1, 3 or 4.

  Raises:
    OSError: if the file cannot be read, or is no PNG.
  """
  with Image.open(path, formats=['PNG']) as image:
    mode = image.mode if image.mode in ('L', 'RGB', 'RGBA') else 'RGB'
    found = np.asarray(image.convert(mode))
  return found[..., None] if found.ndim == 2 else found


def enlarge(images: np.ndarray, least: int) -> np.ndarray:
  """Enlarges small images by an integer factor, to about a width.

  Args:
    images: `[N, H, W, C]`.
    least: target width in pixels.

  Returns:
    `[N, f H, f W, C]`, with an f of at least 1.
  """
  factor = max(1, round(least / images.shape[2]))
  return images.repeat(factor, axis=1).repeat(factor, axis=2)


def save_captioned_grid(
  path: pathlib.Path,
  images: np.ndarray,
  captions: Sequence[str],
  *,
  columns: int,
  least: int = 80,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves images side by side as a PNG, with a line of text below each.

  Args:
    path: path of the PNG.
    images: `[N, H, W, C]` float in [-1, 1], C of 1, 3 or 4.
    captions: texts, one for each image; '' for none.
    columns: images per row.
    least: width of an image in pixels, to which small ones are enlarged.
    about: facts for the text chunk of the PNG; None for none.

  Raises:
    ValueError: if the rank or the number of channels is another.
  """
  _check_images(images)
  tiles = enlarge(pixels.to_uint8(images), least)
  height, width = tiles.shape[1:3]
  gap, line = 6, 16
  rows = math.ceil(len(tiles) / columns)
  size = columns * (width + gap) + gap, rows * (height + line + gap) + gap
  mode = 'RGBA' if images.shape[-1] == 4 else 'RGB'
  canvas = Image.new(mode, size, 'white')
  draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
  for i, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
    left = gap + i % columns * (width + gap)
    top = gap + i // columns * (height + line + gap)
    canvas.paste(to_image(tile).convert(mode), (left, top))
    spot = (left + width / 2, top + height + 2)
    draw.text(spot, caption, _INK, font, 'mt')
  save_png(canvas, path, about)


def _check_images(images: np.ndarray) -> None:
  if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
    raise ValueError(
      f'images of shape {images.shape}: must be [N, H, W, C], C of 1, 3 or 4'
    )


def save_image_grid(
  path: pathlib.Path,
  images: np.ndarray,
  *,
  columns: int = 0,
  least: int = 512,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves images side by side as a PNG.

  Args:
    path: path of the PNG.
    images: `[N, H, W, C]` float in [-1, 1], C of 1, 3 or 4; values out of range
      are clipped.
    columns: images per row; 0 for an approximately square grid.
    least: target width of the PNG in pixels; smaller grids are enlarged by an
      integer factor to approximately this width.
    about: facts for the text chunk of the PNG; None for none.

  Raises:
    ValueError: if the rank or the number of channels is another.
  """
  _check_images(images)
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n))
  rows, gap = math.ceil(n / columns), 1
  canvas = np.full(
    (rows * (height + gap) + gap, columns * (width + gap) + gap, channels),
    _LINE,
    np.uint8,
  )
  if channels == 4:
    canvas[..., 3] = 255
  for i, picture in enumerate(pixels.to_uint8(images)):
    top = gap + i // columns * (height + gap)
    left = gap + i % columns * (width + gap)
    canvas[top : top + height, left : left + width] = picture
  image = to_image(canvas)
  factor = max(1, round(least / image.width))
  size = (image.width * factor, image.height * factor)
  save_png(image.resize(size, Image.Resampling.NEAREST), path, about)


def save_scatter(
  path: pathlib.Path,
  real: np.ndarray,
  fake: np.ndarray | None = None,
  *,
  side: int = 640,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves a scatter plot of real and generated points as a PNG.

  The axes cover the real points; the legend counts generated points outside of
  them.

  Args:
    path: path of the PNG.
    real: `[n, 2]`.
    fake: `[m, 2]`; None draws real points alone.
    side: width and height of the PNG, in pixels.
    about: facts for the text chunk of the PNG; None for none.

  Raises:
    ValueError: if the points are not two-dimensional.
  """
  for points in (real,) if fake is None else (real, fake):
    if points.ndim != 2 or points.shape[1] != 2:
      raise ValueError(f'points of shape {points.shape}: must be [n, 2]')
  scale = 2  # drawn at twice the size, for smooth points
  n, margin = side * scale, 56 * scale
  image = Image.new('RGB', (n, n), 'white')
  draw = ImageDraw.Draw(image, 'RGBA')
  font = ImageFont.load_default(13 * scale)
  low, high = real.min(axis=0), real.max(axis=0)
  center, half = (low + high) / 2, max((high - low).max() * 0.6, 1e-6)
  low, high = center - half, center + half
  place = lambda p: margin + (p - low) / (high - low) * (n - 2 * margin)
  draw.rectangle([margin, margin, n - margin, n - margin], outline=_INK)
  step = 10 ** math.floor(math.log10(half))
  for axis in range(2):
    first = math.ceil(low[axis] / step)
    for tick in range(first, math.floor(high[axis] / step) + 1):
      at = float(place(np.full(2, tick * step))[axis])
      text = f'{tick * step:g}'
      if axis == 0:
        spot, anchor = (at, n - margin + 6 * scale), 'mt'
      else:
        spot, anchor = (margin - 6 * scale, n - at), 'rm'
      draw.text(spot, text, _INK, font, anchor)
  radius = 2.2 * scale
  legend = [(0, _REAL, f'real ({len(real)})')]
  drawn = [(real, _REAL)]
  if fake is not None:
    inside = ((fake >= low) & (fake <= high)).all(axis=1)
    outside = f', {(~inside).sum()} outside' if not inside.all() else ''
    legend.append((150, _FAKE, f'generated ({len(fake)}{outside})'))
    drawn.append((fake[inside], _FAKE))
  for points, color in drawn:
    for x, y in place(points):
      box = [x - radius, n - y - radius, x + radius, n - y + radius]
      draw.ellipse(box, fill=(*color, 110))
  for offset, color, text in legend:
    x, y, dot = margin + offset * scale, margin // 2, 5 * scale
    draw.ellipse([x, y - dot, x + 2 * dot, y + dot], fill=color)
    draw.text((x + 3 * dot, y), text, color, font, 'lm')
  save_png(image.resize((side, side), Image.Resampling.LANCZOS), path, about)


def can_draw(shape: tuple[int, ...]) -> bool:
  """Returns whether examples of a shape are images or points of the plane.

  Args:
    shape: shape of one example.
  """
  return shape == (2,) or (len(shape) == 3 and shape[-1] in (1, 3, 4))


def save_samples(
  path: pathlib.Path,
  real: np.ndarray,
  samples: np.ndarray | None = None,
  *,
  columns: int = 0,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves examples as a grid of images or as a scatter plot.

  Args:
    path: path of the PNG.
    real: real examples, drawn below generated points.
    samples: `[N, H, W, C]` images, or `[N, 2]` points; None draws the real
      examples alone.
    columns: images per row; 0 for an approximately square grid.
    about: facts for the text chunk of the PNG; None for none.

  Raises:
    ValueError: if the examples are neither images nor points.
  """
  if real.ndim == 2:
    save_scatter(path, real, samples, about=about)
  else:
    shown = real if samples is None else samples
    save_image_grid(path, shown, columns=columns, about=about)
