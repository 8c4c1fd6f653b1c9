"""Running means over steps and devices."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.penalties.interpolation import check_batch

Array = jax.Array


def update_running_mean(
  average: Array, values: Array, *, decay: float, axis_name: str | None
) -> Array:
  """Moves a running mean towards the mean of a batch on all devices.

  decay * average + (1 - decay) * mean(values)

  Args:
    average: running mean so far, float32 scalar.
    values: values of this device's examples, float, not empty; no gradient
      flows through them.
    decay: weight of the running mean so far, in [0, 1].
    axis_name: name of the mapped axis of devices; None for a single device.

  Returns:
    The new running mean, float32 scalar.

  Raises:
    AssertionError: if average is not a scalar, or values are integers.
    ValueError: if values is empty.
  """
  check_batch(values)
  chex.assert_rank(average, 0)
  mean = jax.lax.stop_gradient(values).astype(jnp.float32).mean()
  mean = collectives.pmean(mean, axis_name)
  return decay * jnp.asarray(average, jnp.float32) + (1 - decay) * mean
