"""Files of one JSON object a line, continued where a run is continued."""

import json
import os
import pathlib
from typing import Any, Mapping


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """The lines of a file; what a killed run was writing is left out."""
  found = []
  for line in path.read_text().splitlines():
    try:
      value = json.loads(line)
      value['step']
    except (json.JSONDecodeError, KeyError, TypeError):
      continue
    found.append(value)
  return found


class Lines:
  """Lines with a 'step', written one after the other.

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
    beside = path.with_suffix('.tmp')
    beside.write_text(''.join(json.dumps(v) + '\n' for v in self.kept))
    os.replace(beside, path)
    self._file = path.open('a', buffering=1)

  def write(self, value: Mapping[str, Any]) -> None:
    """Writes one line."""
    self._file.write(json.dumps(value) + '\n')

  def close(self) -> None:
    """Flushes and closes the file."""
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
