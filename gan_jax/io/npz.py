"""Reads .npy and .npz files without believing what they say of themselves.

Nothing is unpickled, and no memory is taken before the size that a header
claims was compared with what is there.
"""

import math
import zipfile
from typing import BinaryIO, Callable, Sequence

import numpy as np

MAX_BYTES = 64 * 2**30  # bytes
# An .npz may hold this many bytes, or this many times its own size.
_SMALL, _RATIO = 2**28, 100
_AT_A_TIME = 2**24  # bytes


def read_npy(file: BinaryIO, *, limit: int = MAX_BYTES) -> np.ndarray:
  """Reads the array of an .npy file.

  Args:
    file: from its beginning to its end.
    limit: bytes that it may have.

  Returns:
    The array, of integers, floats or booleans.

  Raises:
    ValueError: saying what is wrong, without the file's name; and whatever
      reading it may raise.
  """
  size = file.seek(0, 2)
  file.seek(0)
  if size > limit:
    raise ValueError(f'it has {size:,} bytes, more than {limit:,}')
  return _read_array(file, size)


def read_npz(
  file: BinaryIO,
  choose: Callable[[list[str]], Sequence[str]] = lambda names: names,
  *,
  limit: int = MAX_BYTES,
) -> dict[str, np.ndarray]:
  """Reads arrays of an .npz file.

  Args:
    file: whole.
    choose: takes the names of its arrays and returns those to be read.
    limit: bytes that they may have together.

  Returns:
    Name -> array, of integers, floats or booleans.

  Raises:
    ValueError: as `read_npy`; zipfile.BadZipFile: where a checksum is wrong.
  """
  size = file.seek(0, 2)
  with zipfile.ZipFile(file) as archive:
    entries = {}
    for entry in archive.infolist():
      name = entry.filename.removesuffix('.npy')
      if name == entry.filename or name in entries:
        raise ValueError(
          f'its entry {entry.filename!r:.80} is no array, or there twice'
        )
      archive.open(entry).close()  # compares the two places of its name
      entries[name] = entry
    if _noted(file, size) != len(entries):
      raise ValueError('its list of arrays is damaged')
    chosen = {name: entries[name] for name in choose(list(entries))}
    total = sum(entry.file_size for entry in chosen.values())
    if total > (most := min(limit, max(_SMALL, _RATIO * size))):
      raise ValueError(
        f'its arrays have {total:,} bytes, and {most:,} are the most that is '
        f'believed of a file of {size:,}'
      )
    arrays = {}
    for name, entry in chosen.items():
      with archive.open(entry) as stream:
        arrays[name] = _read_array(stream, entry.file_size)
  return arrays


def _noted(file: BinaryIO, size: int) -> int:
  """The number of entries by the end of a zip file, which zipfile ignores."""
  file.seek(max(0, size - 22))
  end = file.read(22)
  return int.from_bytes(end[10:12], 'little') if end[:2] == b'PK' else -1


def _read_array(stream, size: int) -> np.ndarray:
  """The array that `size` bytes, header included, hold."""
  version = np.lib.format.read_magic(stream)
  if version != (1, 0):  # those after it are for names of columns
    raise ValueError(f'version {version} of the .npy format, not (1, 0)')
  shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
  if dtype.kind not in 'biuf':
    raise ValueError(
      f'values of type {dtype}, not numbers; objects are never loaded'
    )
  count, left = math.prod(shape), size - stream.tell()
  if min(shape, default=0) < 0 or count * dtype.itemsize != left:
    raise ValueError(
      f'an array of shape {shape} and type {dtype} does not fill the {left:,} '
      'bytes that there are'
    )
  data = np.empty(left, np.uint8)
  for start in range(0, left, _AT_A_TIME):
    part = memoryview(data)[start : start + _AT_A_TIME]
    if stream.readinto(part) != len(part):
      raise ValueError('it is cut off')
  values = data.view(dtype)
  return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
