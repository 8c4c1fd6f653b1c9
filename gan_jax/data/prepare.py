"""Downloads a TFDS dataset and prepares it to be read without TensorFlow.

  python -m gan_jax.data.prepare mnist
  python -m gan_jax.data.prepare cifar10 --data_dir=DIR

Run it once for each dataset. Those in TENSORFLOW_FREE are prepared without
TensorFlow; the others need it for this step only.
"""

import functools
import gzip
import importlib.util
import logging
import pathlib
import sys
import tarfile
from typing import Any, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from gan_jax.data import tfds
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
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.data.prepare',
    description='Downloads a TFDS dataset and prepares it, once.',
  )
  parser.add_argument('name', help='name of the dataset in TFDS, such as mnist')
  parser.add_argument(
    '--data_dir',
    default='',
    help='root directory of TFDS datasets; default: that of TFDS',
  )
  args = parser.parse_args(argv)
  # A single error at the end instead of a warning for every retry.
  logging.getLogger('urllib3').setLevel(logging.ERROR)
  try:
    if args.data_dir:
      files.resolve_path(args.data_dir, 'data_dir')
    builder = tfds.open_builder(args.name, args.data_dir)
    line = _config_line(builder, args.name, args.data_dir)
    done = 'already prepared'
    if not tfds.is_prepared(builder):
      prepare(builder)
      builder = tfds.open_builder(args.name, args.data_dir)
      done = 'prepared'
  except (ModuleNotFoundError, OSError, RuntimeError, ValueError) as error:
    sys.exit(f'{parser.prog}: {terminal.error_message(error)}')
  sizes = {k: split.num_examples for k, split in builder.info.splits.items()}
  sizes = ', '.join(f'{size:,} {name}' for name, size in sizes.items())
  print(f'{args.name} is {done} in {builder.data_path}: {sizes}')
  print(f'in a config: {line}')


if __name__ == '__main__':
  terminal.start_program('prepare')
  main()
