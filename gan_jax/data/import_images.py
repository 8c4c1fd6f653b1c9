"""Imports images once into a zip in the layout of StyleGAN.

What is imported is a directory or a zip of images, or tar files, such as
WebDataset's shards, which have no order by index. Nothing is unpacked, and
nothing at the source changes.
"""

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
    sizes: (width, height) of the images in the zip.
  """

  count: int
  broken: tuple[str, ...]
  labels: tuple[int, ...] | None
  class_names: tuple[str, ...]
  left_out: dict[str, int]
  sizes: frozenset[tuple[int, int]]


class _Item(NamedTuple):
  """An image to import: its name, its shard, and how to read it."""

  where: str
  name: str
  read: Callable[[], bytes]
  label: int | None = None


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
  """Writes images to a zip that data.folder reads, and StyleGAN's programs.

  Args:
    sources: a directory or a zip of images, or tar files.
    target: path of the zip.
    form: what the images become.
    classes: 'auto' takes the classes of members .cls or .json of a tar, else
      those of file_dir.find_classes; 'directories' and 'none' as there.
    skip_broken: whether to skip images that cannot be decoded.
    overwrite: whether a file that exists is replaced.
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
  writer = zip_writer.ImageZipWriter(target, overwrite=overwrite)
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
  kept: list[_Item] = []
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
      writer.add(content, _suffix(item.name, form))
      kept.append(item._replace(read=bytes))  # lets go of the content
    remarks.warn()
    if not kept:
      raise FileNotFoundError(
        f'no image of {files.printable(sources[0])} is readable'
        if broken
        else f'no images in {files.printable(sources[0])}'
      )
    if found is None:
      labels, names = _tar_classes(sources[0], kept, classes)
    else:
      labels = None if labels is None else [item.label for item in kept]
    writer.finish(labels, names)
  own = None if labels is None else tuple(map(int, labels))
  return ImportResult(
    len(kept),
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
  if target.suffix.lower() != '.zip':
    raise ValueError(f'{files.printable(target)}: the target must be a .zip')
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
    yield _Item(image.where, image.name, read, image.label)


def _tar_classes(
  path: pathlib.Path, items: Sequence[_Item], classes: str
) -> tuple[Sequence[int] | None, tuple[str, ...]]:
  """Returns the classes of images of tar files, and their names."""
  if classes == 'none':
    return None, ()
  labels = [item.label for item in items]
  if classes == 'auto' and any(label is not None for label in labels):
    without = [item.where for item in items if item.label is None]
    if without:
      raise ValueError(
        f'{len(without)} of {len(items)} images have no label, and the others '
        f'have, such as {files.printable(without[0])} (--classes=none ignores '
        'them)'
      )
    return labels, ()
  names = [item.name.split('/') for item in items]
  shared = os.path.commonprefix([parts[:-1] for parts in names])
  names = ['/'.join(parts[len(shared) :]) for parts in names]
  found = file_dir.FileDir(path, names, {}, False, image_dir.IMAGES)
  return file_dir.find_classes(found, classes, hint=_HINT)


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
