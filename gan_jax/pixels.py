"""Conversions between uint8 pixels and floats in [-1, 1]."""

import jax
import jax.numpy as jnp

Array = jax.Array


def to_float(x: Array) -> Array:
  """Pixels 0..255 to float32 in [-1, 1]; anything else to float32 as it is.

  Args:
    x: `[...]`, uint8 or floating point.

  Returns:
    `[...]` float32.

  Raises:
    ValueError: for other types, whose range is anybody's guess.
  """
  if x.dtype == jnp.uint8:
    return x.astype(jnp.float32) / 127.5 - 1
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(
      f'examples of type {x.dtype}: must be uint8 (0 to 255) or floating point '
      '(images in [-1, 1])'
    )
  return x.astype(jnp.float32)
