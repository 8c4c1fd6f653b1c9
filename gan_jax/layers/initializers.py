"""Kernel initializers, by name."""

from typing import Callable

import flax.linen as nn
import jax

Array = jax.Array
Initializer = Callable[..., Array]
INITIALIZERS: dict[str, Initializer] = {
  'normal': nn.initializers.normal(0.02),
  'glorot_uniform': nn.initializers.glorot_uniform(),
  'he_normal': nn.initializers.he_normal(),
  'lecun_normal': nn.initializers.lecun_normal(),
  'orthogonal': nn.initializers.orthogonal(),
  'zeros': nn.initializers.zeros,
}
