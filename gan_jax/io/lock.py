"""Exclusive, process-wide locks on directories."""

import contextlib
import os
import pathlib
import socket

try:
  import fcntl
except ImportError:  # Windows
  fcntl = None


class DirectoryLockedError(OSError):
  """Another process holds the directory."""


class DirectoryLock:
  """A directory that no other process may hold until this one ends or lets go.

  The system lets go when the process ends, however it ends. Where it cannot
  lock files (some network file systems, Windows) nobody is refused.
  """

  def __init__(self, directory: pathlib.Path):
    """Takes the directory, made if missing.

    Args:
      directory: to hold.

    Raises:
      Busy: where another process holds it; it says which.
      OSError: where nothing can be written there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    self._file = (directory / '.lock').open('a+')
    if fcntl is None:
      return
    try:
      fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      self._file.seek(0)
      holder = self._file.read().strip() or 'another process'
      self._file.close()
      raise DirectoryLockedError(
        f'{directory} is in use by {holder}'
      ) from error
    except OSError:  # locks are not to be had here
      return
    holder = f'process {os.getpid()} on {socket.gethostname()}'
    with contextlib.suppress(OSError):  # a full disk; it is held all the same
      self._file.truncate(0)
      os.write(self._file.fileno(), holder.encode())

  def close(self) -> None:
    """Lets go."""
    self._file.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
