"""Scores against a Gaussian that is known."""

import chex
import jax
import jax.numpy as jnp

from gan_jax.evaluation import frechet

Array = jax.Array


def fit(samples: Array) -> tuple[Array, Array]:
  """Mean and unbiased covariance of samples.

  Args:
    samples: `[n, d]`, float, n >= 2.

  Returns:
    Mean `[d]` and covariance `[d, d]`.

  Raises:
    AssertionError: for another rank, or fewer than 2 samples.
  """
  samples = jnp.asarray(samples)
  chex.assert_rank(samples, 2)
  chex.assert_axis_dimension_gteq(samples, 0, 2)
  mean = samples.mean(axis=0)
  centred = samples - mean[None]
  return mean, centred.T @ centred / (len(samples) - 1)


def kl_divergence(
  mean_q: Array, covariance_q: Array, mean_p: Array, covariance_p: Array
) -> Array:
  """KL(q || p) between two Gaussians, in closed form.

  (tr(P^-1 Q) - d + (m_p - m_q)' P^-1 (m_p - m_q) + log det P - log det Q) / 2

  A Gaussian fitted to n samples of p itself scores about d (d + 3) / (4 n).

  Args:
    mean_q: `[d]`.
    covariance_q: `[d, d]`, positive definite.
    mean_p: `[d]`.
    covariance_p: `[d, d]`, positive definite.

  Returns:
    Scalar, in nats; inf for a singular covariance_q.

  Raises:
    AssertionError: for shapes that do not match.
  """
  chex.assert_rank([mean_q, mean_p, covariance_q, covariance_p], [1, 1, 2, 2])
  chex.assert_equal_shape([mean_q, mean_p])
  chex.assert_equal_shape([covariance_q, covariance_p])
  shift = mean_p - mean_q
  trace = jnp.trace(jnp.linalg.solve(covariance_p, covariance_q))
  distance = shift @ jnp.linalg.solve(covariance_p, shift)
  log_p = jnp.linalg.slogdet(covariance_p)[1]
  log_q = jnp.linalg.slogdet(covariance_q)[1]
  return (trace - mean_q.shape[0] + distance + log_p - log_q) / 2


def wasserstein_2(
  mean_q: Array, covariance_q: Array, mean_p: Array, covariance_p: Array
) -> Array:
  """Wasserstein-2 distance between two Gaussians, in closed form.

  The square root of the Frechet distance.

  Args:
    mean_q: `[d]`.
    covariance_q: `[d, d]`, positive semi-definite.
    mean_p: `[d]`.
    covariance_p: `[d, d]`.

  Returns:
    Scalar float64, at least 0, in the units of the means.

  Raises:
    AssertionError: for shapes that do not match.
  """
  squared = frechet.frechet_distance(mean_q, covariance_q, mean_p, covariance_p)
  with jax.enable_x64(True):
    return jnp.sqrt(jnp.maximum(squared, 0))
