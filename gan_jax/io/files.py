"""Atomic writes, bounded reads and short error messages of files."""

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


def printable(path: str | os.PathLike) -> str:
  """Returns a path on one line, what is not printable in it escaped.

  Args:
    path: a path; its name may hold newlines, escape sequences or bytes that are
      no text.
  """
  return ''.join(
    c if c.isprintable() else c.encode('unicode_escape').decode()
    for c in os.fspath(path)
  )


def read_bounded(path: pathlib.Path, *, most: int) -> bytes:
  """Reads a regular file of limited size.

  Args:
    path: path of the file.
    most: largest allowed size in bytes.

  Returns:
    The content.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is not a regular file, or too large.
  """
  about = path.stat()  # opening a pipe would block forever
  if not stat.S_ISREG(about.st_mode):
    raise ValueError(f'{printable(path)} is not a regular file')
  if about.st_size > most:
    raise ValueError(
      f'{printable(path)} has {about.st_size:,} bytes, more than {most:,}'
    )
  return path.read_bytes()


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a JSON object from a file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file does not contain a JSON object; the message names
      it.
  """
  content = read_bounded(path, most=_MAX_JSON)
  try:
    found = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{printable(path)} is not valid JSON: {error}') from error
  if not isinstance(found, dict):
    raise ValueError(f'{printable(path)} does not contain a JSON object')
  return found


@contextlib.contextmanager
def add_path_to_errors(path: pathlib.Path) -> Iterator[None]:
  """Adds the path of a file to every OSError raised in the context.

  Args:
    path: path of the file.
  """
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def atomic_write(path: pathlib.Path, content: str | bytes) -> None:
  """Writes a temporary file and renames it: the whole content or nothing.

  Args:
    path: path of the file.
    content: whole content of the file.

  Raises:
    OSError: if writing fails. The message names the file, which stays
      unchanged.
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
  """Writes JSON atomically."""
  text = json.dumps(value, indent=2, sort_keys=True)
  atomic_write(path, text + '\n')


def update_json(path: pathlib.Path, changes: Mapping[str, Any]) -> None:
  """Updates entries of a JSON file; an unreadable file is replaced."""
  found = {}
  with contextlib.suppress(FileNotFoundError, ValueError):
    found = read_json(path)
  write_json(path, {**found, **changes})
