"""Finds the files of one kind in a directory or a zip, and their classes.

Nothing is left out in silence: what is not read is counted by its suffix, and
a layout that can be understood in two ways is asked about or warned of.
"""

import collections
import dataclasses
import hashlib
import itertools
import os
import pathlib
import re
import stat
import warnings
import zipfile
from typing import Any, Iterable, Mapping, Sequence

import numpy as np

from gan_jax import validation
from gan_jax.data import zip_members
from gan_jax.io import files

CLASSES = ('auto', 'directories', 'none')
LABELS_FILE = 'dataset.json'
_TRAIN_NAMES = ('train', 'training')
_SPLIT_NAMES = (*_TRAIN_NAMES, 'val', 'valid', 'validation', 'test', 'testing')
_HIDDEN = 'hidden'
MAX_CLASS = 65_535


@dataclasses.dataclass(frozen=True)
class FileKind:
  """A kind of files that a data source reads.

  Attributes:
    plural: what several of them are called in messages.
    suffixes: their suffixes, in lower case.
    others: suffixes of files that hold the same but are not read.
    links: how to allow links that lead out of the directory.
    option: name of the option that sets the classes.
  """

  plural: str
  suffixes: tuple[str, ...]
  others: frozenset[str]
  links: str
  option: str

  @property
  def hint(self) -> str:
    """Way out of directories that are named as splits are."""
    return (
      f' (or set {self.option} to none, to read all of them without labels, or '
      'to directories, if they are classes)'
    )


@dataclasses.dataclass(frozen=True)
class FileDir:
  """The files of one kind in a directory, or in a zip, and below.

  Attributes:
    root: path of the directory or of the zip.
    names: paths of the files relative to it, with slashes; sorted.
    left_out: number of other files by suffix in lower case, '' for none.
    has_labels_file: whether it holds a dataset.json.
    kind: the kind of the files.
    entries: of a zip, the entry of each name; {} for a directory.
    labels_entry: of a zip, the entry of its dataset.json, if it has one.
  """

  root: pathlib.Path
  names: list[str]
  left_out: dict[str, int]
  has_labels_file: bool
  kind: FileKind
  entries: Mapping[str, zipfile.ZipInfo] = dataclasses.field(
    default_factory=dict
  )
  labels_entry: zipfile.ZipInfo | None = None

  @property
  def paths(self) -> list[pathlib.Path]:
    """Paths of the files; in a zip, with its own in front."""
    return [self.root / name for name in self.names]

  def size(self, name: str) -> int:
    """Returns the size of a file in bytes, -1 if it cannot be known.

    Args:
      name: one of `names`.
    """
    if name in self.entries:
      return self.entries[name].file_size
    try:
      return (self.root / name).stat().st_size
    except OSError:  # a file that is skipped as broken
      return -1

  def describe(self) -> str:
    """Returns how many files of which kinds are taken and left out."""
    kinds = collections.Counter(_suffix(name) for name in self.names)
    text = f'{len(self.names):,} in {files.printable(self.root)}: '
    text += _counts(kinds)
    return text + (
      f'; left out: {_counts(self.left_out)}' * bool(self.left_out)
    )


