"""Files of one JSON object a line, continued where a run is continued."""

import errno
import json
import os
import pathlib
from typing import Any, Mapping

from gan_jax import files


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """The lines of a file; what a killed run was writing is left out."""
  found = []
  for line in path.read_text(errors='replace').splitlines():
    try:
      value = json.loads(line)
      value['step']
    except (json.JSONDecodeError, KeyError, TypeError):
      continue
    found.append(value)
  return found


class Lines:
  """Lines with a 'step', each written by one call, whole or not at all.

  Attributes:
    kept: those that were there already, up to the step of the start.
  """

  def __init__(self, path: pathlib.Path, *, start: int = 0):
    """Opens the file; lines later than `start` are dropped.

    Args:
      path: of the file, made if missing.
      start: steps already done, those of the checkpoint that is continued.
    """
    lines = read(path) if path.exists() else []
    self.kept = [line for line in lines if line['step'] <= start]
    files.replace(path, ''.join(json.dumps(v) + '\n' for v in self.kept))
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
    try:
      if self._file.write(line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
      self._file.truncate(end)
      raise OSError(error.errno, error.strerror, str(self._path)) from error

  def close(self) -> None:
    """Closes the file."""
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
