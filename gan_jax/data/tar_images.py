"""Reads images and their classes from tar files, such as WebDataset's shards.

Members are read in their order, and nothing is unpacked. The members of an
example share the part of their names before the first dot: 000012.jpg,
000012.cls (an integer), 000012.json (with 'label', 'cls' or 'class').
"""

import collections
import json
import os
import pathlib
import tarfile
from typing import Iterator, NamedTuple, Sequence

from gan_jax.data import file_dir, image_dir, shards, zip_members
from gan_jax.io import files

_MAX_LABEL_BYTES = 2**20
_LABEL_KEYS = ('label', 'cls', 'class', 'class_id')


class TarImage(NamedTuple):
  """An image of a tar.

  Attributes:
    shard: path of the tar.
    name: name of the member, a relative path with slashes.
    offset: first byte of its file in the tar, unless that is compressed.
    content: content of its file.
    label: class that a member of the same example says; None if none does.
  """

  shard: pathlib.Path
  name: str
  offset: int
  content: bytes
  label: int | None

  @property
  def where(self) -> str:
    """Name of the image, for messages."""
    return f'{self.shard}/{self.name}'


def is_tar(path: pathlib.Path) -> bool:
  """Returns whether a path is named as a tar is, compressed or not."""
  name = path.name.lower()
  return name.endswith(('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz'))


def read_tars(
  paths: Sequence[pathlib.Path], left_out: collections.Counter[str]
) -> Iterator[TarImage]:
  """Yields the images of tar files.

  Args:
    paths: paths of the tar files.
    left_out: counts other members, by suffix, 'hidden' or 'link'.

  Yields:
    The images, in their order.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if one is broken, a member is too large, or a label is not an
      integer. The message names it.
  """
  for path in paths:
    try:
      yield from _read_tar(path, left_out)
    except (tarfile.TarError, EOFError) as error:
      raise ValueError(
        f'{files.printable(path)} cannot be read as a tar: '
        f'{files.short_message(error)}'
      ) from error


def _read_tar(
  path: pathlib.Path, left_out: collections.Counter[str]
) -> Iterator[TarImage]:
  """Yields the images of a tar; members of an example follow each other."""
  key, images, label = '', [], None
  for name, offset, content in _members(path, left_out):
    directory, _, last = name.rpartition('/')
    other = f'{directory}/{last.partition(".")[0]}'
    if other != key:
      yield from _examples(path, images, label)
      key, images, label = other, [], None
    suffix = os.path.splitext(name)[1].lower()
    if suffix in image_dir.IMAGES.suffixes:
      images.append((name, offset, content))
    else:
      label = _read_label(path, name, content, suffix, label)
  yield from _examples(path, images, label)


def _examples(
  path: pathlib.Path, images: list[tuple[str, int, bytes]], label: int | None
) -> Iterator[TarImage]:
  if label is not None and len(images) > 1:
    names = ' and '.join(files.printable(name) for name, *_ in images[:2])
    raise ValueError(
      f'{files.printable(path)}: {names} are one example of a class; must be '
      'one image'
    )
  for name, offset, content in images:
    yield TarImage(path, name, offset, content, label)


def _members(
  path: pathlib.Path, left_out: collections.Counter[str]
) -> Iterator[tuple[str, int, bytes]]:
  """Yields the names, places and contents of members that are read."""
  kinds = (*image_dir.IMAGES.suffixes, '.cls', '.json')
  with tarfile.open(path, 'r|*') as archive:
    for member in archive:
      archive.members = []  # type: ignore[misc]  # or it keeps all of them
      name = zip_members.safe_name(member.name)
      suffix = os.path.splitext(name)[1].lower()
      if member.isdir():
        continue
      if not member.isreg() or member.issparse():
        left_out['link'] += 1
      elif not name:
        left_out['hidden'] += 1
      elif suffix not in kinds:
        left_out[suffix] += 1
      else:
        is_image = suffix in image_dir.IMAGES.suffixes
        most = shards.MAX_IMAGE_BYTES if is_image else _MAX_LABEL_BYTES
        if member.size > most:
          raise ValueError(
            f'{files.printable(path)}/{files.printable(name)} has '
            f'{member.size:,} bytes, more than {most:,}'
          )
        content = archive.extractfile(member).read()
        yield name, member.offset_data, content


def _read_label(
  path: pathlib.Path,
  name: str,
  content: bytes,
  suffix: str,
  label: int | None,
) -> int | None:
  """Returns the class that a .cls or .json member says, or the one before."""
  where = f'{files.printable(path)}/{files.printable(name)}'
  try:
    found = json.loads(content)
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f'{where}: {content[:40]!r}; must be an integer, or JSON'
    ) from error
  if suffix == '.json':
    if not isinstance(found, dict):
      return label
    found = next((found[key] for key in _LABEL_KEYS if key in found), None)
    if found is None:
      return label
  if type(found) is not int or not 0 <= found <= file_dir.MAX_CLASS:
    raise ValueError(
      f'{where}: the label {found!r:.80}; must be an integer from 0 to '
      f'{file_dir.MAX_CLASS:,}'
    )
  return found
