"""Augmentation that changes as training goes on: ADA's strength, and noise.

The controller's memory is a flat dict of float32 scalars, to be carried in
the train state: nothing is read on the host.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives

Array = jax.Array
AdaState = dict[str, Array]


def init_ada(strength: float = 0.0) -> AdaState:
  """Memory of the controller before the first step.

  Args:
    strength: to begin with, in [0, 1].

  Returns:
    'strength', and the 'sign_sum' and 'count' of the examples seen since it
    last moved: float32 scalars.

  Raises:
    ValueError: for a strength outside [0, 1].
  """
  if not 0 <= strength <= 1:
    raise ValueError(f'strength={strength!r}: a probability, in [0, 1]')
  zero = lambda: jnp.zeros((), jnp.float32)
  return {
    'strength': jnp.asarray(strength, jnp.float32),
    'sign_sum': zero(),
    'count': zero(),
  }


def update_ada(
  memory: AdaState,
  real_logits: Array,
  *,
  target: float = 0.6,
  speed: float = 500_000,
  interval_examples: int,
  axis_name: str | None = None,
) -> AdaState:
  """Moves the strength to hold the sign of real logits at the target.

  r = mean of sign(real_logits) since the last move
  strength += sign(r - target) * count / speed, clipped to [0, 1]

  once count, the examples since the last move, reaches interval_examples.
  Near 0 the discriminator cannot tell its training set from generated
  examples; near 1 it overfits. For a patch discriminator a logit's sign is
  the mean of its patches' signs.

  Args:
    memory: of init_strength, the same on every device.
    real_logits: of this device's (augmented) real examples, `[B]` or
      `[B, h, w]`, float, positive means real.
    target: of r, in (-1, 1).
    speed: examples in which the strength goes from 0 to 1 at the fastest.
    interval_examples: over all devices, between moves; the paper moves after
      every 4 batches.
    axis_name: the mapped axis of devices; None for a single one.

  Returns:
    The new memory, the same on every device.

  Raises:
    AssertionError: for logits of other rank or not floating point.
    ValueError: for no logits, a target outside (-1, 1), or a speed or an
      interval not above 0.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, section 3, eq. 1 (r_t).
  """
  chex.assert_rank(real_logits, {1, 3})
  chex.assert_type(real_logits, float)
  if not real_logits.size:
    raise ValueError(f'no logits: they are of shape {real_logits.shape}')
  if not (-1 < target < 1 and speed > 0 and interval_examples > 0):
    raise ValueError(
      f'target={target}, speed={speed}, interval_examples={interval_examples}: '
      'the target must be in (-1, 1), the others above 0'
    )
  signs = jnp.sign(jax.lax.stop_gradient(real_logits)).astype(jnp.float32)
  batch = real_logits.shape[0]
  sign_sum = signs.reshape(batch, -1).mean(axis=1).sum()
  count = jnp.asarray(batch, jnp.float32)
  sign_sum, count = collectives.psum((sign_sum, count), axis_name)
  sign_sum = memory['sign_sum'] + sign_sum
  count = memory['count'] + count
  step = jnp.sign(sign_sum / count - target) * count / speed
  moved = jnp.clip(memory['strength'] + step, 0, 1)
  due = count >= interval_examples
  return {
    'strength': jnp.where(due, moved, memory['strength']),
    'sign_sum': jnp.where(due, 0.0, sign_sum),
    'count': jnp.where(due, 0.0, count),
  }
