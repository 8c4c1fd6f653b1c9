"""Names of metrics, and which result is better."""

import pytest

from gan_jax import evaluation
from gan_jax.evaluation import (
  results,
)


def test_every_metric_says_what_it_is():
  for name, metric in evaluation.METRICS.items():
    assert len(metric.names) == len(metric.better), name
    assert set(metric.better) <= {'lower', 'higher', 'near 0.5'}
    assert metric.reference_split in ('train', 'test')


def test_rank_looks_at_the_first_metric_alone():
  row = lambda metric, value, better: results.MetricResult(
    metric, metric, value, 0, 0, 0, None, None, better, '', {}, 'train'
  )
  rows = [row('modes', 8, 'higher'), row('modes', 0.9, 'higher')]
  assert results.ranking_key([*rows, row('fid', 3, 'lower')]) == [-8, -0.9]
  assert results.ranking_key([row('nn', 0.3, 'near 0.5')]) == [0.2]


def test_names_of_metrics():
  assert results.parse_metrics(' fid, kid,') == ('fid', 'kid')
  with pytest.raises(ValueError, match="unknown metric 'fidd'.*Did you mean"):
    results.parse_metrics('fid,fidd')
