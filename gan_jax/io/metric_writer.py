"""What a run leaves behind: scalars, pictures, its configuration.

Files that someone may be reading are written beside and moved into place.
Images are NHWC in [-1, 1].
"""

import contextlib
import io
import json
import math
import pathlib
import socket
import time
from typing import Any, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_jax.io import files, jsonl

_FLUSH_SECONDS = 30
_REAL, _FAKE, _INK = (66, 110, 180), (226, 115, 38), (70, 70, 70)


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON, whole or not at all."""
  text = json.dumps(value, indent=2, sort_keys=True)
  files.atomic_write(path, text + '\n')


def update_json(path: pathlib.Path, changes: Mapping[str, Any]) -> None:
  """Writes entries into a JSON object; one that cannot be read begins anew."""
  found = {}
  with contextlib.suppress(FileNotFoundError, ValueError):
    found = files.read_json(path)
  write_json(path, {**found, **changes})


class _TensorBoardWriter:
  """Scalars for TensorBoard, in a file of its own for each start of a run.

  Written here and not by a thread of SummaryWriter, whose errors reach nobody:
  on a full disk it ends, and who has something to write waits for ever.
  """

  def __init__(self, directory: pathlib.Path, purge_step: int):
    import tensorboardX
    from tensorboardX import summary
    from tensorboardX.proto import event_pb2

    self._event, self._scalar = event_pb2.Event, summary.scalar
    directory.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time():.3f}.{socket.gethostname()}'
    self._path, self._flushed = directory / name, time.monotonic()
    with files.add_path_to_errors(self._path):
      self._file = tensorboardX.RecordWriter(str(self._path))
    self._put(file_version='brain.Event:2')
    # What a killed run wrote of the steps from here on is not shown.
    begin = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._put(step=purge_step, session_log=begin)

  def _put(self, **fields):
    event = self._event(wall_time=time.time(), **fields)
    with files.add_path_to_errors(self._path):
      self._file.write(event.SerializeToString())

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
      self._put(step=step, summary=self._scalar(name, value))
    if time.monotonic() - self._flushed > _FLUSH_SECONDS:
      self.flush()

  def flush(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.flush()
    self._flushed = time.monotonic()

  def close(self) -> None:
    with files.add_path_to_errors(self._path):
      self._file.close()


class MetricWriter:
  """Scalars by step, to `metrics.jsonl` and TensorBoard event files."""

  def __init__(self, workdir: pathlib.Path, *, start: int = 0):
    """Opens the files; lines later than `start` are dropped.

    Args:
      workdir: the run's directory.
      start: steps already done, those of the checkpoint that is continued.
    """
    self._lines = jsonl.JsonlWriter(workdir / 'metrics.jsonl', start=start)
    self._events = _TensorBoardWriter(workdir / 'tensorboard', start + 1)

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes one line of scalars; NaN and infinity become null in JSON.

    Raises:
      OSError: where it cannot be written; it names the file.
    """
    finite = {k: v if math.isfinite(v) else None for k, v in scalars.items()}
    self._lines.write({'step': step, **finite})
    self.write_events(step, scalars)

  def write_events(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes scalars for TensorBoard alone."""
    self._events.write(step, scalars)

  def flush(self) -> None:
    """Hands the system what TensorBoard's file is yet to get.

    Raises:
      OSError: where it cannot be written; it names the file.
    """
    self._events.flush()

  def close(self) -> None:
    """Flushes and closes the files."""
    self._lines.close()
    self._events.close()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    # An error that is under way says more than what follows from it.
    with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
      self.close()


def _save(image: Image.Image, path: pathlib.Path) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  png = io.BytesIO()
  image.save(png, 'PNG')
  files.atomic_write(path, png.getvalue())


def save_image_grid(
  path: pathlib.Path, images: np.ndarray, *, columns: int = 0, least: int = 512
) -> None:
  """Saves images side by side as a PNG.

  Args:
    path: of the PNG.
    images: `[N, H, W, C]` float in [-1, 1], C of 1, 3 or 4; values beyond are
      clipped.
    columns: images per row; 0 for about a square.
    least: small images are enlarged by a whole factor, so that the picture
      is about this many pixels wide.

  Raises:
    ValueError: for another rank or channel count.
  """
  if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
    raise ValueError(
      f'images of shape {images.shape}: must be [N, H, W, C], C of 1, 3 or 4'
    )
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n))
  rows, gap = math.ceil(n / columns), 1
  pixels = np.round((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
  canvas = np.full(
    (rows * (height + gap) + gap, columns * (width + gap) + gap, channels),
    255,
    np.uint8,
  )
  for i, picture in enumerate(pixels):
    top = gap + i // columns * (height + gap)
    left = gap + i % columns * (width + gap)
    canvas[top : top + height, left : left + width] = picture
  image = Image.fromarray(canvas[..., 0] if channels == 1 else canvas)
  factor = max(1, round(least / image.width))
  size = (image.width * factor, image.height * factor)
  _save(image.resize(size, Image.Resampling.NEAREST), path)


def save_scatter(
  path: pathlib.Path, real: np.ndarray, fake: np.ndarray, *, side: int = 640
) -> None:
  """Saves a scatter plot of generated over real points as a PNG.

  The frame follows the real points; generated points outside it are counted
  in a note.

  Args:
    path: of the PNG.
    real: `[n, 2]`.
    fake: `[m, 2]`.
    side: of the picture, in pixels.

  Raises:
    ValueError: for points that are not in the plane.
  """
  for points in (real, fake):
    if points.ndim != 2 or points.shape[1] != 2:
      raise ValueError(f'points of shape {points.shape}: must be [n, 2]')
  scale = 2  # drawn twice as large, for smooth points
  n, margin = side * scale, 56 * scale
  image = Image.new('RGB', (n, n), 'white')
  draw = ImageDraw.Draw(image, 'RGBA')
  font = ImageFont.load_default(13 * scale)
  low, high = real.min(axis=0), real.max(axis=0)
  centre, half = (low + high) / 2, max((high - low).max() * 0.6, 1e-6)
  low, high = centre - half, centre + half
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
  inside = ((fake >= low) & (fake <= high)).all(axis=1)
  radius = 2.2 * scale
  for points, colour in ((real, _REAL), (fake[inside], _FAKE)):
    for x, y in place(points):
      box = [x - radius, n - y - radius, x + radius, n - y + radius]
      draw.ellipse(box, fill=(*colour, 110))
  outside = f', {(~inside).sum()} outside' if not inside.all() else ''
  legend = (
    (0, _REAL, f'real ({len(real)})'),
    (150, _FAKE, f'generated ({len(fake)}{outside})'),
  )
  for offset, colour, text in legend:
    x, y, dot = margin + offset * scale, margin // 2, 5 * scale
    draw.ellipse([x, y - dot, x + 2 * dot, y + dot], fill=colour)
    draw.text((x + 3 * dot, y), text, colour, font, 'lm')
  _save(image.resize((side, side), Image.Resampling.LANCZOS), path)


def save_samples(
  path: pathlib.Path, samples: np.ndarray, real: np.ndarray
) -> None:
  """Saves samples as what they are: a grid of images or a scatter plot.

  Args:
    path: of the PNG.
    samples: `[N, H, W, C]` images, or `[N, 2]` points.
    real: real examples like them; drawn under points.

  Raises:
    ValueError: for examples that are neither.
  """
  if samples.ndim == 2:
    save_scatter(path, real, samples)
  else:
    save_image_grid(path, samples)
