"""Prepares a dataset, once: a TFDS dataset, or images as a zip or shards.

  python -m gan_jax.data.prepare mnist
  python -m gan_jax.data.prepare cifar10 --data_dir=DIR
  python -m gan_jax.data.prepare PHOTOGRAPHS --to=photos.zip --size=64
  python -m gan_jax.data.prepare shard-*.tar --to=shards.zip
  python -m gan_jax.data.prepare PHOTOGRAPHS --to=DIR
  python -m gan_jax.data.prepare DIR/*.tar --to=DIR

A TFDS dataset is downloaded and written so that it can be read without
TensorFlow. Those in TENSORFLOW_FREE are prepared without it, too; the others
need it for this step only.

With --to, images are imported into a zip in the layout of StyleGAN: a directory
or a zip of images, or tar files, such as WebDataset's shards. A target that is
no zip is a directory of shards, tar files with an index, for more than about a
million images; in the directory of the tar files themselves only the index is
written. No file of the source changes.
"""

import argparse
import contextlib
import functools
import gzip
import importlib.util
import logging
import pathlib
import sys
import tarfile
import time
from typing import Any, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from gan_jax.data import import_images, tfds
from gan_jax.io import files, terminal

_REMEDY = 'pip install tensorflow-cpu, then run the same command again'
_UNSIGNED_BYTE = 8  # type code in the header of an IDX file

# (key, example) with the same keys as in the code of TFDS, which shuffles by
# key: the examples prepared here have the same order as its own.
_Examples = Iterator[tuple[int, dict[str, Any]]]


