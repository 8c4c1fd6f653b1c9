"""Metrics against a known Gaussian."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
from gan_jax.metrics import checks, frechet

Array = jax.Array


def fit_gaussian(samples: Array) -> tuple[Array, Array]:
  """Computes the mean and unbiased covariance of samples.

  Args:
    samples: samples, `[n, d]`, float, n >= 2.

  Returns:
    Mean `[d]` and covariance `[d, d]`, in at least float32.

  Raises:
    AssertionError: if samples have another rank, are fewer than 2, or are
      integers.
    ValueError: if numbers or their squares are not finite.
  """
  chex.assert_rank(samples, 2)
  chex.assert_axis_dimension_gteq(samples, 0, 2)
  checks.check_feature_sets(samples=samples)
  (near,) = checks.near_origin(samples)
  mean, covariance = _fit(samples, near)
  checks.check_score('the covariance', covariance, samples)
  return mean, covariance


@jax.jit
def _fit(samples, near):
  mean = near.mean(axis=0)
  centred = near - mean[None]
  covariance = centred.T @ centred / (len(near) - 1)
  shift = checks.at_least_float32(samples)[0] - near[0]
  return mean + shift, covariance


def kl_divergence(
  mean_q: Array, covariance_q: Array, mean_p: Array, covariance_p: Array
) -> Array:
  """Computes KL(q || p) between two Gaussians, in closed form.

  (tr(P^-1 Q) - d + (m_p - m_q)' P^-1 (m_p - m_q) + log det P - log det Q) / 2

  A Gaussian fitted to n samples of p itself scores about d (d + 3) / (4 n).

  Args:
    mean_q: mean of q, `[d]`.
    covariance_q: covariance of q, `[d, d]`, positive definite.
    mean_p: mean of p, `[d]`.
    covariance_p: covariance of p, `[d, d]`, positive definite.

  Returns:
    Divergence, scalar, in nats; inf if covariance_q is singular. Inside jax.jit,
    NaN where ValueError would be raised outside.

  Raises:
    AssertionError: if shapes do not match.
    ValueError: if covariance_p is not positive definite, or numbers are not
      finite, or so large that the divergence is not.
  """
  chex.assert_rank([mean_q, mean_p, covariance_q, covariance_p], [1, 1, 2, 2])
  chex.assert_equal_shape([mean_q, mean_p])
  frechet.check_square(mean_q, covariance_q, covariance_p)
  checks.check_finite(
    mean_q=mean_q,
    covariance_q=covariance_q,
    mean_p=mean_p,
    covariance_p=covariance_p,
  )
  value, finite, least_p = _divergence(
    mean_q, covariance_q, mean_p, covariance_p
  )
  if tracing.fails(lambda least: least > 0, least_p):
    raise ValueError(
      'covariance_p is not positive definite: p has no density, so that '
      'KL(q || p) is undefined'
    )
  checks.check_score('the divergence', finite, mean_p, mean_q, covariance_q)
  return value


@jax.jit
def _divergence(*moments):
  """Returns KL(q || p), the same if q had a density, and p's least variance."""
  mean_q, covariance_q, mean_p, covariance_p = map(
    checks.at_least_float32, moments
  )
  least = lambda covariance: jnp.linalg.eigvalsh(covariance).min()
  least_p, log_p = least(covariance_p), jnp.linalg.slogdet(covariance_p)[1]
  shift = mean_p - mean_q
  trace = jnp.trace(jnp.linalg.solve(covariance_p, covariance_q))
  distance = shift @ jnp.linalg.solve(covariance_p, shift)
  log_q = jnp.linalg.slogdet(covariance_q)[1]
  finite = (trace - mean_q.shape[0] + distance + log_p) / 2
  value = jnp.where(least_p > 0, finite, jnp.nan)  # for a traced covariance_p
  # Rounding makes an eigenvalue of a singular matrix 0 or negative.
  value = jnp.where(least(covariance_q) > 0, value - log_q / 2, jnp.inf)
  return value, finite, least_p


def wasserstein_2(
  mean_q: Array, covariance_q: Array, mean_p: Array, covariance_p: Array
) -> Array:
  """Computes the Wasserstein-2 distance between two Gaussians.

  This is the square root of the Frechet distance, in closed form.

  Args:
    mean_q: mean of q, `[d]`.
    covariance_q: covariance of q, `[d, d]`, positive semi-definite.
    mean_p: mean of p, `[d]`.
    covariance_p: covariance of p, `[d, d]`, positive semi-definite.

  Returns:
    Distance, scalar, float64, at least 0, in the units of the means.

  Raises:
    AssertionError: if shapes do not match.
  """
  squared = frechet.frechet_distance(mean_q, covariance_q, mean_p, covariance_p)
  with jax.enable_x64(True):
    return jnp.sqrt(jnp.maximum(squared, 0))
