"""Activation functions, by name."""

from typing import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  'relu': nn.relu,
  'leaky_relu': lambda x: nn.leaky_relu(x, 0.2),
  'silu': nn.silu,
  'tanh': jnp.tanh,
}
