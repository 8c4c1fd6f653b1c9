"""Instance noise on all discriminator inputs, and its decay."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import prng, tracing

Array = jax.Array


def instance_noise(x: Array, keys: Array, *, sigma: Array | float) -> Array:
  """Adds N(0, sigma^2) to every value of real and generated examples.

  The noise gives both distributions full support, so that they overlap.

  Args:
    x: examples, `[B, ...]`, float; images or not.
    keys: typed keys, one per example, `[B]`.
    sigma: standard deviation, scalar, at least 0; 0 returns x unchanged.

  Returns:
    The noisy examples, of the shape and dtype of x.

  Raises:
    AssertionError: if x is a vector or has integers, or the number of keys
      differs.

  References:
    Sonderby et al., Amortised MAP Inference for Image Super-resolution,
    https://arxiv.org/abs/1610.04490, 2016, section 3.
    Arjovsky and Bottou, Towards Principled Methods for Training Generative
    Adversarial Networks, https://arxiv.org/abs/1701.04862, 2017, section 3.
  """
  chex.assert_rank(x, set(range(2, 10)))
  chex.assert_type(x, float)
  keys = prng.typed_keys(keys)
  chex.assert_shape(keys, (x.shape[0],))
  chex.assert_rank(sigma, 0)
  noise = prng.sample_normal(keys, x.shape[1:])
  return (x + sigma * noise).astype(x.dtype)


def linear_decay(
  step: Array | int, *, start: float, steps: Array | int
) -> Array:
  """Decays linearly from `start` at step 0 to 0 at `steps` and later.

  Args:
    step: current step, scalar integer, at least 0.
    start: value at step 0.
    steps: step at which 0 is reached; 0 for the constant `start`.

  Returns:
    The value at this step, float32 scalar.

  Raises:
    AssertionError: if step or steps is not a scalar.
    ValueError: if steps is not traced and below 0.
  """
  chex.assert_rank([step, steps], 0)
  if tracing.fails(lambda steps: steps >= 0, steps):
    raise ValueError(f'steps={steps}: must be at least 0')
  left = 1 - jnp.asarray(step, jnp.float32) / jnp.maximum(steps, 1)
  return start * jnp.where(steps == 0, 1.0, jnp.clip(left, 0, 1))
