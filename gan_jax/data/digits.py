"""Handwritten digits included in scikit-learn: real data, no download."""

import functools
import importlib.util
import pathlib

import numpy as np

from gan_jax.data import images
from gan_jax.data.array_source import ArraySource, split_indices


def digits(
  split: str,
  *,
  size: int = 16,
  channels: int = 1,
  test_fraction: float = 0.2,
) -> ArraySource:
  """Loads 1,797 digits of 8 x 8 pixels and 17 gray levels, labeled 0-9.

  Args:
    split: 'train' or 'test', a fixed random division.
    size: side of the images after resizing (bicubic), in pixels.
    channels: 1, 3 or 4.
    test_fraction: fraction held out as 'test'.

  Returns:
    `[N, size, size, channels]` uint8 with labels.

  References:
    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits,
    https://doi.org/10.24432/C50P49, 1998.
  """
  images.check_format(size, channels)
  table = _read()
  greys, target = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1]
  x = np.round(greys * (255 / 16)).astype(np.uint8)
  chosen = split_indices(len(x), split, test_fraction)
  source = ArraySource(
    images.crop_and_resize_arrays(x[chosen], size, channels), target[chosen]
  )
  source.declared_classes = 10
  return source


@functools.cache
def _read() -> np.ndarray:
  """Reads rows of 64 gray levels in 0 .. 16 and a digit, `[1797, 65]` int64."""
  # Reads the data file itself: importing scikit-learn takes most of a second.
  found = importlib.util.find_spec('sklearn')
  for folder in (found and found.submodule_search_locations) or []:
    path = pathlib.Path(folder, 'datasets', 'data', 'digits.csv.gz')
    if path.is_file():
      return np.loadtxt(path, delimiter=',', dtype=np.int64)
  from sklearn.datasets import load_digits

  bunch = load_digits()
  return np.column_stack([bunch.data, bunch.target]).astype(np.int64)
