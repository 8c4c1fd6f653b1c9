"""Sliced Wasserstein distance: optimal transport along random directions."""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def sliced_wasserstein(
  first: Array, second: Array, key: Array, *, directions: int = 512
) -> Array:
  """Root of the mean squared Wasserstein-2 distance of projections.

  Along a line the optimal transport joins the i-th smallest of either set.

  Args:
    first: `[n, ...]`, float; flattened.
    second: of the same shape.
    key: typed key, for the directions.
    directions: how many, uniform on the sphere.

  Returns:
    Scalar, at least 0, in the units of the examples; about the Wasserstein-2
    distance over the square root of the dimension.

  Raises:
    AssertionError: for different shapes.
    ValueError: for directions below 1.

  References:
    Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015.
    Deshpande et al., Generative Modeling using the Sliced Wasserstein
    Distance, https://arxiv.org/abs/1803.11188, 2018.
  """
  chex.assert_equal_shape([first, second])
  if directions < 1:
    raise ValueError(f'directions={directions}: must be at least 1')
  x, y = (a.reshape(len(a), -1) for a in (first, second))

  def one(key):
    direction = jax.random.normal(key, x.shape[1:])
    direction /= jnp.linalg.norm(direction)
    gaps = jnp.sort(x @ direction) - jnp.sort(y @ direction)
    return jnp.square(gaps).mean()

  keys = jax.random.split(key, directions)
  return jnp.sqrt(jax.lax.map(one, keys, batch_size=16).mean())
