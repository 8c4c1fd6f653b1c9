"""Datasets of your own code, which a config names by a function.

The function returns anything that data.as_source takes: a PyTorch Dataset, a
grain MapDataset, a TFDS data source, a list, arrays.
"""

import functools
import importlib
import importlib.util
import inspect
import pathlib
import sys
from typing import Any, Callable

import numpy as np
from PIL import Image

from gan_jax.data import images, own, sample_files
from gan_jax.data.array_source import split_indices
from gan_jax.io import files

_CHECKED = 64  # examples whose range is checked at the start


def custom(
  split: str,
  *,
  function: str = '',
  size: int = 0,
  channels: int = 0,
  value_range: tuple[float, float] = (-1.0, 1.0),
  test_fraction: float = 0.1,
  threads: int = 4,
) -> Any:
  """Opens the dataset that a function returns.

  The function is called with 'train' or 'test' and returns the dataset of that
  split; one without parameters returns all examples, which are divided.

  Args:
    split: 'train' or 'test'.
    function: 'FILE.py:FUNCTION', or 'module:function' of an installed module.
    size: side in pixels to which images are cropped and resized; 0 takes them
      as they are.
    channels: 1, 3 or 4; 0 takes those of each image.
    value_range: (lowest, highest) value of float images, which are scaled to
      [-1, 1]; of PyTorch's ToTensor it is (0, 1).
    test_fraction: fraction held out as 'test' if the function does not divide.
    threads: number of threads that read.

  Returns:
    The source.

  Raises:
    FileNotFoundError: if there is no such file.
    ModuleNotFoundError: if there is no such module.
    ValueError: if there is no such function, it raises an error, or an example
      cannot be used; the message has its index.
    TypeError: if what it returns has no order by index.
  """
  if size or channels:
    images.check_format(size or 1, channels or 3)
  if not value_range[0] < value_range[-1] or len(value_range) != 2:
    raise ValueError(
      f'data.custom.value_range={value_range}: must be the lowest and the '
      'highest value'
    )
  make = load_function(function)
  takes_split = bool(inspect.signature(make).parameters)
  try:
    found = make(split) if takes_split else make()
  except Exception as error:  # the code of users raises any type
    raise ValueError(
      f'data.custom.function={function} raised {type(error).__name__}: '
      f'{files.short_message(error)}{own.where_raised(error)}'
    ) from error
  convert = functools.partial(
    _convert, size=size, channels=channels, value_range=value_range
  )
  name = f'{function}({split if takes_split else ""})'
  source = own.as_source(found, name, convert=convert, threads=threads)
  _check_range(source, function, value_range)
  if takes_split:
    return source
  chosen = split_indices(len(source), split, test_fraction)
  return own.SourceSubset(source, chosen)


def _check_range(
  source: Any, function: str, value_range: tuple[float, float]
) -> None:
  """Refuses float images of another range, by the first of them."""
  first = source[np.zeros(1, np.int64)]['x']
  if first.ndim != 4 or first.dtype == np.uint8:
    return
  x = source[np.arange(min(_CHECKED, len(source)))]['x']
  low, high = value_range
  unscaled = (x + 1) * ((high - low) / 2) + low
  name = f'data.custom.function={function}'
  option = 'data.custom.value_range='
  sample_files.check_range(name, unscaled, value_range, option)


def load_function(text: str) -> Callable[..., Any]:
  """Finds a function by its file or module.

  Args:
    text: 'FILE.py:FUNCTION' or 'module:function'.

  Raises:
    FileNotFoundError: if there is no such file.
    ModuleNotFoundError: if there is no such module.
    ValueError: if the file cannot be executed, or has no such function.
  """
  where, _, name = text.rpartition(':')
  if not where or not name.isidentifier():
    raise ValueError(
      f'data.custom.function={text!r}: must be FILE.py:FUNCTION or '
      'module:function'
    )
  try:
    module = _load_file(where) if is_file(text) else _load_module(where)
  except (FileNotFoundError, ModuleNotFoundError):
    raise
  except Exception as error:  # the code of users raises any type
    raise ValueError(
      f'data.custom.function={text}: {type(error).__name__}: '
      f'{files.short_message(error)}{own.where_raised(error)}'
    ) from error
  if not callable(getattr(module, name, None)):
    raise ValueError(
      f'data.custom.function={text}: {where} has no function {name!r}'
    )
  return getattr(module, name)


def is_file(function: str) -> bool:
  """Returns whether a function is named by its file.

  Args:
    function: 'FILE.py:FUNCTION' or 'module:function'.
  """
  return function.rpartition(':')[0].endswith('.py')


def check_outside(function: str, directory: pathlib.Path) -> None:
  """Refuses a function whose file lies in a directory.

  The directory of a run may come from someone else, and is not executed.

  Args:
    function: 'FILE.py:FUNCTION' or 'module:function'.
    directory: path of the directory.

  Raises:
    ValueError: if the file lies in it, or below.
  """
  if not is_file(function):
    return
  where = function.rpartition(':')[0]
  path = files.resolve_path(where, 'data.custom.function').resolve()
  if path.is_relative_to(directory.resolve()):
    raise ValueError(
      f'{files.printable(directory)} names {files.printable(path)} as its data: '
      'a file in the directory of a run is not executed; move it elsewhere'
    )


def _load_file(where: str) -> Any:
  path = files.resolve_path(where, 'data.custom.function')
  if not path.is_file():
    raise FileNotFoundError(
      f'data.custom.function: there is no file {files.printable(path)}'
    )
  name = f'_custom_data_{path.stem}'
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module  # of dataclasses, and of workers
  beside = str(path.resolve().parent)
  sys.path.insert(0, beside)
  try:
    spec.loader.exec_module(module)
  finally:
    sys.path.remove(beside)
  return module


def _load_module(where: str) -> Any:
  try:
    return importlib.import_module(where)
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f'data.custom.function: there is no module {error.name!r}: pip install '
      'it, or name a file, FILE.py:FUNCTION'
    ) from error


def _convert(
  example: Any,
  *,
  size: int,
  channels: int,
  value_range: tuple[float, float],
) -> np.ndarray:
  """Returns an example as an array: images resized, float images scaled."""
  x = own.as_array(example)
  if x.dtype.kind == 'f' and x.ndim == 3:
    if size or channels:
      raise ValueError(
        'it is a float image; data.custom.size and channels are for images of '
        '8 bits'
      )
    low, high = value_range
    return ((x - low) * (2 / (high - low)) - 1).astype(np.float32)
  if x.dtype != np.uint8 or not (size or channels):
    return x
  image = example if isinstance(example, Image.Image) else _as_image(x)
  channels = channels or (1 if image.mode == 'L' else len(image.getbands()))
  if size:
    return images.crop_and_resize(image, size, channels)
  return np.asarray(images.convert_mode(image, channels))


def _as_image(x: np.ndarray) -> Image.Image:
  """Returns uint8 `[H, W]`, `[H, W, C]` or `[C, H, W]` as an image."""
  x = own.as_examples(x[None], 'it')[0]
  return Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)
