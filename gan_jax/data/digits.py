"""Handwritten digits that come with scikit-learn: real data, no download."""

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
  """1,797 digits of 8 x 8 pixels and 17 greys, resized, with labels 0-9.

  Args:
    split: 'train' or 'test', a fixed random division.
    size: side of the pictures, in pixels (bicubic).
    channels: 1, 3 or 4.
    test_fraction: share held out as 'test'.

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
  return ArraySource(
    images.crop_and_resize_arrays(x[chosen], size, channels), target[chosen]
  )


@functools.cache
def _read() -> np.ndarray:
  """Rows of 64 greys from 0 to 16 and the digit, `[1797, 65]` int64."""
  # Its file by itself: importing scikit-learn takes most of a second.
  found = importlib.util.find_spec('sklearn')
  for folder in (found and found.submodule_search_locations) or []:
    path = pathlib.Path(folder, 'datasets', 'data', 'digits.csv.gz')
    if path.is_file():
      return np.loadtxt(path, delimiter=',', dtype=np.int64)
  from sklearn.datasets import load_digits

  bunch = load_digits()
  return np.column_stack([bunch.data, bunch.target]).astype(np.int64)
