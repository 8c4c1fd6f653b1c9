"""Writes shards: tar files of images with an index, see data.shards."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile
from typing import BinaryIO, Sequence

import numpy as np

from gan_jax.data import shards
from gan_jax.io import files

_SHARD_BYTES = 2**30  # a tar file is ended after as many
_AT_A_TIME = 4096  # places


class _Index:
  """The files of an index, which replace older ones when it is finished."""

  def __init__(self, root: pathlib.Path):
    self._root = root
    self._beside = root / f'{shards.INDEX}.tmp'
    self._places: list[tuple[int, int, int, int]] = []
    self._file: BinaryIO | None = None
    self.count = 0

  def open(self) -> None:
    self._file = self._beside.open('wb')

  def add(self, shard: int, offset: int, size: int) -> None:
    self._places.append((shard, offset, size, -1))
    self.count += 1
    if len(self._places) == _AT_A_TIME:
      self._flush()

  def _flush(self) -> None:
    self._file.write(np.array(self._places, shards.PLACE).tobytes())
    self._places.clear()

  def finish(
    self,
    names: Sequence[str],
    labels: Sequence[int] | None,
    class_names: Sequence[str],
  ) -> None:
    """Writes the classes and index.json.

    Args:
      names: names of the tar files.
      labels: the class of each image; None for no classes.
      class_names: names of the classes.
    """
    self._flush()
    self.close()
    if labels is not None:
      places = np.memmap(self._beside, shards.PLACE, 'r+')
      places['label'] = labels
      places.flush()
    with self._beside.open('rb') as file:
      digest = hashlib.file_digest(file, 'sha256').hexdigest()[:16]
    os.replace(self._beside, self._root / shards.INDEX)
    about = {
      'format': shards.FORMAT,
      'images': self.count,
      'shards': [[n, (self._root / n).stat().st_size] for n in names],
      'has_labels': labels is not None,
      'class_names': list(class_names),
      'digest': digest,
    }
    text = json.dumps(about, indent=1) + '\n'
    files.atomic_write(self._root / shards.ABOUT, text)

  def close(self) -> None:
    if self._file is not None:
      self._file.close()
      self._file = None

  def remove(self) -> None:
    """Removes what is not finished."""
    with contextlib.suppress(OSError):
      self.close()
    self._beside.unlink(missing_ok=True)


class ShardWriter:
  """A new directory of shards, there as a whole or not at all.

  A context manager, with the methods of zip_writer.ImageZipWriter.

  Attributes:
    count: number of images so far.
  """

  def __init__(self, path: pathlib.Path):
    """Checks the target, and begins a temporary directory beside it.

    Args:
      path: path of the directory.

    Raises:
      ValueError: if it exists, and is not an empty directory.
      OSError: if it cannot be written.
    """
    if os.path.lexists(path) and not (path.is_dir() and not os.listdir(path)):
      raise ValueError(
        f'{files.printable(path)}: must be a new directory, or an empty one; '
        'or that of the tar files themselves, in which an index is written'
      )
    files.check_directory(path.parent)
    self._path, self._beside = path, path.with_name(f'{path.name}.tmp')
    self._index = _Index(self._beside)
    self._names: list[str] = []
    self._archive: tarfile.TarFile | None = None

  @property
  def count(self) -> int:
    """Number of images so far."""
    return self._index.count

  def __enter__(self) -> 'ShardWriter':
    with files.add_path_to_errors(self._path):
      shutil.rmtree(self._beside, ignore_errors=True)  # of one that was killed
      self._beside.mkdir(parents=True)
      self._index.open()
    return self

  def __exit__(self, kind, *unused) -> None:
    """Removes the temporary directory, unless `finish` has been called."""
    if self._archive is not None:
      with contextlib.suppress(OSError):  # a full disk, again
        self._archive.close()
    self._index.remove()
    shutil.rmtree(self._beside, ignore_errors=True)

  def add(self, content: bytes, suffix: str = '.png') -> None:
    """Adds an image.

    Args:
      content: content of its file.
      suffix: suffix of its name.

    Raises:
      OSError: if it cannot be written, such as on a full disk.
    """
    info = tarfile.TarInfo(f'{self.count:09d}{suffix}')
    info.size = len(content)
    with files.add_path_to_errors(self._path):
      archive = self._tar()
      header = archive.offset
      archive.addfile(info, io.BytesIO(content))
    archive.members = []  # or it keeps all of them
    offset = header + tarfile.BLOCKSIZE
    self._index.add(len(self._names) - 1, offset, len(content))

  def _tar(self) -> tarfile.TarFile:
    """Returns the tar file that is written to."""
    if self._archive is not None and self._archive.offset >= _SHARD_BYTES:
      self._archive.close()
      self._archive = None
    if self._archive is None:
      self._names.append(f'shard-{len(self._names):06d}.tar')
      path = self._beside / self._names[-1]
      self._archive = tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT)
    return self._archive

  def finish(
    self,
    labels: Sequence[int] | None = None,
    class_names: Sequence[str] = (),
  ) -> None:
    """Writes the classes, and puts the directory in its place.

    Args:
      labels: the class of each image; None for no classes.
      class_names: names of the classes.

    Raises:
      OSError: if it cannot be written.
    """
    with files.add_path_to_errors(self._path):
      self._archive.close()
      self._archive = None
      self._index.finish(self._names, labels, class_names)
      os.replace(self._beside, self._path)


class ShardIndexer:
  """An index of tar files, written beside them; nothing is copied.

  A context manager.

  Attributes:
    count: number of images so far.
  """

  def __init__(self, sources: Sequence[pathlib.Path], *, overwrite: bool):
    """Checks the target.

    Args:
      sources: tar files of one directory.
      overwrite: whether an index that exists is replaced, at the end.

    Raises:
      FileExistsError: if it exists, and is not to be replaced.
      OSError: if it cannot be written.
    """
    self._root = sources[0].parent
    if shards.is_shard_dir(self._root) and not overwrite:
      name = files.printable(self._root / shards.ABOUT)
      raise FileExistsError(f'{name} exists already')
    files.check_directory(self._root)
    self._numbers = {path.name: i for i, path in enumerate(sources)}
    self._index = _Index(self._root)
    self._checked = -1  # the last tar file whose places are right

  @property
  def count(self) -> int:
    """Number of images so far."""
    return self._index.count

  def __enter__(self) -> 'ShardIndexer':
    with files.add_path_to_errors(self._root):
      self._index.open()
    return self

  def __exit__(self, kind, *unused) -> None:
    """Removes the index, unless `finish` has been called."""
    self._index.remove()

  def add(self, content: bytes, shard: pathlib.Path, offset: int) -> None:
    """Adds an image.

    Args:
      content: content of its file.
      shard: path of its tar file.
      offset: its first byte in the tar file.

    Raises:
      ValueError: if the tar file is compressed.
    """
    number = self._numbers[shard.name]
    if number != self._checked:
      with open(shard, 'rb') as file:
        file.seek(offset)
        if file.read(len(content)) != content:
          raise ValueError(
            f'{files.printable(shard)} is compressed, and has no order by '
            'index: name another directory, to which its images are copied'
          )
      self._checked = number
    self._index.add(number, offset, len(content))

  def finish(
    self,
    labels: Sequence[int] | None = None,
    class_names: Sequence[str] = (),
  ) -> None:
    """Writes the classes, and puts the index in its place.

    Args:
      labels: the class of each image; None for no classes.
      class_names: names of the classes.

    Raises:
      OSError: if it cannot be written.
    """
    with files.add_path_to_errors(self._root):
      self._index.finish(list(self._numbers), labels, class_names)
