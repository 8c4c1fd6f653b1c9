"""Images of your own: a directory of png, jpg, webp or bmp files."""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import pathlib
import stat
import warnings
from typing import Callable, Iterator

import numpy as np
from PIL import Image

from gan_jax.data import images
from gan_jax.data.array_source import ArraySource, split_indices
from gan_jax.io import files

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.bmp')
_FORMATS = ('PNG', 'JPEG', 'WEBP', 'BMP')
_MAX_BYTES = 2**30  # per file


@contextlib.contextmanager
def open_image(
  path: pathlib.Path, *, verify: bool = False
) -> Iterator[Image.Image]:
  """Opens an image without decoding its pixels.

  Args:
    path: path of a file in one of the four formats, with any suffix.
    verify: whether to verify the checksums of a PNG; the other formats have
      none.

  Yields:
    The image.

  Raises:
    ValueError: if anything fails while the image is open, or if it has more
      pixels than PIL.Image.MAX_IMAGE_PIXELS, more than 1 GiB or is not a
      regular file. The message names the file.
  """
  try:
    about = path.stat()  # opening a pipe would block forever
    if not stat.S_ISREG(about.st_mode):
      raise ValueError('it is not a regular file')
    if about.st_size > _MAX_BYTES:
      raise ValueError(f'it has {about.st_size:,} bytes')
    if verify:
      with Image.open(path, formats=_FORMATS) as image:
        _check_pixels(image)
        image.verify()  # the image is unusable afterwards
    with Image.open(path, formats=_FORMATS) as image:
      _check_pixels(image)
      yield image
  except (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
  ) as error:
    raise ValueError(f'image {path} is too large: {error}') from error
  except Image.UnidentifiedImageError as error:
    raise ValueError(
      f'broken image {path}: its format is none of {", ".join(_FORMATS)}'
    ) from error
  except Exception as error:  # decoders and EXIF readers raise any type
    raise ValueError(
      f'broken image {path}: {files.short_message(error)}'
    ) from error


def _check_pixels(image: Image.Image) -> None:
  """Raises an error for decompression bombs, for which Pillow only warns."""
  most = Image.MAX_IMAGE_PIXELS
  if most is not None and image.width * image.height > most:
    raise Image.DecompressionBombError(
      f'{image.width} x {image.height} pixels, more than '
      f'PIL.Image.MAX_IMAGE_PIXELS, {most}'
    )


def _load(path: pathlib.Path, size: int, channels: int) -> np.ndarray:
  with open_image(path, verify=True) as image:
    # JPEG decodes straight to a smaller size, several times faster.
    image.draft('RGB' if channels > 1 else 'L', (size, size))
    return images.crop_and_resize(image, size, channels)


def _examine(load, resident: bool, skip_broken: bool, path: pathlib.Path):
  """Returns the image, True if it is read later, or None if it is skipped."""
  try:
    if resident:
      return load(path)
    if skip_broken:  # only decoding detects a truncated file
      load(path)
    else:
      with open_image(path):
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
    listing: digest of the names and sizes of the files.
    fingerprint: digest that also changes when a file is modified.
  """

  distribution = None
  class_names: tuple[str, ...] = ()
  listing = ''

  def __init__(
    self,
    paths: list[pathlib.Path],
    labels: np.ndarray | None,
    load: Callable[[pathlib.Path], np.ndarray],
    shape: tuple[int, ...],
    threads: int,
  ):
    """Stores the paths and starts the threads.

    Args:
      paths: paths of the images.
      labels: classes `[n]`, or None.
      load: function that decodes the image at a path.
      shape: shape of one image.
      threads: number of threads that decode.
    """
    self._paths, self._labels, self._load = paths, labels, load
    self.shape = shape
    facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
    self.fingerprint = hashlib.sha256(repr(facts).encode()).hexdigest()
    self._pool = concurrent.futures.ThreadPoolExecutor(threads)

  def __len__(self):
    return len(self._paths)

  def __getitem__(self, indices):
    paths = [self._paths[i] for i in indices]
    batch = {'x': np.stack(list(self._pool.map(self._load, paths)))}
    if self._labels is not None:
      batch['label'] = self._labels[np.asarray(indices)]
    return batch


def list_images(
  root: pathlib.Path, *, follow_symlinks: bool = False
) -> list[pathlib.Path]:
  """Returns the paths of the images in a directory and below, sorted.

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
    raise FileNotFoundError(f'{str(root)!r} is not a directory')
  real = os.path.realpath(root)
  paths, seen, waiting = [], {real}, [root]
  while waiting:
    with os.scandir(waiting.pop()) as entries:
      listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
      path = pathlib.Path(entry.path)
      is_link = entry.is_symlink()
      is_directory = path.is_dir() if is_link else entry.is_dir()
      is_picture = path.suffix.lower() in SUFFIXES
      if entry.name[0] == '.' or not (is_directory or is_picture):
        continue
      inside = not is_link or _within(path, real)
      if not inside and not follow_symlinks:
        raise ValueError(
          f'{path} is a link to {os.path.realpath(path)}, outside of {root}; '
          'to allow it, set follow_symlinks (train.py: '
          '--config.data.folder.follow_symlinks, evaluate.py: '
          '--follow_symlinks)'
        )
      if not is_directory:
        paths.append(path)
      elif not (is_link and inside) and os.path.realpath(path) not in seen:
        seen.add(os.path.realpath(path))
        waiting.append(path)
  if not paths:
    raise FileNotFoundError(
      f'no images in {root} or below; looked for {", ".join(SUFFIXES)}'
    )
  return sorted(paths)


