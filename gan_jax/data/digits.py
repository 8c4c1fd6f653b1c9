"""Handwritten digits that come with scikit-learn: real data, no download."""

import numpy as np

from gan_jax.data import images
from gan_jax.data.arrays import ArraySource, held_out


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
  import sklearn.datasets  # deferred: takes half a second

  images.check_format(size, channels)
  bunch = sklearn.datasets.load_digits()
  x = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
  chosen = held_out(len(x), split, test_fraction)
  return ArraySource(
    images.fit_arrays(x[chosen], size, channels), bunch.target[chosen]
  )
