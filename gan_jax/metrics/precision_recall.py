"""Precision, recall, density, coverage: do two sets cover one another?

Around every example lies a ball that reaches to its k-th nearest neighbour of
its own set; the balls of a set stand for where it has mass. Distances are
computed a few hundred rows at a time: memory grows with the number of
examples, not with its square. They are computed in float64 and then rounded to
float32, so that examples equally far away stay so. A ball holds what is nearer
than its radius: one of radius 0, round an example with k copies, holds nothing.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate

Array = jax.Array
_ROWS = 256


class PRDC(NamedTuple):
  """Four scores, each a scalar, or an Estimate.

  Attributes:
    precision: share of fakes within some real ball, in [0, 1].
    recall: share of real examples within some fake ball, in [0, 1].
    density: mean number of real balls round a fake, over k, at least 0; 1 in
      expectation for equal distributions.
    coverage: share of real examples whose ball holds a fake, in [0, 1].
  """

  precision: Array | Estimate
  recall: Array | Estimate
  density: Array | Estimate
  coverage: Array | Estimate


def _to_each(function, rows: Array, others: Array, *more: Array):
  """Maps function(distances [m] from a row to the others, *more of a row)."""
  with jax.enable_x64(True):
    rows, others = jnp.asarray(rows), jnp.asarray(others, jnp.float64)
    squares = jnp.square(others).sum(axis=1)

    def one(args):
      row, *more = args
      row = row.astype(jnp.float64)
      total = squares + row @ row
      found = total - 2 * (row @ others.T)
      # Copies are at distance 0, not at that of rounding.
      found = jnp.where(found > 1e-14 * total, found, 0)
      return function(jnp.sqrt(found.astype(jnp.float32)), *more)

    return jax.lax.map(one, (rows, *more), batch_size=_ROWS)


def nearest_neighbor_radii(features: Array, k: int) -> Array:
  """Distance of each example to its k-th nearest other one.

  Args:
    features: `[n, d]`, float.
    k: from 1 to n - 1.

  Returns:
    `[n]` float32.

  Raises:
    AssertionError: for another rank, or integers.
    ValueError: for a k out of range, or numbers that are not finite, or whose
      squares are not.
  """
  chex.assert_rank(features, 2)
  if not 1 <= k < len(features):
    raise ValueError(
      f'k={k}: must be from 1 to {len(features) - 1}, one less than the '
      f'{len(features)} examples'
    )
  checks.check_feature_sets(features=features)

  def radius(distances, index):
    distances = distances.at[index].set(jnp.inf)
    # Not top_k, which sorts on a CPU: slower than this for k below 20 or so.
    nearest = lambda left: jax.lax.argmin(left, 0, jnp.int32)
    drop = lambda _, left: left.at[nearest(left)].set(jnp.inf)
    return jax.lax.fori_loop(1, k, drop, distances).min()

  radii = _to_each(radius, features, features, jnp.arange(len(features)))
  checks.check_score('a distance', radii, features)
  return radii


def _scaled(*sets):
  with jax.enable_x64(True):
    sets = [jnp.asarray(x, jnp.float64) for x in sets]
    scale = checks.power_of_two_scale(*sets)
    return [x * scale for x in sets]


def _per_example(real: Array, fake: Array, k: int) -> PRDC:
  """What each score is the mean of: `[m]`, `[n]`, `[m]`, `[n]`, float32."""
  chex.assert_rank([real, fake], 2)
  checks.check_feature_sets(real=real, fake=fake)
  # The scores are the same at any scale, but float32 distances end somewhere.
  real, fake = _scaled(real, fake)
  real_radii, fake_radii = (
    nearest_neighbor_radii(real, k),
    nearest_neighbor_radii(fake, k),
  )

  def of_fake(distances):
    return (distances < real_radii).sum().astype(jnp.float32)

  def of_real(distances, radius):
    recalled = (distances < fake_radii).any()
    covered = distances.min() < radius
    return recalled.astype(jnp.float32), covered.astype(jnp.float32)

  balls = _to_each(of_fake, fake, real)
  recalled, covered = _to_each(of_real, real, fake, real_radii)
  precise = (balls > 0).astype(jnp.float32)
  return PRDC(precise, recalled, balls / k, covered)


def compute_prdc(real: Array, fake: Array, *, k: int = 5) -> PRDC:
  """Precision, recall, density and coverage of features.

  Args:
    real: features of real examples, `[n, d]`, float.
    fake: of generated ones, `[m, d]`.
    k: the neighbour that a ball reaches to; 3 in the first paper, 5 in the
      second.

  Returns:
    The scores, float32.

  Raises:
    AssertionError: for other ranks, integers, or features of different length.
    ValueError: for a k out of range, or numbers that are not finite.

  References:
    Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing
    Generative Models, https://arxiv.org/abs/1904.06991, 2019.
    Naeem et al., Reliable Fidelity and Diversity Metrics for Generative
    Models, https://arxiv.org/abs/2002.09797, 2020, eq. 3 and 4.
  """
  return PRDC(*(x.mean() for x in _per_example(real, fake, k)))


def prdc_jackknife(real: Array, fake: Array, *, k: int = 5) -> PRDC:
  """`manifold_scores`, each an Estimate with its standard error.

  The errors of precision and density are over fakes, given the real set,
  those of recall and coverage over real examples, given the fake set: the
  chance of the set that is given is left out.
  """
  return PRDC(
    *(
      Estimate(x.mean(), x.std(ddof=1) / len(x) ** 0.5)
      for x in _per_example(real, fake, k)
    )
  )
