"""Exclusive, process-wide locks on directories."""

import contextlib
import os
import pathlib
import socket

from gan_jax.io import files

try:
  import fcntl
except ImportError:  # Windows
  fcntl = None


NAME = '.lock'


class DirectoryLockedError(OSError):
  """Raised when another process holds the lock on a directory."""


class DirectoryLock:
  """Exclusive, process-wide lock on a directory.

  Released on close or when the process exits, in whatever way. If the system
  cannot lock files (some network file systems, Windows), the lock has no
  effect.
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
    files.make_directory(directory)
    self._file = (directory / NAME).open('a+')
    if fcntl is None:
      return
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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

  def close(self) -> None:
    """Releases the lock."""
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
