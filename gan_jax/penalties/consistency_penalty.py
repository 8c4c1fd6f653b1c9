"""Consistency regularization of both networks: bCR and zCR."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import precision
from gan_jax.penalties.interpolation import check_batch

Array = jax.Array


def _mean_squares(a: Array, b: Array) -> Array:
  check_batch(a)
  a, b = precision.widen((a, b))
  difference = (a - b).reshape(a.shape[0], -1)
  return jnp.square(difference).mean(axis=1)


def consistency(logits: Array, moved_logits: Array) -> Array:
  """Computes the squared change of logits as the examples are changed.

  (D(x) - D(T(x)))^2

  Applied to both real and generated examples under augmentations T, this is
  balanced consistency (bCR; the paper's weights are 10 and 10). Applied to
  G(z) and G(z + noise), it is the discriminator's half of latent consistency
  (zCR; weight 5).

  Args:
    logits: discriminator logits of examples, `[B]` or `[B, h, w]`, float; or
      other outputs, such as class logits, `[B, C]`.
    moved_logits: discriminator logits of the changed examples, same shape.

  Returns:
    Penalty per example, `[B]`, at least 0; the mean over other axes.

  Raises:
    AssertionError: if shapes differ, or inputs are scalars or integers.
    ValueError: if the batch is empty.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithms 1 and 2.
  """
  chex.assert_equal_shape([logits, moved_logits])
  chex.assert_type([logits, moved_logits], float)
  return _mean_squares(logits, moved_logits)


def zcr_generator(fake: Array, moved_fake: Array) -> Array:
  """Computes the negated squared change of fakes under noise on the latent.

  -mean((G(z) - G(z + noise))^2)

  This is the generator's half of latent consistency (zCR; the paper's weight
  is 0.5). It keeps the generator from ignoring small changes of z.

  Args:
    fake: generated examples G(z), `[B, ...]`, float.
    moved_fake: generated examples G(z + noise), same shape.

  Returns:
    Penalty per example, `[B]`, at most 0: the mean over its elements.

  Raises:
    AssertionError: if shapes differ, or inputs are scalars or integers.
    ValueError: if the batch is empty.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithm 2.
  """
  chex.assert_equal_shape([fake, moved_fake])
  chex.assert_type([fake, moved_fake], float)
  return -_mean_squares(fake, moved_fake)
