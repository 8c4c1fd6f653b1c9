"""Penalties that compare a network with itself: consistency, LeCam, modes."""

import chex
import jax
import jax.numpy as jnp

from gan_jax.penalties.interpolation import check_batch

Array = jax.Array


def _mean_squares(a: Array, b: Array) -> Array:
  check_batch(a)
  difference = (a - b).reshape(a.shape[0], -1)
  return jnp.square(difference).mean(axis=1)


def consistency(logits: Array, moved_logits: Array) -> Array:
  """Squared change of the logit under a change of the example.

  (D(x) - D(T(x)))^2

  On real and generated examples alike, under augmentations T, this is
  balanced consistency (bCR, the paper's weights 10 and 10); on G(z) and
  G(z + noise) it is the discriminator's half of latent consistency (zCR, 5).

  Args:
    logits: the discriminator on examples, `[B]` or `[B, h, w]`, float.
    moved_logits: the same on the changed examples, of the same shape.

  Returns:
    `[B]`, at least 0; the mean over a patch map.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithms 1 and 2.
  """
  chex.assert_equal_shape([logits, moved_logits])
  chex.assert_type([logits, moved_logits], float)
  return _mean_squares(logits, moved_logits)


def zcr_generator(fake: Array, moved_fake: Array) -> Array:
  """Minus the squared change of an example under noise on its latent.

  -mean((G(z) - G(z + noise))^2)

  The generator's half of latent consistency (zCR, the paper's weight 0.5):
  the generator shall not ignore small changes of z.

  Args:
    fake: G(z), `[B, ...]`, float.
    moved_fake: G(z + noise), of the same shape.

  Returns:
    `[B]`, at most 0: the mean over an example's numbers.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithm 2.
  """
  chex.assert_equal_shape([fake, moved_fake])
  chex.assert_type([fake, moved_fake], float)
  return -_mean_squares(fake, moved_fake)
