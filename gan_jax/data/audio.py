"""Sound of your own: a directory, or a zip, of wav files.

Clips are float32 `[length, 1]` in [-1, 1], with zeros at the end.
"""

import collections
import math
import pathlib
import stat
import zipfile
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from gan_jax import validation
from gan_jax.data import file_dir, wav_files
from gan_jax.data.array_source import ArraySource, split_indices
from gan_jax.io import files

WAVS = file_dir.FileKind(
  plural='wav files',
  suffixes=('.wav', '.wave'),
  others=frozenset(
    '.aac .aif .aifc .aiff .au .caf .flac .m4a .mid .mp3 .oga .ogg .opus .ra '
    '.rf64 .snd .sph .w64 .wma'.split()
  ),
  links='set follow_symlinks (train.py: --config.data.audio.follow_symlinks)',
  option='data.audio.classes',
)
NORMALIZATIONS = ('peak', 'none')
FEW = 200  # fewer clips are too few for a GAN
_MAX_BYTES = 2**30  # per file
_SILENCE = 1e-5  # of a peak; no recording is as low


class ClipFormat(NamedTuple):
  """What clips are made of recordings.

  Attributes:
    length: samples of a clip.
    sample_rate: samples per second, in Hz.
    trim_silence: share of the loudest sample below which the beginning and the
      end of a recording are cut; 0 cuts nothing.
    normalize: 'peak' scales each clip to a loudest sample of 1; 'none' does
      not.
  """

  length: int = 8192
  sample_rate: int = 8000
  trim_silence: float = 0.0
  normalize: str = 'peak'

  def check(self) -> None:
    """Checks all fields.

    Raises:
      ValueError: if one is out of range.
    """
    if self.length < 1:
      raise ValueError(f'length={self.length}: must be at least 1 sample')
    if self.sample_rate < 1:
      raise ValueError(f'sample_rate={self.sample_rate}: must be at least 1 Hz')
    if not 0 <= self.trim_silence < 1:
      raise ValueError(
        f'trim_silence={self.trim_silence}: must be at least 0 and below 1'
      )
    if self.normalize not in NORMALIZATIONS:
      raise ValueError(
        f'normalize={self.normalize!r}: choose one of {NORMALIZATIONS}'
      )


class Clip(NamedTuple):
  """A clip, and what was done to its recording.

  Attributes:
    x: samples `[length, 1]` float32 in [-1, 1].
    rate: sample rate of the recording, in Hz.
    channels: channels of the recording, of which the mean is taken.
    is_cut: whether the recording is longer.
    is_clipped: whether samples outside of [-1, 1] were clipped.
    is_silent: whether there is nothing to hear.
  """

  x: np.ndarray
  rate: int
  channels: int
  is_cut: bool
  is_clipped: bool
  is_silent: bool


def make_clip(samples: np.ndarray, rate: int, form: ClipFormat) -> Clip:
  """Makes a clip of a recording.

  Its channels are averaged, its silence trimmed, its samples resampled, cut or
  padded with zeros at the end, and scaled, in this order.

  Args:
    samples: the recording, `[n, channels]`.
    rate: its sample rate in Hz.
    form: format of the clip.

  Returns:
    The clip.
  """
  channels = samples.shape[1]
  x = samples.mean(axis=1, dtype=np.float32)
  loud = np.abs(x)
  peak = float(loud.max())
  is_silent = peak < _SILENCE
  if form.trim_silence and not is_silent:
    heard = np.flatnonzero(loud >= form.trim_silence * peak)
    x = x[heard[0] : heard[-1] + 1]
  is_cut = len(x) * form.sample_rate > form.length * rate
  if is_cut:  # samples that the filter of _resample reaches from the clip
    step = rate / form.sample_rate
    x = x[: math.ceil(form.length * step + 16 * max(1, step))]
  x = _resample(x, rate, form.sample_rate)[: form.length]
  peak = float(np.abs(x).max())
  if form.normalize == 'peak' and peak >= _SILENCE:
    x = x / peak
  is_clipped = float(np.abs(x).max()) > 1.0
  x = np.pad(x.clip(-1, 1), (0, form.length - len(x))).astype(np.float32)
  return Clip(x[:, None], rate, channels, is_cut, is_clipped, is_silent)


