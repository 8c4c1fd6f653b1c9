"""Conversions between uint8 pixels and floats in [-1, 1].

NumPy arrays stay NumPy arrays, JAX arrays stay JAX arrays.
"""

from typing import TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = TypeVar('Array', jax.Array, np.ndarray)


def to_float(x: Array) -> Array:
  """Converts uint8 pixels to float32 in [-1, 1].

  Args:
    x: pixels, `[...]`, uint8; or floats, which are only cast to float32.

  Returns:
    Floats, `[...]`, float32.

  Raises:
    ValueError: if x has another type, whose range is unknown.
  """
  if x.dtype == jnp.uint8:
    return x.astype(jnp.float32) / 127.5 - 1
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(
      f'examples of type {x.dtype}: must be uint8 (0 to 255) or floating point '
      '(images in [-1, 1])'
    )
  return x.astype(jnp.float32)


def to_uint8(x: Array, value_range: tuple[float, float] = (-1.0, 1.0)) -> Array:
  """Rounds floats to uint8 pixels.

  round((x - low) * 255 / (high - low))

  Args:
    x: floats, `[...]`; values out of range are clipped, and a NaN becomes an
      arbitrary level.
    value_range: (low, high), the values of the levels 0 and 255.

  Returns:
    Pixels, `[...]`, uint8.

  Raises:
    AssertionError: if x has integers.
  """
  chex.assert_type(x, float)
  xp = np if isinstance(x, np.ndarray) else jnp
  low, high = value_range
  # Clip first: large numbers of a narrow type would overflow.
  levels = xp.round((xp.clip(x, low, high) - low) * (255 / (high - low)))
  return levels.astype(np.uint8)
