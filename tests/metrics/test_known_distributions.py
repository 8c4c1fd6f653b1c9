"""Scores on distributions whose truth is known."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data import synthetic
from gan_jax.metrics import gaussian, mode_coverage


class GaussianTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_kl_in_one_dimension(self):
    # log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1 / 2
    kl = self.variant(gaussian.kl_divergence)
    value = kl(
      jnp.array([1.0]), jnp.array([[4.0]]), jnp.zeros(1), jnp.array([[9.0]])
    )
    expected = np.log(3 / 2) + (4 + 1) / (2 * 9) - 0.5
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_kl_of_itself_is_zero_and_of_a_singular_one_infinite():
  covariance = jnp.array([[1.01, 1.95], [1.95, 4.25]])
  mean = jnp.array([1.0, 2.0])
  kl = gaussian.kl_divergence
  np.testing.assert_allclose(
    kl(mean, covariance, mean, covariance), 0, atol=1e-5
  )
  assert kl(mean, jnp.zeros((2, 2)), mean, covariance) == np.inf


def test_wasserstein_2_in_one_dimension_and_of_itself():
  # sqrt((m_q - m_p)^2 + (s_q - s_p)^2)
  value = gaussian.wasserstein_2(
    jnp.array([1.0]), jnp.array([[4.0]]), jnp.zeros(1), jnp.array([[9.0]])
  )
  np.testing.assert_allclose(value, np.sqrt(2), rtol=1e-12)
  point = jnp.ones(2), jnp.zeros((2, 2))
  np.testing.assert_array_equal(gaussian.wasserstein_2(*point, *point), 0)


def test_fit_is_the_sample_mean_and_covariance():
  x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
  mean, covariance = gaussian.fit_gaussian(x)
  np.testing.assert_allclose(mean, x.mean(axis=0), atol=1e-6)
  np.testing.assert_allclose(covariance, np.cov(x.T), atol=1e-5)
  with pytest.raises(AssertionError):
    gaussian.fit_gaussian(x[:1])


def test_floor_of_the_kl_is_the_statistical_one():
  distribution = synthetic.gaussian('train').distribution
  scores = [
    gaussian.kl_divergence(
      *gaussian.fit_gaussian(distribution.sample(1000, seed)),
      distribution.mean,
      distribution.covariance,
    )
    for seed in range(200)
  ]
  # d (d + 3) / (4 n)
  np.testing.assert_allclose(np.mean(scores), 0.0025, rtol=0.2)


CENTRES = np.float32([[0, 0], [10, 0], [0, 10], [10, 10]])


def test_modes_of_known_samples():
  samples = np.float32([[0, 0], [0.2, 0], [10, 0.5], [5, 0.0], [9.9, 0]])
  scores = mode_coverage.mode_scores(samples, CENTRES, 0.1)
  # Within 0.3: the first, the second and the last; modes 0 and 1.
  assert scores.modes == 2
  np.testing.assert_allclose(scores.high_quality, 0.6)
  share = np.array([3, 2]) / 5  # (5, 0) goes to the first of two as near
  expected = (share * np.log(share * 4)).sum()
  np.testing.assert_allclose(scores.reverse_kl, expected, rtol=1e-6)


def test_a_mode_needs_a_good_sample():
  samples = np.float32([[10, 4], [0, 0]])
  assert mode_coverage.mode_scores(samples, CENTRES, 0.1).modes == 1
  with pytest.raises(ValueError, match='sigma=0'):
    mode_coverage.mode_scores(samples, CENTRES, 0)


@pytest.mark.parametrize(
  'source, modes, kl', [('ring', 8, 0.0014), ('grid', 25, 0.0048)]
)
def test_perfect_samples_score_as_theory_says(source, modes, kl):
  distribution = getattr(synthetic, source)('train', size=10).distribution
  scores = [
    mode_coverage.mode_scores(
      distribution.sample(2500, s), distribution.centers, distribution.sigma
    )
    for s in range(40)
  ]
  mean = np.mean(np.asarray(scores, np.float64), axis=0)
  np.testing.assert_allclose(mean[0], modes)
  np.testing.assert_allclose(mean[1], 0.9889, atol=0.001)
  np.testing.assert_allclose(mean[2], kl, rtol=0.25)
