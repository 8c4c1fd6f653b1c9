"""Frechet distance between two Gaussians, and the moments it needs.

All computations are in float64, whatever the features: in float32 the distance
of a set to itself can be as low as -0.1. Moments are accumulated over batches,
so that only one batch of features is in memory.
"""

import functools
import itertools
from typing import Iterable, Iterator, NamedTuple, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import tracing
from gan_jax.metrics import checks, resampling

Array = jax.Array

# Sets of fewer examples per feature are compared in the space that they span.
_FEW = 0.25
_MARGIN = 8  # more directions than the examples have, against rounding


class Moments(NamedTuple):
  """Mean and scatter matrix of the features so far, float64.

  Attributes:
    count: number of feature vectors, scalar.
    mean: mean of the features, `[d]`.
    scatter: sum of outer products of the centered features, `[d, d]`.
  """

  count: Array
  mean: Array
  scatter: Array


def init_moments(dim: int) -> Moments:
  """Returns the moments of an empty set of features of length `dim`."""
  with jax.enable_x64(True):
    zeros = lambda *shape: jnp.asarray(np.zeros(shape))
    return Moments(zeros(), zeros(dim), zeros(dim, dim))


def add_moments(first: Moments, second: Moments) -> Moments:
  """Computes the moments of the union of two sets.

  References:
    Chan et al., Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances, 1979.
  """
  with jax.enable_x64(True):
    return _merge(first, second)


@jax.jit
def _merge(first, second):
  count = first.count + second.count
  share = second.count / jnp.maximum(count, 1)
  shift = second.mean - first.mean
  scatter = first.scatter + second.scatter
  return Moments(
    count,
    first.mean + share * shift,
    scatter + first.count * share * jnp.outer(shift, shift),
  )


@jax.jit
def _batch_moments(features, weights):
  weights = weights.astype(jnp.float64)
  # Padding rows may be infinite, and 0 times infinity is NaN.
  features = jnp.where(weights[:, None] > 0, features.astype(jnp.float64), 0)
  count = weights.sum()
  mean = weights @ features / jnp.maximum(count, 1)
  centred = (features - mean[None]) * weights[:, None]
  return Moments(count, mean, centred.T @ centred)


def update_moments(
  moments: Moments, features: Array, valid: Array | None = None
) -> Moments:
  """Adds a batch of features to moments.

  Args:
    moments: moments of the features so far.
    features: features of the batch, `[n, d]`, float.
    valid: mask, False for padding rows, `[n]`, bool; None for no padding.

  Returns:
    The new moments. If a feature is not finite they are not finite either, and
    `covariance` rejects them.

  Raises:
    AssertionError: if features have another rank or length, are empty, or are
      integers.
  """
  chex.assert_rank(features, 2)
  chex.assert_axis_dimension_gt(features, 1, 0)
  chex.assert_type(features, float)
  chex.assert_equal(features.shape[1], moments.mean.shape[0])
  weights = np.ones(len(features)) if valid is None else jnp.asarray(valid)
  chex.assert_shape(weights, features.shape[:1])
  with jax.enable_x64(True):
    return _merge(moments, _batch_moments(features, weights))


def covariance(moments: Moments) -> Array:
  """Returns the unbiased covariance of moments, `[d, d]`, float64.

  Raises:
    ValueError: if there are fewer than 2 feature vectors, or the moments are
      not finite: the features were not finite or too large. If the moments are
    traced, the covariance of fewer than 2 is NaN.
  """
  if tracing.fails(lambda count: float(count) >= 2, moments.count):
    raise ValueError(
      f'a covariance needs at least 2 examples, got {int(moments.count)}'
    )
  checks.check_finite(mean=moments.mean, scatter=moments.scatter)
  with jax.enable_x64(True):
    return _covariance(moments)


@jax.jit
def _covariance(moments):
  count = jnp.where(moments.count >= 2, moments.count, jnp.nan)
  return moments.scatter / (count - 1)


def check_square(mean: Array, *covariances: Array) -> None:
  """Checks that covariances are `[d, d]` for a mean `[d]`.

  Raises:
    AssertionError: if one is not; the message has the shapes.
  """
  for covariance in covariances:
    chex.assert_shape(covariance, 2 * mean.shape)


def frechet_distance(
  mean_p: Array, covariance_p: Array, mean_q: Array, covariance_q: Array
) -> Array:
  """Computes the squared Wasserstein-2 distance between two Gaussians.

  |m_p - m_q|^2 + tr(P + Q - 2 (P^1/2 Q P^1/2)^1/2)

  For Inception features this is the FID. It is computed from eigenvalues of
  symmetric matrices, which is exact for singular covariances, those of fewer
  samples than features.

  Args:
    mean_p: mean of p, `[d]`.
    covariance_p: covariance of p, `[d, d]`, symmetric, positive semi-definite.
    mean_q: mean of q, `[d]`.
    covariance_q: covariance of q, `[d, d]`, symmetric, positive semi-definite.

  Returns:
    Distance, scalar, float64. Rounding can make it negative, by less than 1e-7
    of the traces.

  Raises:
    AssertionError: if shapes do not match.
    ValueError: if numbers are not finite, or so large that the distance is not.

  References:
    Dowson and Landau, The Frechet Distance between Multivariate Normal
    Distributions, 1982.
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a
    Local Nash Equilibrium, https://arxiv.org/abs/1706.08500, 2017, eq. 6.
  """
  chex.assert_rank([mean_p, mean_q, covariance_p, covariance_q], [1, 1, 2, 2])
  chex.assert_equal_shape([mean_p, mean_q])
  check_square(mean_p, covariance_p, covariance_q)
  given = mean_p, covariance_p, mean_q, covariance_q
  names = 'mean_p', 'covariance_p', 'mean_q', 'covariance_q'
  checks.check_finite(**dict(zip(names, given)))
  with jax.enable_x64(True):
    root = _root(*_to_float64(mean_p, covariance_p))
    value = _distance(*root, *_to_float64(mean_q, covariance_q))
    checks.check_score('the Frechet distance', value, *given)
  return value


