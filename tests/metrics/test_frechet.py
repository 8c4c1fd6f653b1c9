"""The Frechet distance, on Gaussians whose distance is known."""

import jax
import numpy as np
import pytest

from gan_jax.metrics import (
  frechet,
  resampling,
)
from tests.helpers.fakes import draw


def moments_of(x, batch=32):
  found = frechet.init_moments(x.shape[1])
  for start in range(0, len(x), batch):
    found = frechet.update_moments(found, x[start : start + batch])
  return found


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


@pytest.mark.parametrize('counts', [(12, 400), (400, 12), (12, 12)])
def test_few_examples_are_compared_in_the_space_that_they_span(counts):
  x, y = (3 + (i + 1) * draw(i, n, 200) for i, n in enumerate(counts))
  groups, reference = [moments_of(x[i::4]) for i in range(4)], moments_of(y)
  value, error = frechet.frechet_jackknife(groups, reference)
  left_out = [
    nuclear(np.delete(x, slice(i, None, 4), axis=0), y) for i in range(4)
  ]
  np.testing.assert_allclose(value, nuclear(x, y), rtol=1e-7)
  expected = np.sqrt(3 / 4 * np.square(left_out - np.mean(left_out)).sum())
  np.testing.assert_allclose(error, expected, rtol=1e-6)
  with jax.enable_x64(True):
    assert frechet._span(reference, groups[0]).shape[1] < 25


@pytest.mark.slow
def test_frechet_distance_at_1024_dimensions():
  d = 1024
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
  with pytest.raises(ValueError, match='at least 2 examples.* 1'):
    frechet.frechet_jackknife([one, two], reference)
  with pytest.raises(ValueError, match='at least 2'):
    frechet.frechet_jackknife([two], reference)


def test_a_covariance_of_one_is_refused():
  with pytest.raises(ValueError, match='at least 2 examples.* 1'):
    frechet.covariance(moments_of(draw(0, 1, 3)))
