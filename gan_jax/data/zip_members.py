"""Reads the members of a zip without unpacking it, and without trusting it.

Names of members are keys, and never paths of files. Sizes are those that the
zip declares; no more than these are read, whatever the data expand to.
"""

import pathlib
import threading
import zipfile

from gan_jax.io import files

MAX_BYTES = 2**30  # per member
# A member may have this many bytes, or this many times those it takes.
_SMALL, _RATIO = 2**26, 200


class ZipReader:
  """Reads members of a zip from several threads."""

  def __init__(self, path: pathlib.Path):
    """Opens the zip.

    Args:
      path: path of the zip.

    Raises:
      ValueError: if it cannot be read as a zip. The message names it.
    """
    self._archive = open_zip(path)
    self._lock = threading.Lock()

  def members(self) -> list[zipfile.ZipInfo]:
    """Returns all members but directories, in their order in the zip."""
    listed = self._archive.infolist()
    # ZipInfo.is_dir fails for an empty name.
    return [info for info in listed if not info.filename.endswith('/')]

  def read(self, info: zipfile.ZipInfo) -> bytes:
    """Reads a member.

    Args:
      info: one of `members`.

    Returns:
      Its content.

    Raises:
      ValueError: if it declares too many bytes, or has fewer than it declares.
      Exception: of zipfile and zlib, if it is broken.
    """
    size = info.file_size
    if size > min(MAX_BYTES, max(_SMALL, _RATIO * info.compress_size)):
      raise ValueError(
        f'it declares {size:,} bytes in {info.compress_size:,} of the zip'
      )
    with self._lock, self._archive.open(info) as file:
      content = file.read(size)  # and compares the checksum
    if len(content) != size:
      raise ValueError(f'it has {len(content):,} of {size:,} bytes')
    return content

  def close(self) -> None:
    """Closes the zip."""
    self._archive.close()

  def __enter__(self) -> 'ZipReader':
    return self

  def __exit__(self, *unused) -> None:
    self.close()


def open_zip(path: pathlib.Path) -> zipfile.ZipFile:
  """Opens a zip.

  Args:
    path: path of the zip.

  Raises:
    ValueError: if it cannot be read as a zip. The message names it.
  """
  try:
    return zipfile.ZipFile(path)
  except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
    raise ValueError(
      f'{files.printable(path)} cannot be read as a zip: '
      f'{files.short_message(error)}'
    ) from error


def safe_name(name: str) -> str:
  """Returns the name of a member as a relative path with slashes.

  Args:
    name: name in an archive. Backslashes, of Windows, are separators.

  Returns:
    The path without empty parts; '' for a hidden one, and for one that leads
    out of its directory.
  """
  parts = [p for p in name.replace('\\', '/').split('/') if p not in ('', '.')]
  hidden = any(part[0] == '.' or part == '__MACOSX' for part in parts)
  return '' if hidden else '/'.join(parts)
