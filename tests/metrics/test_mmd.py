"""The maximum mean discrepancy: KID and the MMD test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import (
  mmd,
)
from tests.helpers.fakes import draw

compiled_mmd = jax.jit(mmd.unbiased_mmd, static_argnums=2)


def test_unbiased_mmd_is_zero_on_average_over_1000_draws():
  def one(key):
    x, y = jax.random.normal(key, (2, 16, 3))
    return mmd.unbiased_mmd(x, y, mmd.polynomial_kernel)

  values = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 1000))
  error = values.std() / np.sqrt(1000)
  assert abs(values.mean()) < 4 * error


def test_polynomial_kernel_by_hand():
  x, y = np.float32([[1, 2]]), np.float32([[3, -1], [0, 0]])
  np.testing.assert_allclose(
    jax.jit(mmd.polynomial_kernel)(x, y), [[1.5**3, 1.0]], rtol=1e-6
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
  whole = compiled_mmd(x, y, mmd.polynomial_kernel)
  np.testing.assert_allclose(found.value, whole, rtol=1e-4)
  with pytest.raises(ValueError, match='subset_size=41: '):
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


@pytest.mark.parametrize('scale, shift', [(1, 0), (1e4, 0), (1e4, 1e4)])
def test_kernel_distance_of_large_features(scale, shift):
  # At 1e4 deviations, the kernel is 1e24 and the distance 1e-8 of it.
  x, y = (
    (np.float64(scale * draw(i, 60, 3)) + shift).astype(np.float32)
    for i in (0, 1)
  )
  y = y + np.float32(scale)
  k = lambda a, b: (a.astype(np.float64) @ b.astype(np.float64).T / 3 + 1) ** 3
  inner = lambda a: (k(a, a).sum() - np.trace(k(a, a))) / (60 * 59)
  expected = inner(x) + inner(y) - 2 * k(x, y).mean()
  found = compiled_mmd(x, y, mmd.polynomial_kernel)
  np.testing.assert_allclose(found, expected, rtol=1e-4)
  found = mmd.kid(x, y, jax.random.key(0), subsets=2, subset_size=60)
  np.testing.assert_allclose(found.value, expected, rtol=1e-4)
  assert found.value.dtype == jnp.float32


def test_kernel_distance_of_a_small_spread_far_away():
  x, y = (1e4 + draw(i, 60, 3).astype(np.float32) for i in (0, 1))
  k = lambda a, b: (a.astype(np.float64) @ b.astype(np.float64).T / 3 + 1) ** 3
  inner = lambda a: (k(a, a).sum() - np.trace(k(a, a))) / (60 * 59)
  expected = inner(x) + inner(y) - 2 * k(x, y).mean()
  found = compiled_mmd(x, y, mmd.polynomial_kernel)
  np.testing.assert_allclose(found, expected, rtol=1e-4)
