"""JSON Lines files: one JSON object per line, truncated when a run resumes."""

import errno
import json
import os
import pathlib
import types
from typing import Any, Mapping

from gan_jax.io import files, terminal

_ANY: Mapping[str, type] = types.MappingProxyType({})


def read_jsonl(
  path: pathlib.Path, kinds: Mapping[str, type] = _ANY
) -> list[dict[str, Any]]:
  """Reads the lines of a file; an incomplete last line is ignored.

  An interrupted run can leave an incomplete last line.

  Args:
    path: path of the file.
    kinds: name -> type of the entries that each line must have besides 'step'.

  Returns:
    The JSON objects of the lines.

  Raises:
    ValueError: if a line other than the last is not a JSON object with these
      entries; the message names the file.
  """
  found = []
  lines = path.read_bytes().split(b'\n')
  for number, line in enumerate(lines, 1):
    try:
      value = json.loads(line)
      if type(value['step']) is not int:
        raise TypeError(f'the step {value["step"]!r:.80} is not an integer')
      for name, kind in kinds.items():
        if not isinstance(value[name], kind):
          raise TypeError(f'{name} is not of type {kind.__name__}')
    except (ValueError, LookupError, TypeError, RecursionError) as error:
      if not any(lines[number:]):
        break
      raise ValueError(
        f'line {number} of {files.printable(path)} is corrupt: '
        f'{terminal.error_message(error):.200}; repair or remove the file'
      ) from error
    found.append(value)
  return found


class JsonlWriter:
  """Writes lines with a 'step', each of them completely or not at all.

  Attributes:
    existing: lines that were already in the file, up to the step `start`.
  """

  def __init__(
    self,
    path: pathlib.Path,
    *,
    start: int = 0,
    kinds: Mapping[str, type] = _ANY,
  ):
    """Opens the file; lines of steps later than `start` are dropped.

    Args:
      path: path of the file, created if it does not exist.
      start: number of steps already done, the step of the restored checkpoint.
      kinds: name -> type of the entries of each line besides 'step'.

    Raises:
      ValueError: if an existing line is corrupt, see `read_jsonl`.
    """
    lines = read_jsonl(path, kinds) if path.exists() else []
    self.existing = [line for line in lines if line['step'] <= start]
    files.atomic_write(
      path, ''.join(json.dumps(v) + '\n' for v in self.existing)
    )
    self._path = path
    self._file = path.open('ab', buffering=0)

  def write(self, value: Mapping[str, Any]) -> None:
    """Writes one line.

    Raises:
      OSError: if writing fails, for example on a full disk. The message names
        the file, which stays unchanged.
    """
    line = (json.dumps(value) + '\n').encode()
    end = os.fstat(self._file.fileno()).st_size
    with files.add_path_to_errors(self._path):
      try:
        if self._file.write(line) < len(line):
          raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
      except OSError:
        self._file.truncate(end)
        raise

  def close(self) -> None:
    """Closes the file."""
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
