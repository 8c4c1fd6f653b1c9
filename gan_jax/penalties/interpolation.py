"""Where penalties look: between real and generated examples, around real."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives, prng

Array = jax.Array


def check_batch(x: Array) -> None:
  """Refuses examples `[B, ...]` that have no mean.

  Raises:
    AssertionError: for a scalar, or integers.
    ValueError: for no examples, or examples of no numbers.
  """
  chex.assert_type(x, float)
  chex.assert_rank(x, set(range(1, 10)))
  if not x.size:
    raise ValueError(f'a batch of shape {x.shape}: must not be empty')


def _per_example(values: Array, like: Array) -> Array:
  return values.reshape(-1, *(1,) * (like.ndim - 1)).astype(
    jnp.result_type(like)
  )


def interpolate(real: Array, fake: Array, keys: Array) -> Array:
  """A random point on the line from each fake to the real one of its place.

  u real + (1 - u) fake, u ~ U(0, 1)

  Args:
    real: `[B, ...]`, float.
    fake: of the same shape; no gradient goes through the points.
    keys: `[B]`, one per example.

  Returns:
    `[B, ...]`.

  Raises:
    AssertionError: for shapes that differ, or integers.
    ValueError: for no examples.
  """
  chex.assert_equal_shape([real, fake])
  chex.assert_type([real, fake], float)
  check_batch(real)
  chex.assert_shape(keys, real.shape[:1])
  mix = _per_example(jax.vmap(jax.random.uniform)(keys), real)
  return jax.lax.stop_gradient(mix * real + (1 - mix) * fake)


def normal_like(keys: Array, like: Array) -> Array:
  """N(0, I), drawn for each example from its own key.

  Args:
    keys: `[B]`.
    like: `[B, ...]`, for shape and type.

  Returns:
    `[B, ...]`.
  """
  chex.assert_shape(keys, like.shape[:1])
  return prng.sample_normal(keys, like.shape[1:]).astype(jnp.result_type(like))


def perturb(
  real: Array, keys: Array, *, scale: float, axis_name: str | None = None
) -> Array:
  """Real examples with Gaussian noise of `scale` deviations of the batch.

  Args:
    real: `[B, ...]`, float.
    keys: `[B]`, one per example.
    scale: deviation of the noise in units of the batch's.
    axis_name: the mapped axis of devices, over which the deviation goes.

  Returns:
    `[B, ...]`.

  Raises:
    AssertionError: for integers, or another number of keys.
    ValueError: for no examples.
  """
  check_batch(real)
  mean = collectives.pmean(real.mean(), axis_name)
  variance = collectives.pmean(jnp.square(real - mean).mean(), axis_name)
  return jax.lax.stop_gradient(
    real + scale * jnp.sqrt(variance) * normal_like(keys, real)
  )
