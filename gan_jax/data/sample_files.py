"""Reads examples from disk unchanged: a directory, a zip, an .npz or an .npy."""

import collections
import functools
import os
import pathlib
from typing import Callable, Collection, Sequence

import numpy as np
from PIL import Image

from gan_jax import pixels
from gan_jax.data import file_dir, folder, image_dir, image_reader, images
from gan_jax.data.array_source import (
  ArraySource,
  check_number_of_images,
  check_pixels,
)
from gan_jax.io import files, npz

EXAMPLES = ('x', 'samples', 'images', 'arr_0')
LABELS = ('label', 'labels', 'y', 'arr_1')
_DTYPES = (np.uint8, np.float16, np.float32, np.float64)


class SeveralSizesError(ValueError):
  """Raised for a directory of images of several sizes."""


def open_samples(
  path: str | pathlib.Path,
  *,
  value_range: tuple[float, float] = (-1.0, 1.0),
  follow_symlinks: bool = False,
  size: int = 0,
) -> ArraySource | folder.ImageFolderSource:
  """Opens examples on disk, without cropping or resizing them by default.

  Args:
    path: a directory, or a .zip, of images of one size (in one sub-directory
      per class, or with the dataset.json of StyleGAN, or not); an .npy file; or
      an
      .npz file, with the examples under 'x', 'samples', 'images' or 'arr_0' and
      optional classes under 'label', 'labels', 'y' or 'arr_1'. Arrays are
      images `[N, H, W, C]` or `[N, H, W]`, uint8 or float, or float points
      `[N, d]`.
    value_range: (lowest, highest) value of float images.
    follow_symlinks: whether links in a directory may lead out of it.
    size: side to which images in a directory or a zip are cropped and resized, as those
      of data.folder are for training; 0 leaves them as they are.

  Returns:
    The source. Float images are converted to uint8, because all images are
    evaluated as uint8.

  Raises:
    FileNotFoundError: if the path does not exist.
    SeveralSizesError: if images have several sizes, and `size` is 0.
    ValueError: if a file is broken or declares much more data than it holds, a
      link leads out of the directory, images have several sizes, arrays have
      another shape or type or look like a single image, or values are not
      finite, out of range or only 0 and 1. The message names the file.
  """
  path = files.resolve_path(path)
  name, suffix = files.printable(path), path.suffix.lower()
  if path.is_dir() or (suffix == '.zip' and path.is_file()):
    return _read_folder(path, follow_symlinks, size)
  if size:
    raise ValueError(f'size={size}: {path} is not a directory of images')
  if not path.is_file():
    raise FileNotFoundError(f'{name} is neither a directory nor a file')
  if suffix not in ('.npy', '.npz'):
    raise ValueError(
      f'{name}: must be a directory of images, a .zip of them, an .npz file or '
      'an .npy file'
    )
  read = read_arrays(path, _choose_arrays)
  x, label = (read.get(first_of(n, read)) for n in (EXAMPLES, LABELS))
  return samples_from_arrays(x, label, name, value_range=value_range)


def samples_from_arrays(
  x: np.ndarray,
  label: np.ndarray | None = None,
  name: str = 'samples',
  *,
  value_range: tuple[float, float] = (-1.0, 1.0),
) -> ArraySource:
  """Returns examples to evaluate as a source.

  Args:
    x: images `[N, H, W, C]` or `[N, H, W]`, uint8 or float, or float points
      `[N, d]`.
    label: classes `[N]`, or None.
    name: what they are, for messages.
    value_range: (lowest, highest) value of float images.

  Returns:
    The source, with images as uint8.

  Raises:
    ValueError: if arrays have another shape or type, or values are not finite
      or out of range.
  """
  x = check_examples(name, x)
  if x.ndim == 4 and x.dtype != np.uint8:
    check_range(name, x, value_range)
    x = pixels.to_uint8(x.astype(np.float32), value_range)
  return ArraySource(x, check_classes(name, x, label))


def read_arrays(
  path: pathlib.Path, choose: Callable[[list[str]], Sequence[str]]
) -> dict[str, np.ndarray]:
  """Reads arrays of an .npz file, or that of an .npy file.

  Args:
    path: path of the file.
    choose: function that takes the names of all arrays of an .npz file and
      returns those to read.

  Returns:
    Name -> array; 'x' for that of an .npy file.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if it cannot be read; the message names it.
  """
  with path.open('rb') as file:
    try:
      if path.suffix.lower() == '.npy':
        return {'x': npz.read_npy(file)}
      return npz.read_npz(file, choose)
    except Exception as error:  # zipfile, zlib and numpy raise any type
      raise ValueError(
        f'{files.printable(path)} cannot be read as an array of numbers: '
        f'{files.short_message(error)}'
      ) from error


def first_of(names: Sequence[str], found: Collection[str]) -> str:
  """Returns the first of some names that is there, '' for none."""
  return next((name for name in names if name in found), '')


def _choose_arrays(found: list[str]) -> list[str]:
  if not first_of(EXAMPLES, found):
    raise ValueError(
      f'it has the arrays {found}; examples must be in one of {EXAMPLES}'
    )
  chosen = [first_of(names, found) for names in (EXAMPLES, LABELS)]
  return [name for name in chosen if name]


