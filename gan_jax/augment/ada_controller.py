"""Adaptive strength of ADA.

The controller's state is a flat dict of float32 scalars, carried in the train
state. Nothing is read on the host.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives, tracing

Array = jax.Array
AdaState = dict[str, Array]


def init_ada(strength: float = 0.0) -> AdaState:
  """Returns the initial state of the ADA controller.

  Args:
    strength: initial strength, in [0, 1].

  Returns:
    Float32 scalars: 'strength', and 'sign_sum' and 'count' of the examples
    since its last update.

  Raises:
    ValueError: if strength is outside [0, 1].
  """
  if tracing.fails(lambda strength: 0 <= strength <= 1, strength):
    raise ValueError(f'strength={strength}: must be in [0, 1]')
  zero = lambda: jnp.zeros((), jnp.float32)
  return {
    'strength': jnp.asarray(strength, jnp.float32),
    'sign_sum': zero(),
    'count': zero(),
  }


def update_ada(
  aux_state: AdaState,
  real_logits: Array,
  *,
  target: float = 0.6,
  speed: float = 500_000,
  interval_examples: int,
  axis_name: str | None = None,
) -> AdaState:
  """Adjusts the strength to hold the mean sign of real logits at the target.

  r = mean of sign(real_logits) since the last update
  strength += sign(r - target) * count / speed, clipped to [0, 1]

  The update takes place once count, the number of examples since the last
  update, reaches interval_examples. With r near 0 the discriminator cannot
  distinguish its training set from generated examples; with r near 1 it
  overfits. For a patch discriminator the sign of an example is the mean of
  its patches' signs.

  Args:
    aux_state: state of the controller, from init_ada or an earlier update, the
      same on every device.
    real_logits: discriminator logits of this device's (augmented) real
      examples, `[B]` or `[B, h, w]`, float; positive means real.
    target: target of r, in (-1, 1).
    speed: minimum number of examples for the strength to go from 0 to 1.
    interval_examples: number of examples over all devices between updates;
      the paper updates every 4 batches.
    axis_name: name of the mapped device axis, or None for a single device.

  Returns:
    The new state, the same on every device.

  Raises:
    AssertionError: if the logits have another rank or are not floating point.
    ValueError: if there are no logits, target is outside (-1, 1), or speed or
      interval_examples is not above 0.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, section 3, eq. 1 (r_t).
  """
  chex.assert_rank(real_logits, {1, 3})
  chex.assert_type(real_logits, float)
  if not real_logits.size:
    raise ValueError(f'real_logits is empty: of shape {real_logits.shape}')
  positive = lambda x: x > 0
  if (
    tracing.fails(lambda target: -1 < target < 1, target)
    or tracing.fails(positive, speed)
    or tracing.fails(positive, interval_examples)
  ):
    raise ValueError(
      f'target={target}, speed={speed}, interval_examples={interval_examples}: '
      'the target must be in (-1, 1), the others above 0'
    )
  signs = jnp.sign(jax.lax.stop_gradient(real_logits)).astype(jnp.float32)
  batch = real_logits.shape[0]
  sign_sum = signs.reshape(batch, -1).mean(axis=1).sum()
  count = jnp.asarray(batch, jnp.float32)
  sign_sum, count = collectives.psum((sign_sum, count), axis_name)
  sign_sum = aux_state['sign_sum'] + sign_sum
  count = aux_state['count'] + count
  step = jnp.sign(sign_sum / count - target) * count / speed
  moved = jnp.clip(aux_state['strength'] + step, 0, 1)
  due = count >= interval_examples
  return {
    'strength': jnp.where(due, moved, aux_state['strength']),
    'sign_sum': jnp.where(due, 0.0, sign_sum),
    'count': jnp.where(due, 0.0, count),
  }
