"""Writes samples as they are drawn: pictures, wavs, an npz, a zip.

Memory does not grow with the number of samples, but for the list of files that
a zip has at its end.
"""

import json
import os
import pathlib
import re
import shutil
import zipfile
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple

import numpy as np

from gan_jax import pixels
from gan_jax.io import files
from gan_jax.report import audio, images

_BLOCK = 4096  # bytes that a small file takes on a disk
_OWN_NAME = re.compile(r'seed\d+_index\d+(_class\d+)?\.(png|wav)')


class Batch(NamedTuple):
  """Some samples in their order.

  Attributes:
    indices: indices of the samples, `[n]`.
    x: samples, `[n, ...]` float, images in [-1, 1].
    label: classes, `[n]`, or None.
  """

  indices: np.ndarray
  x: np.ndarray
  label: Any


class Facts(NamedTuple):
  """What makes samples again.

  Attributes:
    common: facts that all samples share, such as the seed and the step.
    count: number of samples.
    shape: shape of one sample.
    labels: function that yields the classes of all samples, some at a time;
      None if they have none.
  """

  common: Mapping[str, Any]
  count: int
  shape: tuple[int, ...]
  labels: Callable[[], Iterator[np.ndarray]] | None

  def of(self, batch: Batch, i: int) -> dict[str, Any]:
    """Returns the facts of one sample of a batch."""
    found = {**self.common, 'index': int(batch.indices[i])}
    found.pop('indices', None)
    if self.labels is not None:
      found['class'] = int(batch.label[i])
    return found


def check_disk_space(path: pathlib.Path, needed: int, what: str) -> int:
  """Checks that a disk has room for what will be written.

  Args:
    path: path of a file or directory that may not exist yet.
    needed: number of bytes.
    what: what will be written, for the message.

  Returns:
    The number of free bytes.

  Raises:
    ValueError: if there is less.
  """
  whole = path.absolute()
  there = next(p for p in whole.parents if p.is_dir())
  free = shutil.disk_usage(there).free
  if needed > free:
    raise ValueError(
      f'{what} takes about {size_text(needed)}: {files.printable(there)} has '
      f'{size_text(free)} free'
    )
  return free


def size_text(size: float) -> str:
  """Returns a number of bytes as text, such as '1.5 GB'."""
  for unit in ('bytes', 'kB', 'MB', 'GB', 'TB'):
    if size < 1000 or unit == 'TB':
      break
    size /= 1000
  return f'{size:,.0f} {unit}' if unit == 'bytes' else f'{size:,.1f} {unit}'


