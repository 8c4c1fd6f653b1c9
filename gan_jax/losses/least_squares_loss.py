"""Least squares, hinge and Wasserstein losses: no logarithm in them.

The discriminator's output has no sigmoid on it in any of these papers; it is
called a logit all the same.
"""

import math

import chex
import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def least_squares_discriminator(
  real_logits: Array,
  fake_logits: Array,
  *,
  real_target: float = 1.0,
  fake_target: float = 0.0,
  smoothing: Array | float = 0.0,
) -> Array:
  """Squared distance of logits to the targets b of real and a of fake.

  (real_logits - b)^2 / 2 + (fake_logits - a)^2 / 2

  Its minimum over all discriminators is (b p + a q) / (p + q). With a = -1,
  b = 1 and a generator's target of 0, the generator then minimises Pearson's
  chi-squared of p + q to 2 q, halved. With one-sided label smoothing the
  target of real examples is b - smoothing.

  Args:
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples, of the same shape.
    real_target: b.
    fake_target: a.
    smoothing: scalar in [0, 1).

  Returns:
    The losses, of the logits' shape, at least 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Mao et al., Least Squares Generative Adversarial Networks,
    https://arxiv.org/abs/1611.04076, 2017, eq. 2.
  """
  check_logits(real_logits, fake_logits)
  chex.assert_rank(smoothing, 0)
  fake_logits = jnp.asarray(fake_logits)
  dtype = jnp.result_type(real_logits)
  target = jnp.asarray(real_target - smoothing, dtype)
  return (
    jnp.square(real_logits - target) / 2
    + jnp.square(fake_logits - fake_target) / 2
  )


def least_squares_generator(
  real_logits: Array, fake_logits: Array, *, generator_target: float = 1.0
) -> Array:
  """Squared distance of fake logits to the generator's target c.

  (fake_logits - c)^2 / 2

  Args:
    real_logits: ignored but for its shape, `[...]`, float.
    fake_logits: the discriminator on generated examples, of the same shape.
    generator_target: c.

  Returns:
    The losses, of the logits' shape, at least 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Mao et al., Least Squares Generative Adversarial Networks,
    https://arxiv.org/abs/1611.04076, 2017, eq. 2.
  """
  check_logits(real_logits, fake_logits)
  return jnp.square(jnp.asarray(fake_logits) - generator_target) / 2


def least_squares(
  *,
  real_target: float = 1.0,
  fake_target: float = 0.0,
  generator_target: float = 1.0,
) -> AdversarialLoss:
  """The least squares losses with these targets.

  Args:
    real_target: b.
    fake_target: a.
    generator_target: c.

  Returns:
    The losses of both players; real lies beyond the middle of a and b.

  Raises:
    ValueError: where real_target is not above fake_target, or a target is not
      finite.
  """
  targets = real_target, fake_target, generator_target
  if not all(map(math.isfinite, targets)):
    raise ValueError(
      f'real_target={real_target}, fake_target={fake_target}, '
      f'generator_target={generator_target}: must be finite'
    )
  if not real_target > fake_target:
    raise ValueError(
      f'real_target={real_target} must be above fake_target={fake_target}'
    )

  def discriminator(real_logits, fake_logits, *, smoothing=0.0):
    return least_squares_discriminator(
      real_logits,
      fake_logits,
      real_target=real_target,
      fake_target=fake_target,
      smoothing=smoothing,
    )

  def generator(real_logits, fake_logits):
    return least_squares_generator(
      real_logits, fake_logits, generator_target=generator_target
    )

  middle = (real_target + fake_target) / 2
  return AdversarialLoss(discriminator, generator, decision_threshold=middle)
