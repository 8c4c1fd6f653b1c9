"""What a program shares with its terminal: output, warnings, arguments."""

import argparse
import contextlib
import difflib
import functools
import os
import sys
import warnings
from typing import Any, NoReturn

from gan_jax.io import files

COMMAND = 'gan-jax'  # sys.argv[0] is 'gan-jax train' in its programs
# For encodings that lack a character that tables and scores print.
_ASCII = str.maketrans({'±': '+-', '─': '-', '━': '-', '…': '...'})


class SafeOutput:
  """Standard output that never raises, so that printing never ends a run.

  Characters that its encoding lacks are replaced. If it is closed, or on a full
  disk, nothing more is printed.

  Attributes:
    failed: whether something could not be printed, such as on a full disk. A
      pipe whose reader has ended, as in `| head -1`, is no failure.
  """

  def __init__(self, stream: Any = None):
    """Wraps a stream.

    Args:
      stream: text stream; None for `sys.stdout` at the time of each call.
    """
    self._stream, self._stopped, self.failed = stream, False, False

  def _current(self) -> Any:
    return sys.stdout if self._stream is None else self._stream

  def write(self, text: str) -> int:
    """Prints text, if possible."""
    stream = self._current()
    if stream is not None and not self._stopped:
      try:
        stream.write(_encodable(text, getattr(stream, 'encoding', None)))
      except (OSError, ValueError) as error:  # ValueError: closed
        self._stop(error)
    return len(text)

  def flush(self) -> None:
    """Flushes the stream, if possible."""
    stream = self._current()
    if stream is not None and not self._stopped:
      try:
        stream.flush()
      except (OSError, ValueError) as error:
        self._stop(error)

  def _stop(self, error: Exception) -> None:
    self._stopped = True
    with contextlib.suppress(OSError, ValueError, AttributeError):
      # What is still in a buffer is written when the process ends.
      os.dup2(os.open(os.devnull, os.O_WRONLY), self._current().fileno())
    if isinstance(error, BrokenPipeError):
      return
    self.failed = True
    with contextlib.suppress(OSError, ValueError, AttributeError):
      sys.stderr.write(f'nothing more is printed: {error_message(error)}\n')

  def __getattr__(self, name: str) -> Any:
    return getattr(self._current(), name)


def _encodable(text: str, encoding: str | None) -> str:
  """Returns text of which an encoding has all characters."""
  encoding = encoding or 'utf-8'
  try:
    text.encode(encoding)
    return text
  except UnicodeEncodeError:
    plain = text.translate(_ASCII)
    return plain.encode(encoding, 'backslashreplace').decode(encoding)


def program_name(script: str) -> str:
  """Returns the name of this program as it was typed.

  Args:
    script: name of the script, such as 'train.py'.

  Returns:
    'gan-jax train' if the program was started so; otherwise the script.
  """
  typed = os.path.basename(sys.argv[0])
  return typed if typed.startswith(f'{COMMAND} ') else script


def start_program(program: str) -> None:
  """Makes output safe and warnings one line each, for the whole process.

  Args:
    program: name of the program, for warnings.
  """
  for number in range(3):  # closed, a file of the run would take its place
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)
  sys.stderr = sys.stderr or open(os.devnull, 'w')
  sys.stdout = SafeOutput(sys.stdout or open(os.devnull, 'w'))
  warnings.showwarning = functools.partial(_show_warning, program)


def output_status() -> int:
  """Returns the exit status of a program that only prints.

  Returns:
    1 if something could not be printed, such as on a full disk; otherwise 0.
  """
  sys.stdout.flush()
  return int(getattr(sys.stdout, 'failed', False))


def _show_warning(program, message, *unused, **also_unused) -> None:
  """Prints a warning without the line of our source that raises it."""
  del unused, also_unused
  with contextlib.suppress(OSError, ValueError, AttributeError):
    sys.stderr.write(f'{program}: warning: {files.printable(message)}\n')


def error_message(error: BaseException) -> str:
  """Returns the message of an error, as a program prints it.

  Args:
    error: the error. Of those of the operating system the number is left out.
      Lines stay lines; other control characters are escaped.
  """
  text = str(error)
  if isinstance(error, OSError) and error.errno and error.strerror:
    name = '' if error.filename is None else f'{error.filename}: '
    text = files.printable(f'{name}{error.strerror}')
  elif isinstance(error, KeyError):
    text = f'there is no {text}'
  elif isinstance(error, SyntaxError):
    text = error.msg
  lines = text.split('\n') if text else [type(error).__name__]
  return '\n'.join(map(files.printable, lines))


class ArgumentParser(argparse.ArgumentParser):
  """Parses arguments; an error is one line, and exit status 1.

  Messages name the program as it was typed, see `program_name`.
  """

  def __init__(self, prog: str = '', **options: Any):
    """Initializes the parser.

    Args:
      prog: name of the program, such as 'python -m gan_jax.data.prepare'; ''
        for that of the file.
      **options: those of argparse.
    """
    super().__init__(program_name(prog) or None, **options)

  def error(self, message: str) -> NoReturn:
    """Ends the program with a message, and the nearest option if one is."""
    unknown = message.rpartition('unrecognized arguments: ')[2]
    name = unknown.split()[0].partition('=')[0] if unknown.split() else ''
    known = list(self._option_string_actions)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'; did you mean {near[0]}?' if near and unknown != message else ''
    self.exit(1, f'{self.prog}: {message}{hint}\n')
