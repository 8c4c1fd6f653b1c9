"""Imports images once into a zip in the layout of StyleGAN, or into shards.

What is imported is a directory or a zip of images, or tar files, such as
WebDataset's shards, which have no order by index. Nothing is unpacked, and no
file of the source changes.
"""

import array
import collections
import concurrent.futures
import functools
import itertools
import os
import pathlib
from typing import (
  Any,
  Callable,
  Iterable,
  Iterator,
  NamedTuple,
  Sequence,
)

import numpy as np
from PIL import Image

from gan_jax.data import (
  file_dir,
  folder,
  image_dir,
  image_files,
  image_reader,
  images,
  shard_writer,
  tar_images,
  zip_writer,
)
from gan_jax.io import files


class ImportFormat(NamedTuple):
  """What images become.

  Attributes:
    size: side in pixels to which they are cropped and resized; 0 keeps the
      files as they are.
    channels: 1, 3 or 4, if they are resized.
    background: color behind transparent pixels, if they are resized.
  """

  size: int = 0
  channels: int = 3
  background: str = 'white'


class ImportResult(NamedTuple):
  """What was imported.

  Attributes:
    count: number of images.
    broken: names of images that were skipped.
    labels: class of each image; None without classes.
    class_names: names of the classes; () for none.
    left_out: number of other files by suffix.
    sizes: (width, height) of the images as they were written.
  """

  count: int
  broken: tuple[str, ...]
  labels: tuple[int, ...] | None
  class_names: tuple[str, ...]
  left_out: dict[str, int]
  sizes: frozenset[tuple[int, int]]


class _Item(NamedTuple):
  """An image to import: its names, how to read it, and its place in a tar."""

  where: str
  name: str
  read: Callable[[], bytes]
  label: int | None = None
  shard: pathlib.Path | None = None
  offset: int = 0


class _Classes:
  """Classes of the images that were written, a few bytes for each."""

  def __init__(self):
    self.labels = array.array('i')  # -1 for none
    self._directories = array.array('i')  # numbers of them
    self._examples: dict[str, tuple[int, str]] = {}  # number, an image in it
    self._without_label = ''

  def add(self, item: _Item) -> None:
    """Adds an image."""
    directory = item.name.rpartition('/')[0]
    number, _ = self._examples.setdefault(
      directory, (len(self._examples), item.name)
    )
    self._directories.append(number)
    self.labels.append(-1 if item.label is None else item.label)
    if item.label is None and not self._without_label:
      self._without_label = item.where

  def of_tars(
    self, path: pathlib.Path, classes: str
  ) -> tuple[Sequence[int] | None, tuple[str, ...]]:
    """Returns the classes of images of tar files, and their names."""
    if classes == 'none':
      return None, ()
    without = self.labels.count(-1)
    if classes == 'auto' and without < len(self.labels):
      if without:
        raise ValueError(
          f'{without} of {len(self.labels)} images have no label, and the '
          f'others have, such as {files.printable(self._without_label)} '
          '(--classes=none ignores them)'
        )
      return self.labels, ()
    examples = [name.split('/') for _, name in self._examples.values()]
    shared = len(os.path.commonprefix([parts[:-1] for parts in examples]))
    names = ['/'.join(parts[shared:]) for parts in examples]
    names = [names[number] for number in self._directories]
    found = file_dir.FileDir(path, names, {}, False, image_dir.IMAGES)
    return file_dir.find_classes(found, classes, hint=_HINT)


def import_images(
  sources: Sequence[pathlib.Path],
  target: pathlib.Path,
  form: ImportFormat = ImportFormat(),  # noqa: B008  (a tuple)
  *,
  classes: str = 'auto',
  skip_broken: bool = False,
  overwrite: bool = False,
  threads: int = 0,
  track: Callable[[int], Callable[[int], None]] = lambda total: lambda n: None,
) -> ImportResult:
  """Writes images to a zip or to shards, which data.folder reads.

  Args:
    sources: a directory or a zip of images, or tar files.
    target: path of the zip, which StyleGAN's programs read, too; or of a
      directory of shards, for more images than a zip should hold. If it is the
      directory of the tar files, and nothing is resized, an index is written
      there, and nothing is copied.
    form: what the images become.
    classes: 'auto' takes the classes of members .cls or .json of a tar, else
      those of file_dir.find_classes; 'directories' and 'none' as there.
    skip_broken: whether to skip images that cannot be decoded.
    overwrite: whether a zip or an index that exists is replaced.
    threads: number of threads that decode; 0 for one per processor.
    track: function from the number of images, 0 if it is unknown, to a function
      that is called with each number of images that are done.

  Returns:
    What was imported.

  Raises:
    FileExistsError: if the target exists, and is not to be replaced.
    FileNotFoundError: if a source does not exist, or has no images.
    ValueError: if an image is broken, some images have no class, or an argument
      is out of range. The message names it.
  """
  if classes not in file_dir.CLASSES:
    raise ValueError(f'classes={classes!r}: choose one of {file_dir.CLASSES}')
  images.check_format(form.size or 1, form.channels)
  _check_paths(sources, target)
  writer, add = _make_writer(sources, target, form, overwrite)
  remarks = folder.Remarks(sources[0])
  convert = functools.partial(_convert, form=form, remarks=remarks)
  if tar_images.is_tar(sources[0]):
    left_out: collections.Counter[str] = collections.Counter()
    items = _tar_items(sources, left_out)
    total, found = 0, None
  else:
    found = image_dir.scan_images(sources[0])
    labels, names = file_dir.find_classes(found, classes, hint=_HINT)
    items = _found_items(found, labels)
    total, left_out = len(found.names), collections.Counter(found.left_out)
    if isinstance(writer, zip_writer.ImageZipWriter):
      zip_writer.check_count(target, total)
  kept = _Classes()
  broken: list[str] = []
  sizes: set[tuple[int, int]] = set()
  with writer:
    advance = track(total)
    for item, result in _in_order(convert, items, threads):
      advance(1)
      if isinstance(result, ValueError):
        if not skip_broken:
          raise result
        broken.append(item.where)
        continue
      content, side = result
      sizes.add(side)
      add(item, content)
      kept.add(item)
    remarks.warn()
    if not writer.count:
      raise FileNotFoundError(
        f'no image of {files.printable(sources[0])} is readable'
        if broken
        else f'no images in {files.printable(sources[0])}'
      )
    if found is None:
      labels, names = kept.of_tars(sources[0], classes)
    else:
      labels = None if labels is None else kept.labels
    writer.finish(labels, names)
  own = None if labels is None else tuple(map(int, labels))
  return ImportResult(
    writer.count,
    tuple(broken),
    own,
    tuple(names),
    dict(left_out),
    frozenset(sizes),
  )