def _resample(x: np.ndarray, rate: int, to: int) -> np.ndarray:
  """Resamples a signal `[n]` by a polyphase filter."""
  if rate == to:
    return x
  import scipy.signal  # takes a while to import

  shared = math.gcd(rate, to)
  return scipy.signal.resample_poly(x, to // shared, rate // shared)


class WavReader:
  """Reads clips of the files of a directory or a zip. A context manager."""

  def __init__(self, found: file_dir.FileDir, form: ClipFormat):
    """Opens nothing yet.

    Args:
      found: the files.
      form: format of the clips.
    """
    self._found, self._form = found, form
    self._archive: zipfile.ZipFile | None = None

  def __enter__(self) -> 'WavReader':
    if self._found.entries:
      self._archive = zipfile.ZipFile(self._found.root)
    return self

  def __exit__(self, *unused: Any) -> None:
    if self._archive is not None:
      self._archive.close()

  def read(self, name: str) -> Clip:
    """Reads a file.

    Args:
      name: one of the names that were found.

    Returns:
      The clip.

    Raises:
      ValueError: if anything fails. The message names the file.
    """
    shown = files.printable(self._found.root / name)
    try:
      samples, rate = wav_files.decode_wav(self._content(name))
      return make_clip(samples, rate, self._form)
    except Exception as error:  # zipfile, zlib and scipy raise any type
      raise ValueError(
        f'broken wav file {shown}: {files.short_message(error)}'
      ) from error

  def _content(self, name: str) -> bytes:
    if self._archive is None:
      return _read_regular(self._found.root / name)
    info = self._found.entries[name]
    if info.file_size > _MAX_BYTES:
      raise ValueError(f'it has {info.file_size:,} bytes')
    with self._archive.open(info) as file:
      return file.read(_MAX_BYTES)


def _read_regular(path: pathlib.Path) -> bytes:
  about = path.stat()  # opening a pipe would block forever
  if not stat.S_ISREG(about.st_mode):
    raise ValueError('it is not a regular file')
  if about.st_size > _MAX_BYTES:
    raise ValueError(f'it has {about.st_size:,} bytes')
  return path.read_bytes()


def describe_changes(clips: list[Clip], form: ClipFormat) -> str:
  """Returns what was done to how many recordings, '' if they are as they were.

  Args:
    clips: the clips.
    form: their format.
  """
  parts = []
  rates = collections.Counter(
    c.rate for c in clips if c.rate != form.sample_rate
  )
  if rates:
    listed = ', '.join(
      f'{count:,} of {rate:,} Hz' for rate, count in rates.most_common(4)
    )
    listed += ', ...' * (len(rates) > 4)
    parts.append(f'resampled to {form.sample_rate:,} Hz: {listed}')
  for count, what in (
    (sum(c.channels > 1 for c in clips), 'of several channels were mixed down'),
    (
      sum(c.is_cut for c in clips),
      f'are longer than {form.length:,} samples, of which the beginning is kept',
    ),
    (
      sum(c.is_clipped for c in clips),
      'have samples outside of -1 to 1, which are clipped',
    ),
    (sum(c.is_silent for c in clips), 'are silent'),
  ):
    if count:
      parts.append(f'{count:,} {what}')
  return '; '.join(parts)


def find_wavs(
  path: str, classes: str = 'auto', follow_symlinks: bool = False
) -> file_dir.FileDir:
  """Finds the wav files of a directory or a zip.

  Args:
    path: path of the directory, or of the zip.
    classes: how classes are found; only checked here.
    follow_symlinks: whether links in the directory may lead out of it.

  Raises:
    FileNotFoundError: if path is neither, or has no wav files.
    ValueError: if a link leads out of the directory, or the zip is broken.
  """
  if not path:
    raise FileNotFoundError(
      'data.audio.path is empty: set it to your directory, or zip, of wav files'
    )
  if classes not in file_dir.CLASSES:
    raise ValueError(f'classes={classes!r}: choose one of {file_dir.CLASSES}')
  root = files.resolve_path(path, 'data.audio.path')
  if root.is_file():
    return file_dir.scan_zip(root, WAVS)
  return file_dir.scan_directory(root, WAVS, follow_symlinks=follow_symlinks)


def audio(
  split: str,
  *,
  path: str = '',
  length: int = 8192,
  sample_rate: int = 8000,
  trim_silence: float = 0.0,
  normalize: str = 'peak',
  test_fraction: float = 0.1,
  classes: str = 'auto',
  skip_broken: bool = False,
  memory_mb: int = 2048,
  follow_symlinks: bool = False,
) -> ArraySource:
  """Opens a directory, or a zip, of wav files as clips of one length.

  Classes are the first level of sub-directories, see file_dir.find_classes. All
  clips are read at the start and kept in memory. A warning counts what was
  resampled, mixed down or cut.

  Args:
    split: 'train' or 'test', a fixed random division.
    path: path of the directory, or of the zip.
    length: samples of a clip; see ClipFormat, as for the next three.
    sample_rate: sample rate of the clips, in Hz.
    trim_silence: share of the loudest sample that counts as silence.
    normalize: 'peak' or 'none'.
    test_fraction: fraction held out as 'test'.
    classes: 'auto'; 'directories' for the sub-directories whatever their names;
      'none' for no classes.
    skip_broken: whether to skip files that cannot be decoded, with a warning
      that counts and names them, instead of raising an error.
    memory_mb: limit in megabytes for the clips of the split.
    follow_symlinks: whether links in the directory may lead out of it.

  Returns:
    The source, with the attribute sample_rate.

  Raises:
    FileNotFoundError: if path is neither, or has no wav files.
    ValueError: if a file is broken, a link leads out of the directory (the
      message names it), the sub-directories look like splits, the clips do not
      fit in memory_mb, or an option is out of range.
  """
  form = ClipFormat(length, sample_rate, trim_silence, normalize)
  form.check()
  found = find_wavs(path, classes, follow_symlinks)
  labels, names = file_dir.find_classes(found, classes, hint=found.kind.hint)
  chosen = split_indices(len(found.names), split, test_fraction)
  megabytes = len(chosen) * length * 4 / 2**20
  if megabytes > memory_mb:
    raise ValueError(
      f'{len(chosen):,} clips of {length:,} samples take {megabytes:,.0f} MB, '
      f'and memory_mb={memory_mb}: must be more, or length less'
    )
  examined = _read_clips(found, chosen, form, skip_broken)
  root = files.printable(found.root)
  what = f'{split} wav files in {root}'
  good = file_dir.readable(
    what, found.root, [found.names[i] for i in chosen], examined
  )
  clips = [examined[i] for i in good]
  changes = describe_changes(clips, form)
  if changes:
    validation.warn(f'of the {len(clips):,} {what}: {changes}')
  if split == 'train' and len(clips) < FEW:
    validation.warn(
      f'{root} has {len(clips)} clips to train on; with fewer than {FEW} a GAN '
      'repeats them or does not learn'
    )
  own = None if labels is None else labels[chosen][good]
  source = ArraySource(np.stack([clip.x for clip in clips]), own)
  source.class_names = names
  source.sample_rate = sample_rate
  source.listing = file_dir.file_digest(found, labels, names)
  source.description = file_dir.describe(found, labels, names)
  return source


def _read_clips(
  found: file_dir.FileDir,
  chosen: np.ndarray,
  form: ClipFormat,
  skip_broken: bool,
) -> list[Clip | None]:
  """Reads files; None for one that is skipped."""
  clips: list[Clip | None] = []
  with WavReader(found, form) as reader:
    for i in chosen:
      try:
        clips.append(reader.read(found.names[i]))
      except ValueError:
        if not skip_broken:
          raise
        clips.append(None)
  return clips


def check_audio(
  *,
  path: str = '',
  length: int = 8192,
  sample_rate: int = 8000,
  trim_silence: float = 0.0,
  normalize: str = 'peak',
  classes: str = 'auto',
  test_fraction: float = 0.1,
  follow_symlinks: bool = False,
  track: Callable[[str, int], Callable[[int], None]],
  **unused: Any,
) -> Iterator[str]:
  """Decodes all wav files of a directory and yields what is wrong with them.

  Args:
    path: as for `audio`, as the other options are.
    length: samples of a clip.
    sample_rate: sample rate of the clips.
    trim_silence: share of the loudest sample that counts as silence.
    normalize: 'peak' or 'none'.
    classes: how classes are found.
    test_fraction: fraction held out as 'test'.
    follow_symlinks: whether links may lead out of the directory.
    track: function (description, total) -> advance, where advance(n) adds n to
      what is done.
    **unused: other options of `audio`.

  Yields:
    A sentence for each file that cannot be read, which names it.

  Raises:
    FileNotFoundError: as `audio` does.
    ValueError: as `audio` does, but not for single files.
  """
  form = ClipFormat(length, sample_rate, trim_silence, normalize)
  form.check()
  found = find_wavs(path, classes, follow_symlinks)
  labels, names = file_dir.find_classes(found, classes, hint=found.kind.hint)
  split_indices(len(found.names), 'train', test_fraction)
  advance = track(file_dir.describe(found, labels, names), len(found.names))
  clips = []
  with WavReader(found, form) as reader:
    for name in found.names:
      advance(1)
      try:
        clips.append(reader.read(name)._replace(x=np.empty(0)))
      except ValueError as error:
        yield str(error)
  changes = describe_changes(clips, form)
  if changes:
    root = files.printable(found.root)
    validation.warn(f'of the {len(clips):,} wav files in {root}: {changes}')
