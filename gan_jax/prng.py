"""Random numbers per example: the same for any number of devices.

What is random per example (latents, noise, augmentation) draws from a key
folded with the example's global index in the batch, so that one device with
B examples and n devices with B / n draw the same numbers (to the rounding of
the last bit), and no two devices draw the same ones.
"""

import chex
import jax
import jax.numpy as jnp

__all__ = [
  'per_example_keys',
  'sample_normal',
]

Array = jax.Array


def per_example_keys(key: Array, indices: Array) -> Array:
  """One key per example, a function of the key and the global index.

  Args:
    key: a typed key, `jax.random.key(seed)`.
    indices: `[B]` integers.

  Returns:
    `[B]` keys.
  """
  chex.assert_rank(indices, 1)
  return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def sample_normal(keys: Array, dim: int | tuple[int, ...]) -> Array:
  """Latents z ~ N(0, I), one per key.

  Args:
    keys: `[B]` keys, as example_keys makes them.
    dim: length of each latent, or a shape.

  Returns:
    `[B, dim]`, or `[B, *shape]`, float32.
  """
  chex.assert_rank(keys, 1)
  shape = (dim,) if isinstance(dim, int) else dim
  draw = lambda key: jax.random.normal(key, shape, jnp.float32)
  return jax.vmap(draw)(keys)
