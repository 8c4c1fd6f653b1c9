"""Exclusive, process-wide locks on directories."""

import contextlib
import os
import pathlib
import socket
import time

from gan_jax.io import files

try:
  import fcntl
except ImportError:  # Windows
  fcntl = None


NAME = '.lock'
_TRIES, _PAUSE = 5, 0.02  # seconds; `holder` holds a lock for an instant


class DirectoryLockedError(OSError):
  """Raised when another process holds the lock on a directory."""


def holder(directory: pathlib.Path) -> str:
  """Returns the process that holds the lock on a directory, '' if none does.

  Nothing is written.

  Args:
    directory: path of the directory.

  Returns:
    Such as 'process 1234 on host'; 'another process' if it is not known. Also
    '' if there is no lock, or the system cannot lock files.

  Raises:
    OSError: if there is a lock that cannot be read.
  """
  path = directory / NAME
  if fcntl is None or not path.is_file():
    return ''
  with path.open() as file:
    try:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      return file.read(200).strip() or 'another process'
    except OSError:  # this file system does not support locks
      pass
  return ''


class DirectoryLock:
  """Exclusive, process-wide lock on a directory.

  Released on close or when the process exits, in whatever way. If the system
  cannot lock files (some network file systems, Windows), the lock has no
  effect. As a context manager that an error ends before anything else is
  written, it leaves nothing behind.
  """

  def __init__(self, directory: pathlib.Path):
    """Locks the directory, which is created if it does not exist.

    Args:
      directory: path of the directory.

    Raises:
      DirectoryLockedError: if another process holds the lock; the message names
        it.
      OSError: if the directory is a file, or not writable.
    """
    self._directory, self._is_new = directory, not directory.exists()
    files.make_directory(directory)
    self._file = (directory / NAME).open('a+')
    if fcntl is None:
      return
    try:
      self._lock()
    except BlockingIOError as error:
      self._file.seek(0)
      holder = self._file.read().strip() or 'another process'
      self._file.close()
      raise DirectoryLockedError(
        f'{files.printable(directory)} is in use by {holder}'
      ) from error
    except OSError:  # this file system does not support locks
      return
    holder = f'process {os.getpid()} on {socket.gethostname()}'
    with contextlib.suppress(OSError):  # full disk; the lock is held anyway
      self._file.truncate(0)
      os.write(self._file.fileno(), holder.encode())

  def _lock(self) -> None:
    """Locks the file, unless another process keeps its lock on it."""
    for tries_left in reversed(range(_TRIES)):
      try:
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._reopen_if_removed()
      except BlockingIOError:
        if not tries_left:
          raise
        time.sleep(_PAUSE)

  def _reopen_if_removed(self) -> None:
    """Locks a new file if another process removed this one meanwhile."""
    if os.fstat(self._file.fileno()).st_nlink:
      return
    self._file.close()
    files.make_directory(self._directory)
    self._file = (self._directory / NAME).open('a+')
    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

  def close(self) -> None:
    """Releases the lock."""
    self._file.close()

  def _remove_if_alone(self) -> None:
    """Removes the lock if there is nothing else, and a directory of its own."""
    with contextlib.suppress(OSError):
      if os.listdir(self._directory) == [NAME]:
        (self._directory / NAME).unlink()
        if self._is_new:
          self._directory.rmdir()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    if kind is not None:
      self._remove_if_alone()
    self.close()
