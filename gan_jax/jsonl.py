"""Files of one JSON object a line, continued where a run is continued."""

import json
import os
import pathlib
from typing import Any, Mapping


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
    self.kept: list[dict[str, Any]] = []
    if path.exists():
      for line in path.read_text().splitlines():
        try:
          value = json.loads(line)
          if value['step'] <= start:
            self.kept.append(value)
        except (json.JSONDecodeError, KeyError):
          continue  # the end of a line that a killed run was writing
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
