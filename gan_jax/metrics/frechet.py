"""The Frechet distance of two Gaussians, and moments to feed it with.

All in float64, whatever the features: in float32 the distance of a set to
itself comes out as far as 0.1 below zero. Moments are summed up over batches,
so that no more than one batch of features is held.
"""

import functools
from typing import Iterator, NamedTuple, Sequence

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks, resampling

Array = jax.Array


class Moments(NamedTuple):
  """Mean and scatter of features seen so far, float64.

  Attributes:
    count: how many, scalar.
    mean: `[d]`.
    scatter: `[d, d]`, the sum of outer products of what is left of each
      feature vector without the mean.
  """

  count: Array
  mean: Array
  scatter: Array


def init_moments(dim: int) -> Moments:
  """Moments of nothing yet, for features of `dim` numbers."""
  with jax.enable_x64(True):
    return Moments(
      jnp.zeros((), jnp.float64),
      jnp.zeros(dim, jnp.float64),
      jnp.zeros((dim, dim), jnp.float64),
    )


def add_moments(first: Moments, second: Moments) -> Moments:
  """Moments of the union of two sets.

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
  # What fills a batch up may be anything: 0 times infinity is no 0.
  features = jnp.where(weights[:, None] > 0, features.astype(jnp.float64), 0)
  count = weights.sum()
  mean = weights @ features / jnp.maximum(count, 1)
  centred = (features - mean[None]) * weights[:, None]
  return Moments(count, mean, centred.T @ centred)


def update_moments(
  moments: Moments, features: Array, valid: Array | None = None
) -> Moments:
  """Adds a batch of features.

  Args:
    moments: of what came before.
    features: `[n, d]`, float.
    valid: `[n]` bool, False for rows that only fill a batch up; or None.

  Returns:
    The new moments. A feature that is not finite makes them so; `covariance`
    refuses them.

  Raises:
    AssertionError: for another rank or number of features, none of them, or
      integers.
  """
  chex.assert_rank(features, 2)
  chex.assert_axis_dimension_gt(features, 1, 0)
  chex.assert_type(features, float)
  chex.assert_equal(features.shape[1], moments.mean.shape[0])
  weights = jnp.ones(len(features)) if valid is None else jnp.asarray(valid)
  chex.assert_shape(weights, features.shape[:1])
  with jax.enable_x64(True):
    return _merge(moments, _batch_moments(features, weights))


def covariance(moments: Moments) -> Array:
  """The unbiased covariance, `[d, d]` float64.

  Raises:
    ValueError: for fewer than 2 feature vectors, or moments that are not
      finite, as those of features that are not, or of too large ones.
  """
  if float(moments.count) < 2:
    raise ValueError(
      f'a covariance needs at least 2 examples, got {int(moments.count)}'
    )
  checks.check_finite(mean=moments.mean, scatter=moments.scatter)
  with jax.enable_x64(True):
    return moments.scatter / (moments.count - 1)


def check_square(mean: Array, *covariances: Array) -> None:
  """Refuses covariances that are not `[d, d]` for a mean `[d]`.

  Raises:
    AssertionError: naming the shapes.
  """
  for covariance in covariances:
    chex.assert_shape(covariance, 2 * mean.shape)


def frechet_distance(
  mean_p: Array, covariance_p: Array, mean_q: Array, covariance_q: Array
) -> Array:
  """Squared Wasserstein-2 distance of two Gaussians; of features, the FID.

  |m_p - m_q|^2 + tr(P + Q - 2 (P^1/2 Q P^1/2)^1/2)

  Through the eigenvalues of symmetric matrices: exact for singular
  covariances, which fewer samples than features give.

  Args:
    mean_p: `[d]`.
    covariance_p: `[d, d]`, symmetric, positive semi-definite.
    mean_q: `[d]`.
    covariance_q: `[d, d]`.

  Returns:
    Scalar float64; rounding can take it below zero, by less than 1e-7 of the
    traces.

  Raises:
    AssertionError: for shapes that do not match.
    ValueError: for numbers that are not finite, or so large that the distance
      is not.

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
  """Frechet distance of the Gaussians of two sets' moments.

  Raises:
    ValueError: for fewer than 2 examples in a set, or numbers that are not
      finite.
  """
  return frechet_distance(
    first.mean, covariance(first), second.mean, covariance(second)
  )


def _to_float64(*arrays):
  arrays = [jnp.asarray(x, jnp.float64) for x in arrays]
  # TPUs have no eigenvalues in float64.
  if jax.default_backend() == 'tpu':
    arrays = jax.device_put(arrays, jax.devices('cpu')[0])
  return arrays


@jax.jit
def _root(mean, covariance):
  """The mean, and V with V V^T the covariance."""
  values, vectors = jnp.linalg.eigh(covariance)
  return mean, vectors * jnp.sqrt(jnp.maximum(values, 0))[None]


@jax.jit
def _distance(mean_p, root_p, mean_q, covariance_q):
  # P^1/2 Q P^1/2 has the eigenvalues of V^T Q V.
  product = jnp.linalg.eigvalsh(root_p.T @ covariance_q @ root_p)
  root_trace = jnp.sqrt(jnp.maximum(product, 0)).sum()
  traces = jnp.square(root_p).sum() + jnp.trace(covariance_q)
  return jnp.square(mean_p - mean_q).sum() + traces - 2 * root_trace


def leave_one_out(groups: Sequence[Moments]) -> Iterator[Moments]:
  """Moments of all groups but one, for each in turn.

  Args:
    groups: moments of at least 2 groups.

  Yields:
    Moments of the union of the others.
  """
  union = functools.reduce(add_moments, groups)
  for count, mean, scatter in groups:
    # To take a set away is to add minus as many of it.
    yield add_moments(union, Moments(-count, mean, -scatter))


def frechet_jackknife(
  groups: Sequence[Moments], reference: Moments
) -> resampling.Estimate:
  """Frechet distance of a set, given in groups, to a reference.

  Args:
    groups: moments of the parts of the set, of (about) equal size; 10 do.
    reference: moments of the set to compare with, taken as exact.

  Returns:
    The distance of the whole set, and its standard error by the jackknife
    over groups. The error is that of chance: the distance of few samples is
    also too large on average, which no error tells.

  Raises:
    ValueError: for fewer than 2 groups, where one left out leaves fewer than
      2 examples, or for moments that are not finite.
  """
  if len(groups) < 2:
    raise ValueError(f'{len(groups)} groups: must be at least 2, for an error')
  union = functools.reduce(add_moments, groups)
  with jax.enable_x64(True):
    root = _root(*_to_float64(reference.mean, covariance(reference)))
    value, *left_out = [
      _distance(*root, *_to_float64(moments.mean, covariance(moments)))
      for moments in (union, *leave_one_out(groups))
    ]
    error = resampling.jackknife_error(jnp.stack(left_out))
  return resampling.Estimate(value, error)
