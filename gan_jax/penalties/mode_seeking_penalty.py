"""Mode seeking regularization of the generator."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
from gan_jax.penalties.interpolation import check_batch

Array = jax.Array


def mode_seeking(
  fake: Array,
  other_fake: Array,
  latents: Array,
  other_latents: Array,
  *,
  epsilon: float = 1e-5,
) -> Array:
  """Computes the ratio of the distance of latents to that of their fakes.

  |z - z'|_1 / (|G(z) - G(z')|_1 + epsilon), mean absolute differences

  The paper maximizes the mean of the inverse ratio, with weight 1. This ratio
  is to be minimized, per pair.

  Args:
    fake: generated examples G(z), `[B, ...]`, float.
    other_fake: generated examples G(z'), same shape.
    latents: latents z, `[B, Z]`.
    other_latents: latents z', same shape.
    epsilon: offset of the denominator, above 0; bounds the ratio for equal
      fakes.

  Returns:
    Penalty per pair, `[B]`, at least 0.

  Raises:
    AssertionError: if shapes do not match, or inputs are scalars or integers.
    ValueError: if the batch is empty, or epsilon is not above 0 and finite.

  References:
    Mao et al., Mode Seeking Generative Adversarial Networks for Diverse
    Image Synthesis, https://arxiv.org/abs/1903.05628, 2019.
  """
  chex.assert_equal_shape([fake, other_fake])
  chex.assert_equal_shape([latents, other_latents])
  chex.assert_equal_shape_prefix([fake, latents], 1)
  chex.assert_type([fake, other_fake, latents, other_latents], float)
  check_batch(fake)
  check_batch(latents)
  if tracing.fails(lambda x: 0 < x < float('inf'), epsilon):
    raise ValueError(f'epsilon={epsilon}: must be above 0 and finite')
  distance = lambda a, b: jnp.abs(a - b).reshape(a.shape[0], -1).mean(axis=1)
  return distance(latents, other_latents) / (
    distance(fake, other_fake) + epsilon
  )
