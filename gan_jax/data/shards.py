"""Reads shards: tar files of images and an index, for millions of images.

A directory of shards has uncompressed tar files, such as WebDataset's; beside
them index.bin, the place of every image, which is mapped and never read as a
whole; and index.json, the names of the tar files and of the classes, which is
written last. `data.shard_writer` writes them.
"""

import concurrent.futures
import dataclasses
import functools
import os
import pathlib
from typing import Any, Callable, Protocol

import numpy as np

from gan_jax import shuffle
from gan_jax.data import array_source, image_files
from gan_jax.data import classes as class_lib
from gan_jax.io import files

ABOUT, INDEX = 'index.json', 'index.bin'
FORMAT = 1
MAX_IMAGE_BYTES = 2**27  # several are in memory
# The place of an image: its tar file, its first byte there, its bytes, and its
# class, -1 for none.
PLACE = np.dtype(
  [('shard', '<u4'), ('offset', '<u8'), ('size', '<u4'), ('label', '<i4')]
)
_AT_A_TIME = 2**18  # places


@dataclasses.dataclass(frozen=True)
class ShardDir:
  """The images of a directory of shards.

  Attributes:
    root: path of the directory.
    places: place of each image, `[N]` PLACE, mapped from the file.
    shards: names of the tar files.
    class_names: names of the classes; () for none.
    has_labels: whether images have classes.
    digest: digest of the index.
  """

  root: pathlib.Path
  places: np.ndarray
  shards: tuple[str, ...]
  class_names: tuple[str, ...]
  has_labels: bool
  digest: str

  def __len__(self) -> int:
    return len(self.places)

  def read(self, place: Any) -> bytes:
    """Reads the file of an image.

    Args:
      place: one of `places`.

    Raises:
      OSError: if it cannot be read.
      ValueError: if the tar file ends before it, or it is too large.
    """
    size = int(place['size'])
    if size > MAX_IMAGE_BYTES:
      raise ValueError(f'it has {size:,} bytes, more than {MAX_IMAGE_BYTES:,}')
    path = self.root / self.shards[place['shard']]
    with open(path, 'rb', buffering=0) as file:
      file.seek(int(place['offset']))
      content = file.read(size)
    if len(content) != size:
      raise ValueError(f'the tar file has {len(content):,} of {size:,} bytes')
    return content

  def load(
    self, index: int, decode: 'Decode', *, verify: bool = True
  ) -> np.ndarray:
    """Reads and decodes an image.

    Args:
      index: index in [0, N).
      decode: function (content, verify=) that decodes it.
      verify: passed to `decode`.

    Raises:
      ValueError: if it is broken. The message names it.
    """
    place = self.places[index]
    number, offset = int(place['shard']), int(place['offset'])
    known = self.shards[number : number + 1] or (f'shard {number:,}',)
    where = f'{self.root / known[0]} at byte {offset:,}, image {index:,}'
    with image_files.naming_errors(where):
      return decode(self.read(place), verify=verify)

  def describe(self) -> str:
    """Returns how many images in how many tar files there are."""
    if not self.has_labels:
      kinds = 'no labels'
    elif self.class_names:
      shown = ', '.join(map(files.printable, self.class_names[:5]))
      more = ', ...' * (len(self.class_names) > 5)
      kinds = f'{len(self.class_names):,} classes: {shown}{more}'
    else:
      kinds = f'labels from {INDEX}'
    return (
      f'{len(self):,} in {len(self.shards):,} tar files in '
      f'{files.printable(self.root)}; {kinds}'
    )


def is_shard_dir(root: pathlib.Path) -> bool:
  """Returns whether a directory has shards with an index."""
  return (root / INDEX).is_file() and (root / ABOUT).is_file()


def open_shards(
  root: pathlib.Path, *, follow_symlinks: bool = False
) -> ShardDir:
  """Opens a directory of shards; reads no image.

  Args:
    root: path of the directory.
    follow_symlinks: whether links may lead out of it.

  Raises:
    FileNotFoundError: if a tar file is missing.
    ValueError: if the index is of another version, does not fit the tar files,
      or a link leads out of the directory. The message names the file.
  """
  path = root / ABOUT
  about = files.read_json(path)
  if about.get('format') != FORMAT:
    raise ValueError(
      f'{files.printable(path)}: format={about.get("format")!r}; must be '
      f'{FORMAT}: prepare the shards again, with --overwrite'
    )
  try:
    sizes = {str(name): int(size) for name, size in about['shards']}
    names = tuple(map(str, about['class_names']))
    count, digest = int(about['images']), str(about['digest'])
    has_labels = bool(about['has_labels'])
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'{files.printable(path)} is no index of shards: '
      f'{files.short_message(error)}'
    ) from error
  for name, size in sizes.items():
    _check_shard(root, name, size, follow_symlinks)
  found = (root / INDEX).stat().st_size
  if found != count * PLACE.itemsize or not 0 < count < 2**31:
    raise ValueError(
      f'{files.printable(root / INDEX)} has {found:,} bytes; must have '
      f'{PLACE.itemsize} for each of {count:,} images'
    )
  places = np.memmap(root / INDEX, PLACE, 'r')
  return ShardDir(root, places, tuple(sizes), names, has_labels, digest)


