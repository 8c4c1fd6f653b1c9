"""Scores that a shift of all examples does not change, far from the origin."""

import jax
import numpy as np
import pytest

from gan_jax import metrics
from gan_jax.metrics import checks, two_sample

RNG = np.random.default_rng(0)
# Multiples of 2 are exact in float32 up to 3e7.
REAL, FAKE = (
  2 * np.round(RNG.normal(size=(60, 4), loc=loc, scale=20))
  for loc in (0.0, 5.0)
)


def key():
  return jax.random.key(0)


LABELS = np.arange(60) % 2
FEW = {'steps': 20, 'hidden': 2}
SCORES = {
  'prdc': lambda r, f: metrics.compute_prdc(r, f, k=3),
  'nearest_neighbor': metrics.nearest_neighbor_accuracy,
  'nearest_neighbor_test': lambda r, f: two_sample.nearest_neighbor_test(
    r, f, key(), permutations=19
  ),
  'mmd_test': lambda r, f: metrics.mmd_test(r, f, key(), permutations=19),
  'sliced': lambda r, f: metrics.sliced_wasserstein(r, f, key(), directions=8),
  'classifier': lambda r, f: metrics.classifier_test(r, f, key(), **FEW),
  'cas': lambda r, f: metrics.classification_accuracy(
    f, LABELS, r, LABELS, key(), classes=2, **FEW
  ),
  'covariance': lambda r, f: metrics.fit_gaussian(f)[1],
  'intra_fd': lambda r, f: metrics.intra_class_fid(r, LABELS, f, LABELS).mean,
}


@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_scores_do_not_change_with_a_common_shift(name, dtype):
  # 1e7 deviations in float64, 4e5 in float32.
  shift = 2.0**29 if dtype == np.float64 else 2.0**24
  near = SCORES[name](REAL.astype(np.float32), FAKE.astype(np.float32))
  far = SCORES[name]((REAL + shift).astype(dtype), (FAKE + shift).astype(dtype))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    far,
    near,
  )


def test_examples_near_the_origin_are_not_moved():
  x = RNG.normal(size=(50, 3)).astype(np.float32)
  x[:, 1] = np.abs(x[:, 1])  # as features behind a ReLU
  y = 1 + x
  for given, found in zip((x, y), checks.near_origin(x, y)):
    np.testing.assert_array_equal(found, given)
    assert found.dtype == np.float32


def test_a_shift_is_exact_and_common():
  x = (1e7 + np.arange(12).reshape(6, 2)).astype(np.float32)
  a, b = checks.near_origin(x, x + 3)
  np.testing.assert_array_equal(b - a, 3 * np.ones((6, 2)))
  np.testing.assert_array_equal(a - a[:1], x - x[:1])
  assert np.abs(a).max() < 32
