"""Images of your own: a directory, a zip, or shards, of image files."""

import concurrent.futures
import functools
import os
import pathlib
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from gan_jax import validation
from gan_jax.data import classes as class_lib
from gan_jax.data import (
  device_feed,
  file_dir,
  image_dir,
  image_files,
  image_reader,
  images,
  shards,
)
from gan_jax.data.array_source import (
  BLACK_IMAGES,
  ArraySource,
  check_pixels,
  split_indices,
)
from gan_jax.io import files

_AT_A_TIME = 4096  # images


class Remarks:
  """Remarks on the images of a directory; each kind is warned of once.

  Images are decoded in several threads, where a warning that the user turns
  into an error would make a good image a broken one. So decoding collects the
  remarks, and `warn` is called after it.
  """

  def __init__(self, root: pathlib.Path):
    """Initializes with nothing remarked.

    Args:
      root: path of the directory, for the warnings.
    """
    self._root = files.printable(root)
    self._found: dict[str, bool] = {}  # remark -> whether it was warned of

  def add(self, remark: str) -> None:
    """Adds a remark, unless there is the same."""
    self._found.setdefault(remark, False)

  def warn(self) -> None:
    """Warns of remarks that are new since the last call."""
    new = [remark for remark, is_old in list(self._found.items()) if not is_old]
    for remark in new:
      self._found[remark] = True
      validation.warn(f'{self._root}: {remark}')


def map_in_parts(
  pool: concurrent.futures.Executor,
  function: Callable[[Any], Any],
  items: Sequence[Any],
) -> Iterator[Any]:
  """Maps a function over many items in order, as the `map` of an executor.

  That one holds a task for every item, a kilobyte each, from the start on.

  Args:
    pool: the executor.
    function: function of an item.
    items: the items.

  Yields:
    The results.
  """
  for start in range(0, len(items), _AT_A_TIME):
    yield from pool.map(function, items[start : start + _AT_A_TIME])


def _load(
  reader: image_reader.ImageReader,
  name: str,
  size: int,
  channels: int,
  *,
  verify: bool = True,
  background: tuple[int, int, int] = images.WHITE,
  remark: Callable[[str], None] = images.ignore,
) -> np.ndarray:
  convert = functools.partial(
    images.crop_and_resize,
    size=size,
    channels=channels,
    background=background,
    remark=remark,
  )
  draft = 'RGB' if channels > 1 else 'L', size
  return reader.load(name, convert, draft=draft, verify=verify, remark=remark)


def _examine(reader, load, resident: bool, skip_broken: bool, name: str):
  """Returns the image, True if it is read later, or None if it is skipped."""
  try:
    if resident:
      return load(name)
    if skip_broken:  # only decoding detects a truncated file
      load(name)
    else:
      with reader.open(name):
        pass
    return True
  except ValueError:
    if skip_broken:
      return None
    raise


