"""Random numbers per example, independent of the number of devices.

Per-example randomness (latents, noise, augmentation) uses a key folded with
the example's global index in the batch. One device with B examples and n
devices with B / n then draw the same numbers (up to rounding of the last bit),
and no two devices draw the same ones.
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing

__all__ = [
  'per_example_keys',
  'sample_normal',
  'sample_truncated_normal',
  'sample_uniform',
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
  return _sample(jax.random.normal, keys, dim)


def sample_truncated_normal(
  keys: Array, dim: int | tuple[int, ...], *, threshold: float = 2.0
) -> Array:
  """Draws latents z ~ N(0, I) whose entries are within a threshold.

  An entry is distributed as one that is drawn again as long as its absolute
  value is above the threshold. The standard deviation of an entry is below 1:
  0.88 for a threshold of 2, 0.54 for 1, 0.28 for 0.5.

  Args:
    keys: keys, such as those from per_example_keys, `[B]`.
    dim: length, or shape, of each latent.
    threshold: largest absolute value of an entry, above 0.

  Returns:
    Latents, `[B, dim]` or `[B, *shape]`, float32.

  Raises:
    ValueError: if the threshold is not above 0 and finite.

  References:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, https://arxiv.org/abs/1809.11096, 2019, section 3.1.
  """
  if tracing.fails(lambda x: 0 < x < float('inf'), threshold):
    raise ValueError(f'threshold={threshold}: must be above 0 and finite')

  def draw(key, shape, dtype):
    return jax.random.truncated_normal(key, -threshold, threshold, shape, dtype)

  return _sample(draw, keys, dim)


def sample_uniform(keys: Array, dim: int | tuple[int, ...]) -> Array:
  """Draws latents uniform in [-1, 1), one per key.

  Args:
    keys: keys, such as those from per_example_keys, `[B]`.
    dim: length, or shape, of each latent.

  Returns:
    Latents, `[B, dim]` or `[B, *shape]`, float32.

  References:
    Radford et al., Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks, https://arxiv.org/abs/1511.06434, 2016.
  """

  def draw(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -1, 1)

  return _sample(draw, keys, dim)


def _sample(draw, keys: Array, dim: int | tuple[int, ...]) -> Array:
  keys = typed_keys(keys)
  chex.assert_rank(keys, 1)
  shape = (dim,) if isinstance(dim, int) else dim
  return jax.vmap(lambda key: draw(key, shape, jnp.float32))(keys)
