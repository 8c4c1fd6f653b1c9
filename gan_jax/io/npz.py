"""Reads .npy and .npz files without trusting their headers.

Nothing is unpickled, and memory is only allocated after the size declared in a
header has been checked against the size of the data.
"""

import math
import zipfile
from typing import BinaryIO, Callable, Sequence

import numpy as np

MAX_BYTES = 64 * 2**30  # bytes
# The arrays of an .npz may have this many bytes, or this many times the size
# of the file.
_SMALL, _RATIO = 2**28, 100
_AT_A_TIME = 2**24  # bytes


def read_npy(file: BinaryIO, *, limit: int = MAX_BYTES) -> np.ndarray:
  """Reads the array of an .npy file.

  Args:
    file: binary file, read from its beginning to its end.
    limit: largest allowed size in bytes.

  Returns:
    The array, of integers, floats or booleans.

  Raises:
    ValueError: if the file is invalid or too large; the message does not name
      it. Errors of the file itself are passed on.
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
    file: binary file.
    choose: function that takes the names of all arrays and returns those to
      read.
    limit: largest allowed size in bytes of these arrays together.

  Returns:
    Name -> array, of integers, floats or booleans.

  Raises:
    ValueError: if the file is invalid or too large; the message does not name
      it.
    zipfile.BadZipFile: if a checksum is wrong.
  """
  size = file.seek(0, 2)
  with zipfile.ZipFile(file) as archive:
    entries = {}
    for entry in archive.infolist():
      name = entry.filename.removesuffix('.npy')
      if name == entry.filename or name in entries:
        raise ValueError(
          f'its entry {entry.filename!r:.80} is not an array, or is there twice'
        )
      archive.open(entry).close()  # compares the two copies of its name
      entries[name] = entry
    if _noted(file, size) != len(entries):
      raise ValueError('its list of arrays is damaged')
    chosen = {name: entries[name] for name in choose(list(entries))}
    total = sum(entry.file_size for entry in chosen.values())
    if total > (most := min(limit, max(_SMALL, _RATIO * size))):
      raise ValueError(
        f'its arrays have {total:,} bytes: at most {most:,} are allowed in a '
        f'file of {size:,} bytes'
      )
    arrays = {}
    for name, entry in chosen.items():
      with archive.open(entry) as stream:
        arrays[name] = _read_array(stream, entry.file_size)
  return arrays


def _noted(file: BinaryIO, size: int) -> int:
  """Returns the number of entries by the end of the zip.

  zipfile ignores that number.
  """
  file.seek(max(0, size - 22))
  end = file.read(22)
  return int.from_bytes(end[10:12], 'little') if end[:2] == b'PK' else -1


def _read_array(stream, size: int) -> np.ndarray:
  """Reads the array stored in `size` bytes, including the header."""
  version = np.lib.format.read_magic(stream)
  if version != (1, 0):  # later versions exist for column names
    raise ValueError(f'version {version} of the .npy format: must be (1, 0)')
  shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
  if dtype.kind not in 'biuf':
    raise ValueError(
      f'values of type {dtype}: must be numbers; objects are never loaded'
    )
  count, left = math.prod(shape), size - stream.tell()
  if min(shape, default=0) < 0 or count * dtype.itemsize != left:
    raise ValueError(
      f'an array of shape {shape} and type {dtype} does not have the size of '
      f'the data, {left:,} bytes'
    )
  data = np.empty(left, np.uint8)
  for start in range(0, left, _AT_A_TIME):
    part = memoryview(data)[start : start + _AT_A_TIME]
    if stream.readinto(part) != len(part):
      raise ValueError('it is truncated')
  values = data.view(dtype)
  return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
