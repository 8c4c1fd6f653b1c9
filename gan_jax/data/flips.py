"""Horizontal flips of images, as a source of twice as many examples."""

from typing import Any

import jax
import numpy as np


class FlippedSource:
  """The images of a source, and after them their mirror images.

  The order of the data is that of a set of twice the size: of an epoch's
  examples, each image and each mirror image is one. So batches stay a function
  of the seed and the step, on any number of devices and with the data on the
  device or not.

  Attributes:
    shape: shape of one image.
    distribution: None.
  """

  distribution = None

  def __init__(self, source: Any):
    """Wraps a source.

    Args:
      source: source of images, a data.Source.

    Raises:
      ValueError: if the examples are not images, or have labels that are no
        classes, such as pictures, which would have to be mirrored, too.
    """
    self.shape = tuple(source.shape)
    if len(self.shape) != 3:
      raise ValueError(
        f'data.flip=True: the examples have the shape {self.shape}; only '
        'images [height, width, channels] can be flipped'
      )
    example = source[np.zeros(1, np.int64)]
    for leaf in jax.tree.leaves(example.get('label')):
      if np.ndim(leaf) > 1 or leaf.dtype.kind not in 'iu':
        raise ValueError(
          f'data.flip=True: the labels have the type {leaf.dtype} and the shape '
          f'{leaf.shape[1:]}; must be classes, which are those of the mirror '
          'image, too'
        )
    self._source = source

  def __len__(self) -> int:
    return 2 * len(self._source)

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    indices = np.asarray(indices)
    size = len(self._source)
    batch = self._source[indices % size]
    flipped = (indices >= size)[:, None, None, None]
    x = np.where(flipped, batch['x'][:, :, ::-1], batch['x'])
    return {**batch, 'x': x}