def scan_directory(
  root: pathlib.Path, kind: FileKind, *, follow_symlinks: bool = False
) -> FileDir:
  """Finds the files of one kind in a directory and below.

  Every entry with a suffix of the kind is listed unless it is a directory,
  including those that cannot be opened. A directory is visited once: links to a
  directory already visited are skipped.

  Args:
    root: path of the directory.
    kind: kind of the files.
    follow_symlinks: whether links may lead out of it.

  Raises:
    FileNotFoundError: if root is not a directory or has no such files.
    ValueError: if a link leads out of it; the message names the link.
  """
  if not root.is_dir():
    raise FileNotFoundError(
      f"'{files.printable(root)}' is not a directory of {kind.plural}"
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
      if (
        not is_directory and suffix not in kind.suffixes and not is_labels_file
      ):
        left_out[suffix] += 1
        continue
      inside = not is_link or _within(entry.path, real)
      if not inside and not follow_symlinks:
        raise ValueError(_link_message(root, entry.path, kind))
      if is_labels_file:
        has_labels_file = True
      elif not is_directory:
        names.append(name)
      elif not (is_link and inside) and os.path.realpath(entry) not in seen:
        seen.add(os.path.realpath(entry))
        waiting.append(f'{name}/')
  names.sort(key=_order)
  found = FileDir(root, names, dict(left_out), has_labels_file, kind)
  _check_kinds(found)
  return found


def scan_zip(path: pathlib.Path, kind: FileKind) -> FileDir:
  """Finds the files of one kind in a zip, without unpacking it.

  Directories that hold everything, such as the one that an archive is named
  after, are left out of the names; beside a dataset.json, those above it.

  Args:
    path: path of the zip.
    kind: kind of the files.

  Raises:
    FileNotFoundError: if it has no such files.
    ValueError: if it cannot be read as a zip, or has a name twice.
  """
  entries, left_out = {}, collections.Counter()
  labels_files = {}
  with zip_members.ZipReader(path) as archive:
    listed = archive.members()
  for info in listed:
    name = zip_members.safe_name(info.filename)
    if not name:
      left_out[_HIDDEN] += 1
    elif stat.S_ISLNK(info.external_attr >> 16):
      left_out['link'] += 1
    elif _suffix(name) in kind.suffixes:
      if name in entries:
        raise ValueError(
          f'{files.printable(path)} has {files.printable(name)} twice'
        )
      entries[name] = info
    elif name.rpartition('/')[2] == LABELS_FILE:
      labels_files[name.rpartition('/')[0]] = info
    else:
      left_out[_suffix(name)] += 1
  shared = os.path.commonprefix([name.split('/')[:-1] for name in entries])
  above = ['/'.join(shared[:depth]) for depth in range(len(shared) + 1)]
  base = next((name for name in above if name in labels_files), above[-1])
  skip = len(base) + 1 if base else 0
  entries = {name[skip:]: info for name, info in entries.items()}
  names = sorted(entries, key=_order)
  labels_entry = labels_files.pop(base, None)
  if labels_files:
    left_out['.json'] += len(labels_files)
  found = FileDir(
    path,
    names,
    dict(left_out),
    labels_entry is not None,
    kind,
    entries,
    labels_entry,
  )
  _check_kinds(found)
  return found


def _order(name: str) -> str:
  """Returns a key that orders paths by their parts, without a list of them."""
  return name.replace('/', '\0')


def _suffix(name: str) -> str:
  return os.path.splitext(name)[1].lower()


def _within(path: str, real: str) -> bool:
  """Returns whether a path leads into a directory given by its real path."""
  return pathlib.Path(os.path.realpath(path)).is_relative_to(real)


def _link_message(root: pathlib.Path, path: str, kind: FileKind) -> str:
  target = files.printable(os.path.realpath(path))
  return (
    f'{files.printable(path)} is a link to {target}, outside of '
    f'{files.printable(root)}; to allow it, {kind.links}'
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


def _check_kinds(found: FileDir) -> None:
  """Warns of others that are not read; raises if there are no files at all.

  Args:
    found: what is in the directory.
  """
  root, kinds = files.printable(found.root), ', '.join(found.kind.suffixes)
  if not found.names:
    there = _counts(found.left_out) or 'nothing'
    raise FileNotFoundError(
      f'no {found.kind.plural} in {root} or below, but {there}; looked for '
      f'{kinds}'
    )
  others = {
    kind: count
    for kind, count in found.left_out.items()
    if kind in found.kind.others
  }
  if others:
    warnings.warn(
      f'{root}: {_counts(others)} are left out; convert them to one of {kinds}',
      stacklevel=3,
    )


def find_classes(
  found: FileDir, choice: str = 'auto', *, hint: str = ''
) -> tuple[np.ndarray | None, tuple[str, ...]]:
  """Finds the classes of the files of a directory.

  The labels are those of a dataset.json in the format of StyleGAN, if there is
  one. Otherwise the names of the first level of sub-directories are the
  classes, in alphabetical order, if every file is in a sub-directory. Numbered
  directories of a fixed number of images each, as of StyleGAN and FFHQ, are no
  classes.

  Args:
    found: the files.
    choice: 'auto'; 'directories' for the sub-directories whatever their names;
      'none' for no classes.
    hint: added to the message about train/ and test/.

  Returns:
    The classes `[n]` int32 and their names. (None, ()) without classes; no
    names if the classes are numbers of a dataset.json without 'class_names'.

  Raises:
    ValueError: if the sub-directories are named train and test or the like, or
      the dataset.json is broken.
  """
  if choice == 'none':
    return None, ()
  if choice == 'auto' and found.has_labels_file:
    listed = _read_labels_file(found)
    if 'labels' in listed:  # else it is of another program
      labels = _read_labels(found, listed['labels'])
      return labels, _listed_names(found, labels, listed.get('class_names'))
  first = _first_directories(found.names)
  names = sorted(set(first))
  if choice == 'auto':
    _check_splits(found, names, hint)
    if _are_shards(found.names):
      return None, ()
  if names == ['']:
    return None, ()
  if '' in names:
    message = _top_files_message(found, first)
    if choice == 'directories':
      raise ValueError(message)
    if len(names) > 2:  # a single class would label nothing
      warnings.warn(f'no labels: {message}', stacklevel=3)
    return None, ()
  number = {name: i for i, name in enumerate(names)}
  labels = np.array([number[name] for name in first], np.int32)
  return labels, tuple(names)


def _first_directories(names: Sequence[str]) -> list[str]:
  """Returns the first directory of each path, '' for none."""
  known: dict[str, str] = {}  # one text for all files of a directory
  first = (name.partition('/') for name in names)
  return [
    known.setdefault(directory, directory) if slash else ''
    for directory, slash, _ in first
  ]


def _check_splits(found: FileDir, names: list[str], hint: str) -> None:
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


def _top_files_message(found: FileDir, first: list[str]) -> str:
  names = sorted(set(first) - {''})
  shown = ', '.join(files.printable(name) for name in names[:5])
  return (
    f'{first.count("")} {found.kind.plural} lie in '
    f'{files.printable(found.root)} itself, beside the directories '
    f'{shown}{", ..." * (len(names) > 5)}; if these are classes, move the '
    f'{found.kind.plural} away'
  )


def _read_labels_file(found: FileDir) -> dict[str, Any]:
  """Returns the content of a dataset.json."""
  path = found.root / LABELS_FILE
  if found.labels_entry is None:
    return files.read_json(path)
  if found.labels_entry.file_size > files.MAX_JSON:
    raise ValueError(
      f'{files.printable(path)} has {found.labels_entry.file_size:,} bytes, '
      f'more than {files.MAX_JSON:,}'
    )
  try:
    with zip_members.ZipReader(found.root) as archive:
      content = archive.read(found.labels_entry)
  except Exception as error:  # zipfile and zlib raise any type
    raise ValueError(
      f'{files.printable(path)} is broken: {files.short_message(error)}'
    ) from error
  return files.parse_json(content, path)


def _read_labels(found: FileDir, listed: Any) -> np.ndarray | None:
  """Returns the labels of a dataset.json, in the order of the files."""
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
      f'{found.kind.plural}, such as {files.printable(missing[0])}'
    )
  labels = [by_name[name] for name in found.names]
  for name, label in zip(found.names, labels):
    if type(label) is not int or not 0 <= label <= MAX_CLASS:
      raise ValueError(_label_message(where, name, label))
  if len(by_name) > len(labels):
    warnings.warn(
      f'{where} has labels of {len(by_name) - len(labels)} '
      f'{found.kind.plural} that are not in {files.printable(found.root)}',
      stacklevel=4,
    )
  return np.array(labels, np.int32)


def _label_message(where: str, name: str, label: Any) -> str:
  """Returns why a label of a dataset.json is none."""
  kind = {float: ', a fraction', list: ', a vector', str: ', a text'}
  return (
    f'{where}: {files.printable(name)} has the label {label!r:.80}'
    f'{kind.get(type(label), "")}; labels must be integers from 0 to '
    f"{MAX_CLASS:,}, one class for each file, or 'labels' null for none"
  )


def _listed_names(
  found: FileDir, labels: np.ndarray | None, listed: Any
) -> tuple[str, ...]:
  """Returns the names of the classes of a dataset.json, () for none."""
  if labels is None or listed is None:
    return ()
  is_list = isinstance(listed, list)
  if not is_list or not all(isinstance(name, str) for name in listed):
    raise ValueError(
      f"{files.printable(found.root / LABELS_FILE)}: 'class_names' must be a "
      'list of texts'
    )
  if len(listed) <= labels.max():
    raise ValueError(
      f'{files.printable(found.root / LABELS_FILE)}: the label {labels.max()}, '
      f"and 'class_names' has {len(listed)}"
    )
  return tuple(listed)


def describe(
  found: FileDir, labels: np.ndarray | None, names: tuple[str, ...]
) -> str:
  """Returns which files are taken, and where their labels come from.

  Args:
    found: the files.
    labels: their classes, or None.
    names: names of the classes, if they have some.
  """
  if labels is None:
    source = 'no labels'
  elif not names:
    source = f'labels from {LABELS_FILE}'
  else:
    shown = ', '.join(files.printable(name) for name in names[:5])
    source = f'{len(names):,} classes: {shown}' + ', ...' * (len(names) > 5)
  return f'{found.describe()}; {source}'


def file_digest(
  found: FileDir, labels: np.ndarray | None, names: tuple[str, ...]
) -> str:
  """Returns a digest of the relative paths and sizes of files, and labels.

  Args:
    found: the files.
    labels: their classes, or None.
    names: names of the classes, if they have some.
  """
  facts = ((name, found.size(name)) for name in found.names)
  # Classes that have names are in the paths, or in a dataset.json.
  if labels is not None and (not names or found.has_labels_file):
    facts = itertools.chain(facts, [labels.tolist()])
  return _digest(facts)[:16]


def fingerprint(found: FileDir, names: Sequence[str]) -> str:
  """Returns a digest of files that changes when one is modified.

  Args:
    found: the files of a directory or a zip.
    names: some of their names.
  """
  about = lambda path: (str(path), path.stat().st_size, path.stat().st_mtime_ns)
  if found.entries:
    return _digest(itertools.chain([about(found.root)], names))
  return _digest(about(found.root / name) for name in names)


def _digest(facts: Iterable[Any]) -> str:
  """Returns the SHA-256 of the list of facts as text, which is not built."""
  digest = hashlib.sha256(b'[')
  for i, fact in enumerate(facts):
    digest.update((', ' * bool(i) + repr(fact)).encode())
  digest.update(b']')
  return digest.hexdigest()


def readable(
  what: str,
  root: pathlib.Path,
  names: Sequence[str],
  examined: Sequence[Any],
) -> list[int]:
  """Returns the indices of files that could be read, and warns of the others.

  Args:
    what: which files they are, for messages.
    root: path of the directory or the zip.
    names: paths of the files relative to it.
    examined: of each file, what was read; None if it is broken.

  Raises:
    ValueError: if none could be read.
  """
  good = [i for i, result in enumerate(examined) if result is not None]
  bad = [n for n, result in zip(names, examined) if result is None]
  if not good:
    raise ValueError(f'none of the {len(names)} {what} is readable')
  if bad:
    shown = ', '.join(files.printable(root / name) for name in bad[:5])
    validation.warn(
      f'skipped {len(bad)} of the {len(names)} {what}: {shown}'
      + ', ...' * (len(bad) > 5)
    )
  return good
