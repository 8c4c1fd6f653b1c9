"""Augmentation that changes as training goes on: ADA's strength, and noise.

The controller's memory is a flat dict of float32 scalars, to be carried in
the train state: nothing is read on the host.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax import prng

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
  if axis_name is not None:
    sign_sum, count = jax.lax.psum((sign_sum, count), axis_name)
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


def instance_noise(x: Array, keys: Array, *, sigma: Array | float) -> Array:
  """Adds N(0, sigma^2) to every value of real and generated examples.

  It gives both distributions full support, so that they overlap.

  Args:
    x: `[B, ...]`, float; images or not.
    keys: `[B]` typed keys, one per example.
    sigma: standard deviation, scalar, at least 0; 0 gives x back.

  Returns:
    The noisy examples, of the shape and dtype of x.

  Raises:
    AssertionError: for a vector, integers, or another number of keys.

  References:
    Sonderby et al., Amortised MAP Inference for Image Super-resolution,
    https://arxiv.org/abs/1610.04490, 2016, section 3.
    Arjovsky and Bottou, Towards Principled Methods for Training Generative
    Adversarial Networks, https://arxiv.org/abs/1701.04862, 2017, section 3.
  """
  chex.assert_rank(x, set(range(2, 10)))
  chex.assert_type(x, float)
  chex.assert_shape(keys, (x.shape[0],))
  chex.assert_rank(sigma, 0)
  noise = prng.sample_normal(keys, x.shape[1:])
  return (x + sigma * noise).astype(x.dtype)


def linear_decay(
  step: Array | int, *, start: float, steps: Array | int
) -> Array:
  """Line from `start` at step 0 to 0 at `steps`, and 0 from then on.

  Args:
    step: scalar integer, at least 0.
    start: value at step 0.
    steps: when 0 is reached; 0 for the constant `start`.

  Returns:
    float32 scalar.

  Raises:
    AssertionError: for what is no scalar.
    ValueError: for steps below 0, where they are not traced.
  """
  chex.assert_rank([step, steps], 0)
  if isinstance(steps, int | float) and not steps >= 0:
    raise ValueError(f'steps={steps}: must be at least 0')
  left = 1 - jnp.asarray(step, jnp.float32) / jnp.maximum(steps, 1)
  return start * jnp.where(steps == 0, 1.0, jnp.clip(left, 0, 1))
