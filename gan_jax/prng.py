"""Random numbers per example, independent of the number of devices.

Per-example randomness (latents, noise, augmentation) uses a key folded with
the example's global index in the batch. One device with B examples and n
devices with B / n then draw the same numbers (up to rounding of the last bit),
and no two devices draw the same ones.
"""

import chex
import jax
import jax.numpy as jnp

__all__ = [
  'per_example_keys',
  'sample_normal',
  'typed_keys',
]

Array = jax.Array


def typed_keys(keys: Array) -> Array:
  """Returns typed keys; those of jax.random.PRNGKey are converted.

  Args:
    keys: keys of jax.random.key or jax.random.PRNGKey, of any shape.

  Returns:
    Typed keys that draw the same numbers.

  Raises:
    ValueError: if these are not keys.
  """
  dtype = getattr(keys, 'dtype', None)
  if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
    return keys
  if dtype == jnp.uint32:
    try:
      return jax.random.wrap_key_data(keys)
    except (TypeError, ValueError):  # another shape
      pass
  found = keys if dtype is None else f'{dtype}{list(keys.shape)}'
  raise ValueError(f'key={found}: must be a key, such as jax.random.key(0)')


def per_example_keys(key: Array, indices: Array) -> Array:
  """Returns one key per example: the key folded with its global index.

  Args:
    key: key, `jax.random.key(seed)`; an old one of jax.random.PRNGKey works,
      too.
    indices: global indices of the examples, `[B]`, integers.

  Returns:
    Typed keys, `[B]`.
  """
  chex.assert_rank(indices, 1)
  key = typed_keys(key)
  return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def sample_normal(keys: Array, dim: int | tuple[int, ...]) -> Array:
  """Draws latents z ~ N(0, I), one per key.

  Args:
    keys: keys, such as those from per_example_keys, `[B]`.
    dim: length, or shape, of each latent.

  Returns:
    Latents, `[B, dim]` or `[B, *shape]`, float32.
  """
  keys = typed_keys(keys)
  chex.assert_rank(keys, 1)
  shape = (dim,) if isinstance(dim, int) else dim
  draw = lambda key: jax.random.normal(key, shape, jnp.float32)
  return jax.vmap(draw)(keys)