def estimated_bytes(what: str, count: int, shape: tuple[int, ...]) -> int:
  """Returns about how many bytes samples take, at most.

  Args:
    what: 'files', 'zip', 'npz' or 'wav'.
    count: number of samples.
    shape: shape of one sample.
  """
  values = int(np.prod(shape))
  if what == 'npz':
    return count * (values * (1 if len(shape) == 3 else 4) + 4) + _BLOCK
  if what == 'zip':
    return count * (values + 600) + _BLOCK
  size = values + 400 if what == 'files' else 2 * values + 44
  return count * -(-size // _BLOCK) * _BLOCK


def prepare_target(
  path: pathlib.Path, *, overwrite: bool, is_directory: bool
) -> None:
  """Checks that a target can be written, and makes its directory.

  Args:
    path: path of a file, or of a directory of samples.
    overwrite: whether an existing one is replaced. Of a directory, the samples
      of an earlier call are removed.
    is_directory: whether it is a directory.

  Raises:
    FileExistsError: if it exists, and is not to be replaced.
    OSError: if it cannot be written.
  """
  shown = files.printable(path)
  if path.is_dir() != is_directory and os.path.lexists(path):
    kind = 'a directory' if path.is_dir() else 'a file'
    needed = 'directory' if is_directory else 'file'
    raise FileExistsError(f'out={shown} is {kind}; must be a {needed}')
  in_use = path.exists() and not (is_directory and not any(path.iterdir()))
  if in_use and not overwrite:
    raise FileExistsError(
      f'out={shown} exists: name another one, or pass --overwrite'
    )
  if not is_directory:
    files.make_directory(path.parent)
    return
  files.make_directory(path)
  for old in path.iterdir():
    if _OWN_NAME.fullmatch(old.name):
      old.unlink()


def sidecar(path: pathlib.Path) -> pathlib.Path:
  """Returns the path of the JSON with the facts about a file of samples."""
  return path.with_name(f'{path.name}.json')


def _write_sidecar(path: pathlib.Path, facts: Facts, **more: Any) -> None:
  files.write_json(
    sidecar(path), {**facts.common, **more, 'count': facts.count}
  )


def write_png_files(
  path: pathlib.Path, batches: Iterable[Batch], facts: Facts
) -> None:
  """Writes each sample to a PNG in a directory, with its facts inside.

  Args:
    path: path of the directory, which exists.
    batches: the samples, images.
    facts: what makes them again.
  """
  for batch in batches:
    for i, picture in enumerate(pixels.to_uint8(batch.x)):
      about = facts.of(batch, i)
      png = images.encode_png(images.to_image(picture), about)
      files.atomic_write(path / f'{_file_name(about)}.png', png)


def _file_name(about: Mapping[str, Any]) -> str:
  name = f'seed{about["seed"]}_index{about["index"]:06d}'
  return f'{name}_class{about["class"]}' if 'class' in about else name


def write_wav_files(
  path: pathlib.Path,
  batches: Iterable[Batch],
  facts: Facts,
  sample_rate: int,
) -> None:
  """Writes each sample to a wav in a directory, and a JSON beside it.

  Args:
    path: path of the directory, which exists.
    batches: the samples, clips `[n, T, 1]`.
    facts: what makes them again.
    sample_rate: samples per second, in Hz.
  """
  for batch in batches:
    clips = np.nan_to_num(batch.x, nan=0.0, posinf=0.0, neginf=0.0)
    for i, clip in enumerate(clips):
      name = _file_name(facts.of(batch, i))
      audio.write_wav(path / f'{name}.wav', clip, sample_rate)
  _write_sidecar(path, facts, sample_rate=sample_rate)


def write_npz(
  path: pathlib.Path,
  batches: Iterable[Batch],
  facts: Facts,
  *,
  key: str = 'x',
) -> None:
  """Writes samples to an .npz, as evaluate.py reads it, and a JSON beside it.

  Args:
    path: path of the file.
    batches: the samples; images are written as uint8, others as float32.
    facts: what makes them again.
    key: name of the array of samples; that of the classes is 'label'.
  """
  is_image = len(facts.shape) == 3
  dtype = np.dtype(np.uint8 if is_image else np.float32)
  convert = pixels.to_uint8 if is_image else np.float32
  found = (convert(batch.x) for batch in batches)
  with files.atomic_stream(path) as file:
    with files.add_path_to_errors(path), zipfile.ZipFile(file, 'w') as archive:
      shape = (facts.count, *facts.shape)
      _write_array(archive, key, found, shape, dtype)
      if facts.labels is not None:
        classes = (np.int32(x) for x in facts.labels())
        _write_array(archive, 'label', classes, shape[:1], np.dtype(np.int32))
  _write_sidecar(path, facts, key=key)


def _write_array(
  archive: zipfile.ZipFile,
  name: str,
  parts: Iterable[np.ndarray],
  shape: tuple[int, ...],
  dtype: np.dtype,
) -> None:
  """Writes the parts of an array one after the other."""
  header = {
    'descr': np.lib.format.dtype_to_descr(dtype),
    'fortran_order': False,
    'shape': shape,
  }
  member = zipfile.ZipInfo(f'{name}.npy')
  with archive.open(member, 'w', force_zip64=True) as file:
    np.lib.format.write_array_header_1_0(file, header)
    for part in parts:
      file.write(np.ascontiguousarray(part, dtype).tobytes())


def write_zip(
  path: pathlib.Path, batches: Iterable[Batch], facts: Facts
) -> None:
  """Writes PNGs to a zip in the layout of StyleGAN, and a JSON beside it.

  Each PNG has its facts inside. `dataset.json` in the zip has the classes, or
  null.

  Args:
    path: path of the file.
    batches: the samples, images.
    facts: what makes them again.
  """
  with files.atomic_stream(path) as file:
    with files.add_path_to_errors(path), zipfile.ZipFile(file, 'w') as archive:
      place = 0
      for batch in batches:
        for i, picture in enumerate(pixels.to_uint8(batch.x)):
          png = images.encode_png(images.to_image(picture), facts.of(batch, i))
          archive.writestr(zipfile.ZipInfo(_zip_name(place)), png)
          place += 1
      with archive.open(zipfile.ZipInfo('dataset.json'), 'w') as table:
        for text in _dataset_json(facts):
          table.write(text.encode())
  _write_sidecar(path, facts)


def _zip_name(place: int) -> str:
  return f'{place // 1000:05d}/img{place:08d}.png'


def _dataset_json(facts: Facts) -> Iterator[str]:
  """Yields the pieces of StyleGAN's table of classes."""
  if facts.labels is None:
    yield '{"labels": null}'
    return
  yield '{"labels": ['
  place = 0
  for labels in facts.labels():
    for label in labels:
      comma = ', ' if place else ''
      yield comma + json.dumps([_zip_name(place), int(label)])
      place += 1
  yield ']}'
