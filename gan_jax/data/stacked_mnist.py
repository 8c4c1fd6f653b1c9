"""Stacked MNIST: three digits as the channels of one image, 1,000 modes.

References:
  Metz et al., Unrolled Generative Adversarial Networks,
  https://arxiv.org/abs/1611.02163, 2017.
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.2 (the
  protocol).
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import classes as class_lib
from gan_jax.data import tfds

_STACKS = {'train': 128_000, 'test': 26_000}


class StackedMnistModes(NamedTuple):
  """Description of the distribution, for the mode-coverage metrics.

  Attributes:
    dataset: TFDS name of the dataset of the channels.
    modes: number of combinations of the ten classes of three channels.
  """

  dataset: str
  modes: int = 1000


class StackedSource:
  """Stacks composed on access from digits in memory.

  Attributes:
    digits: `[N, size, size, 1]` uint8.
    digit_classes: classes of the digits, `[N]` int32 in 0 .. 9.
    index: indices of the three digits of each stack, `[n, 3]`.
    shape: shape of one stack, (size, size, 3).
    classes: 1,000.
    class_share: share of each class among the stacks.
    distribution: a StackedMnistModes.
  """

  classes = declared_classes = 1000

  def __init__(
    self,
    digits: np.ndarray,
    digit_classes,
    index: np.ndarray,
    distribution: StackedMnistModes,
  ):
    self.digits, self.index, self.distribution = digits, index, distribution
    self.digit_classes = np.asarray(digit_classes, np.int32)
    self.shape = (*digits.shape[1:3], 3)

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class among the stacks."""
    return class_lib.shares_of(self._labels(slice(None)), self.classes)

  def _labels(self, indices: Any) -> np.ndarray:
    places = np.array([100, 10, 1], np.int32)
    return self.digit_classes[self.index[indices]] @ places

  def __len__(self) -> int:
    return len(self.index)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    chosen = self.index[indices]
    # [n, 3, size, size] to channels last.
    x = np.moveaxis(self.digits[chosen, ..., 0], 1, -1)
    return {'x': np.ascontiguousarray(x), 'label': self._labels(indices)}


def stacked_mnist(
  split: str,
  *,
  data_dir: str = '',
  size: int = 28,
  stacks: int = 0,
  seed: int = 0,
  dataset: str = 'mnist',
) -> StackedSource:
  """Stacks three digits, sampled independently with replacement, as channels.

  The digits are those of the split: no digit of 'train' appears in 'test'
  (PacGAN samples from all 70,000 of MNIST). Classes are as frequent as in
  MNIST, so the modes are not exactly equally frequent.

  Args:
    split: 'train' or 'test'.
    data_dir: root directory of TFDS datasets; '' for the default of TFDS.
    size: side of the images after resizing (bicubic), in pixels.
    stacks: number of stacks; 0 for that of the protocol, 128,000 for 'train'
      and 26,000 for 'test'.
    seed: seed of the stacks.
    dataset: TFDS name of a dataset of gray images in ten classes.

  Returns:
    `[stacks, size, size, 3]` uint8, with labels 100 a + 10 b + c where a, b and
    c are the classes of the channels.

  Raises:
    ValueError: if the number of stacks is negative, or the dataset has no
      labels or a number of classes other than ten.
    FileNotFoundError: if the dataset is not prepared; the message has the
      command that prepares it.
  """
  if stacks < 0:
    raise ValueError(
      f'stacks={stacks}: must be at least 1, or 0 for the default number'
    )
  source = tfds.tfds(
    split, dataset=dataset, data_dir=data_dir, size=size, channels=1
  )
  whole = source[np.arange(len(source))]
  if 'label' not in whole or not set(range(10)) >= set(whole['label'].tolist()):
    raise ValueError(
      f'dataset={dataset!r} does not have ten classes: stacks need labels 0 to '
      '9'
    )
  # The splits are independent samples.
  rng = np.random.default_rng([seed, ('train', 'test').index(split)])
  index = rng.integers(len(source), size=(stacks or _STACKS[split], 3))
  return StackedSource(
    whole['x'], whole['label'], index, StackedMnistModes(dataset)
  )