def _within(path: pathlib.Path, real: str) -> bool:
  """Returns whether a path leads into a directory given by its real path."""
  return pathlib.Path(os.path.realpath(path)).is_relative_to(real)


def folder(
  split: str,
  *,
  path: str = '',
  size: int = 64,
  channels: int = 3,
  test_fraction: float = 0.1,
  skip_broken: bool = False,
  memory_mb: int = 2048,
  threads: int = 0,
  follow_symlinks: bool = False,
) -> ArraySource | ImageFolderSource:
  """Opens a directory of images, turned upright, cropped square and resized.

  If every image is in a sub-directory, the names of the first level of
  sub-directories are the classes, in alphabetical order. Images that fit in
  `memory_mb` at their final size are decoded once, at the start. Otherwise they
  are decoded on access, and each is opened once at the start to check that it
  can be.

  Args:
    split: 'train' or 'test', a fixed random division.
    path: path of the directory.
    size: side of the images after resizing, in pixels.
    channels: 1, 3 or 4.
    test_fraction: fraction held out as 'test'.
    skip_broken: whether to skip files that cannot be decoded, with a warning
      that counts and names them, instead of raising an error.
    memory_mb: limit in megabytes for keeping the decoded images in memory.
    threads: number of threads that decode; 0 for one per processor.
    follow_symlinks: whether links in the directory may lead out of it.

  Returns:
    The source.

  Raises:
    FileNotFoundError: if path is not a directory, or has no images.
    ValueError: if an image is broken or has more pixels than the limit of
      Pillow, a link leads out of the directory (the message names it), or the
      size or the number of channels is out of range.
  """
  images.check_format(size, channels)
  if not path:
    raise FileNotFoundError(
      'data.folder.path is empty: set it to your directory of images'
    )
  if threads < 0:
    raise ValueError(f'threads={threads}: must be at least 0')
  root = pathlib.Path(path).expanduser()
  found = list_images(root, follow_symlinks=follow_symlinks)
  resident = len(found) * size * size * channels <= memory_mb * 2**20
  chosen = split_indices(len(found), split, test_fraction)
  paths, labels = [found[i] for i in chosen], class_labels(root, found)
  threads = threads or os.cpu_count() or 1
  load = functools.partial(_load, size=size, channels=channels)
  examine = functools.partial(_examine, load, resident, skip_broken)
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    examined = list(pool.map(examine, paths))
  good = _readable(f'{split} images in {root}', paths, examined)
  labels = None if labels is None else labels[chosen][good]
  if resident:
    source = ArraySource(np.stack([examined[i] for i in good]), labels)
  else:
    kept = [paths[i] for i in good]
    source = ImageFolderSource(
      kept, labels, load, (size, size, channels), threads
    )
  source.class_names = class_names(root, found)
  source.listing = _file_digest(root, found)
  return source


def _file_digest(root: pathlib.Path, paths: list[pathlib.Path]) -> str:
  """Returns a digest of the relative paths and sizes of files."""
  facts = [(p.relative_to(root).as_posix(), _size(p)) for p in paths]
  return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _size(path: pathlib.Path) -> int:
  try:
    return path.stat().st_size
  except OSError:  # a file that is skipped as broken
    return -1


def _readable(what: str, paths, examined) -> list[int]:
  good = [i for i, result in enumerate(examined) if result is not None]
  bad = [p for p, result in zip(paths, examined) if result is None]
  if not good:
    raise ValueError(f'none of the {len(paths)} {what} is readable')
  if bad:
    names = ', '.join(map(str, bad[:5])) + (', ...' if bad[5:] else '')
    warnings.warn(
      f'skipped {len(bad)} of the {len(paths)} {what}: {names}', stacklevel=3
    )
  return good


def class_names(
  root: pathlib.Path, paths: list[pathlib.Path]
) -> tuple[str, ...]:
  """Returns the sorted names of the first-level sub-directories of images.

  Returns () if some image is in the root directory itself.
  """
  parts = [p.relative_to(root).parts for p in paths]
  if any(len(part) == 1 for part in parts):
    return ()
  return tuple(sorted({part[0] for part in parts}))


def class_labels(
  root: pathlib.Path, paths: list[pathlib.Path]
) -> np.ndarray | None:
  """Returns the classes of images, `[n]` int32 indices into class_names.

  Returns None if some image is in the root directory itself.
  """
  names = class_names(root, paths)
  if not names:
    return None
  first = [p.relative_to(root).parts[0] for p in paths]
  return np.array([names.index(name) for name in first], np.int32)
