"""A source held in memory."""

from typing import Any

import numpy as np

from gan_jax import shuffle


class ArraySource:
  """Examples in arrays.

  Attributes:
    x: `[N, ...]`, uint8 images or float32.
    label: `[N]` int32, or None.
    shape: of one example.
    truth: the distribution they come from, where it is known.
    class_names: of the labels, where they are known.
    listing: stands for the files that they come from; '' for none.
  """

  class_names: tuple[str, ...] = ()
  listing = ''

  def __init__(self, x: np.ndarray, label=None, distribution: Any = None):
    self.x = x
    self.label = None if label is None else np.asarray(label, np.int32)
    self.shape = x.shape[1:]
    self.distribution = distribution

  def __len__(self) -> int:
    return len(self.x)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    batch = {'x': self.x[indices]}
    if self.label is not None:
      batch['label'] = self.label[indices]
    return batch


def split_indices(size: int, split: str, fraction: float) -> np.ndarray:
  """Indices of one half of a fixed random division of the data.

  Args:
    size: number of examples in all.
    split: 'train' or 'test'.
    fraction: share held out as 'test', in (0, 1); at least one example.

  Returns:
    Sorted indices; those of the two splits are disjoint and together all.

  Raises:
    ValueError: for a fraction out of range, or too few examples to divide.
  """
  if not 0 < fraction < 1:
    raise ValueError(f'test_fraction={fraction}: must be between 0 and 1')
  if size < 2:
    raise ValueError(f'{size} example(s): dividing needs at least 2')
  count = min(max(1, round(size * fraction)), size - 1)
  shuffled = shuffle.permuted_index(0, 0, np.arange(size), size)
  return np.sort(shuffled[:count] if split == 'test' else shuffled[count:])
