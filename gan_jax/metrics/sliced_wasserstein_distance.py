"""Sliced Wasserstein distance: optimal transport along random directions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate

Array = jax.Array


def _squared_distances(x, y, key, directions):
  """Computes squared Wasserstein-2 distances per direction, `[directions]`."""
  n, m = len(x), len(y)
  # Levels, in units of 1 / (n m), between which both quantiles are constant.
  levels = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
  weights = (np.diff(levels) / (n * m)).astype(np.float32)
  low = levels[:-1]

  def one(key):
    direction = jax.random.normal(key, x.shape[1:])
    direction /= jnp.linalg.norm(direction)
    project = lambda a: jnp.sort(jnp.dot(a, direction, precision='highest'))
    gaps = project(x)[low // m] - project(y)[low // n]
    return weights @ jnp.square(gaps)

  keys = jax.random.split(key, directions)
  return jax.lax.map(one, keys, batch_size=16)


def sliced_wasserstein(
  first: Array, second: Array, key: Array, *, directions: int = 512
) -> Array:
  """Computes the root mean square Wasserstein-2 distance of projections.

  Along a line, optimal transport matches equal quantiles.

  Args:
    first: examples, `[n, ...]`, float; flattened.
    second: examples, `[m, ...]`, float; flattened.
    key: typed key, for the directions.
    directions: number of directions, uniform on the sphere.

  Returns:
    Distance, scalar, at least 0, in the units of the examples. It is about the
    Wasserstein-2 distance divided by the square root of the dimension.

  Raises:
    AssertionError: if example shapes differ, or examples are integers.
    ValueError: if directions is below 1, a set is empty, or numbers are not
      finite.

  References:
    Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, 2015.
    Deshpande et al., Generative Modeling using the Sliced Wasserstein
    Distance, https://arxiv.org/abs/1803.11188, 2018.
  """
  return sliced_wasserstein_estimate(
    first, second, key, directions=directions
  ).value


def sliced_wasserstein_estimate(
  first: Array, second: Array, key: Array, *, directions: int = 512
) -> Estimate:
  """Computes `sliced_wasserstein` with its standard error over directions.

  The error is that of the mean of squares, divided by twice the value (delta
  method); NaN for one direction. It does not include the sampling error of the
  two sets.
  """
  checks.check_feature_sets(first=first, second=second)
  if directions < 1:
    raise ValueError(f'directions={directions}: must be at least 1')
  first, second = checks.near_origin(first, second)
  return _estimate(first, second, key, directions)


@functools.partial(jax.jit, static_argnums=3)
def _estimate(first, second, key, directions):
  sets = [x.reshape(len(x), -1) for x in (first, second)]
  scale = checks.power_of_two_scale(*sets)  # keeps squares in range
  squares = _squared_distances(*(x * scale for x in sets), key, directions)
  value = jnp.sqrt(squares.mean())
  # For equal sets both are zero.
  error = squares.std(ddof=1) / directions**0.5 / jnp.maximum(2 * value, 1e-30)
  return Estimate(value / scale, error / scale)
