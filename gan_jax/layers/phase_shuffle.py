"""Phase shuffle: random shifts of sound inside a discriminator."""

import jax
import jax.numpy as jnp

Array = jax.Array


def shuffle_phase(x: Array, shifts: Array, limit: int) -> Array:
  """Shifts each example along its time axis, filled by reflection.

  A shift of s moves the example to the right by s samples, and to the left if s
  is negative. Without it a discriminator can tell generated sound by the phase
  of the transposed convolutions' artifacts.

  Args:
    x: activations, `[B, ..., T, F]`.
    shifts: shifts, `[B]` int, from -limit to limit.
    limit: largest shift, below T.

  Returns:
    Array of the shape of x.

  Raises:
    ValueError: if the limit is negative or not below T.

  References:
    Donahue et al., Adversarial Audio Synthesis,
    https://arxiv.org/abs/1802.04208, 2019, section 3.3.
  """
  length = x.shape[-2]
  if not 0 <= limit < length:
    raise ValueError(
      f'limit={limit}: must be at least 0 and below the {length} samples of x'
    )
  padding = [(0, 0)] * x.ndim
  padding[-2] = (limit, limit)
  padded = jnp.pad(x, padding, mode='reflect')
  cut = lambda row, shift: jax.lax.dynamic_slice_in_dim(
    row, limit - shift, length, axis=-2
  )
  return jax.vmap(cut)(padded, shifts)


def draw_shifts(keys: Array, limit: int) -> Array:
  """Draws shifts for shuffle_phase.

  Args:
    keys: typed keys, one per example, `[B]`.
    limit: largest shift.

  Returns:
    `[B]` int32, uniform in -limit .. limit.
  """
  draw = lambda key: jax.random.randint(key, (), -limit, limit + 1, jnp.int32)
  return jax.vmap(draw)(keys)
