"""Least squares losses.

The paper's discriminator output is not passed through a sigmoid. It is called
a logit here all the same.
"""

import math

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
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
  """Computes the squared distances of logits to their targets b and a.

  (real_logits - b)^2 / 2 + (fake_logits - a)^2 / 2

  The discriminator (b p + a q) / (p + q) minimizes it. With a = -1, b = 1 and
  a generator's target of 0, the generator then minimizes half of Pearson's
  chi-squared divergence between p + q and 2 q. With one-sided label smoothing
  the target of real examples is b - smoothing.

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    real_target: target b of real logits.
    fake_target: target a of fake logits.
    smoothing: amount of label smoothing, scalar in [0, 1).

  Returns:
    Losses with the shape of the logits, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

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
  """Computes the squared distance of fake logits to the target c.

  (fake_logits - c)^2 / 2

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    generator_target: target c of fake logits.

  Returns:
    Losses with the shape of the logits, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

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
  """Builds the least squares losses with the given targets.

  Args:
    real_target: the discriminator's target b of real logits.
    fake_target: the discriminator's target a of fake logits.
    generator_target: the generator's target c of fake logits.

  Returns:
    The losses of both players. The decision threshold is (a + b) / 2.

  Raises:
    ValueError: if real_target is not above fake_target, or a target is not
      finite.
  """
  targets = real_target, fake_target, generator_target
  if any(tracing.fails(math.isfinite, x) for x in targets):
    raise ValueError(
      f'real_target={real_target}, fake_target={fake_target}, '
      f'generator_target={generator_target}: must be finite'
    )
  if tracing.fails(lambda a, b: a > b, real_target, fake_target):
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
