"""Mode coverage of Stacked MNIST, which has 1,000 combinations of digits.

The mode of a sample is the triple of classes that a digit classifier assigns to
its channels, as in PacGAN's protocol of 26,000 samples. The baseline of
reverse_kl is not 0: it is about 999 / (2 n) for n samples of 1,000 equal modes,
0.019 for 26,000. In addition, MNIST's digits are not equally frequent.

References:
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.2.
"""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import tracing
from gan_jax.metrics import checks, mode_coverage

Array = jax.Array
_CLASSES, _MODES, _BATCH = 10, 1000, 200


class StackedScores(NamedTuple):
  """Scores of Stacked MNIST samples, scalars.

  Attributes:
    modes: number of the 1,000 combinations that occur.
    reverse_kl: KL divergence of the histogram of modes from the uniform
      distribution, in nats; 0 for equal counts, log 1000 = 6.91 for one mode.
  """

  modes: Array
  reverse_kl: Array


def stacked_modes(digits: Array) -> StackedScores:
  """Computes mode coverage from the digits of the channels.

  Args:
    digits: classes of the channels, `[n, 3]`, integers in 0 .. 9, n >= 1.

  Returns:
    The scores.

  Raises:
    AssertionError: if digits have another shape or type.
    ValueError: if digits are outside 0 .. 9.
  """
  chex.assert_shape(digits, (None, 3))
  chex.assert_type(digits, int)
  chex.assert_axis_dimension_gt(digits, 0, 0)
  if tracing.fails(_are_digits, digits):
    raise ValueError(
      f'digits from {np.min(digits)} to {np.max(digits)}: must be from 0 to 9'
    )
  return _stacked_scores(digits)


@jax.jit
def _stacked_scores(digits):
  # Digits fit in 8 bits, modes do not.
  digits = digits.astype(jnp.int32)
  mode = digits @ jnp.array([100, 10, 1], digits.dtype)
  counts = jnp.zeros(_MODES).at[mode].add(1)
  share = counts / len(digits)
  return StackedScores(
    modes=(counts > 0).sum(),
    reverse_kl=mode_coverage.kl_to_uniform(share),
  )


def _are_digits(digits):
  digits = np.asarray(digits)
  return digits.min() >= 0 and digits.max() < _CLASSES


def stacked_digits(logits_fn: Callable[[Array], Array], images: Array) -> Array:
  """Classifies the digit in each channel with a grayscale classifier.

  Args:
    logits_fn: classifier from `[B, H, W, 1]` to logits `[B, 10]`, such as
      mnist_classifier.digit_logits with its parameters.
    images: images, `[n, H, W, 3]`, float in [-1, 1]; 200 are classified at a
      time.

  Returns:
    Digits, `[n, 3]`, int32 in 0 .. 9.

  Raises:
    AssertionError: if images have another rank or number of channels, or are
      integers.
    ValueError: if there are no images, or numbers are not finite.
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
  """Computes how many of the 1,000 modes samples cover, and how evenly.

  Args:
    logits_fn: classifier from `[B, H, W, 1]` to logits `[B, 10]`.
    images: images, `[n, H, W, 3]`, float in [-1, 1]; n = 26,000 in the
      protocol.

  Returns:
    The scores.
  """
  return stacked_modes(stacked_digits(logits_fn, images))
