"""Paths as users type them, atomic writes, bounded reads, short messages."""

import contextlib
import json
import os
import pathlib
import stat
from typing import Any, BinaryIO, Iterator, Mapping

MAX_JSON = 2**28  # bytes
_MAX_NAME, _MAX_PATH = 255, 4095  # bytes, of Linux and of macOS


def resolve_path(path: str | os.PathLike, what: str = 'path') -> pathlib.Path:
  """Expands `~` in a path, and refuses one that no file can have.

  A relative path stays relative to the current directory.

  Args:
    path: path as a user typed it.
    what: name of the option, for messages.

  Returns:
    The path.

  Raises:
    ValueError: if the path has a null character, is not valid UTF-8 (files of
      a checkpoint could not be written there), is too long, or begins with
      the home directory of nobody.
  """
  text = os.fsdecode(path)
  shown = f'{what}={printable(text)}'
  if '\0' in text:
    raise ValueError(f'{shown}: a path must not have a null character')
  try:
    parts = [part.encode() for part in text.split('/')]
  except UnicodeEncodeError as error:
    raise ValueError(f'{shown}: a path must be valid UTF-8') from error
  longest = max(map(len, parts))
  if longest > _MAX_NAME or len(text.encode()) > _MAX_PATH:
    raise ValueError(
      f'{what}={printable(text[:40])}...: a name in a path must be at most '
      f'{_MAX_NAME} bytes long (this one has {longest}), and a path at most '
      f'{_MAX_PATH}'
    )
  try:
    return pathlib.Path(text).expanduser()
  except RuntimeError as error:
    raise ValueError(f'{shown}: there is no such home directory') from error


def printable(text: Any) -> str:
  """Returns text on one line, without control characters.

  Args:
    text: a path or a message. Newlines, escape sequences and bytes that are no
      UTF-8 would print as such, and are escaped as in Python's literals.
  """
  return ''.join(
    c if c.isprintable() else c.encode('unicode_escape').decode()
    for c in str(text)
  )


def check_directory(path: pathlib.Path) -> None:
  """Checks that a directory can be written to, or can be made.

  Args:
    path: path of the directory.

  Raises:
    NotADirectoryError: if there is a file in its place, or above it.
    PermissionError: if it is not writable.
  """
  whole = path.absolute()
  there = next(p for p in (whole, *whole.parents) if os.path.lexists(p))
  shown = printable(there)
  if not there.is_dir():
    raise NotADirectoryError(f'{shown} is a file; must be a directory')
  if not os.access(there, os.W_OK | os.X_OK):
    raise PermissionError(f'the directory {shown} is not writable')


def make_directory(path: pathlib.Path) -> None:
  """Makes a directory and those above it, unless it exists.

  Args:
    path: path of the directory.

  Raises:
    OSError: as check_directory; or if it cannot be made.
  """
  check_directory(path)
  path.mkdir(parents=True, exist_ok=True)


def short_message(error: Exception) -> str:
  """Returns the first line of a library's error, its middle cut if long."""
  line = (str(error).strip().splitlines() or [type(error).__name__])[0]
  return line if len(line) < 240 else f'{line[:100]} ... {line[-120:]}'


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
  return parse_json(read_bounded(path, most=MAX_JSON), path)


def read_json_list(path: pathlib.Path) -> list[Any]:
  """Reads a JSON list from a file.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file does not contain a JSON list; the message names it.
  """
  content = read_bounded(path, most=MAX_JSON)
  return _parse_json(content, path, list, 'list')


def parse_json(content: bytes, path: pathlib.Path) -> dict[str, Any]:
  """Parses a JSON object.

  Args:
    content: content of a file.
    path: its path, for messages.

  Raises:
    ValueError: if it is not a JSON object; the message names the file.
  """
  return _parse_json(content, path, dict, 'object')


def _parse_json(
  content: bytes, path: pathlib.Path, kind: type, what: str
) -> Any:
  try:
    found = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise ValueError(f'{printable(path)} is not valid JSON: {error}') from error
  if not isinstance(found, kind):
    raise ValueError(f'{printable(path)} does not contain a JSON {what}')
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


@contextlib.contextmanager
def atomic_stream(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Opens a file that is written in pieces: the whole content or nothing.

  It has another name until the context ends without an error.

  Args:
    path: path of the file.

  Yields:
    The file, binary, open for reading and writing.

  Raises:
    OSError: if writing fails. The message names the file, which stays
      unchanged.
  """
  beside = path.with_name(f'{path.name}.tmp')
  try:
    with add_path_to_errors(path):
      file = beside.open('w+b')
    with file:
      yield file
    with add_path_to_errors(path):
      os.replace(beside, path)
  except BaseException:
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
