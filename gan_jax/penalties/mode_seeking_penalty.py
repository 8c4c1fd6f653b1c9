"""Mode seeking regularization of the generator."""

import chex
import jax
import jax.numpy as jnp

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
  """How little examples differ where their latents do.

  |z - z'|_1 / (|G(z) - G(z')|_1 + epsilon), mean absolute differences

  The paper maximises the mean of the inverse ratio, with weight 1; this is to
  be minimised, pair by pair.

  Args:
    fake: G(z), `[B, ...]`, float.
    other_fake: G(z'), of the same shape.
    latents: z, `[B, Z]`.
    other_latents: z', of the same shape.
    epsilon: above 0; bounds the ratio for equal examples.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: for shapes that do not match, scalars or integers.
    ValueError: for an empty batch, or an epsilon that is not above 0.

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
  if isinstance(epsilon, int | float) and not 0 < epsilon < float('inf'):
    raise ValueError(f'epsilon={epsilon}: must be above 0, and finite')
  distance = lambda a, b: jnp.abs(a - b).reshape(a.shape[0], -1).mean(axis=1)
  return distance(latents, other_latents) / (
    distance(fake, other_fake) + epsilon
  )
