"""Your own pictures: a directory of png, jpg, webp or bmp files."""

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
_MAX_BYTES = 2**30  # of a file


@contextlib.contextmanager
def open_image(
  path: pathlib.Path, *, verify: bool = False
) -> Iterator[Image.Image]:
  """A picture, none of whose pixels is decoded yet.

  Args:
    path: of a file in one of the four formats, whatever its suffix.
    verify: whether to compare the checksums of a PNG; the other formats have
      none.

  Raises:
    ValueError: naming the file, for whatever goes wrong while it is open; and
      where it has more pixels than PIL.Image.MAX_IMAGE_PIXELS, more than 1 GiB
      or is no regular file.
  """
  try:
    about = path.stat()  # to open a pipe would wait for ever
    if not stat.S_ISREG(about.st_mode):
      raise ValueError('it is not a regular file')
    if about.st_size > _MAX_BYTES:
      raise ValueError(f'it has {about.st_size:,} bytes')
    if verify:
      with Image.open(path, formats=_FORMATS) as image:
        _check_pixels(image)
        image.verify()  # and is of no use afterwards
    with Image.open(path, formats=_FORMATS) as image:
      _check_pixels(image)
      yield image
  except (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
  ) as error:
    raise ValueError(f'picture {path} is too large: {error}') from error
  except Image.UnidentifiedImageError as error:
    raise ValueError(
      f'broken picture {path}: it is none of {", ".join(_FORMATS)}'
    ) from error
  except Exception as error:  # decoders and EXIF readers raise of any kind
    raise ValueError(
      f'broken picture {path}: {files.short_message(error)}'
    ) from error


def _check_pixels(image: Image.Image) -> None:
  """Pillow warns of what it takes for a bomb; here it is an error."""
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
  """The picture, True for one to be read later, None for one left out."""
  try:
    if resident:
      return load(path)
    if skip_broken:  # a truncated file shows itself only when decoded
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
  """Pictures decoded as they are asked for, by a pool of threads.

  Attributes:
    shape: of one picture.
    truth: None.
    class_names: of the labels, where there are any.
    listing: stands for the files, by name and size.
    fingerprint: changes when a file does.
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
    """Takes their paths, `[n]` classes or None, and what decodes one."""
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
  """Paths of the pictures in a directory and below, in order of name.

  Of what has the suffix of a picture, all but directories is listed, also
  what can then not be opened. A directory is looked through once: a link to
  one that was is left out.

  Args:
    root: the directory.
    follow_symlinks: whether links may lead out of it.

  Raises:
    FileNotFoundError: where it is no directory, or has none.
    ValueError: naming a link that leads out of it.
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
          f'{path} is a link to {os.path.realpath(path)}, out of {root}; to '
          'read what is there, set follow_symlinks (train.py: '
          '--config.data.follow_symlinks, evaluate.py: --follow_symlinks)'
        )
      if not is_directory:
        paths.append(path)
      elif not (is_link and inside) and os.path.realpath(path) not in seen:
        seen.add(os.path.realpath(path))
        waiting.append(path)
  if not paths:
    raise FileNotFoundError(
      f'no pictures in {root} or below; looked for {", ".join(SUFFIXES)}'
    )
  return sorted(paths)


def _within(path: pathlib.Path, real: str) -> bool:
  """Whether what a link leads to is in a directory, of which no part is one."""
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
  """Pictures in a directory, turned upright, cropped square and resized.

  Where every picture is in a sub-directory, the names of the first level are
  the classes, in alphabetical order. Pictures that fit in `memory_mb` at
  their final size are decoded once, at the start; more are decoded as needed,
  and each is then opened once at the start to see that it can be.

  Args:
    split: 'train' or 'test', a fixed random division.
    path: the directory.
    size: side of the result, in pixels.
    channels: 1, 3 or 4.
    test_fraction: share held out as 'test'.
    skip_broken: whether to leave out files that cannot be decoded, with a
      warning that counts and names them, rather than stop.
    memory_mb: megabytes that decoded pictures may take.
    threads: that decode; 0 for one per processor.
    follow_symlinks: whether links in the directory may lead out of it.

  Returns:
    The source.

  Raises:
    FileNotFoundError: where path is no directory, or has no pictures.
    ValueError: for a broken picture or one with more pixels than Pillow's
      limit, a link that leads out of the directory (named), or a bad size or
      channel count.
  """
  images.check_format(size, channels)
  if not path:
    raise FileNotFoundError(
      'data.path is empty: name your directory of pictures '
      '(--config.data.path=DIR)'
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
  good = _readable(f'{split} pictures in {root}', paths, examined)
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
  """Stands for the names and sizes of files, wherever the directory is."""
  facts = [(p.relative_to(root).as_posix(), _size(p)) for p in paths]
  return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _size(path: pathlib.Path) -> int:
  try:
    return path.stat().st_size
  except OSError:  # one that is left out as broken
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
  """Names of the first sub-directories of pictures, in order.

  Empty where some picture lies in the directory itself.
  """
  parts = [p.relative_to(root).parts for p in paths]
  if any(len(part) == 1 for part in parts):
    return ()
  return tuple(sorted({part[0] for part in parts}))


def class_labels(
  root: pathlib.Path, paths: list[pathlib.Path]
) -> np.ndarray | None:
  """Classes `[n]` int32 of pictures: the place of their class's name.

  None where some picture lies in the directory itself.
  """
  names = class_names(root, paths)
  if not names:
    return None
  first = [p.relative_to(root).parts[0] for p in paths]
  return np.array([names.index(name) for name in first], np.int32)
