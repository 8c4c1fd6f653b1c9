"""Finds the images of a directory, or of a zip."""

import pathlib

from gan_jax.data import file_dir

IMAGES = file_dir.FileKind(
  plural='images',
  suffixes=(
    '.png',
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.webp',
    '.bmp',
    '.gif',
    '.tif',
    '.tiff',
    '.apng',
  ),
  # Their decoders are not safe, or missing.
  others=frozenset(
    '.arw .avif .cr2 .dds .dng .eps .exr .hdr .heic .heif .ico .j2k .jp2 .jxl '
    '.nef .pbm .pcx .pgm .pnm .ppm .psd .raw .svg .svgz .tga'.split()
  ),
  links=(
    'set follow_symlinks (train.py: --config.data.folder.follow_symlinks, '
    'evaluate.py: --follow_symlinks)'
  ),
  option='data.folder.classes',
)


def scan_images(
  root: pathlib.Path, *, follow_symlinks: bool = False
) -> file_dir.FileDir:
  """Finds the images in a directory and below, or in a zip.

  See file_dir.scan_directory and file_dir.scan_zip.

  Args:
    root: path of the directory, or of the zip.
    follow_symlinks: whether links may lead out of the directory.

  Raises:
    FileNotFoundError: if root is neither, or has no images.
    ValueError: if a link leads out of it (the message names the link), or the
      zip cannot be read.
  """
  if root.is_file():
    return file_dir.scan_zip(root, IMAGES)
  return file_dir.scan_directory(root, IMAGES, follow_symlinks=follow_symlinks)
