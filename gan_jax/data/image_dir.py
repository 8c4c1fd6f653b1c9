"""Finds the images of a directory and their classes.

Nothing is left out in silence: what is not read is counted by its suffix, and
a layout that can be understood in two ways is asked about or warned of.
"""

import collections
import dataclasses
import os
import pathlib
import re
import warnings
from typing import Any

import numpy as np

from gan_jax.io import files

SUFFIXES = (
  '.png',
  '.jpg',
  '.jpeg',
  '.jpe',
  '.jfif',
  '.webp',
  '.bmp',
  '.gif',
  '.tif',
  '.tiff',
  '.apng',
)
# Suffixes of images that are not read: their decoders are not safe, or missing.
_OTHER_IMAGES = frozenset(
  '.arw .avif .cr2 .dds .dng .eps .exr .hdr .heic .heif .ico .j2k .jp2 .jxl '
  '.nef .pbm .pcx .pgm .pnm .ppm .psd .raw .svg .svgz .tga'.split()
)
LABELS_FILE = 'dataset.json'
_TRAIN_NAMES = ('train', 'training')
_SPLIT_NAMES = (*_TRAIN_NAMES, 'val', 'valid', 'validation', 'test', 'testing')
_HIDDEN = 'hidden'
_MAX_CLASS = 65_535


@dataclasses.dataclass(frozen=True)
class ImageDir:
  """The image files of a directory and below.

  Attributes:
    root: path of the directory.
    names: paths of the images relative to it, with slashes; sorted.
    left_out: number of other files by suffix in lower case, '' for none.
    has_labels_file: whether it holds a dataset.json.
  """

  root: pathlib.Path
  names: list[str]
  left_out: dict[str, int]
  has_labels_file: bool

  @property
  def paths(self) -> list[pathlib.Path]:
    """Paths of the images."""
    return [self.root / name for name in self.names]

  def describe(self) -> str:
    """Returns how many files of which kinds are taken and left out."""
    kinds = collections.Counter(_suffix(name) for name in self.names)
    text = f'{len(self.names):,} in {files.printable(self.root)}: '
    text += _counts(kinds)
    return text + (
      f'; left out: {_counts(self.left_out)}' * bool(self.left_out)
    )


def scan_images(
  root: pathlib.Path, *, follow_symlinks: bool = False
) -> ImageDir:
  """Finds the images in a directory and below.

  Every entry with the suffix of an image is listed unless it is a directory,
  including those that cannot be opened. A directory is visited once: links to a
  directory already visited are skipped.

  Args:
    root: path of the directory.
    follow_symlinks: whether links may lead out of it.

  Raises:
    FileNotFoundError: if root is not a directory or has no images.
    ValueError: if a link leads out of it; the message names the link.
  """
  if not root.is_dir():
    raise FileNotFoundError(
      f"'{files.printable(root)}' is not a directory of images"
    )
  real = os.path.realpath(root)
  names, seen, waiting = [], {real}, ['']
  left_out: collections.Counter[str] = collections.Counter()
  has_labels_file = False
  while waiting:
    below = waiting.pop()
    with os.scandir(root / below) as entries:
      listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
      name, is_link = below + entry.name, entry.is_symlink()
      if entry.name[0] == '.':
        left_out[_HIDDEN] += 1
        continue
      # Of a link in a ring, os.DirEntry raises an error.
      is_directory = os.path.isdir(entry.path) if is_link else entry.is_dir()
      suffix = _suffix(entry.name)
      is_labels_file = name == LABELS_FILE and not is_directory
      if not is_directory and suffix not in SUFFIXES and not is_labels_file:
        left_out[suffix] += 1
        continue
      inside = not is_link or _within(entry.path, real)
      if not inside and not follow_symlinks:
        raise ValueError(_link_message(root, entry.path))
      if is_labels_file:
        has_labels_file = True
      elif not is_directory:
        names.append(name)
      elif not (is_link and inside) and os.path.realpath(entry) not in seen:
        seen.add(os.path.realpath(entry))
        waiting.append(f'{name}/')
  names.sort(key=lambda name: name.split('/'))
  found = ImageDir(root, names, dict(left_out), has_labels_file)
  _check_kinds(found)
  return found


def _suffix(name: str) -> str:
  return os.path.splitext(name)[1].lower()


def _within(path: str, real: str) -> bool:
  """Returns whether a path leads into a directory given by its real path."""
  return pathlib.Path(os.path.realpath(path)).is_relative_to(real)


def _link_message(root: pathlib.Path, path: str) -> str:
  target = files.printable(os.path.realpath(path))
  return (
    f'{files.printable(path)} is a link to {target}, outside of '
    f'{files.printable(root)}; to allow it, set follow_symlinks (train.py: '
    '--config.data.folder.follow_symlinks, evaluate.py: --follow_symlinks)'
  )


def _counts(kinds: dict[str, int]) -> str:
  """Returns '60 gif, 21 png', the most frequent first, ten at most."""
  ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
  shown = [
    f'{count:,} {files.printable(kind.lstrip(".")) or "without a suffix"}'
    for kind, count in ranked[:10]
  ]
  rest = sum(count for _, count in ranked[10:])
  return ', '.join([*shown, f'{rest:,} of other kinds'] if rest else shown)


