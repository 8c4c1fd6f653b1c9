"""Labels of samples: by the frequencies of the data, or a row a class."""

import math
from typing import Any, Callable

import numpy as np

from gan_jax import training

# Indices of generated examples `[n]` -> their labels, or None for none.
LabelFn = Callable[[np.ndarray], Any]

_GOLDEN = (math.sqrt(5) - 1) / 2


def label_fn(gan: training.GAN) -> LabelFn:
  """Returns the function that labels samples as the training examples are.

  Classes are as frequent among the first n samples as among the training
  examples, nearly, for any n: a sample's label is where the fraction of
  (index + 1/2) times the golden ratio, which fills [0, 1) evenly, falls among
  the cumulative shares.

  Args:
    gan: the GAN.

  Returns:
    Function of indices `[n]` that returns labels `[n]` int32; None if the GAN
    has no classes.
  """
  if not gan.classes:
    return lambda indices: None
  shares = gan.class_share or (1 / gan.classes,) * gan.classes
  cumulative = np.cumsum(shares)
  edges = cumulative[:-1] / cumulative[-1]

  def labels(indices: np.ndarray) -> np.ndarray:
    places = (np.asarray(indices, np.float64) + 0.5) * _GOLDEN % 1
    return np.searchsorted(edges, places, side='right').astype(np.int32)

  return labels


def labels_in_rows(classes: int, count: int) -> tuple[np.ndarray, int]:
  """Returns labels of samples for a picture with a row for each class.

  Args:
    classes: number of classes.
    count: number of samples that the picture may have.

  Returns:
    Labels `[rows * columns]` int32, and the number of columns. If the picture
    cannot hold two samples of each class, its rows are evenly spaced classes.
  """
  rows = classes if 2 * classes <= count else math.isqrt(count)
  rows = min(rows, classes)
  columns = count // rows
  shown = np.linspace(0, classes - 1, rows).round().astype(np.int32)
  return np.repeat(shown, columns), columns


def check_label(label: Any, count: int, classes: int) -> np.ndarray:
  """Returns the labels that a caller asks for.

  Args:
    label: one class for all samples, or labels `[count]`.
    count: number of samples.
    classes: number of classes.

  Returns:
    `[count]` int32.

  Raises:
    ValueError: if a label is no integer in 0 .. classes - 1, or there are more
      or fewer than samples.
  """
  found = np.asarray(label)
  is_class = found.dtype.kind in 'iu' and found.shape in ((), (count,))
  if not is_class or ((found < 0) | (found >= classes)).any():
    raise ValueError(
      f'label={label!r}: must be an integer from 0 to {classes - 1}, or '
      f'{count} of them, one for each sample'
    )
  return np.broadcast_to(found, (count,)).astype(np.int32)
