"""Downloads a TFDS dataset and prepares it to be read without TensorFlow.

  python -m gan_jax.data.prepare mnist
  python -m gan_jax.data.prepare cifar10 --data_dir=DIR

Done once for each dataset. Where TensorFlow is not installed, those in
TENSORFLOW_FREE are prepared without it; the others need it for this step
alone.
"""

import argparse
import contextlib
import importlib.util
import io
import logging
import sys
import types
from typing import Any, Iterator, Sequence
from unittest import mock

import numpy as np
from PIL import Image

from gan_jax.data import tfds

TENSORFLOW_FREE = ('mnist', 'fashion_mnist', 'kmnist', 'cifar10', 'cifar100')
_REMEDY = 'pip install tensorflow-cpu, then run the same command again'


def _has_tensorflow() -> bool:
  return importlib.util.find_spec('tensorflow') is not None


def _encode_image(encoder, x: np.ndarray) -> bytes:
  """Stands in for a method of TFDS that has TensorFlow write the PNG."""
  file = io.BytesIO()
  image = Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)
  image.save(file, encoder.encoding_format)
  return file.getvalue()


def _stand_ins() -> list[tuple[Any, str, Any]]:
  """(object, attribute, value) that TFDS 4.9 needs to do without TensorFlow.

  All that the datasets of TENSORFLOW_FREE ask of TensorFlow is to open files,
  to decode names and to write PNG.
  """
  from tensorflow_datasets.core.download import downloader, extractor
  from tensorflow_datasets.core.features import image_feature
  from tensorflow_datasets.image_classification import cifar, mnist

  gfile = types.SimpleNamespace(GFile=open)
  tensorflow = types.SimpleNamespace(
    io=types.SimpleNamespace(gfile=gfile),
    compat=types.SimpleNamespace(as_text=str),
  )
  return [
    *((module, 'tf', tensorflow) for module in (cifar, extractor, mnist)),
    (image_feature._ImageEncoder, '_encode_image', _encode_image),
    # Its 10 retries keep one who is offline waiting for 3 minutes.
    (downloader, 'MAX_RETRIES', 4),
  ]


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
  with contextlib.ExitStack() as stack:
    try:
      for where, name, value in _stand_ins():
        stack.enter_context(mock.patch.object(where, name, value))
    except (ImportError, AttributeError) as error:
      raise RuntimeError(
        'this version of tensorflow-datasets needs TensorFlow to prepare a '
        f'dataset ({error}): {_REMEDY}'
      ) from error
    yield


def prepare(builder) -> None:
  """Downloads a TFDS dataset and writes it as array_record.

  Args:
    builder: of TFDS, as data.tfds.open_builder gives it.

  Raises:
    RuntimeError: with one line that says why it cannot be done.
  """
  import tensorflow_datasets

  if _has_tensorflow():
    context = contextlib.nullcontext()
  elif builder.name in TENSORFLOW_FREE:
    context = _without_tensorflow()
  else:
    raise RuntimeError(
      f'preparing {builder.name!r} needs TensorFlow, this once: {_REMEDY}. '
      f'Without it: {", ".join(TENSORFLOW_FREE)}'
    )
  config = tensorflow_datasets.download.DownloadConfig(try_download_gcs=False)
  with context:
    try:
      builder.download_and_prepare(
        download_config=config, file_format='array_record'
      )
    except Exception as error:  # TFDS and its datasets raise of any kind
      raise RuntimeError(
        f'preparing {builder.name!r} failed: '
        f'{type(error).__name__}: {tfds.first_line(error)}'
      ) from error


def _config_line(builder, dataset: str, data_dir: str) -> str:
  image, _ = tfds.feature_names(builder)
  height, width, channels = builder.info.features[image].shape
  size = 32 if max(height or 64, width or 64) <= 32 else 64
  return (
    f"config.data = common.part(name='tfds', dataset={dataset!r}, "
    f'data_dir={data_dir!r}, size={size}, channels={channels or 3})'
  )


def main(argv: Sequence[str] | None = None) -> None:
  """The command.

  Args:
    argv: its arguments; those of the process by default.

  Raises:
    SystemExit: with one line that says what went wrong.
  """
  parser = argparse.ArgumentParser(
    prog='python -m gan_jax.data.prepare',
    description='Downloads a TFDS dataset and prepares it, once.',
  )
  parser.add_argument('name', help='of the dataset in TFDS, such as mnist')
  parser.add_argument(
    '--data_dir', default='', help='where to keep it; default: as TFDS does'
  )
  args = parser.parse_args(argv)
  # One error at the end, rather than a warning for every retry.
  logging.getLogger('urllib3').setLevel(logging.ERROR)
  try:
    builder = tfds.open_builder(args.name, args.data_dir)
    line = _config_line(builder, args.name, args.data_dir)
    done = 'already prepared'
    if not tfds.is_prepared(builder):
      prepare(builder)
      done = 'prepared'
  except (ModuleNotFoundError, RuntimeError, ValueError) as error:
    sys.exit(f'{parser.prog}: {error}')
  sizes = {k: split.num_examples for k, split in builder.info.splits.items()}
  sizes = ', '.join(f'{size:,} {name}' for name, size in sizes.items())
  print(f'{args.name} is {done} in {builder.data_path}: {sizes}')
  print(f'in a config: {line}')


if __name__ == '__main__':
  main()
