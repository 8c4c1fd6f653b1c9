"""Points of gradient penalties: between real and fake, or around real."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives, precision, prng

Array = jax.Array


def check_batch(x: Array) -> None:
  """Checks that examples `[B, ...]` are floating point and not empty.

  Raises:
    AssertionError: if x is a scalar or has integers.
    ValueError: if there are no examples, or they have no elements.
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
  """Draws a random point between each real example and its fake.

  u real + (1 - u) fake, u ~ U(0, 1)

  Args:
    real: real examples, `[B, ...]`, float.
    fake: generated examples, same shape; no gradient flows through the points.
    keys: typed keys, one per example, `[B]`.

  Returns:
    The points, `[B, ...]`.

  Raises:
    AssertionError: if shapes differ, or the examples are integers.
    ValueError: if there are no examples.
  """
  chex.assert_equal_shape([real, fake])
  chex.assert_type([real, fake], float)
  check_batch(real)
  keys = prng.typed_keys(keys)
  chex.assert_shape(keys, real.shape[:1])
  mix = _per_example(jax.vmap(jax.random.uniform)(keys), real)
  return jax.lax.stop_gradient(mix * real + (1 - mix) * fake)


def normal_like(keys: Array, like: Array) -> Array:
  """Draws from N(0, I) for each example, with its own key.

  Args:
    keys: typed keys, one per example, `[B]`.
    like: array whose shape and type are used, `[B, ...]`.

  Returns:
    Normal samples, `[B, ...]`.
  """
  keys = prng.typed_keys(keys)
  chex.assert_shape(keys, like.shape[:1])
  return prng.sample_normal(keys, like.shape[1:]).astype(jnp.result_type(like))


def perturb(
  real: Array, keys: Array, *, scale: float, axis_name: str | None = None
) -> Array:
  """Adds Gaussian noise, scaled by the deviation of the batch, to examples.

  Args:
    real: real examples, `[B, ...]`, float.
    keys: typed keys, one per example, `[B]`.
    scale: standard deviation of the noise in units of the batch's.
    axis_name: name of the mapped device axis for the batch's standard
      deviation, or None.

  Returns:
    The noisy examples, `[B, ...]`, with no gradient.

  Raises:
    AssertionError: if the examples are integers, or the number of keys differs.
    ValueError: if there are no examples.
  """
  check_batch(real)
  wide = precision.widen(real)
  mean = collectives.pmean(wide.mean(), axis_name)
  variance = collectives.pmean(jnp.square(wide - mean).mean(), axis_name)
  moved = wide + scale * jnp.sqrt(variance) * normal_like(keys, real)
  return jax.lax.stop_gradient(precision.cast_like(moved, real))