def _check_shard(
  root: pathlib.Path, name: str, size: int, follow_symlinks: bool
) -> None:
  """Refuses a tar file that is missing, changed or elsewhere."""
  path, shown = root / name, files.printable(root / name)
  if name != os.path.basename(name) or name in ('', '.', '..'):
    raise ValueError(f'{shown}: a shard must lie in the directory itself')
  if not path.is_file():
    raise FileNotFoundError(f'the shard {shown} is missing')
  real = pathlib.Path(os.path.realpath(path))
  if not follow_symlinks and not real.is_relative_to(os.path.realpath(root)):
    raise ValueError(
      f'{shown} is a link to {files.printable(real)}, outside of '
      f'{files.printable(root)}; to allow it, set follow_symlinks'
    )
  if path.stat().st_size != size:
    raise ValueError(
      f'{shown} has {path.stat().st_size:,} bytes, and had {size:,} when it '
      'was indexed: prepare the shards again, with --overwrite'
    )


class Split:
  """The images of a split of a fixed random division, without a list of them.

  Both splits have the images that array_source.split_indices gives them, in a
  random order that is computed as needed.
  """

  def __init__(self, size: int, split: str, fraction: float):
    """Divides.

    Args:
      size: total number of images.
      split: 'train' or 'test'.
      fraction: fraction held out as 'test', in (0, 1); at least one image.

    Raises:
      ValueError: if the fraction is out of range, or there are too few images
        to divide.
    """
    held_out = array_source.held_out_count(size, fraction)
    self._size, self._fraction = size, fraction
    self._other = 'train' if split == 'test' else 'test'
    self._start = 0 if split == 'test' else held_out
    self._stop = held_out if split == 'test' else size

  def other(self) -> 'Split':
    """Returns the other split."""
    return Split(self._size, self._other, self._fraction)

  def __len__(self) -> int:
    return self._stop - self._start

  def __getitem__(self, positions: np.ndarray) -> np.ndarray:
    """Returns the indices `[n]` of the images at positions `[n]`."""
    positions = np.asarray(positions, np.int64)
    if positions.size and not (
      0 <= positions.min() and positions.max() < len(self)
    ):
      raise IndexError(
        f'positions from {positions.min()} to {positions.max()}; must be from '
        f'0 to {len(self) - 1}'
      )
    return shuffle.permuted_index(0, 0, self._start + positions, self._size)


def _parts(x: np.ndarray) -> list[np.ndarray]:
  """Cuts an array into views of a limited size."""
  return [x[i : i + _AT_A_TIME] for i in range(0, len(x), _AT_A_TIME)]


class Decode(Protocol):
  """Function that decodes the content of an image's file."""

  def __call__(self, content: bytes, *, verify: bool) -> np.ndarray: ...


class ShardSource:
  """Images of shards, read and decoded on access by a pool of threads.

  Attributes:
    shape: shape of one image.
    distribution: None.
    class_names: names of the classes in the order of the labels; () for none.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
    listing: digest of the index.
    description: how many images in which shards.
    fingerprint: the same digest.
  """

  distribution = None

  def __init__(
    self,
    found: ShardDir,
    chosen: Split,
    decode: Decode,
    shape: tuple[int, ...],
    threads: int,
    *,
    use_labels: bool = True,
    warn: Callable[[], None] = lambda: None,
  ):
    """Starts the threads.

    Args:
      found: the shards.
      chosen: split of their images.
      decode: function (content, verify=) that decodes an image. It verifies
        each the first time.
      shape: shape of one image.
      threads: number of threads that decode.
      use_labels: whether the source has the classes of the shards.
      warn: called after each batch, for remarks of `decode`.
    """
    self._found, self._chosen, self._decode = found, chosen, decode
    self._warn = warn
    self.shape = shape
    self._has_labels = use_labels and found.has_labels
    self.class_names = found.class_names if self._has_labels else ()
    self.listing = self.fingerprint = found.digest
    self.description = found.describe()
    self._verified = np.zeros(len(chosen), bool)
    self._pool = concurrent.futures.ThreadPoolExecutor(threads)

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class among the images; () without classes."""
    if not self._has_labels:
      return ()
    counts = np.zeros(class_lib.MAX_CLASS + 1, np.int64)
    # Those of all images but the other split's, which are read in their order.
    for places in _parts(self._found.places):
      counts += self._count(places)
    other = self._chosen.other()
    for positions in _parts(np.arange(len(other))):
      counts -= self._count(self._found.places[other[positions]])
    number = len(self.class_names) or int(np.flatnonzero(counts)[-1]) + 1
    return tuple((counts[:number] / len(self)).tolist())

  def _count(self, places: np.ndarray) -> np.ndarray:
    """Counts the classes of images, and checks them."""
    labels = np.ascontiguousarray(places['label'])
    class_lib.shares_of(labels, len(self.class_names))
    return np.bincount(labels, minlength=class_lib.MAX_CLASS + 1)

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

  def __len__(self) -> int:
    return len(self._chosen)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    positions = np.asarray(indices)
    chosen = self._chosen[positions]
    batch = {'x': np.stack(list(self._pool.map(self._load, positions, chosen)))}
    self._warn()
    if self._has_labels:
      batch['label'] = self._found.places['label'][chosen]
    return batch

  def _load(self, position: int, index: int) -> np.ndarray:
    verify = not self._verified[position]
    x = self._found.load(index, self._decode, verify=verify)
    self._verified[position] = True
    return x
