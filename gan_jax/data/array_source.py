"""A data source held in memory."""

from typing import Any

import jax
import numpy as np

from gan_jax import shuffle


class ArraySource:
  """Examples in arrays.

  Attributes:
    x: `[N, ...]`, uint8 images or float32.
    label: classes, `[N]` int32, or any tree of arrays `[N, ...]`; None for
      none.
    shape: shape of one example.
    distribution: the exact distribution, if it is known; otherwise None.
    class_names: names of the classes in the order of the labels; () for none.
    listing: digest of the files the examples come from; '' for none.
  """

  class_names: tuple[str, ...] = ()
  listing = ''

  def __init__(self, x: np.ndarray, label=None, distribution: Any = None):
    self.x = x
    self.label = np.asarray(label, np.int32) if _are_classes(label) else label
    self.shape = x.shape[1:]
    self.distribution = distribution

  def __len__(self) -> int:
    return len(self.x)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    batch = {'x': self.x[indices]}
    if self.label is not None:
      batch['label'] = jax.tree.map(lambda x: x[indices], self.label)
    return batch


def _are_classes(label: Any) -> bool:
  """Whether labels are one integer per example."""
  if not isinstance(label, np.ndarray | list | tuple):
    return False
  return np.ndim(label) == 1 and np.asarray(label).dtype.kind in 'iu'


def split_indices(size: int, split: str, fraction: float) -> np.ndarray:
  """Returns the indices of one split of a fixed random division of the data.

  Args:
    size: total number of examples.
    split: 'train' or 'test'.
    fraction: fraction held out as 'test', in (0, 1); at least one example.

  Returns:
    Sorted indices. Those of the two splits are disjoint, and their union is
    everything.

  Raises:
    ValueError: if the fraction is out of range, or there are too few examples
      to divide.
  """
  if not 0 < fraction < 1:
    raise ValueError(f'test_fraction={fraction}: must be between 0 and 1')
  if size < 2:
    raise ValueError(
      f'{size} example(s): a division into splits needs at least 2'
    )
  count = min(max(1, round(size * fraction)), size - 1)
  shuffled = shuffle.permuted_index(0, 0, np.arange(size), size)
  return np.sort(shuffled[:count] if split == 'test' else shuffled[count:])