class ImageFolderSource:
  """Images decoded on access by a pool of threads.

  Attributes:
    shape: shape of one image.
    distribution: None.
    class_names: names of the classes in the order of the labels; () for none.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
    listing: digest of the names and sizes of the files.
    description: which files were taken and left out.
    fingerprint: digest that also changes when a file is modified.
  """

  distribution = None
  class_names: tuple[str, ...] = ()
  listing = ''
  description = ''

  def __init__(
    self,
    items: Sequence[Any],
    labels: np.ndarray | None,
    load: Callable[..., np.ndarray],
    shape: tuple[int, ...],
    threads: int,
    *,
    remarks: Remarks,
    fingerprint: str,
  ):
    """Stores what the images are, and starts the threads.

    Args:
      items: of each image, what `load` takes, such as its name.
      labels: classes `[n]`, or None.
      load: function (item, verify=) that decodes an image. It verifies each
        image the first time.
      shape: shape of one image.
      threads: number of threads that decode.
      remarks: where `load` adds its remarks.
      fingerprint: digest of the files.
    """
    self._remarks = remarks
    self._items, self._labels, self._load = items, labels, load
    self.shape = shape
    self.fingerprint = fingerprint
    self._verified = np.zeros(len(items), bool)
    self._pool = concurrent.futures.ThreadPoolExecutor(threads)

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class among the images; () without classes."""
    return class_lib.shares_of(self._labels, len(self.class_names))

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

  def __len__(self):
    return len(self._items)

  def __getitem__(self, indices):
    batch = {'x': np.stack(list(self._pool.map(self._read, indices)))}
    self._remarks.warn()
    if self._labels is not None:
      batch['label'] = self._labels[np.asarray(indices)]
    return batch

  def _read(self, index):
    x = self._load(self._items[index], verify=not self._verified[index])
    self._verified[index] = True
    return x


def folder(
  split: str,
  *,
  path: str = '',
  size: int = 64,
  channels: int = 3,
  test_fraction: float = 0.1,
  classes: str = 'auto',
  background: str = 'white',
  skip_broken: bool = False,
  memory_mb: int = 2048,
  threads: int = 0,
  follow_symlinks: bool = False,
) -> ArraySource | ImageFolderSource | shards.ShardSource:
  """Opens a directory, a zip, or shards, of images, square and resized.

  Images are turned upright and cropped first. Classes are those of a
  dataset.json in the format of StyleGAN, or else the first level of
  sub-directories; see file_dir.find_classes. A zip is not unpacked. Images that
  fit in `memory_mb` at their final size are decoded once, at the start.
  Otherwise they are decoded on access, and each is opened once at the start to
  check that it can be; those of shards (data.shards) are not, since they were
  decoded when the shards were prepared.

  Args:
    split: 'train' or 'test', a fixed random division.
    path: path of the directory, of the zip, or of a directory of shards.
    size: side of the images after resizing, in pixels.
    channels: 1, 3 or 4.
    test_fraction: fraction held out as 'test'.
    classes: 'auto'; 'directories' for the sub-directories whatever their names;
      'none' for no classes.
    background: color behind transparent pixels unless `channels` is 4, by its
      name or as '#rrggbb'.
    skip_broken: whether to skip files that cannot be decoded, with a warning
      that counts and names them, instead of raising an error.
    memory_mb: limit in megabytes for keeping the decoded images in memory.
    threads: number of threads that decode; 0 for one per processor.
    follow_symlinks: whether links in the directory may lead out of it.

  Returns:
    The source.

  Raises:
    FileNotFoundError: if path is neither, or has no images.
    ValueError: if the zip cannot be read, an image is broken or has more pixels
      than the limit of Pillow, a link leads out of the directory (the message names it), the
      sub-directories look like splits, or an option is out of range.
  """
  if path and shards.is_shard_dir(files.resolve_path(path, _PATH)):
    opened = _open_shards(path, classes, threads, follow_symlinks)
    streamed = _shard_source(
      opened,
      shards.Split(len(opened), split, test_fraction),
      (size, channels, background),
      threads,
      classes != 'none',
    )
    is_small = len(opened) * size * size * channels <= memory_mb * 2**20
    return _read_all(streamed) if is_small else streamed
  found = _find_images(path, classes, threads, follow_symlinks)
  labels, names = file_dir.find_classes(found, classes, hint=found.kind.hint)
  resident = len(found.names) * size * size * channels <= memory_mb * 2**20
  if len(found.names) < 2:
    raise ValueError(
      f'{files.printable(found.root)}: 1 image; a division into splits needs '
      'at least 2'
    )
  chosen = split_indices(len(found.names), split, test_fraction)
  chosen_names = [found.names[i] for i in chosen]
  remarks = Remarks(found.root)
  reader = image_reader.ImageReader(found)
  load = _make_load(reader, size, channels, background, remarks.add)
  threads = threads or os.cpu_count() or 1
  examine = functools.partial(_examine, reader, load, resident, skip_broken)
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    examined = list(map_in_parts(pool, examine, chosen_names))
  remarks.warn()
  root = files.printable(found.root)
  what = f'{split} images in {root}'
  good = file_dir.readable(what, found.root, chosen_names, examined)
  own = None if labels is None else labels[chosen][good]
  if resident:
    x = np.stack([examined[i] for i in good])
    check_pixels(x, root)
    source = ArraySource(x, own)
  else:
    kept = [chosen_names[i] for i in good]
    source = ImageFolderSource(
      kept,
      own,
      load,
      (size, size, channels),
      threads,
      remarks=remarks,
      fingerprint=file_dir.fingerprint(found, kept),
    )
  source.class_names = names
  source.listing = file_dir.file_digest(found, labels, names)
  source.description = file_dir.describe(found, labels, names)
  return source


def check_folder(
  *,
  path: str = '',
  size: int = 64,
  channels: int = 3,
  classes: str = 'auto',
  background: str = 'white',
  test_fraction: float = 0.1,
  threads: int = 0,
  follow_symlinks: bool = False,
  track: Callable[[str, int], Callable[[int], None]],
  **unused: Any,
) -> Iterator[str]:
  """Decodes all images of a directory or a zip and yields what is wrong.

  Args:
    path: as for `folder`, as the other options are.
    size: side of the images after resizing, in pixels.
    channels: 1, 3 or 4.
    classes: how classes are found.
    background: color behind transparent pixels.
    test_fraction: fraction held out as 'test'.
    threads: number of threads that decode.
    follow_symlinks: whether links may lead out of the directory.
    track: function (description, total) -> advance, where advance(n) adds n to
      what is done.
    **unused: other options of `folder`.

  Yields:
    A sentence for each image that cannot be read, which names it.

  Raises:
    FileNotFoundError: as `folder` does.
    ValueError: as `folder` does, but not for images.
  """
  if path and shards.is_shard_dir(files.resolve_path(path, _PATH)):
    opened = _open_shards(path, classes, threads, follow_symlinks)
    shards.Split(len(opened), 'train', test_fraction)
    decode, remarks = _make_decode(opened.root, size, channels, background)
    advance = track(opened.describe(), len(opened))
    yield from check_images(
      lambda index: opened.load(index, decode),
      range(len(opened)),
      files.printable(opened.root),
      advance,
      threads,
    )
    remarks.warn()
    return
  found = _find_images(path, classes, threads, follow_symlinks)
  labels, names = file_dir.find_classes(found, classes, hint=found.kind.hint)
  split_indices(len(found.names), 'train', test_fraction)
  remarks = Remarks(found.root)
  reader = image_reader.ImageReader(found)
  load = _make_load(reader, size, channels, background, remarks.add)
  what = file_dir.describe(found, labels, names)
  advance = track(what, len(found.names))
  shown = files.printable(found.root)
  yield from check_images(load, found.names, shown, advance, threads)
  remarks.warn()


def check_images(
  load: Callable[[Any], np.ndarray],
  keys: Sequence[Any],
  shown: str,
  advance: Callable[[int], None],
  threads: int,
) -> Iterator[str]:
  """Decodes images and yields what is wrong with them.

  Args:
    load: function from the key of an image to its pixels, which raises
      ValueError if it cannot be read.
    keys: the keys.
    shown: name of the set, for messages.
    advance: function that adds to the number of images done.
    threads: number of threads that decode; 0 for as many as Python takes.

  Yields:
    A sentence for each image that cannot be read, and for images that are all
    black.
  """

  def examine(key):
    try:
      return int(load(key).max()), None
    except ValueError as error:
      return 0, str(error)

  most = 0
  with concurrent.futures.ThreadPoolExecutor(threads or None) as pool:
    for largest, problem in map_in_parts(pool, examine, keys):
      advance(1)
      most = max(most, largest)
      if problem is not None:
        yield problem
  if most == 1:
    yield f'{shown}: {BLACK_IMAGES}'


_PATH = 'data.folder.path'


def _check_options(classes: str, threads: int) -> None:
  if classes not in file_dir.CLASSES:
    raise ValueError(f'classes={classes!r}: choose one of {file_dir.CLASSES}')
  if threads < 0:
    raise ValueError(f'threads={threads}: must be at least 0')


def _open_shards(
  path: str, classes: str, threads: int, follow_symlinks: bool
) -> shards.ShardDir:
  _check_options(classes, threads)
  root = files.resolve_path(path, _PATH)
  if classes == 'directories':
    raise ValueError(
      f'data.folder.classes={classes}: {files.printable(root)} has shards, '
      'whose classes were chosen when they were prepared; must be auto or none'
    )
  return shards.open_shards(root, follow_symlinks=follow_symlinks)


def _make_decode(
  root: pathlib.Path, size: int, channels: int, background: str
) -> tuple[shards.Decode, Remarks]:
  """Returns the function that decodes an image of shards, and its remarks."""
  images.check_format(size, channels)
  remarks = Remarks(root)
  convert = functools.partial(
    images.crop_and_resize,
    size=size,
    channels=channels,
    background=images.parse_color(background),
    remark=remarks.add,
  )
  draft = 'RGB' if channels > 1 else 'L', size

  def decode(content: bytes, *, verify: bool = True) -> np.ndarray:
    return image_files.decode_image(
      content, convert, draft=draft, verify=verify, remark=remarks.add
    )

  return decode, remarks


def _shard_source(
  found: shards.ShardDir,
  chosen: shards.Split,
  form: tuple[int, int, str],
  threads: int,
  use_labels: bool,
) -> shards.ShardSource:
  """Returns images of shards, decoded on access."""
  size, channels, _ = form
  decode, remarks = _make_decode(found.root, *form)
  return shards.ShardSource(
    found,
    chosen,
    decode,
    (size, size, channels),
    threads or os.cpu_count() or 1,
    use_labels=use_labels,
    warn=remarks.warn,
  )


def _read_all(streamed: shards.ShardSource) -> ArraySource:
  """Returns the images of shards in memory."""
  batch = device_feed.read_all(streamed)
  check_pixels(batch['x'], streamed.description)
  source = ArraySource(batch['x'], batch.get('label'))
  source.class_names = streamed.class_names
  source.listing = streamed.listing
  source.description = streamed.description
  return source


def _find_images(
  path: str, classes: str, threads: int, follow_symlinks: bool
) -> file_dir.FileDir:
  if not path:
    raise FileNotFoundError(
      'data.folder.path is empty: set it to your directory, or zip, of images'
    )
  _check_options(classes, threads)
  root = files.resolve_path(path, _PATH)
  return image_dir.scan_images(root, follow_symlinks=follow_symlinks)


def _make_load(
  reader: image_reader.ImageReader,
  size: int,
  channels: int,
  background: str,
  remark: Callable[[str], None],
) -> Callable[..., np.ndarray]:
  images.check_format(size, channels)
  return functools.partial(
    _load,
    reader,
    size=size,
    channels=channels,
    background=images.parse_color(background),
    remark=remark,
  )
