"""Saves frames as a film: WebP, GIF, animated PNG, or MP4 where ffmpeg is.

Frames are `[H, W, C]` uint8, C of 1, 3 or 4. Films repeat forever. WebP and PNG
keep every pixel and transparency; GIF has 256 colors in a frame.
"""

import io
import itertools
import pathlib
import shutil
import subprocess
from typing import Iterable, Iterator

import numpy as np

from gan_jax.io import files
from gan_jax.report import images

SUFFIXES = ('.webp', '.gif', '.png', '.apng', '.mp4')
_FASTEST_GIF = 50  # frames per second; browsers slow down what is faster
_PIXEL_FORMATS = {1: 'gray', 3: 'rgb24', 4: 'rgba'}


def check_film(path: pathlib.Path, frames_per_second: float) -> None:
  """Checks that a film can be written, before its frames are made.

  Args:
    path: path of the film.
    frames_per_second: its speed.

  Raises:
    ValueError: if the suffix is none of SUFFIXES, the speed is not above 0 and
      at most 1,000, or above 50 for a GIF, or there is no ffmpeg for an MP4.
  """
  suffix = path.suffix.lower()
  if suffix not in SUFFIXES:
    raise ValueError(f'{path}: must end in one of {", ".join(SUFFIXES)}')
  most = _FASTEST_GIF if suffix == '.gif' else 1000
  if not 0 < frames_per_second <= most:
    raise ValueError(
      f'fps={frames_per_second:g}: must be above 0 and at most {most} for a '
      f'{suffix} film'
    )
  if suffix == '.mp4' and not shutil.which('ffmpeg'):
    raise ValueError(
      f'{path}: an MP4 needs the program ffmpeg, which is not on the PATH; '
      'install it, or name a .webp, which every browser shows'
    )


def save_film(
  path: pathlib.Path, frames: Iterable[np.ndarray], frames_per_second: float
) -> None:
  """Saves frames as a film, the whole or nothing, and makes its directory.

  Args:
    path: path of the film, whose suffix decides the format.
    frames: the frames, all of one shape; those of an MP4 are never in memory
      together.
    frames_per_second: frames per second.

  Raises:
    OSError: if writing fails, or ffmpeg does.
    ValueError: as check_film; or if there are no frames.
  """
  check_film(path, frames_per_second)
  frames = iter(frames)
  first = next(frames, None)
  if first is None:
    raise ValueError(f'{path}: a film needs at least one frame')
  path.parent.mkdir(parents=True, exist_ok=True)
  if path.suffix.lower() == '.mp4':
    _save_mp4(path, first, frames, frames_per_second)
    return
  options = {
    '.webp': dict(format='WEBP', lossless=True, method=4),
    '.gif': dict(format='GIF', optimize=False),
  }.get(path.suffix.lower(), dict(format='PNG'))
  film = io.BytesIO()
  images.to_image(first).save(
    film,
    save_all=True,
    append_images=list(map(images.to_image, frames)),
    duration=1000 / frames_per_second,
    loop=0,
    **options,
  )
  files.atomic_write(path, film.getvalue())


def _save_mp4(
  path: pathlib.Path,
  first: np.ndarray,
  rest: Iterator[np.ndarray],
  frames_per_second: float,
) -> None:
  """Pipes frames to ffmpeg, on white in place of transparency."""
  height, width, channels = first.shape
  beside = path.with_name(f'{path.name}.tmp.mp4')
  even = 'pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p'  # sides of H.264
  command = [
    *('ffmpeg', '-loglevel', 'error', '-y', '-f', 'rawvideo'),
    *('-pix_fmt', _PIXEL_FORMATS[min(channels, 3)], '-s', f'{width}x{height}'),
    *('-r', f'{frames_per_second:g}', '-i', '-', '-vf', even, '-crf', '16'),
    str(beside.absolute()),
  ]
  with (
    files.add_path_to_errors(path),
    subprocess.Popen(
      command, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program,
  ):
    try:
      for frame in itertools.chain([first], rest):
        program.stdin.write(_opaque(frame).tobytes())
      program.stdin.close()
    except BrokenPipeError:
      pass  # its message says why
    message = program.stderr.read().decode(errors='replace')
  if program.returncode:
    beside.unlink(missing_ok=True)
    raise OSError(f'{path}: ffmpeg failed: {message.strip()[-200:]}')
  beside.replace(path)


def _opaque(frame: np.ndarray) -> np.ndarray:
  """Returns a frame without transparency, on white."""
  if frame.shape[-1] != 4:
    return frame
  alpha = frame[..., 3:] / 255
  return np.round(frame[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
