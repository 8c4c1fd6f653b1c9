"""Scores of features, on sets whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.evaluation import frechet, kernel, manifold, sliced


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.normal(size=shape).astype(np.float32)


def moments_of(x, batch=32):
  found = frechet.no_moments(x.shape[1])
  for start in range(0, len(x), batch):
    found = frechet.update_moments(found, x[start : start + batch])
  return found


# ---- The Frechet distance.


def test_streamed_moments_are_those_of_the_whole_in_float64():
  x = 1e3 + draw(0, 100, 5)
  found = moments_of(x)
  exact = x.astype(np.float64)
  np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-14)
  np.testing.assert_allclose(
    frechet.covariance(found), np.cov(exact.T), rtol=1e-10
  )
  parts = frechet.add_moments(moments_of(x[:40]), moments_of(x[40:]))
  np.testing.assert_allclose(parts.scatter, found.scatter, rtol=1e-10)


def test_rows_that_fill_a_batch_up_do_not_count():
  x = draw(0, 6, 3)
  padded = np.concatenate([x, np.full((2, 3), 1e6, np.float32)])
  found = frechet.update_moments(
    frechet.no_moments(3), padded, np.arange(8) < 6
  )
  np.testing.assert_allclose(
    frechet.covariance(found), np.cov(x.T.astype(np.float64)), rtol=1e-10
  )


def test_frechet_distance_of_gaussians_that_commute():
  # |m - n|^2 + sum (sqrt(a) - sqrt(b))^2 in the common axes, here rotated.
  d = 300
  rotation, _ = np.linalg.qr(draw(0, d, d).astype(np.float64))
  rng = np.random.default_rng(1)
  a, b = rng.uniform(0, 4, d), rng.uniform(0, 4, d)
  m, n = rng.normal(size=(2, d))
  spread = lambda values: (rotation * values) @ rotation.T
  found = frechet.frechet_distance(m, spread(a), n, spread(b))
  expected = ((m - n) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
  np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_frechet_distance_of_gaussians_that_do_not():
  p, q = (np.cov(draw(i, 40, 6).T.astype(np.float64)) for i in (0, 1))
  roots = np.sqrt(np.linalg.eigvals(p @ q).real).sum()
  found = frechet.frechet_distance(np.zeros(6), p, np.zeros(6), q)
  np.testing.assert_allclose(
    found, np.trace(p) + np.trace(q) - 2 * roots, rtol=1e-9
  )
  back = frechet.frechet_distance(np.zeros(6), q, np.zeros(6), p)
  np.testing.assert_allclose(found, back, rtol=1e-9)


def test_frechet_distance_of_a_set_to_itself_with_fewer_samples_than_features():
  found = moments_of(draw(0, 50, 200))
  covariance = frechet.covariance(found)
  value = frechet.frechet_distance(
    found.mean, covariance, found.mean, covariance
  )
  assert abs(float(value)) < 1e-7 * float(np.trace(covariance))
  assert value.dtype == np.float64


def test_a_covariance_of_one_is_refused():
  with pytest.raises(ValueError, match='at least 2 examples, got 1'):
    frechet.covariance(moments_of(draw(0, 1, 3)))


# ---- Precision, recall, density, coverage.


def brute_force(real, fake, k):
  distances = lambda x, y: np.linalg.norm(x[:, None] - y[None], axis=-1)
  radius = lambda x: np.sort(distances(x, x), axis=1)[:, k]
  between = distances(real, fake)
  in_real = between < radius(real)[:, None]
  in_fake = between < radius(fake)[None]
  return (
    in_real.any(axis=0).mean(),
    in_fake.any(axis=1).mean(),
    in_real.sum(axis=0).mean() / k,
    (between.min(axis=1) < radius(real)).mean(),
  )


@pytest.mark.parametrize('k', [1, 3, 5])
def test_manifold_scores_by_brute_force(k):
  real, fake = draw(0, 70, 4), 0.3 + 0.8 * draw(1, 90, 4)
  found = jax.jit(lambda r, f: manifold.manifold_scores(r, f, k=k))(real, fake)
  np.testing.assert_allclose(found, brute_force(real, fake, k), rtol=1e-5)


def test_manifold_scores_of_sets_far_apart_and_of_equal_distributions():
  apart = manifold.manifold_scores(draw(0, 50, 3), 100 + draw(1, 50, 3))
  np.testing.assert_array_equal(apart, np.zeros(4))
  alike = manifold.manifold_scores(draw(0, 1000, 2), draw(1, 1000, 2))
  assert min(alike.precision, alike.recall, alike.coverage) > 0.9
  np.testing.assert_allclose(alike.density, 1, atol=0.1)
  # Its expectation: of 2 n - 1 others, the 5 nearest are not all real ones.
  expected = 1 - np.prod([(999 - i) / (1999 - i) for i in range(5)])
  np.testing.assert_allclose(alike.coverage, expected, atol=0.03)


@pytest.mark.parametrize('k', [0, 10])
def test_a_neighbour_that_is_not_there(k):
  with pytest.raises(ValueError, match=f'k={k}: must be from 1 to 9'):
    manifold.neighbour_radii(jnp.ones((10, 2)), k)


# ---- Kernels.


def test_unbiased_mmd_is_zero_on_average_over_1000_draws():
  def one(key):
    x, y = jax.random.normal(key, (2, 16, 3))
    return kernel.unbiased_mmd(x, y, kernel.polynomial_kernel)

  values = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 1000))
  error = values.std() / np.sqrt(1000)
  assert abs(values.mean()) < 4 * error


def test_polynomial_kernel_by_hand():
  x, y = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, -1.0], [0.0, 0.0]])
  np.testing.assert_allclose(
    kernel.polynomial_kernel(x, y), [[1.5**3, 1.0]], rtol=1e-6
  )


def test_unbiased_mmd_by_brute_force():
  x, y = draw(0, 5, 3), draw(1, 7, 3) + 1
  k = lambda a, b: (a @ b / 3 + 1) ** 3
  inner = lambda s: np.mean(
    [k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]
  )
  cross = np.mean([k(a, b) for a in x for b in y])
  np.testing.assert_allclose(
    kernel.unbiased_mmd(x, y, kernel.polynomial_kernel),
    inner(x) + inner(y) - 2 * cross,
    rtol=1e-4,
  )


def test_kernel_distance_of_whole_sets_is_the_mmd():
  x, y = draw(0, 40, 3), draw(1, 40, 3) + 1
  found = kernel.kernel_distance(
    x, y, jax.random.key(0), subsets=3, subset_size=40
  )
  whole = kernel.unbiased_mmd(x, y, kernel.polynomial_kernel)
  np.testing.assert_allclose(found.value, whole, rtol=1e-4)
  np.testing.assert_allclose(found.error, 0, atol=1e-4)
  with pytest.raises(ValueError, match='subset_size=41: must be'):
    kernel.kernel_distance(x, y, jax.random.key(0), subset_size=41)


def test_mmd_test_tells_what_differs_and_is_fair_to_what_does_not():
  test = jax.jit(lambda x, y, k: kernel.mmd_test(x, y, k, permutations=99))
  far = test(draw(0, 50, 3), draw(1, 50, 3) + 1, jax.random.key(0))
  np.testing.assert_allclose(far.p_value, 0.01, rtol=1e-5)  # the smallest
  values = [
    float(test(draw(i, 20, 3), draw(i + 99, 20, 3), jax.random.key(i)).p_value)
    for i in range(40)
  ]
  # Uniform on (0, 1] under the null: mean 1/2, deviation 0.29.
  assert abs(np.mean(values) - 0.5) < 4 * 0.29 / np.sqrt(40)


# ---- Sliced Wasserstein.


def test_sliced_wasserstein_of_a_shift():
  x = draw(0, 500, 3)
  found = sliced.sliced_wasserstein(
    x, x + np.float32([[3.0, 0.0, 0.0]]), jax.random.key(0), directions=2000
  )
  np.testing.assert_allclose(found, 3 / np.sqrt(3), rtol=0.05)
  same = sliced.sliced_wasserstein(x, x[::-1], jax.random.key(0))
  np.testing.assert_allclose(same, 0, atol=1e-6)
  with pytest.raises(ValueError, match='directions=0'):
    sliced.sliced_wasserstein(x, x, jax.random.key(0), directions=0)
