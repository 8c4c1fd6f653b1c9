"""Kernel initializers, by name.

Glorot's limit is the root of 6 / (fan_in + fan_out), with fans of channels
times the kernel's pixels. 'glorot_uniform_sqrt2' has the root of 2 times that,
for convolutions followed by ReLU.
"""

from typing import Any, Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
Initializer = Callable[..., Array]
INITIALIZERS: dict[str, Initializer] = {
  'normal': nn.initializers.normal(0.02),
  'glorot_uniform': nn.initializers.glorot_uniform(),
  'glorot_uniform_sqrt2': nn.initializers.variance_scaling(
    2.0, 'fan_avg', 'uniform'
  ),
  'he_normal': nn.initializers.he_normal(),
  'lecun_normal': nn.initializers.lecun_normal(),
  'orthogonal': nn.initializers.orthogonal(),
  'zeros': nn.initializers.zeros,
}


def near_one(
  key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Array:
  """Draws scales of normalization from N(1, 0.02^2).

  Args:
    key: key of the draw.
    shape: shape of the scales.
    dtype: their floating-point type.

  Returns:
    The scales.
  """
  return 1 + INITIALIZERS['normal'](key, shape, dtype)
