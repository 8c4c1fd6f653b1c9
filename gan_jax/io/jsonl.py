"""Files of one JSON object a line, continued where a run is continued."""

import errno
import json
import os
import pathlib
import types
from typing import Any, Mapping

from gan_jax.io import files

_ANY: Mapping[str, type] = types.MappingProxyType({})


def read_jsonl(
  path: pathlib.Path, kinds: Mapping[str, type] = _ANY
) -> list[dict[str, Any]]:
  """The lines of a file; what a killed run was writing is left out.

  Args:
    path: of the file.
    kinds: name -> type of what each line must have, beside 'step'.

  Raises:
    ValueError: naming the file, where a line that is not the last is no JSON
      object with these.
  """
  found = []
  lines = path.read_bytes().split(b'\n')
  for number, line in enumerate(lines, 1):
    try:
      value = json.loads(line)
      if type(value['step']) is not int:
        raise TypeError(f'the step {value["step"]!r:.80} is no integer')
      for name, kind in kinds.items():
        if not isinstance(value[name], kind):
          raise TypeError(f'{name} is no {kind.__name__}')
    except (ValueError, LookupError, TypeError, RecursionError) as error:
      if not any(lines[number:]):
        break
      raise ValueError(
        f'line {number} of {path} is not as it was written: {error!r:.200}; '
        'mend or remove the file'
      ) from error
    found.append(value)
  return found


class JsonlWriter:
  """Lines with a 'step', each written by one call, whole or not at all.

  Attributes:
    kept: those that were there already, up to the step of the start.
  """

  def __init__(
    self,
    path: pathlib.Path,
    *,
    start: int = 0,
    kinds: Mapping[str, type] = _ANY,
  ):
    """Opens the file; lines later than `start` are dropped.

    Args:
      path: of the file, made if missing.
      start: steps already done, those of the checkpoint that is continued.
      kinds: name -> type of what each line has, beside 'step'.

    Raises:
      ValueError: as `read`.
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
      OSError: where it cannot be written, as on a full disk; it names the
        file, which stays as it was.
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
