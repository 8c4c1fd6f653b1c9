"""The Frechet distance of two Gaussians, and moments to feed it with.

All in float64, whatever the features: in float32 the distance of a set to
itself comes out as far as 0.1 below zero. Moments are summed up over batches,
so that no more than one batch of features is held.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

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


def no_moments(dim: int) -> Moments:
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
  features = features.astype(jnp.float64)
  weights = weights.astype(jnp.float64)
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
    The new moments.

  Raises:
    AssertionError: for another rank or number of features.
  """
  chex.assert_rank(features, 2)
  chex.assert_equal(features.shape[1], moments.mean.shape[0])
  weights = jnp.ones(len(features)) if valid is None else jnp.asarray(valid)
  chex.assert_shape(weights, features.shape[:1])
  with jax.enable_x64(True):
    return _merge(moments, _batch_moments(features, weights))


def covariance(moments: Moments) -> Array:
  """The unbiased covariance, `[d, d]` float64.

  Raises:
    ValueError: for fewer than 2 feature vectors.
  """
  if float(moments.count) < 2:
    raise ValueError(
      f'a covariance needs at least 2 examples, got {int(moments.count)}'
    )
  with jax.enable_x64(True):
    return moments.scatter / (moments.count - 1)


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

  References:
    Dowson and Landau, The Frechet Distance between Multivariate Normal
    Distributions, 1982.
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a
    Local Nash Equilibrium, https://arxiv.org/abs/1706.08500, 2017, eq. 6.
  """
  chex.assert_rank([mean_p, mean_q, covariance_p, covariance_q], [1, 1, 2, 2])
  chex.assert_equal_shape([mean_p, mean_q])
  chex.assert_equal_shape([covariance_p, covariance_q])
  with jax.enable_x64(True):
    return _frechet(
      *(
        jnp.asarray(x, jnp.float64)
        for x in (mean_p, covariance_p, mean_q, covariance_q)
      )
    )


@jax.jit
def _frechet(mean_p, covariance_p, mean_q, covariance_q):
  values, vectors = jnp.linalg.eigh(covariance_p)
  scaled = vectors * jnp.sqrt(jnp.maximum(values, 0))[None]
  # P^1/2 Q P^1/2 has the eigenvalues of (V s)^T Q (V s).
  product = jnp.linalg.eigvalsh(scaled.T @ covariance_q @ scaled)
  root_trace = jnp.sqrt(jnp.maximum(product, 0)).sum()
  traces = jnp.trace(covariance_p) + jnp.trace(covariance_q)
  return jnp.square(mean_p - mean_q).sum() + traces - 2 * root_trace
