"""A data source held in memory."""

import functools
from typing import Any

import jax
import numpy as np

from gan_jax import shuffle
from gan_jax.data import classes

BLACK_IMAGES = (
  'all values are 0 or 1, and as uint8 pixels from 0 to 255 all of them are '
  'black: multiply by 255'
)


class ArraySource:
  """Examples in arrays.

  Attributes:
    x: `[N, ...]`, uint8 images or float32.
    label: classes, `[N]` int32, or any tree of arrays `[N, ...]`; None for
      none.
    shape: shape of one example.
    distribution: the exact distribution, if it is known; otherwise None.
    class_names: names of the classes in the order of the labels; () for none.
    declared_classes: number of classes, if the data say it; otherwise 0.
    sample_rate: samples per second of sound, in Hz; 0 for other examples.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
    listing: digest of the files the examples come from; '' for none.
    description: which files were taken and left out; '' for none.
  """

  class_names: tuple[str, ...] = ()
  declared_classes = 0
  sample_rate = 0
  listing = ''
  description = ''

  def __init__(self, x: np.ndarray, label=None, distribution: Any = None):
    """Stores the arrays.

    Args:
      x: examples `[N, ...]`.
      label: classes `[N]`, or None.
      distribution: the exact distribution, if it is known.

    Raises:
      ValueError: as check_pixels does.
    """
    check_pixels(x, 'x')
    self.x = x
    self.label = np.asarray(label, np.int32) if _are_classes(label) else label
    self.shape = x.shape[1:]
    self.distribution = distribution

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class among the examples; () without classes."""
    return classes.shares_of(
      self.label, self.declared_classes or len(self.class_names)
    )

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

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


def check_pixels(x: np.ndarray, name: str) -> None:
  """Checks that a uint8 array is a set of images with values up to 255.

  Args:
    x: any array.
    name: name of the array, for messages.

  Raises:
    ValueError: if it has the shape of a single image, or no other values than
      0 and 1.
  """
  if x.dtype != np.uint8:
    return
  check_number_of_images(x, name)
  if x.ndim > 3 and _is_binary(x):
    raise ValueError(f'{name}: {BLACK_IMAGES}')


def check_number_of_images(x: np.ndarray, name: str) -> None:
  """Checks that an array of images has not the shape of a single one.

  Args:
    x: images `[N, H, W, C]` or `[N, H, W]`.
    name: name of the array, for messages.

  Raises:
    ValueError: if it is `[H, W, C]`.
  """
  if x.ndim == 3 and x.shape[-1] in (1, 3, 4):
    raise ValueError(
      f'{name}: shape {x.shape} looks like one image [H, W, C], and not like a '
      'set of images [N, H, W, C]: write x[None], or, for gray images '
      '[N, H, W], x[..., None]'
    )


def _is_binary(x: np.ndarray) -> bool:
  """Returns whether an array holds 0 and 1, and nothing else."""
  least, most = 1, 0
  for i in range(0, len(x), 256):  # stops at the first images, usually
    least = min(least, int(x[i : i + 256].min(initial=1)))
    most = max(most, int(x[i : i + 256].max(initial=0)))
    if most > 1:
      return False
  return (least, most) == (0, 1)


def held_out_count(size: int, fraction: float) -> int:
  """Returns the number of examples that a division holds out as 'test'.

  Args:
    size: total number of examples.
    fraction: fraction held out, in (0, 1); at least one example.

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
  return min(max(1, round(size * fraction)), size - 1)


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
  count = held_out_count(size, fraction)
  shuffled = shuffle.permuted_index(0, 0, np.arange(size), size)
  return np.sort(shuffled[:count] if split == 'test' else shuffled[count:])
