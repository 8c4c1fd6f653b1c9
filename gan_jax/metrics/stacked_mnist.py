"""Modes of Stacked MNIST: which of the 1,000 combinations samples show.

The mode of a sample is the classes that a digit classifier sees in its three
channels, as in PacGAN's protocol of 26,000 samples. The baseline of reverse_kl
is not 0: n samples of 1,000 equal modes have about 999 / (2 n), 0.019 for
26,000, and MNIST's digits are not equally frequent.

References:
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.2.
"""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks, mode_coverage

Array = jax.Array
_CLASSES, _MODES, _BATCH = 10, 1000, 200


class StackedScores(NamedTuple):
  """Scores of a set of stacks, scalars.

  Attributes:
    modes: how many of the 1,000 combinations were seen.
    reverse_kl: KL of the histogram of modes to the uniform one, nats: 0 for
      equal counts, log 1000 = 6.91 for a single mode.
  """

  modes: Array
  reverse_kl: Array


def stacked_modes(digits: Array) -> StackedScores:
  """Scores of the classes seen in the channels.

  Args:
    digits: `[n, 3]`, integers in 0 .. 9, n >= 1.

  Returns:
    The scores.

  Raises:
    AssertionError: for another shape or type.
    ValueError: for numbers that are not digits.
  """
  chex.assert_shape(digits, (None, 3))
  chex.assert_type(digits, int)
  chex.assert_axis_dimension_gt(digits, 0, 0)
  if not checks.is_traced(digits):
    low, high = int(digits.min()), int(digits.max())
    if low < 0 or high >= _CLASSES:
      raise ValueError(f'digits from {low} to {high}: must be from 0 to 9')
  # 8 bits hold the digits, but not the modes.
  digits = jnp.asarray(digits, jnp.int32)
  mode = digits @ jnp.array([100, 10, 1], digits.dtype)
  counts = jnp.zeros(_MODES).at[mode].add(1)
  share = counts / len(digits)
  return StackedScores(
    modes=(counts > 0).sum(),
    reverse_kl=mode_coverage.kl_to_uniform(share),
  )


def stacked_digits(logits_fn: Callable[[Array], Array], images: Array) -> Array:
  """The class of each channel, by a classifier of grey pictures.

  Args:
    logits_fn: `[B, H, W, 1]` to `[B, 10]`, such as
      mnist_classifier.digit_logits with its parameters.
    images: `[n, H, W, 3]`, float in [-1, 1]; 200 are classified at a time.

  Returns:
    `[n, 3]` int32 in 0 .. 9.

  Raises:
    AssertionError: for another rank or number of channels, or integers.
    ValueError: for no images, or numbers that are not finite.
  """
  chex.assert_shape(images, (None, None, None, 3))
  checks.check_feature_sets(images=images)

  def one(stack):
    logits = logits_fn(jnp.moveaxis(stack, -1, 0)[..., None])
    chex.assert_shape(logits, (3, _CLASSES))
    return logits.argmax(axis=-1).astype(jnp.int32)

  return jax.lax.map(one, images, batch_size=_BATCH)


def stacked_mode_scores(
  logits_fn: Callable[[Array], Array], images: Array
) -> StackedScores:
  """How many of the 1,000 modes samples show, and how evenly.

  Args:
    logits_fn: as in `stacked_digits`.
    images: `[n, H, W, 3]`, float in [-1, 1]; the protocol has n = 26,000.

  Returns:
    The scores.
  """
  return stacked_modes(stacked_digits(logits_fn, images))
