"""The Inception Score."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import (
  inception_score_metric,
)
from tests.helpers.fakes import draw


def test_inception_score_of_unsure_and_of_sure_and_even_answers():
  found = inception_score_metric.inception_score(np.zeros((20, 7)))
  np.testing.assert_allclose(found, [1, 0], atol=1e-12)
  sure = 1e4 * np.eye(5)[np.arange(100) % 5]
  found = inception_score_metric.inception_score(sure)
  np.testing.assert_allclose(found, [5, 0], atol=1e-9)
  sure[:, 0] = 2e4
  np.testing.assert_allclose(
    inception_score_metric.inception_score(sure).value, 1
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
  with pytest.raises(ValueError, match=f'splits={splits}: '):
    inception_score_metric.inception_score(jnp.zeros((3, 2)), splits=splits)
