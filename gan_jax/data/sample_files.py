"""Reads examples from disk unchanged: a directory, a zip, an .npz or an .npy."""

import collections
import functools
import os
import pathlib
from typing import Callable

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

_EXAMPLES = ('x', 'samples', 'images', 'arr_0')
_LABELS = ('label', 'labels', 'y', 'arr_1')
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
      f'{name}: must be a directory or a .zip of images, an .npz file or an '
      '.npy file'
    )
  with path.open('rb') as file:
    try:
      if suffix == '.npy':
        x, label = npz.read_npy(file), None
      else:
        x, label = _members(file)
    except Exception as error:  # zipfile, zlib and numpy raise any type
      raise ValueError(
        f'{name} cannot be read as an array of numbers: '
        f'{files.short_message(error)}'
      ) from error
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
  x = _checked(name, x, value_range)
  return ArraySource(x, _classes(name, x, label))


def _members(file):
  first = lambda names, found: next((n for n in names if n in found), None)

  def choose(found):
    if first(_EXAMPLES, found) is None:
      raise ValueError(
        f'it has the arrays {found}; examples must be in one of {_EXAMPLES}'
      )
    chosen = [first(names, found) for names in (_EXAMPLES, _LABELS)]
    return [name for name in chosen if name]

  read = npz.read_npz(file, choose)
  return [read.get(first(n, read)) for n in (_EXAMPLES, _LABELS)]


def _classes(name, x, label):
  if label is None:
    return None
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


def _checked(name, x, value_range):
  """Returns images as uint8 `[N, H, W, C]`, points as float32 `[N, d]`."""
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
  if x.dtype != np.uint8:
    return _to_uint8(name, x, value_range)
  check_pixels(x, name)
  return x


def _to_uint8(name, x, value_range):
  low, high = value_range
  least, most = float(x.min()), float(x.max())
  slack = 1e-3 * (high - low)
  if not low - slack <= least <= most <= high + slack:
    raise ValueError(
      f'{name}: values from {least:.4g} to {most:.4g}; float images must be '
      f'from {low:g} to {high:g} (another range is --value_range=LOW,HIGH)'
    )
  if low < 0 <= least:
    raise ValueError(
      f'{name}: values from {least:.4g} to {most:.4g}, none of them negative: '
      'float images from 0 to 1 need --value_range=0,1'
    )
  return pixels.to_uint8(x.astype(np.float32), value_range)


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
