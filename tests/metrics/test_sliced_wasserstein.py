"""The sliced Wasserstein distance."""

import jax
import numpy as np
import pytest

from gan_jax.metrics import (
  sliced_wasserstein_distance,
)
from tests.helpers.fakes import draw


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