def read_idx(path: pathlib.Path) -> np.ndarray:
  """Reads a gzipped IDX file of bytes, the format of MNIST.

  Args:
    path: path of the file.

  Returns:
    uint8 array, of the shape in the header of the file.

  Raises:
    ValueError: if the format is another, or the size is not that of the header.
  """
  content = gzip.decompress(path.read_bytes())
  if content[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
    raise ValueError(
      f'{path.name} begins with the bytes {content[:3].hex()}; an IDX file of '
      f'unsigned bytes must begin with 0000{_UNSIGNED_BYTE:02x}'
    )
  rank = content[3]
  shape = np.frombuffer(content, '>u4', rank, offset=4)
  return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _mnist_examples(images: pathlib.Path, labels: pathlib.Path) -> _Examples:
  for index, (x, label) in enumerate(
    zip(read_idx(images), read_idx(labels), strict=True)
  ):
    yield index, {'image': Image.fromarray(x), 'label': int(label)}


def _mnist_splits(builder, downloads) -> dict[str, _Examples]:
  files = {
    split: {
      'images': f'{builder.URL}{prefix}-images-idx3-ubyte.gz',
      'labels': f'{builder.URL}{prefix}-labels-idx1-ubyte.gz',
    }
    for split, prefix in (('train', 'train'), ('test', 't10k'))
  }
  paths = downloads.download(files)
  return {split: _mnist_examples(**paths[split]) for split in files}


def _cifar_examples(
  split: str, labels: Sequence[str], content: bytes
) -> _Examples:
  """Yields the examples of a binary file of CIFAR.

  A record has one byte per label, then the image, `[3, 32, 32]`.
  """
  count = len(labels)
  records = np.frombuffer(content, np.uint8).reshape(-1, count + 3 * 32 * 32)
  for index, record in enumerate(records):
    x = record[count:].reshape(3, 32, 32).transpose(1, 2, 0)
    example = dict(zip(labels, record[:count].tolist()))
    example |= {'id': f'{split}_{index:05d}', 'image': Image.fromarray(x)}
    yield index, example


def _cifar_splits(
  builder,
  downloads,
  *,
  archive: str,
  folder: str,
  files: Mapping[str, Sequence[str]],
  names: Mapping[str, str],
) -> dict[str, _Examples]:
  """Downloads a variant of CIFAR.

  Args:
    builder: TFDS builder, in which the names of the classes are set.
    downloads: download manager of TFDS.
    archive: name of the file to download.
    folder: directory of the files in the archive.
    files: split -> its binary files, which are concatenated.
    names: label -> the text file with the names of its classes, in the order of
      the labels in a record.
  """
  path = downloads.download(f'https://www.cs.toronto.edu/~kriz/{archive}')
  with tarfile.open(path) as opened:

    def read(name):
      file = opened.extractfile(f'{folder}/{name}')
      if file is None:
        raise ValueError(f'{folder}/{name} in {archive} must be a file')
      return file.read()

    for label, name in names.items():
      lines = read(name).decode().split('\n')
      builder.info.features[label].names = [line for line in lines if line]
    contents = {split: b''.join(map(read, files[split])) for split in files}
  return {
    split: _cifar_examples(split, list(names), content)
    for split, content in contents.items()
  }


_SPLITS = {
  'mnist': _mnist_splits,
  'fashion_mnist': _mnist_splits,
  'kmnist': _mnist_splits,
  'cifar10': functools.partial(
    _cifar_splits,
    archive='cifar-10-binary.tar.gz',
    folder='cifar-10-batches-bin',
    files={
      'train': [f'data_batch_{i}.bin' for i in range(1, 6)],
      'test': ['test_batch.bin'],
    },
    names={'label': 'batches.meta.txt'},
  ),
  'cifar100': functools.partial(
    _cifar_splits,
    archive='cifar-100-binary.tar.gz',
    folder='cifar-100-binary',
    files={'train': ['train.bin'], 'test': ['test.bin']},
    names={
      'coarse_label': 'coarse_label_names.txt',
      'label': 'fine_label_names.txt',
    },
  ),
}
TENSORFLOW_FREE = tuple(_SPLITS)


def _has_tensorflow() -> bool:
  return importlib.util.find_spec('tensorflow') is not None


def _data_dir(builder) -> pathlib.Path:
  """Returns the root directory, under which the dataset is in NAME/VERSION."""
  return pathlib.Path(builder.data_path).parents[1]


def _without_tensorflow(builder):
  """Returns a builder of the same dataset that reads its files by itself.

  TFDS's own builder opens the files and writes PNG with TensorFlow. Everything
  else is that of TFDS: features, version, download with its checksum, order,
  files.
  """
  parent = type(builder)

  class Builder(parent, skip_registration=True):  # pyright: ignore
    name, __module__ = parent.name, parent.__module__  # recorded by TFDS

    def _split_generators(self, dl_manager):
      return _SPLITS[self.name](self, dl_manager)

  return Builder(data_dir=_data_dir(builder), version=str(builder.version))


def _check_reachable(builder) -> None:
  """Requests a file unless some are downloaded; TFDS would retry for 3 minutes.

  Raises:
    requests.RequestException: if there is no answer.
  """
  import requests

  if not any((_data_dir(builder) / 'downloads' / builder.name).glob('*.INFO')):
    url = next(iter(builder.url_infos))
    requests.get(url, stream=True, timeout=30).close()


def prepare(builder) -> None:
  """Downloads a TFDS dataset and writes it as array_record.

  Args:
    builder: TFDS builder, from data.tfds.open_builder. Open it again
      afterwards: only a new builder knows of the prepared files.

  Raises:
    RuntimeError: if it fails; the message gives the reason on one line.
  """
  import tensorflow_datasets

  free = builder.name in TENSORFLOW_FREE
  if not free and not _has_tensorflow():
    raise RuntimeError(
      f'preparing {builder.name!r} needs TensorFlow, this once: {_REMEDY}. '
      f'Datasets that do not need it: {", ".join(TENSORFLOW_FREE)}'
    )
  config = tensorflow_datasets.download.DownloadConfig(try_download_gcs=False)
  try:
    if free:
      _check_reachable(builder)
      builder = _without_tensorflow(builder)
    builder.download_and_prepare(
      download_config=config, file_format='array_record'
    )
  except Exception as error:  # TFDS and its datasets raise any type
    raise RuntimeError(
      f'preparing {builder.name!r} failed: {tfds.first_line(error)}'
    ) from error


def _config_line(builder, dataset: str, data_dir: str) -> str:
  image, _ = tfds.feature_names(builder)
  height, width, channels = builder.info.features[image].shape
  size = 32 if max(height or 64, width or 64) <= 32 else 64
  return (
    "config.data.name = 'tfds'\n"
    f'config.data.tfds.update(dataset={dataset!r}, data_dir={data_dir!r}, '
    f'size={size}, channels={channels or 3})'
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command-line program.

  Args:
    argv: command-line arguments; those of the process by default.

  Raises:
    SystemExit: with a one-line message, if it fails.
  """
  parser = _make_parser()
  args = parser.parse_args(argv)
  try:
    lines = _import(args) if args.to else _prepare_by_name(args)
  except (ModuleNotFoundError, OSError, RuntimeError, ValueError) as error:
    sys.exit(f'{parser.prog}: {terminal.error_message(error)}')
  except KeyboardInterrupt:
    sys.exit(f'{parser.prog}: interrupted; nothing was written')
  print(*lines, sep='\n')


def _make_parser() -> terminal.ArgumentParser:
  """Returns the parser of the command line."""
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.data.prepare',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    'name',
    nargs='+',
    help='name of a dataset in TFDS, such as mnist; with --to, a directory or '
    'a zip of images, or tar files',
  )
  parser.add_argument(
    '--data_dir', default='', help='root directory of TFDS datasets'
  )
  parser.add_argument(
    '--to', default='', help='zip, or directory of shards, to write images to'
  )
  parser.add_argument(
    '--size',
    type=int,
    default=0,
    help='side in pixels to which images are cropped and resized; 0 keeps '
    'their files as they are',
  )
  parser.add_argument(
    '--channels', type=int, default=3, help='1, 3 or 4, with --size'
  )
  parser.add_argument(
    '--background', default='white', help='color behind transparent pixels'
  )
  parser.add_argument(
    '--classes', default='auto', help='auto, directories or none'
  )
  parser.add_argument(
    '--skip_broken',
    action='store_true',
    help='leave out images that cannot be decoded',
  )
  parser.add_argument(
    '--overwrite',
    action='store_true',
    help='replace a zip, or an index, that exists',
  )
  parser.add_argument(
    '--threads', type=int, default=0, help='0 takes one per processor'
  )
  return parser


def _prepare_by_name(args: argparse.Namespace) -> list[str]:
  """Prepares a TFDS dataset; returns lines that say so."""
  # A single error at the end instead of a warning for every retry.
  logging.getLogger('urllib3').setLevel(logging.ERROR)
  name = args.name[0]
  if len(args.name) > 1 or pathlib.Path(name).exists():
    raise ValueError(
      f'{name} is a file: name the zip to write, --to=OUT.zip, or the '
      'directory, --to=DIR'
    )
  if args.data_dir:
    files.resolve_path(args.data_dir, 'data_dir')
  builder = tfds.open_builder(name, args.data_dir)
  line = _config_line(builder, name, args.data_dir)
  done = 'already prepared'
  if not tfds.is_prepared(builder):
    prepare(builder)
    builder = tfds.open_builder(name, args.data_dir)
    done = 'prepared'
  sizes = {k: split.num_examples for k, split in builder.info.splits.items()}
  sizes = ', '.join(f'{size:,} {name}' for name, size in sizes.items())
  return [
    f'{name} is {done} in {builder.data_path}: {sizes}',
    f'in a config: {line}',
  ]


def _import(args: argparse.Namespace) -> list[str]:
  """Imports images into a zip or shards; returns lines that say so."""
  target = files.resolve_path(args.to, 'to')
  form = import_images.ImportFormat(args.size, args.channels, args.background)
  started = time.perf_counter()
  try:
    result = import_images.import_images(
      [files.resolve_path(name, 'source') for name in args.name],
      target,
      form,
      classes=args.classes,
      skip_broken=args.skip_broken,
      overwrite=args.overwrite,
      threads=args.threads,
      track=_Progress,
    )
  except FileExistsError as error:
    raise ValueError(f'{error}; --overwrite replaces it') from error
  seconds = time.perf_counter() - started
  lines = [
    f'{files.printable(target)}: {result.count:,} images, '
    f'{_describe_classes(result)}, {_nbytes(target):,} bytes, {seconds:.1f} s'
  ]
  if result.left_out:
    counts = sorted(result.left_out.items())
    lines.append(
      'left out: '
      + ', '.join(
        f'{count:,} {files.printable(kind.lstrip(".")) or "without a suffix"}'
        for kind, count in counts
      )
    )
  if result.broken:
    named = ', '.join(files.printable(name) for name in result.broken[:5])
    lines.append(
      f'skipped {len(result.broken):,} that cannot be decoded: {named}'
      + ', ...' * (len(result.broken) > 5)
    )
  # Images that are kept as they are and have one size need no other.
  sides = {side for size in result.sizes for side in size}
  size = f', size={min(sides)}' if len(sides) == 1 else ''
  size += f', channels={args.channels}' if args.size else ''
  lines.append(
    "in a config: config.data.name = 'folder'\n"
    f'config.data.folder.update(path={str(target)!r}{size})'
  )
  return lines


def _nbytes(target: pathlib.Path) -> int:
  """Returns the size of a zip, or of a directory of shards."""
  parts = target.iterdir() if target.is_dir() else [target]
  return sum(path.stat().st_size for path in parts)


def _describe_classes(result: import_images.ImportResult) -> str:
  if result.labels is None:
    return 'no classes'
  names = ', '.join(files.printable(name) for name in result.class_names[:5])
  more = ', ...' * (len(result.class_names) > 5)
  count = len(set(result.labels))
  return f'{count:,} classes' + (f' ({names}{more})' if names else '')


class _Progress:
  """Prints how many images are done, at most every half second.

  On a terminal the line is written over; otherwise there is one every ten
  seconds.
  """

  def __init__(self, total: int):
    self._total, self._done = total, 0
    self._is_terminal = sys.stderr.isatty()
    self._every = 0.5 if self._is_terminal else 10.0
    self._start = self._last = time.perf_counter()

  def __call__(self, count: int) -> None:
    self._done += count
    now = time.perf_counter()
    is_end = self._done == self._total and self._is_terminal
    if now - self._last < self._every and not is_end:
      return
    self._last = now
    rate = self._done / max(1e-9, now - self._start)
    of = f' of {self._total:,}' * bool(self._total)
    left = (self._total - self._done) / rate
    more = f', {left:.0f} s left' * (left > 0)
    text = f'{self._done:,}{of} images, {rate:,.0f} images/s{more}'
    if self._is_terminal:  # over the line before
      text = f'\r{text:<60}' + '\n' * is_end
    else:
      text += '\n'
    with contextlib.suppress(OSError, ValueError):
      sys.stderr.write(text)
      sys.stderr.flush()


if __name__ == '__main__':
  terminal.start_program('prepare')
  main()
