"""Scores of features, on sets whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import (
  frechet,
  inception_score_metric,
  mmd,
  precision_recall,
  resampling,
  sliced_wasserstein_distance,
)


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.normal(size=shape).astype(np.float32)


def moments_of(x, batch=32):
  found = frechet.init_moments(x.shape[1])
  for start in range(0, len(x), batch):
    found = frechet.update_moments(found, x[start : start + batch])
  return found


# ---- The jackknife.


def test_jackknife_of_a_mean_is_its_standard_error():
  each = [resampling.jackknife(np.mean, draw(i, 200)) for i in range(300)]
  errors = np.array([e.error for e in each])
  # Over 10 groups the squared error is unbiased, its spread sqrt(2 / 9).
  np.testing.assert_allclose(
    200 * (errors**2).mean(), 1, atol=4 * np.sqrt(2 / 9 / 300)
  )
  np.testing.assert_allclose(each[0].value, draw(0, 200).mean())


def test_jackknife_with_a_group_for_each_sample_is_exact():
  x = draw(0, 23)
  found = resampling.jackknife(np.mean, x, groups=23)
  np.testing.assert_allclose(found.error, x.std(ddof=1) / 23**0.5, rtol=1e-4)


@pytest.mark.parametrize('groups', [1, 6])
def test_jackknife_groups_out_of_range(groups):
  with pytest.raises(ValueError, match=f'groups={groups}: must be from 2 to'):
    resampling.jackknife(np.mean, np.ones(5), groups=groups)
  with pytest.raises(ValueError, match='at least 2 groups, got 1'):
    resampling.jackknife_error(jnp.ones(1))


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
    frechet.init_moments(3), padded, np.arange(8) < 6
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


def nuclear(x, y):
  """The Frechet distance of samples by the singular values of X Y^T."""
  x, y = x.astype(np.float64), y.astype(np.float64)
  shift = x.mean(axis=0) - y.mean(axis=0)
  x = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
  y = (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
  root_trace = np.linalg.svd(x @ y.T, compute_uv=False).sum()
  return (shift**2).sum() + (x**2).sum() + (y**2).sum() - 2 * root_trace


def test_frechet_distance_of_rank_deficient_samples():
  x, y = draw(0, 50, 200), 0.5 + 2 * draw(1, 60, 200)
  found = frechet.frechet_from_moments(moments_of(x), moments_of(y))
  np.testing.assert_allclose(found, nuclear(x, y), rtol=1e-7)


@pytest.mark.slow
def test_frechet_distance_at_2048_dimensions():
  d = 2048
  rng = np.random.default_rng(0)
  rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
  a, b = rng.gamma(0.5, 1, (2, d))
  m, n = rng.normal(size=(2, d))
  found = frechet.frechet_distance(
    m, (rotation * a) @ rotation.T, n, (rotation * b) @ rotation.T
  )
  expected = ((m - n) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
  np.testing.assert_allclose(found, expected, rtol=1e-9)
  x, y = draw(0, 300, d), 1.2 * draw(1, 400, d)
  found = frechet.frechet_from_moments(moments_of(x, 100), moments_of(y, 100))
  np.testing.assert_allclose(found, nuclear(x, y), rtol=1e-6)


def test_leaving_a_group_out_is_the_moments_of_the_others():
  x = [7 + draw(i, 20 + i, 4) for i in range(3)]
  left_out = list(frechet.leave_one_out([moments_of(g) for g in x]))
  for i, found in enumerate(left_out):
    others = moments_of(np.concatenate(x[:i] + x[i + 1 :]))
    for one, other in zip(found, others):
      np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_frechet_estimate_has_the_error_that_repeats_show():
  reference = moments_of(draw(0, 20_000, 3), 20_000)

  def estimate(seed):
    x = 1 + draw(seed, 400, 3)
    groups = [moments_of(x[i::10], 40) for i in range(10)]
    return frechet.frechet_jackknife(groups, reference)

  values, errors = np.array([estimate(seed) for seed in range(1, 201)]).T
  # Either is known to about 1 / sqrt(2 * 200) = 5 %, so 4 of these.
  np.testing.assert_allclose(
    np.sqrt((errors**2).mean()), values.std(ddof=1), rtol=0.25
  )


def test_frechet_estimate_is_the_jackknife():
  x, reference = 1 + draw(1, 100, 3), moments_of(draw(0, 90, 3))
  found = frechet.frechet_jackknife(
    [moments_of(x[i::5]) for i in range(5)], reference
  )
  plain = resampling.jackknife(
    lambda x: frechet.frechet_from_moments(moments_of(x), reference),
    x,
    groups=5,
  )
  np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_frechet_estimate_of_too_few():
  reference = moments_of(draw(0, 9, 3))
  one, two = moments_of(draw(1, 1, 3)), moments_of(draw(2, 2, 3))
  with pytest.raises(ValueError, match='at least 2 examples, got 1'):
    frechet.frechet_jackknife([one, two], reference)
  with pytest.raises(ValueError, match='at least 2'):
    frechet.frechet_jackknife([two], reference)


def test_a_covariance_of_one_is_refused():
  with pytest.raises(ValueError, match='at least 2 examples, got 1'):
    frechet.covariance(moments_of(draw(0, 1, 3)))


# ---- Precision, recall, density, coverage.


def plain_distances(x, y):
  return np.linalg.norm(x[:, None] - y[None], axis=-1)


def brute_force(real, fake, k, distances=plain_distances):
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
  found = jax.jit(lambda r, f: precision_recall.compute_prdc(r, f, k=k))(
    real, fake
  )
  np.testing.assert_allclose(found, brute_force(real, fake, k), rtol=1e-5)


def test_manifold_scores_of_sets_far_apart_and_of_equal_distributions():
  apart = precision_recall.compute_prdc(draw(0, 50, 3), 100 + draw(1, 50, 3))
  np.testing.assert_array_equal(apart, np.zeros(4))
  alike = precision_recall.compute_prdc(draw(0, 1000, 2), draw(1, 1000, 2))
  assert min(alike.precision, alike.recall, alike.coverage) > 0.9
  np.testing.assert_allclose(alike.density, 1, atol=0.1)
  # Its expectation: of 2 n - 1 others, the 5 nearest are not all real ones.
  expected = 1 - np.prod([(999 - i) / (1999 - i) for i in range(5)])
  np.testing.assert_allclose(alike.coverage, expected, atol=0.03)


def exact_distances(x, y):
  gaps = x[:, None].astype(np.float64) - y[None]
  return np.sqrt(np.square(gaps).sum(-1).astype(np.float32))


@pytest.mark.parametrize('kind', ['clustered', 'copies', 'ties'])
def test_manifold_scores_where_distances_are_small_or_equal(kind):
  rng = np.random.default_rng(0)
  centres = 10 * draw(0, 10, 300)
  near = lambda n, seed: (
    centres[rng.integers(0, 10, n)] + draw(seed, n, 300) / 50
  )
  real, fake = {
    'clustered': lambda: (near(60, 1), near(50, 2)),
    # Some three times over: more often than k, so that their radius is 0.
    'copies': lambda: (x := near(60, 1), np.concatenate([x[:16]] * 3 + [x])),
    'ties': lambda: rng.integers(0, 3, (2, 60, 6)).astype(np.float32),
  }[kind]()
  found = precision_recall.compute_prdc(real, fake, k=2)
  expected = brute_force(real, fake, 2, exact_distances)
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_copies_are_at_distance_zero():
  x = np.repeat(10 + draw(0, 20, 300), 3, axis=0)
  np.testing.assert_array_equal(
    precision_recall.nearest_neighbor_radii(x, 2), 0
  )
  assert (precision_recall.nearest_neighbor_radii(x, 3) > 1).all()


def test_density_of_a_set_in_itself_is_one_for_ties_do_not_count():
  x = draw(0, 500, 40)
  found = precision_recall.compute_prdc(x, x)
  np.testing.assert_allclose(found, np.ones(4), rtol=1e-6)


@pytest.mark.parametrize(
  'names, vary', [(('precision', 'density'), 1), (('recall', 'coverage'), 0)]
)
def test_manifold_errors_are_those_that_repeats_show(names, vary):
  estimate = jax.jit(precision_recall.prdc_jackknife)

  def one(seed):
    seeds = [1000, 1000]
    seeds[vary] = seed
    return estimate(draw(seeds[0], 60, 2), 0.7 + draw(seeds[1] + 1, 60, 2))

  each = [one(seed) for seed in range(200)]
  scores = precision_recall.compute_prdc(
    draw(0, 60, 2), 0.7 + draw(1001, 60, 2)
  )
  for name in names:
    values, errors = np.array([getattr(e, name) for e in each]).T
    rms = np.sqrt((errors**2).mean())
    if name in ('precision', 'density'):  # the examples are independent
      np.testing.assert_allclose(rms, values.std(ddof=1), rtol=0.25)
    if vary == 0:
      np.testing.assert_allclose(values[0], getattr(scores, name), rtol=1e-6)


@pytest.mark.parametrize('k', [0, 10])
def test_a_neighbour_that_is_not_there(k):
  with pytest.raises(ValueError, match=f'k={k}: must be from 1 to 9'):
    precision_recall.nearest_neighbor_radii(jnp.ones((10, 2)), k)


# ---- Kernels.


def test_unbiased_mmd_is_zero_on_average_over_1000_draws():
  def one(key):
    x, y = jax.random.normal(key, (2, 16, 3))
    return mmd.unbiased_mmd(x, y, mmd.polynomial_kernel)

  values = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 1000))
  error = values.std() / np.sqrt(1000)
  assert abs(values.mean()) < 4 * error


def test_polynomial_kernel_by_hand():
  x, y = jnp.array([[1.0, 2.0]]), jnp.array([[3.0, -1.0], [0.0, 0.0]])
  np.testing.assert_allclose(
    mmd.polynomial_kernel(x, y), [[1.5**3, 1.0]], rtol=1e-6
  )


def test_unbiased_mmd_by_brute_force():
  x, y = draw(0, 5, 3), draw(1, 7, 3) + 1
  k = lambda a, b: (a @ b / 3 + 1) ** 3
  inner = lambda s: np.mean(
    [k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]
  )
  cross = np.mean([k(a, b) for a in x for b in y])
  np.testing.assert_allclose(
    mmd.unbiased_mmd(x, y, mmd.polynomial_kernel),
    inner(x) + inner(y) - 2 * cross,
    rtol=1e-4,
  )


def test_kernel_distance_of_whole_sets_is_the_mmd():
  x, y = draw(0, 40, 3), draw(1, 40, 3) + 1
  found = mmd.kid(x, y, jax.random.key(0), subsets=3, subset_size=40)
  assert np.isnan(found.error)
  whole = mmd.unbiased_mmd(x, y, mmd.polynomial_kernel)
  np.testing.assert_allclose(found.value, whole, rtol=1e-4)
  with pytest.raises(ValueError, match='subset_size=41: must be'):
    mmd.kid(x, y, jax.random.key(0), subset_size=41)


def test_kernel_distance_has_the_error_that_repeats_show():
  def estimate(key):
    x_key, y_key, key = jax.random.split(key, 3)
    x = jax.random.normal(x_key, (300, 4))
    y = 0.7 + jax.random.normal(y_key, (300, 4))
    return mmd.kid(x, y, key, subsets=30, subset_size=60)

  found = jax.lax.map(estimate, jax.random.split(jax.random.key(0), 200))
  rms = np.sqrt((found.error**2).mean())
  np.testing.assert_allclose(rms, found.value.std(ddof=1), rtol=0.25)


def test_mmd_test_tells_what_differs_and_is_fair_to_what_does_not():
  test = jax.jit(lambda x, y, k: mmd.mmd_test(x, y, k, permutations=99))
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
  found = sliced_wasserstein_distance.sliced_wasserstein(
    x, x + np.float32([[3.0, 0.0, 0.0]]), jax.random.key(0), directions=2000
  )
  np.testing.assert_allclose(found, 3 / np.sqrt(3), rtol=0.05)
  same = sliced_wasserstein_distance.sliced_wasserstein(
    x, x[::-1], jax.random.key(0)
  )
  np.testing.assert_allclose(same, 0, atol=1e-6)
  with pytest.raises(ValueError, match='directions=0'):
    sliced_wasserstein_distance.sliced_wasserstein(
      x, x, jax.random.key(0), directions=0
    )


def test_sliced_wasserstein_of_sets_of_different_sizes():
  x, y = draw(0, 6, 1), draw(1, 4, 1)
  found = sliced_wasserstein_distance.sliced_wasserstein(
    x, y, jax.random.key(0)
  )
  # Twelve of each: every x twice, every y three times.
  twelve = [np.sort(np.repeat(a[:, 0], 12 // len(a))) for a in (x, y)]
  expected = np.sqrt(np.square(twelve[0] - twelve[1]).mean())
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sliced_estimate_has_the_error_that_repeats_show():
  x, y = draw(0, 200, 5), draw(1, 150, 5) * np.float32([[3, 1, 1, 1, 1]])
  estimate = jax.jit(
    lambda key: sliced_wasserstein_distance.sliced_wasserstein_estimate(
      x, y, key, directions=64
    )
  )
  each = [estimate(jax.random.key(i)) for i in range(200)]
  values, errors = np.array(each).T
  rms = np.sqrt((errors**2).mean())
  np.testing.assert_allclose(rms, values.std(ddof=1), rtol=0.25)
  same = sliced_wasserstein_distance.sliced_wasserstein_estimate(
    x, x, jax.random.key(0)
  )
  np.testing.assert_array_equal(same, [0, 0])


# ---- The Inception Score.


def test_inception_score_of_unsure_and_of_sure_and_even_answers():
  found = inception_score_metric.inception_score(jnp.zeros((20, 7)))
  np.testing.assert_allclose(found, [1, 0], atol=1e-12)
  sure = 1e4 * jnp.eye(5)[jnp.arange(100) % 5]
  found = inception_score_metric.inception_score(sure)
  np.testing.assert_allclose(found, [5, 0], atol=1e-9)
  np.testing.assert_allclose(
    inception_score_metric.inception_score(sure.at[:, 0].set(2e4)).value, 1
  )


def test_inception_score_by_its_formula():
  logits = 3 * draw(0, 103, 4).astype(np.float64)
  p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
  parts = [p[i * 103 // 5 : (i + 1) * 103 // 5] for i in range(5)]
  kl = lambda q: (q * np.log(q / q.mean(axis=0))).sum(axis=1).mean()
  values = np.exp([kl(part) for part in parts])
  found = inception_score_metric.inception_score(
    logits.astype(np.float32), splits=5
  )
  np.testing.assert_allclose(
    found, [values.mean(), values.std(ddof=1) / 5**0.5], rtol=1e-5
  )
  whole = inception_score_metric.inception_score(logits, splits=1)
  np.testing.assert_allclose(whole.value, np.exp(kl(p)), rtol=1e-5)
  assert np.isnan(whole.error)


@pytest.mark.parametrize('splits', [0, 4])
def test_inception_score_splits_out_of_range(splits):
  with pytest.raises(ValueError, match=f'splits={splits}: must be from 1 to'):
    inception_score_metric.inception_score(jnp.zeros((3, 2)), splits=splits)
