"""Files that are whole or not there, and directories of one process alone."""

import contextlib
import json
import os
import pathlib
import stat
from typing import Any, Iterator, Mapping

_MAX_JSON = 2**28  # bytes


def short_message(error: Exception) -> str:
  """Returns the first line of a library's error, its middle cut if long."""
  line = (str(error).strip().splitlines() or [type(error).__name__])[0]
  return line if len(line) < 240 else f'{line[:100]} ... {line[-120:]}'


def read_bounded(path: pathlib.Path, *, most: int) -> bytes:
  """The content of a regular file that is not too large.

  Args:
    path: of the file.
    most: bytes that it may have.

  Raises:
    OSError: where it cannot be read.
    ValueError: where it is no regular file or larger.
  """
  about = path.stat()  # to open a pipe would wait for ever
  if not stat.S_ISREG(about.st_mode):
    raise ValueError(f'{path} is not a regular file')
  if about.st_size > most:
    raise ValueError(f'{path} has {about.st_size:,} bytes, more than {most:,}')
  return path.read_bytes()


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """The JSON object in a file.

  Raises:
    OSError: where it cannot be read.
    ValueError: naming the file, where it holds something else.
  """
  content = read_bounded(path, most=_MAX_JSON)
  try:
    found = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{path} is not as it was written: {error}') from error
  if not isinstance(found, dict):
    raise ValueError(f'{path} is not as it was written: no JSON object')
  return found


@contextlib.contextmanager
def add_path_to_errors(path: pathlib.Path) -> Iterator[None]:
  """An OSError of what is done within names a file.

  Args:
    path: of the file.
  """
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def atomic_write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a file beside and moves it into place, whole or not at all.

  Args:
    path: of the file.
    content: all of it.

  Raises:
    OSError: where it cannot be written; it names the file, which stays as it
      was.
  """
  data = content.encode() if isinstance(content, str) else content
  beside = path.with_name(f'{path.name}.tmp')
  with add_path_to_errors(path):
    try:
      beside.write_bytes(data)
      os.replace(beside, path)
    except OSError:
      beside.unlink(missing_ok=True)
      raise


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes JSON, whole or not at all."""
  text = json.dumps(value, indent=2, sort_keys=True)
  atomic_write(path, text + '\n')


def update_json(path: pathlib.Path, changes: Mapping[str, Any]) -> None:
  """Writes entries into a JSON object; one that cannot be read begins anew."""
  found = {}
  with contextlib.suppress(FileNotFoundError, ValueError):
    found = read_json(path)
  write_json(path, {**found, **changes})