def _check_kinds(found: ImageDir) -> None:
  """Warns of images of kinds that are not read; raises if there are no others.

  Args:
    found: what is in the directory.
  """
  root, kinds = files.printable(found.root), ', '.join(SUFFIXES)
  if not found.names:
    there = _counts(found.left_out) or 'nothing'
    raise FileNotFoundError(
      f'no images in {root} or below, but {there}; looked for {kinds}'
    )
  others = {
    kind: count
    for kind, count in found.left_out.items()
    if kind in _OTHER_IMAGES
  }
  if others:
    warnings.warn(
      f'{root}: {_counts(others)} are left out; convert them to one of {kinds}',
      stacklevel=3,
    )


def find_classes(
  found: ImageDir, choice: str = 'auto', *, hint: str = ''
) -> tuple[np.ndarray | None, tuple[str, ...]]:
  """Finds the classes of the images of a directory.

  The labels are those of a dataset.json in the format of StyleGAN, if there is
  one. Otherwise the names of the first level of sub-directories are the
  classes, in alphabetical order, if every image is in a sub-directory. Numbered
  directories of a fixed number of images each, as of StyleGAN and FFHQ, are no
  classes.

  Args:
    found: the images.
    choice: 'auto'; 'directories' for the sub-directories whatever their names;
      'none' for no classes.
    hint: added to the message about train/ and test/.

  Returns:
    The classes `[n]` int32 and their names. (None, ()) without classes; no
    names if the classes are numbers of a dataset.json.

  Raises:
    ValueError: if the sub-directories are named train and test or the like, or
      the dataset.json is broken.
  """
  if choice == 'none':
    return None, ()
  if choice == 'auto' and found.has_labels_file:
    listed = files.read_json(found.root / LABELS_FILE)
    if 'labels' in listed:  # else it is of another program
      return _read_labels(found, listed['labels']), ()
  parts = [name.partition('/') for name in found.names]
  first = [directory if slash else '' for directory, slash, _ in parts]
  names = sorted(set(first))
  if choice == 'auto':
    _check_splits(found, names, hint)
    if _are_shards(found.names):
      return None, ()
  if names == ['']:
    return None, ()
  if '' in names:
    message = _top_images_message(found, first)
    if choice == 'directories':
      raise ValueError(message)
    if len(names) > 2:  # a single class would label nothing
      warnings.warn(f'no labels: {message}', stacklevel=3)
    return None, ()
  number = {name: i for i, name in enumerate(names)}
  labels = np.array([number[name] for name in first], np.int32)
  return labels, tuple(names)


def _check_splits(found: ImageDir, names: list[str], hint: str) -> None:
  """Asks which directory is meant if some are named as splits are."""
  splits = [name for name in names if name.lower() in _SPLIT_NAMES]
  if len(splits) > 1 or (splits and names == splits):
    choices = ' or '.join(files.printable(found.root / s) for s in splits)
    raise ValueError(
      f'{files.printable(found.root)} has the directories '
      f'{", ".join(splits)}, which look like splits of the data and not like '
      f'classes; which one is meant? Give its path: {choices}{hint}'
    )


def _are_shards(names: list[str]) -> bool:
  """Returns whether directories hold a thousand numbered images each."""
  for name in names:
    match = re.match(r'(\d{5})/(?:img)?(\d{5,8})\.\w+$', name)
    if not match:
      return False
    shard, index = map(int, match.groups())
    if index // 1000 * 1000 != shard and index // 1000 != shard:
      return False
  return True


def _top_images_message(found: ImageDir, first: list[str]) -> str:
  names = sorted(set(first) - {''})
  shown = ', '.join(files.printable(name) for name in names[:5])
  return (
    f'{first.count("")} images lie in {files.printable(found.root)} itself, '
    f'beside the directories {shown}{", ..." * (len(names) > 5)}; if these are '
    'classes, move the images away'
  )


def _read_labels(found: ImageDir, listed: Any) -> np.ndarray | None:
  """Returns the labels of a dataset.json, in the order of the images."""
  where = files.printable(found.root / LABELS_FILE)
  if listed is None:
    return None
  try:
    by_name = {name.replace('\\', '/'): label for name, label in listed}
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(
      f"{where}: 'labels' must be null or a list of [path, class]"
    ) from error
  missing = [name for name in found.names if name not in by_name]
  if missing:
    raise ValueError(
      f'{where} has no label of {len(missing)} of the {len(found.names)} '
      f'images, such as {files.printable(missing[0])}'
    )
  labels = [by_name[name] for name in found.names]
  wrong = [x for x in labels if type(x) is not int or not 0 <= x <= _MAX_CLASS]
  if wrong:
    raise ValueError(
      f'{where}: the label {wrong[0]!r:.80}; labels must be integers from 0 to '
      f"{_MAX_CLASS:,}, or 'labels' null for none"
    )
  if len(by_name) > len(labels):
    warnings.warn(
      f'{where} has labels of {len(by_name) - len(labels)} images that are not '
      f'in {files.printable(found.root)}',
      stacklevel=4,
    )
  return np.array(labels, np.int32)
