"""Examples of your own in the arrays of a file, .npz or .npy."""

import functools
from typing import Sequence

import numpy as np

from gan_jax.data import own, sample_files
from gan_jax.data.array_source import ArraySource, split_indices
from gan_jax.io import files

# Names of the arrays of a split.
_DIVIDED_EXAMPLES = ('x_{}', '{}_images')
_DIVIDED_LABELS = ('y_{}', '{}_labels')


def npz(
  split: str,
  *,
  path: str = '',
  x: str = '',
  label: str = '',
  value_range: tuple[float, float] = (-1.0, 1.0),
  sample_rate: int = 0,
  test_fraction: float = 0.1,
) -> ArraySource:
  """Opens the arrays of a file: images, points, or clips of sound.

  The examples are in 'x', 'samples', 'images' or 'arr_0' (ADM's name), classes,
  if there are some, in 'label', 'labels', 'y' or 'arr_1'. A file with its own
  division keeps it: 'x_train' and 'x_test', 'y_train' and 'y_test' (as of
  Keras), or 'train_images' and 'test_images', 'train_labels' and 'test_labels'
  (as of MedMNIST). The whole array is held in memory.

  Args:
    split: 'train' or 'test'; a fixed random division if the file has none.
    path: path of the file.
    x: name of the array of examples; '' takes one of the names above.
    label: name of the array of classes, likewise.
    value_range: (lowest, highest) value of float images, which are scaled to
      [-1, 1].
    sample_rate: samples per second of clips `[N, length, 1]`, in Hz; 0 for
      examples that are not sound.
    test_fraction: fraction held out as 'test'.

  Returns:
    The source: images uint8 or float32 in [-1, 1], points or clips float32.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is broken, has no examples, or their shape, type or range
      is another.
  """
  if not path:
    raise FileNotFoundError(
      'data.npz.path is empty: set it to your .npz or .npy file'
    )
  file = files.resolve_path(path, 'data.npz.path')
  name = files.printable(file)
  if not file.is_file():
    raise FileNotFoundError(f'data.npz.path={name}: there is no such file')
  if file.suffix.lower() not in ('.npz', '.npy'):
    raise ValueError(f'data.npz.path={name}: must be an .npz or an .npy file')
  if not value_range[0] < value_range[-1] or len(value_range) != 2:
    raise ValueError(
      f'data.npz.value_range={value_range}: must be the lowest and the highest '
      'value'
    )
  choose = functools.partial(_choose_names, split=split, x=x, label=label)
  arrays = sample_files.read_arrays(
    file, lambda found: [n for n in choose(found) if n]
  )
  x_name, label_name = choose(list(arrays))
  examples = _as_examples(name, arrays[x_name], value_range, sample_rate)
  classes = sample_files.check_classes(name, examples, arrays.get(label_name))
  if x or x_name not in [name.format(split) for name in _DIVIDED_EXAMPLES]:
    chosen = split_indices(len(examples), split, test_fraction)
    examples = examples[chosen]
    classes = None if classes is None else classes[chosen]
  source = ArraySource(examples, classes)
  source.sample_rate = sample_rate
  source.listing = own.array_digest(
    [examples] if classes is None else [examples, classes]
  )
  return source


def _choose_names(
  found: Sequence[str], *, split: str, x: str, label: str
) -> tuple[str, str]:
  """Returns the names of the arrays of examples and classes, '' for none."""
  for name, option in ((x, 'x'), (label, 'label')):
    if name and name not in found:
      raise ValueError(
        f'data.npz.{option}={name!r}: it has the arrays {list(found)}'
      )
  of_split = lambda patterns: tuple(p.format(split) for p in patterns)
  examples = of_split(_DIVIDED_EXAMPLES) + sample_files.EXAMPLES
  labels = of_split(_DIVIDED_LABELS) + sample_files.LABELS
  chosen = (
    x or sample_files.first_of(examples, found),
    label or sample_files.first_of(labels, found),
  )
  if not chosen[0]:
    raise ValueError(
      f'it has the arrays {list(found)}; examples must be in one of '
      f'{sample_files.EXAMPLES}, or name it, data.npz.x'
    )
  return chosen


def _as_examples(
  name: str,
  x: np.ndarray,
  value_range: tuple[float, float],
  sample_rate: int,
) -> np.ndarray:
  """Returns images as uint8 or in [-1, 1]; points and clips as they are."""
  if sample_rate:
    return _as_clips(name, x)
  if x.ndim == 3 and x.shape[-1] == 1 and x.dtype.kind == 'f':
    raise ValueError(
      f'{name}: an array of shape {x.shape}; for clips of sound [N, length, 1] '
      'set data.npz.sample_rate, and for gray images write x[..., 0]'
    )
  x = sample_files.check_examples(name, x)
  if x.ndim == 2 or x.dtype == np.uint8:
    return x
  sample_files.check_range(name, x, value_range, 'data.npz.value_range=')
  low, high = value_range
  scaled = (x.astype(np.float32) - low) * (2 / (high - low)) - 1
  return scaled.clip(-1, 1).astype(np.float32)


def _as_clips(name: str, x: np.ndarray) -> np.ndarray:
  """Checks clips `[N, length, 1]` or `[N, length]` of sound in [-1, 1]."""
  x = x[..., None] if x.ndim == 2 else x
  if x.dtype.kind != 'f' or x.ndim != 3 or x.shape[-1] != 1 or not x.size:
    raise ValueError(
      f'{name}: an array of type {x.dtype} and shape {x.shape}; clips must be '
      'floats of shape [N, length, 1]'
    )
  loudest = float(np.abs(x).max())
  if not loudest <= 1 + 1e-3:  # NaN, too
    raise ValueError(
      f'{name}: samples up to {loudest:.4g}; clips must be from -1 to 1'
    )
  return x.astype(np.float32)
