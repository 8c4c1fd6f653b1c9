"""Precision, recall, density, coverage: do two sets cover one another?

Around every example lies a ball that reaches to its k-th nearest neighbour of
its own set; the balls of a set stand for where it has mass. Distances are
computed a few hundred rows at a time: memory grows with the number of
examples, not with its square.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
_ROWS = 256


class Manifold(NamedTuple):
  """What `manifold_scores` returns, all scalars.

  Attributes:
    precision: share of fakes within some real ball, in [0, 1].
    recall: share of real examples within some fake ball, in [0, 1].
    density: mean number of real balls round a fake, over k, at least 0; 1 in
      expectation for equal distributions.
    coverage: share of real examples whose ball holds a fake, in [0, 1].
  """

  precision: Array
  recall: Array
  density: Array
  coverage: Array


def _distances(row: Array, others: Array, squares: Array) -> Array:
  """Squared distances from one row to all others."""
  return jnp.maximum(squares + row @ row - 2 * (others @ row), 0)


def neighbour_radii(features: Array, k: int) -> Array:
  """Squared distance of each example to its k-th nearest other one.

  Args:
    features: `[n, d]`, float.
    k: from 1 to n - 1.

  Returns:
    `[n]`.

  Raises:
    ValueError: for a k out of range.
  """
  chex.assert_rank(features, 2)
  if not 1 <= k < len(features):
    raise ValueError(
      f'k={k}: must be from 1 to {len(features) - 1}, one less than the '
      f'{len(features)} examples'
    )
  squares = jnp.square(features).sum(axis=1)

  def radius(index):
    distances = _distances(features[index], features, squares)
    distances = distances.at[index].set(jnp.inf)
    return -jax.lax.top_k(-distances, k)[0][-1]

  return jax.lax.map(radius, jnp.arange(len(features)), batch_size=_ROWS)


def manifold_scores(real: Array, fake: Array, *, k: int = 5) -> Manifold:
  """Precision, recall, density and coverage of features.

  Args:
    real: features of real examples, `[n, d]`, float.
    fake: of generated ones, `[m, d]`.
    k: the neighbour that a ball reaches to; 3 in the first paper, 5 in the
      second.

  Returns:
    The scores.

  Raises:
    AssertionError: for features of different length.
    ValueError: for a k out of range.

  References:
    Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing
    Generative Models, https://arxiv.org/abs/1904.06991, 2019.
    Naeem et al., Reliable Fidelity and Diversity Metrics for Generative
    Models, https://arxiv.org/abs/2002.09797, 2020, eq. 3 and 4.
  """
  chex.assert_rank([real, fake], 2)
  chex.assert_equal_shape_suffix([real, fake], 1)
  real, fake = jnp.asarray(real), jnp.asarray(fake)
  # About a common centre, for the rounding of |x|^2 - 2 xy + |y|^2.
  centre = real.mean(axis=0)[None]
  real, fake = real - centre, fake - centre
  real_radii, fake_radii = neighbour_radii(real, k), neighbour_radii(fake, k)
  real_squares = jnp.square(real).sum(axis=1)
  fake_squares = jnp.square(fake).sum(axis=1)

  def of_fake(row):
    inside = _distances(row, real, real_squares) < real_radii
    return inside.any(), inside.sum()

  def of_real(row_and_radius):
    row, radius = row_and_radius
    distances = _distances(row, fake, fake_squares)
    return (distances < fake_radii).any(), distances.min() < radius

  inside, balls = jax.lax.map(of_fake, fake, batch_size=_ROWS)
  recalled, covered = jax.lax.map(of_real, (real, real_radii), batch_size=_ROWS)
  return Manifold(
    precision=inside.mean(),
    recall=recalled.mean(),
    density=balls.mean() / k,
    coverage=covered.mean(),
  )
