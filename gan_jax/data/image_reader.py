"""Reads the images of a directory, or of a zip, by their names."""

import contextlib
from typing import Callable, Iterator

import numpy as np
from PIL import Image

from gan_jax.data import file_dir, image_files, images, zip_members


class ImageReader:
  """Reads images that file_dir found, from several threads."""

  def __init__(self, found: file_dir.FileDir):
    """Opens the zip, if it is one.

    Args:
      found: the images of a directory or a zip.
    """
    self._found = found
    self._zip = zip_members.ZipReader(found.root) if found.entries else None

  @contextlib.contextmanager
  def open(self, name: str) -> Iterator[Image.Image]:
    """Opens an image without decoding its pixels.

    Args:
      name: one of the names that were found.

    Yields:
      The image.

    Raises:
      ValueError: as image_files.open_image.
    """
    path = self._found.root / name
    if self._zip is None:
      with image_files.open_image(path) as image:
        yield image
      return
    with image_files.naming_errors(path):
      with image_files.open_content(self._content(name)) as image:
        yield image

  def load(
    self,
    name: str,
    convert: Callable[[Image.Image], np.ndarray],
    *,
    draft: tuple[str, int] | None = None,
    verify: bool = True,
    remark: Callable[[str], None] = images.ignore,
  ) -> np.ndarray:
    """Decodes an image, see image_files.load_image.

    Args:
      name: one of the names that were found.
      convert: function that makes an array of the decoded image.
      draft: mode and least side in pixels.
      verify: whether to check that the pixel data are whole.
      remark: called with a sentence about the file.

    Returns:
      What `convert` returns.

    Raises:
      ValueError: as image_files.load_image.
    """
    path = self._found.root / name
    options = dict(draft=draft, verify=verify, remark=remark)
    if self._zip is None:
      return image_files.load_image(path, convert, **options)
    with image_files.naming_errors(path):
      return image_files.decode_image(self._content(name), convert, **options)

  def content(self, name: str) -> bytes:
    """Reads the file of an image as it is.

    Args:
      name: one of the names that were found.

    Raises:
      ValueError: if it cannot be read. The message names the file.
    """
    path = self._found.root / name
    with image_files.naming_errors(path):
      if self._zip is None:
        return image_files.read_regular(path)
      return self._content(name)

  def _content(self, name: str) -> bytes:
    return self._zip.read(self._found.entries[name])