def frechet_from_moments(first: Moments, second: Moments) -> Array:
  """Computes the Frechet distance between two sets from their moments.

  Raises:
    ValueError: if a set has fewer than 2 examples, or numbers are not finite.
  """
  (value,) = _distances(first, second)
  checks.check_score('the Frechet distance', value, *first, *second)
  return value


def _span(first: Moments, second: Moments) -> Array | None:
  """Returns a basis of the space that the examples of the smaller set span.

  The range of a matrix of known rank is that of its product with random
  vectors. If one of two covariances vanishes outside of a space, the product of
  both has all of its eigenvalues but zeros within it.

  Returns:
    Orthonormal columns, `[d, n]`; None if n would not be far below d, or if the
    moments are traced.

  References:
    Halko et al., Finding Structure with Randomness, 2011, algorithm 4.1.
  """
  if tracing.is_traced(first, second):
    return None
  smaller = min(first, second, key=lambda moments: float(moments.count))
  dim, count = len(smaller.mean), int(smaller.count)
  if count > _FEW * dim:
    return None
  draws = np.random.default_rng(0).normal(size=(dim, count + _MARGIN))
  (scatter,) = _to_float64(smaller.scatter)
  return jnp.linalg.qr(scatter @ draws)[0]


@jax.jit
def _project(basis, covariance):
  """Returns a covariance within a basis, and its trace outside of it."""
  within = basis.T @ covariance @ basis
  return within, jnp.trace(covariance) - jnp.trace(within)


def _distances(
  reference: Moments, whole: Moments, parts: Iterable[Moments] = ()
) -> list[Array]:
  """Computes the distances of a set, and of parts of it, to a reference."""

  def gaussian(moments):
    mean, spread = _to_float64(moments.mean, covariance(moments))
    if basis is None:
      return mean, spread, 0.0
    return mean, *_project(basis, spread)

  with jax.enable_x64(True):
    basis = _span(reference, whole)
    mean, spread, outside = gaussian(reference)
    root = _root(mean, spread)
    return [
      _distance(*root, *within) + outside + rest
      for *within, rest in map(gaussian, itertools.chain([whole], parts))
    ]


def _to_float64(*arrays):
  arrays = [jnp.asarray(x, jnp.float64) for x in arrays]
  # TPUs do not support eigenvalues in float64.
  if jax.default_backend() == 'tpu':
    arrays = jax.device_put(arrays, jax.devices('cpu')[0])
  return arrays


@jax.jit
def _root(mean, covariance):
  """Returns the mean and a root V of the covariance V V^T."""
  values, vectors = jnp.linalg.eigh(covariance)
  return mean, vectors * jnp.sqrt(jnp.maximum(values, 0))[None]


@jax.jit
def _distance(mean_p, root_p, mean_q, covariance_q):
  # P^1/2 Q P^1/2 and V^T Q V have the same eigenvalues.
  product = jnp.linalg.eigvalsh(root_p.T @ covariance_q @ root_p)
  root_trace = jnp.sqrt(jnp.maximum(product, 0)).sum()
  traces = jnp.square(root_p).sum() + jnp.trace(covariance_q)
  return jnp.square(mean_p - mean_q).sum() + traces - 2 * root_trace


def leave_one_out(groups: Sequence[Moments]) -> Iterator[Moments]:
  """Yields the moments of all groups but one, leaving out each in turn.

  Args:
    groups: moments of at least 2 groups.

  Yields:
    Moments of the union of the other groups.
  """
  union = functools.reduce(add_moments, groups)
  for group in groups:
    with jax.enable_x64(True):
      rest = _remove(union, group)
    yield rest


@jax.jit
def _remove(union, group):
  # A set is removed by adding its moments with a negative count.
  count, mean, scatter = group
  return _merge(union, Moments(-count, mean, -scatter))


def frechet_jackknife(
  groups: Sequence[Moments], reference: Moments
) -> resampling.Estimate:
  """Computes the Frechet distance of a set to a reference, with an error.

  Args:
    groups: moments of the parts of the set, of (about) equal size; 10 are
      enough.
    reference: moments of the reference set, taken as exact.

  Returns:
    Distance of the whole set, with its standard error by the jackknife over
    groups. The error is that of sampling only. With few samples the distance
    is also biased upwards, which the error does not include.

  Raises:
    ValueError: if there are fewer than 2 groups, all but one group have fewer
      than 2 examples, or moments are not finite.
  """
  if len(groups) < 2:
    raise ValueError(f'{len(groups)} groups: must be at least 2 for an error')
  union = functools.reduce(add_moments, groups)
  with jax.enable_x64(True):
    value, *left_out = _distances(reference, union, leave_one_out(groups))
    error = resampling.jackknife_error(jnp.stack(left_out))
  return resampling.Estimate(value, error)
