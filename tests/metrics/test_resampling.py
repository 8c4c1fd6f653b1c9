"""The jackknife."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import (
  resampling,
)
from tests.helpers.fakes import draw


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
  with pytest.raises(ValueError, match=f'groups={groups}: '):
    resampling.jackknife(np.mean, np.ones(5), groups=groups)
  with pytest.raises(ValueError, match='2 groups.* 1'):
    resampling.jackknife_error(jnp.ones(1))
