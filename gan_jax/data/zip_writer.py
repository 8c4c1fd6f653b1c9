"""Writes images and their classes to a zip in the layout of StyleGAN.

Images are 00000/img00000000.png, ..., a thousand to a directory, stored as they
are; dataset.json has {'labels': [[name, class], ...]}, or null without classes.
"""

import contextlib
import io
import json
import os
import pathlib
import zipfile
from typing import Sequence

import numpy as np
from PIL import Image

from gan_jax.io import files

LABELS_FILE = 'dataset.json'
MAX_IMAGES = 5_000_000  # of more, the classes are too large to be read again


def check_count(path: pathlib.Path, count: int) -> None:
  """Refuses more images than a zip can have.

  Args:
    path: path of the zip.
    count: number of images.

  Raises:
    ValueError: if they are too many.
  """
  if count > MAX_IMAGES:
    raise ValueError(
      f'{files.printable(path)}: {count:,} images; a zip must have at most '
      f'{MAX_IMAGES:,}: name a directory, for shards'
    )


class ImageZipWriter:
  """A zip that is there as a whole, or not at all. A context manager.

  Attributes:
    count: number of images so far.
  """

  def __init__(self, path: pathlib.Path, *, overwrite: bool = False):
    """Checks the target, and begins a temporary file beside it.

    Args:
      path: path of the zip.
      overwrite: whether a file that exists is replaced, at the end.

    Raises:
      FileExistsError: if it exists, and is not to be replaced.
      OSError: if it cannot be written.
    """
    if path.exists() and not overwrite:
      raise FileExistsError(f'{files.printable(path)} exists already')
    files.check_directory(path.parent)
    self.count = 0
    self._path, self._beside = path, path.with_name(f'{path.name}.tmp')
    self._names: list[str] = []
    self._archive: zipfile.ZipFile | None = None

  def __enter__(self) -> 'ImageZipWriter':
    with files.add_path_to_errors(self._path):
      self._path.parent.mkdir(parents=True, exist_ok=True)
      self._archive = zipfile.ZipFile(self._beside, 'w', zipfile.ZIP_STORED)
    return self

  def __exit__(self, kind, *unused) -> None:
    """Removes the temporary file, unless `finish` has been called."""
    if self._archive is not None:
      with contextlib.suppress(OSError, ValueError):  # a full disk, again
        self._archive.close()
      self._archive = None
      self._beside.unlink(missing_ok=True)

  def add(self, content: bytes, suffix: str = '.png') -> None:
    """Adds an image.

    Args:
      content: content of its file.
      suffix: suffix of its name.

    Raises:
      OSError: if it cannot be written, such as on a full disk.
      ValueError: if there are too many.
    """
    check_count(self._path, self.count + 1)
    name = f'{self.count // 1000:05d}/img{self.count:08d}{suffix}'
    with files.add_path_to_errors(self._path):
      self._archive.writestr(name, content)
    self._names.append(name)
    self.count += 1

  def finish(
    self,
    labels: Sequence[int] | None = None,
    class_names: Sequence[str] = (),
  ) -> None:
    """Writes the classes, and puts the zip in its place.

    Args:
      labels: the class of each image; None for no classes.
      class_names: names of the classes, which other programs ignore.

    Raises:
      OSError: if it cannot be written.
    """
    listed = None
    if labels is not None:
      pairs = zip(self._names, labels, strict=True)
      listed = [[name, int(label)] for name, label in pairs]
    content: dict[str, object] = {'labels': listed}
    if class_names:
      content['class_names'] = list(class_names)
    with files.add_path_to_errors(self._path):
      self._archive.writestr(LABELS_FILE, json.dumps(content))
      self._archive.close()
      os.replace(self._beside, self._path)
    self._archive = None


def encode_png(x: np.ndarray) -> bytes:
  """Returns an image as the content of a PNG.

  Args:
    x: `[H, W, C]` uint8 with C in 1, 3, 4.

  Returns:
    The content, not compressed, which is read twice as fast.
  """
  stream = io.BytesIO()
  image = Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)
  image.save(stream, 'PNG', compress_level=0)
  return stream.getvalue()