def check_classes(
  name: str, x: np.ndarray, label: np.ndarray | None
) -> np.ndarray | None:
  """Checks that labels are one class for each example.

  Args:
    name: what they are, for messages.
    x: examples `[N, ...]`.
    label: labels `[N]` or `[N, 1]`, or None.

  Returns:
    The labels `[N]`, or None.

  Raises:
    ValueError: if they have another shape or type, or are out of range.
  """
  if label is None:
    return None
  label = label[:, 0] if label.shape == (len(x), 1) else label
  if label.shape != (len(x),) or label.dtype.kind not in 'iu':
    raise ValueError(
      f'{name}: classes of type {label.dtype} and shape {label.shape}; must be '
      f'integers of shape ({len(x)},)'
    )
  if label.min() < 0 or label.max() > 65_535:
    raise ValueError(
      f'{name}: classes from {label.min()} to {label.max()}; must be from 0 to '
      '65,535'
    )
  return label


def check_examples(name: str, x: np.ndarray) -> np.ndarray:
  """Checks an array of images, or of points.

  Args:
    name: what they are, for messages.
    x: images `[N, H, W, C]` or `[N, H, W]`, uint8 or float, or float points
      `[N, d]`.

  Returns:
    Images `[N, H, W, C]` of the same type, or points `[N, d]` float32.

  Raises:
    ValueError: if they have another shape or type, or are not finite.
  """
  if x.dtype not in _DTYPES or x.ndim not in (2, 3, 4) or not x.size:
    raise ValueError(
      f'{name}: an array of type {x.dtype} and shape {x.shape}; must be images '
      '[N, H, W, C] or [N, H, W], uint8 or float, or float points [N, d]'
    )
  if x.dtype != np.uint8 and not np.isfinite(x).all():
    raise ValueError(
      f'{name}: {int((~np.isfinite(x)).sum())} of the values are not finite'
    )
  if x.ndim == 2 and x.dtype == np.uint8:
    raise ValueError(
      f'{name}: uint8 of shape {x.shape} looks like one gray image [H, W]: '
      'write x[None], or, for points [N, d], x.astype(np.float32)'
    )
  if x.ndim == 2:
    return x.astype(np.float32)
  check_number_of_images(x, name)
  x = x[..., None] if x.ndim == 3 else x
  if x.shape[-1] not in (1, 3, 4):
    hint = ''
    if x.shape[1] in (1, 3, 4):
      hint = '; these look like [N, C, H, W]: transpose(0, 2, 3, 1)'
    raise ValueError(
      f'{name}: images of shape {x.shape[1:]}; must be [H, W, C] with C of 1, '
      f'3 or 4{hint}'
    )
  check_pixels(x, name)
  return x


def check_range(
  name: str,
  x: np.ndarray,
  value_range: tuple[float, float],
  option: str = '--value_range=',
) -> None:
  """Checks that float images have the range that is said.

  Args:
    name: what they are, for messages.
    x: images, float.
    value_range: (lowest, highest) value.
    option: option that sets the range, for messages.

  Raises:
    ValueError: if a value is out of range, or they look like images from 0 to 1
      and the range begins below 0.
  """
  low, high = value_range
  least, most = float(x.min()), float(x.max())
  slack = 1e-3 * (high - low)
  if not low - slack <= least <= most <= high + slack:
    raise ValueError(
      f'{name}: values from {least:.4g} to {most:.4g}; float images must be '
      f'from {low:g} to {high:g} (another range is {option}LOW,HIGH)'
    )
  if low < 0 <= least:
    raise ValueError(
      f'{name}: values from {least:.4g} to {most:.4g}, none of them negative: '
      f'float images from 0 to 1 need {option}0,1'
    )


def _read_folder(
  root: pathlib.Path, follow_symlinks: bool, size: int
) -> folder.ImageFolderSource:
  """Opens images that are decoded on access; their headers are read now."""
  found = image_dir.scan_images(root, follow_symlinks=follow_symlinks)
  labels, names = file_dir.find_classes(found)
  reader = image_reader.ImageReader(found)
  seen = collections.defaultdict(list)
  channels = 1
  for path, file in zip(found.paths, found.names):
    with reader.open(file) as image:
      seen[image.size].append(path)
      channels = max(channels, _channels(image))
  if size:
    images.check_format(size, channels)
  elif len(seen) > 1:
    commonest = sorted(seen.items(), key=lambda item: -len(item[1]))[:4]
    listed = ', '.join(
      f'{len(of_size)} of {width} x {height} '
      f'(such as {files.printable(of_size[0])})'
      for (width, height), of_size in commonest
    )
    raise SeveralSizesError(
      f'{files.printable(root)} has images of {len(seen)} sizes: {listed}; all '
      'images must have the same size, because resizing is part of the protocol'
    )
  width, height = (size, size) if size else next(iter(seen))
  shape, threads = (height, width, channels), os.cpu_count() or 1
  remarks = folder.Remarks(root)
  load = functools.partial(
    _load, reader, shape=shape, resize=bool(size), remark=remarks.add
  )
  source = folder.ImageFolderSource(
    found.names,
    labels,
    load,
    shape,
    threads,
    remarks=remarks,
    fingerprint=file_dir.fingerprint(found, found.names),
  )
  source.class_names = names
  source.description = file_dir.describe(found, labels, names)
  return source


def _channels(image: Image.Image) -> int:
  return 1 if image.mode in ('1', 'L', 'LA') or image.mode[0] == 'I' else 3


def _load(
  reader: image_reader.ImageReader,
  name: str,
  shape: tuple[int, int, int],
  *,
  resize: bool = False,
  verify: bool = True,
  remark: Callable[[str], None] = images.ignore,
) -> np.ndarray:
  def convert(image):
    if resize:
      return images.crop_and_resize(image, shape[0], shape[-1], remark=remark)
    converted = images.convert_mode(image, shape[-1], remark=remark)
    return np.asarray(converted).reshape(shape)

  return reader.load(name, convert, verify=verify, remark=remark)
