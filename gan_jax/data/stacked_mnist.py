"""Stacked MNIST: three digits as the channels of one picture, 1,000 modes.

References:
  Metz et al., Unrolled Generative Adversarial Networks,
  https://arxiv.org/abs/1611.02163, 2017.
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.2 (the
  protocol).
"""

from typing import NamedTuple

import numpy as np

from gan_jax.data import tfds

_STACKS = {'train': 128_000, 'test': 26_000}


class StackedMnistModes(NamedTuple):
  """What is known of the distribution, for those who score it.

  Attributes:
    dataset: in TFDS, that the channels are of.
    modes: combinations of the channels' ten classes.
  """

  dataset: str
  modes: int = 1000


class StackedSource:
  """Stacks made as they are asked for, from pictures held in memory.

  Attributes:
    digits: `[N, size, size, 1]` uint8.
    classes: of the digits, `[N]` int32 in 0 .. 9.
    index: `[n, 3]`, which digits a stack is made of.
    shape: of one stack, (size, size, 3).
    truth: a Stacked.
  """

  def __init__(
    self,
    digits: np.ndarray,
    classes,
    index: np.ndarray,
    distribution: StackedMnistModes,
  ):
    self.digits, self.index, self.distribution = digits, index, distribution
    self.classes = np.asarray(classes, np.int32)
    self.shape = (*digits.shape[1:3], 3)

  def __len__(self) -> int:
    return len(self.index)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    chosen = self.index[indices]
    # [n, 3, size, size] to channels last.
    x = np.moveaxis(self.digits[chosen, ..., 0], 1, -1)
    places = np.array([100, 10, 1], np.int32)
    return {
      'x': np.ascontiguousarray(x),
      'label': self.classes[chosen] @ places,
    }


def stacked_mnist(
  split: str,
  *,
  data_dir: str = '',
  size: int = 28,
  stacks: int = 0,
  seed: int = 0,
  dataset: str = 'mnist',
) -> StackedSource:
  """Three digits, drawn independently with replacement, as channels.

  Digits are drawn from the split's own: no stack of 'test' has a digit that
  'train' has (PacGAN draws from all 70,000 of MNIST). Classes are as frequent
  as in MNIST, so modes are not quite equally frequent.

  Args:
    split: 'train' or 'test'.
    data_dir: where TFDS keeps datasets; '' for its default.
    size: side of the pictures, in pixels (bicubic).
    stacks: how many; 0 for the protocol's, 128,000 for 'train' and 26,000
      for 'test'.
    seed: of the draw.
    dataset: of grey pictures in ten classes, its name in TFDS.

  Returns:
    `[stacks, size, size, 3]` uint8, with the label 100 a + 10 b + c of the
    channels' classes.

  Raises:
    ValueError: for a negative number of stacks, or a dataset without labels
      or of other than ten classes.
    FileNotFoundError: for a dataset that is not prepared; the message has the
      command that does it.
  """
  if stacks < 0:
    raise ValueError(
      f'stacks={stacks}: must be at least 1, or 0 for the usual number'
    )
  source = tfds.tfds(
    split, dataset=dataset, data_dir=data_dir, size=size, channels=1
  )
  whole = source[np.arange(len(source))]
  if 'label' not in whole or not set(range(10)) >= set(whole['label'].tolist()):
    raise ValueError(
      f'dataset={dataset!r} has not ten classes: a stack needs labels 0 to 9'
    )
  # Splits are independent draws.
  rng = np.random.default_rng([seed, ('train', 'test').index(split)])
  index = rng.integers(len(source), size=(stacks or _STACKS[split], 3))
  return StackedSource(
    whole['x'], whole['label'], index, StackedMnistModes(dataset)
  )
