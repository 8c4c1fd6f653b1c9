"""Precision, recall, density and coverage of generated examples.

Every example is the center of a ball whose radius is the distance to its k-th
nearest neighbor in its own set. The union of these balls approximates the
support of the set. Distances are computed a few hundred rows at a time, so that
memory grows with the number of examples and not with its square. They are
computed in float64, near the origin, and then rounded to float32, so that ties
stay ties. Balls are open: a ball of radius 0, around an example with k copies, is empty.
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate

Array = jax.Array
_ROWS = 256


class PRDC(NamedTuple):
  """Precision, recall, density and coverage, each a scalar or an Estimate.

  Attributes:
    precision: share of fakes within some real ball, in [0, 1].
    recall: share of real examples within some fake ball, in [0, 1].
    density: mean number of real balls that contain a fake, divided by k, at
      least 0; its expectation is 1 for equal distributions.
    coverage: share of real examples whose ball contains a fake, in [0, 1].
  """

  precision: Array | Estimate
  recall: Array | Estimate
  density: Array | Estimate
  coverage: Array | Estimate


def _to_each(function, rows: Array, others: Array, *more: Array):
  """Maps function(distances `[m]` of a row to others, *more) over rows."""
  with jax.enable_x64(True):
    others = others.astype(jnp.float64)
    squares = jnp.square(others).sum(axis=1)

    def one(args):
      row, *more = args
      row = row.astype(jnp.float64)
      total = squares + row @ row
      found = total - 2 * (row @ others.T)
      # Copies are at distance 0 exactly, without rounding errors.
      found = jnp.where(found > 1e-14 * total, found, 0)
      return function(jnp.sqrt(found.astype(jnp.float32)), *more)

    return jax.lax.map(one, (rows, *more), batch_size=_ROWS)


def nearest_neighbor_radii(features: Array, k: int) -> Array:
  """Computes the distance of each example to its k-th nearest neighbor.

  Args:
    features: features of the examples, `[n, d]`, float.
    k: index of the neighbor, from 1 to n - 1.

  Returns:
    Distances, `[n]`, float32.

  Raises:
    AssertionError: if features have another rank or are integers.
    ValueError: if k is out of range, or numbers or their squares are not
      finite.
  """
  chex.assert_rank(features, 2)
  _check_k(k, features)
  checks.check_feature_sets(features=features)
  radii = _radii(*checks.near_origin(features), k)
  checks.check_score('a distance', radii, features)
  return radii


def _check_k(k, *sets):
  for x in sets:
    if not 1 <= k < len(x):
      raise ValueError(
        f'k={k}: must be from 1 to {len(x) - 1}, one less than the '
        f'{len(x)} examples'
      )


@functools.partial(jax.jit, static_argnums=1)
def _radii(features, k):
  def radius(distances, index):
    distances = distances.at[index].set(jnp.inf)
    # Not top_k, which sorts on CPU: slower than this for k below about 20.
    nearest = lambda left: jax.lax.argmin(left, 0, jnp.int32)
    drop = lambda _, left: left.at[nearest(left)].set(jnp.inf)
    return jax.lax.fori_loop(1, k, drop, distances).min()

  return _to_each(radius, features, features, jnp.arange(len(features)))


def _per_example(real: Array, fake: Array, k: int) -> PRDC:
  """Computes per-example scores, `[m]`, `[n]`, `[m]`, `[n]`, float32."""
  chex.assert_rank([real, fake], 2)
  checks.check_feature_sets(real=real, fake=fake)
  _check_k(k, real, fake)
  with jax.enable_x64(True):
    found, radii = _scores_and_radii(real, fake, k)
  checks.check_score('a distance', radii, real, fake)
  return found


@functools.partial(jax.jit, static_argnums=2)
def _scores_and_radii(real, fake, k):
  # A common shift and scale, which change no score: float32 distances have a
  # range, and near points far away pass for copies.
  wide = [x.astype(jnp.float64) for x in (real, fake)]
  real, fake = checks.near_origin(*wide)
  scale = checks.power_of_two_scale(real, fake)
  real, fake = real * scale, fake * scale
  real_radii, fake_radii = _radii(real, k), _radii(fake, k)

  def of_fake(distances):
    return (distances < real_radii).sum().astype(jnp.float32)

  def of_real(distances, radius):
    recalled = (distances < fake_radii).any()
    covered = distances.min() < radius
    return recalled.astype(jnp.float32), covered.astype(jnp.float32)

  balls = _to_each(of_fake, fake, real)
  recalled, covered = _to_each(of_real, real, fake, real_radii)
  precise = (balls > 0).astype(jnp.float32)
  found = PRDC(precise, recalled, balls / k, covered)
  return found, jnp.concatenate([real_radii, fake_radii])


def compute_prdc(real: Array, fake: Array, *, k: int = 5) -> PRDC:
  """Computes precision, recall, density and coverage of features.

  Args:
    real: features of real examples, `[n, d]`, float.
    fake: features of generated examples, `[m, d]`, float.
    k: index of the neighbor that determines a ball's radius; 3 in the first
      paper, 5 in the second.

  Returns:
    The scores, float32.

  Raises:
    AssertionError: if features have another rank, are integers, or differ in
      length.
    ValueError: if k is out of range, or numbers are not finite.

  References:
    Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing
    Generative Models, https://arxiv.org/abs/1904.06991, 2019.
    Naeem et al., Reliable Fidelity and Diversity Metrics for Generative
    Models, https://arxiv.org/abs/2002.09797, 2020, eq. 3 and 4.
  """
  return _means(_per_example(real, fake, k))


@jax.jit
def _means(scores):
  return jax.tree.map(jnp.mean, scores)


def prdc_jackknife(real: Array, fake: Array, *, k: int = 5) -> PRDC:
  """Computes `compute_prdc` with the standard error of each score.

  Errors of precision and density are over fakes, given the real set. Errors of
  recall and coverage are over real examples, given the fake set. The sampling
  error of the given set is not included.
  """
  return _estimates(_per_example(real, fake, k))


@jax.jit
def _estimates(scores):
  return PRDC(
    *(Estimate(x.mean(), x.std(ddof=1) / len(x) ** 0.5) for x in scores)
  )