_HINT = ' (or --classes=none, or --classes=directories)'


def _check_paths(sources: Sequence[pathlib.Path], target: pathlib.Path) -> None:
  """Refuses sources that are missing or mixed, and a target among them."""
  for path in sources:
    if not path.exists():
      raise FileNotFoundError(f'{files.printable(path)} does not exist')
    if path.resolve() == target.resolve():
      raise ValueError(f'{files.printable(path)} is the source and the target')
  if len({path.resolve() for path in sources}) < len(sources):
    raise ValueError(f'{len(sources)} sources: one of them is named twice')
  if target.suffix.lower() != '.zip' and target.suffix and not target.is_dir():
    raise ValueError(
      f'{files.printable(target)}: the target must be a .zip, or a directory'
    )
  if len(sources) > 1 and not all(map(tar_images.is_tar, sources)):
    raise ValueError(
      f'{len(sources)} sources: several must be tar files; otherwise give one '
      'directory or one zip'
    )


def _found_items(
  found: file_dir.FileDir, labels: np.ndarray | None
) -> Iterator[_Item]:
  """Yields the images of a directory or a zip."""
  reader = image_reader.ImageReader(found)
  for i, (path, name) in enumerate(zip(found.paths, found.names)):
    label = None if labels is None else int(labels[i])
    read = functools.partial(reader.content, name)
    yield _Item(str(path), name, read, label)


def _tar_items(
  paths: Sequence[pathlib.Path], left_out: collections.Counter[str]
) -> Iterator[_Item]:
  """Yields the images of tar files."""
  for image in tar_images.read_tars(paths, left_out):
    read = functools.partial(bytes, image.content)
    yield _Item(
      image.where, image.name, read, image.label, image.shard, image.offset
    )


def _make_writer(
  sources: Sequence[pathlib.Path],
  target: pathlib.Path,
  form: ImportFormat,
  overwrite: bool,
) -> tuple[Any, Callable[[_Item, bytes], None]]:
  """Returns a writer, and a function that adds an image to it."""
  beside = all(path.parent.resolve() == target.resolve() for path in sources)
  if beside and tar_images.is_tar(sources[0]):
    if form.size:
      raise ValueError(
        f'{files.printable(target)} is the directory of the tar files, which '
        'stay as they are: with a size, name another one'
      )
    indexer = shard_writer.ShardIndexer(sources, overwrite=overwrite)
    return indexer, lambda item, content: indexer.add(
      content, item.shard, item.offset
    )
  writer: Any
  if target.suffix.lower() == '.zip':
    writer = zip_writer.ImageZipWriter(target, overwrite=overwrite)
  else:
    writer = shard_writer.ShardWriter(target)
  return writer, lambda item, content: writer.add(
    content, _suffix(item.name, form)
  )


def _convert(
  item: _Item, *, form: ImportFormat, remarks: folder.Remarks
) -> tuple[bytes, tuple[int, int]] | ValueError:
  """Returns an image's file in the zip and its size, or what is wrong."""
  try:
    with image_files.naming_errors(item.where):
      content = item.read()
      if not form.size:  # decoded to see whether it is whole
        width, height = image_files.decode_image(content, _upright_size)
        return content, (int(width), int(height))
      convert = functools.partial(
        images.crop_and_resize,
        size=form.size,
        channels=form.channels,
        background=images.parse_color(form.background),
        remark=remarks.add,
      )
      draft = 'RGB' if form.channels > 1 else 'L', form.size
      x = image_files.decode_image(
        content, convert, draft=draft, remark=remarks.add
      )
      return zip_writer.encode_png(x), (form.size, form.size)
  except ValueError as error:
    return error


def _upright_size(image: Image.Image) -> np.ndarray:
  """Returns (width, height) of a decoded image, as it is shown."""
  return np.array(images.turn_upright(image).size)


def _suffix(name: str, form: ImportFormat) -> str:
  return '.png' if form.size else os.path.splitext(name)[1].lower()


def _in_order(
  function: Callable, items: Iterable[_Item], threads: int
) -> Iterator[tuple[_Item, Any]]:
  """Yields items with function(item), computed some items ahead."""
  threads = threads or os.cpu_count() or 1
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    remaining = iter(items)
    waiting = collections.deque(
      (item, pool.submit(function, item))
      for item in itertools.islice(remaining, 4 * threads)
    )
    while waiting:
      item, future = waiting.popleft()
      yield item, future.result()
      for new in itertools.islice(remaining, 1):
        waiting.append((new, pool.submit(function, new)))
