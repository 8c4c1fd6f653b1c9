"""Sliced Wasserstein distance: optimal transport along random directions."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate

Array = jax.Array


def _squared_distances(x, y, key, directions):
  """Squared Wasserstein-2 distance along each direction, `[directions]`."""
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
  """Root of the mean squared Wasserstein-2 distance of projections.

  Along a line the optimal transport joins equal quantiles.

  Args:
    first: `[n, ...]`, float; flattened.
    second: `[m, ...]`.
    key: typed key, for the directions.
    directions: how many, uniform on the sphere.

  Returns:
    Scalar, at least 0, in the units of the examples; about the Wasserstein-2
    distance over the square root of the dimension.

  Raises:
    AssertionError: for examples of different shapes, or integers.
    ValueError: for directions below 1, a set of no examples, or numbers that
      are not finite.

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
  """`sliced_wasserstein` with its standard error over directions.

  The error is that of a mean of squares, by the delta method: over twice the
  value; nan for one direction. It says nothing of the two sets' own chance.
  """
  checks.check_feature_sets(first=first, second=second)
  if directions < 1:
    raise ValueError(f'directions={directions}: must be at least 1')
  sets = [
    checks.at_least_float32(x).reshape(len(x), -1) for x in (first, second)
  ]
  scale = checks.power_of_two_scale(*sets)  # lest squares overflow or vanish
  squares = _squared_distances(*(x * scale for x in sets), key, directions)
  value = jnp.sqrt(squares.mean())
  # Of equal sets both are zero.
  error = squares.std(ddof=1) / directions**0.5 / jnp.maximum(2 * value, 1e-30)
  return Estimate(value / scale, error / scale)
