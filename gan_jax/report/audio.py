"""Saves sound as wav files and as pictures of its spectrograms.

Clips are `[N, T, 1]` float in [-1, 1].
"""

import io
import math
import pathlib
from typing import Any, Mapping

import numpy as np
from PIL import Image

from gan_jax.io import files
from gan_jax.report import images

GAP = 4  # pixels between spectrograms, white
_WIDTH, _ROWS = 128, 64  # pixels of a spectrogram
_WINDOW_SECONDS = 0.032
_SILENCE_SECONDS = 0.15  # between clips of a wav
_FLOOR = -80.0  # dB below a sine of amplitude 1, drawn black
_TOP = -10.0
# Eight equal steps of the colors from the quietest to the loudest.
_COLORS = np.array(
  [
    (0, 0, 4),
    (28, 16, 68),
    (79, 18, 123),
    (129, 37, 129),
    (181, 54, 122),
    (229, 80, 100),
    (251, 135, 97),
    (254, 194, 135),
    (252, 253, 191),
  ],
  np.float64,
)


def write_wav(
  path: pathlib.Path, samples: np.ndarray, sample_rate: int
) -> None:
  """Writes samples as a wav file of 16-bit PCM, atomically.

  Args:
    path: path of the file.
    samples: `[T]`, or `[T, channels]`, float in [-1, 1]; louder ones are
      clipped.
    sample_rate: samples per second, in Hz.

  Raises:
    OSError: if writing fails; the message names the file.
    ValueError: if samples have another rank or type, or are not finite.
  """
  import scipy.io.wavfile  # takes a while to import

  if samples.ndim not in (1, 2) or samples.dtype.kind != 'f':
    raise ValueError(
      f'samples of shape {samples.shape} and type {samples.dtype}: must be '
      'floats [T] or [T, channels]'
    )
  if not np.isfinite(samples).all():
    raise ValueError(
      f'{int((~np.isfinite(samples)).sum())} samples are not finite'
    )
  levels = np.round(samples.clip(-1, 1) * 32767).astype(np.int16)
  wav = io.BytesIO()
  scipy.io.wavfile.write(wav, sample_rate, levels)
  path.parent.mkdir(parents=True, exist_ok=True)
  files.atomic_write(path, wav.getvalue())


def spectrogram(clips: np.ndarray, sample_rate: int) -> np.ndarray:
  """Computes the log power of short pieces of each clip, for pictures.

  Args:
    clips: `[N, T]` float.
    sample_rate: samples per second, in Hz.

  Returns:
    `[N, rows, columns]` in dB below a sine of amplitude 1: frequencies from 0
    to half the sample rate, upwards, and about 128 times. 64 rows; fewer for
    short clips.
  """
  n, length = clips.shape
  window = 2 ** round(math.log2(max(2, sample_rate * _WINDOW_SECONDS)))
  window = min(window, 2 ** int(math.log2(max(2, length))))
  hop = max(1, math.ceil(length / _WIDTH))
  padded = np.pad(clips, ((0, 0), (window // 2, window)))
  starts = np.arange(0, length, hop)
  pieces = np.lib.stride_tricks.sliding_window_view(padded, window, axis=1)
  shape = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
  size = max(window, 2 * _ROWS)
  found = np.empty((n, _ROWS, len(starts)), np.float32)
  for i in range(n):  # one clip at a time in memory
    spectrum = np.abs(np.fft.rfft(pieces[i, starts] * shape, size))
    # The loudest of neighboring frequencies, so that no line gets lost.
    groups = spectrum[:, : size // 2].reshape(len(starts), _ROWS, -1)
    found[i] = groups.max(axis=2).T
  return 20 * np.log10(found / (shape.sum() / 2) + 1e-6)


def spectrogram_image(
  clips: np.ndarray, sample_rate: int, *, columns: int = 0
) -> np.ndarray:
  """Draws the spectrograms of clips side by side, with white gaps.

  Time runs to the right, and low frequencies are at the bottom. All share one
  scale of colors, from black at -80 dB to yellow at -10 dB, so that pictures
  can be compared.

  Args:
    clips: `[N, T, 1]` float in [-1, 1].
    sample_rate: samples per second, in Hz.
    columns: clips per row; 0 for an approximately square picture.

  Returns:
    `[height, width, 3]` uint8.

  Raises:
    ValueError: if the clips have another shape.
  """
  if clips.ndim != 3 or clips.shape[-1] != 1 or not clips.size:
    raise ValueError(f'clips of shape {clips.shape}: must be [N, T, 1]')
  levels = spectrogram(clips[..., 0], sample_rate)
  share = ((levels - _FLOOR) / (_TOP - _FLOOR)).clip(0, 1)
  steps = np.linspace(0, 1, len(_COLORS))
  colors = [np.interp(share, steps, _COLORS[:, c]) for c in range(3)]
  panels = np.stack(colors, axis=-1).round().astype(np.uint8)[:, ::-1]
  repeat = max(1, round(_WIDTH / panels.shape[2]))
  panels = panels.repeat(repeat, axis=2)
  n, height, width, _ = panels.shape
  columns = columns or max(1, round(math.sqrt(n * height / width)))
  rows = math.ceil(n / columns)
  size = rows * (height + GAP) + GAP, columns * (width + GAP) + GAP
  canvas = np.full((*size, 3), 255, np.uint8)
  for i, panel in enumerate(panels):
    top = GAP + i // columns * (height + GAP)
    left = GAP + i % columns * (width + GAP)
    canvas[top : top + height, left : left + width] = panel
  return canvas


def save_clips(
  path: pathlib.Path,
  clips: np.ndarray,
  sample_rate: int,
  *,
  columns: int = 0,
  about: Mapping[str, Any] | None = None,
) -> None:
  """Saves the spectrograms of clips as a PNG, and the clips as a wav.

  The wav, of the same name, has the clips one after the other as they are in
  the picture, row by row, with a short silence between them. Values that are
  not finite are silent.

  Args:
    path: path of the PNG.
    clips: `[N, T, 1]` float in [-1, 1].
    sample_rate: samples per second, in Hz.
    columns: clips per row of the picture; 0 for an approximately square one.
    about: facts for the text chunk of the PNG; None for none.

  Raises:
    OSError: if writing fails.
    ValueError: if the clips have another shape.
  """
  clips = np.nan_to_num(clips, nan=0.0, posinf=0.0, neginf=0.0)
  picture = spectrogram_image(clips, sample_rate, columns=columns)
  images.save_png(Image.fromarray(picture), path, about)
  pause = round(_SILENCE_SECONDS * sample_rate)
  spaced = np.pad(clips[..., 0], ((0, 0), (0, pause)))
  write_wav(path.with_suffix('.wav'), spaced.reshape(-1), sample_rate)
