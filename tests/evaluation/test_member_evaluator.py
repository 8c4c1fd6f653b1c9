"""Members of an ensemble have the scores that they would have alone."""

import jax
import numpy as np
import pytest

from gan_jax import experiment
from gan_jax.evaluation import member_evaluator
from gan_jax.sampling import sampler, standing_stats
from gan_jax.training import ensemble as ensemble_lib

COUNT = 240  # samples drawn from each member, for 60 that are evaluated


def build(data, metrics, **more):
  norm = {'features': (8,), 'norm': 'batch'}
  return experiment.build_ensemble(
    {
      'data': data,
      'generator': {'name': 'mlp', 'mlp': norm},
      'discriminator': {'name': 'mlp', 'mlp': {'features': (8,)}},
      'eval': {'metrics': metrics, 'num_samples': 60},
      'ensemble': {'seeds': 4},
      'batch_size': 8,
      'num_devices': 2,
      **more,
    }
  )


def score_alone(crew, evaluator, weights):
  base = crew.base
  draw = sampler.make_indexed_sampler(base.gan, labels=base.labels)
  weights = standing_stats.evaluation_weights(
    base.gan, weights, labels=base.labels
  )
  label = base.labels(np.arange(COUNT))
  return evaluator(
    sampler.GeneratedSource(
      draw, weights, base.shape, COUNT, seed=1, label=label
    )
  )


@pytest.mark.parametrize(
  ('data', 'metrics', 'more'),
  [
    ({'name': 'gaussian', 'gaussian': {'size': 200}}, 'kl', {}),
    (
      {'name': 'digits', 'digits': {'size': 8}},
      'nn,intra_fd',
      {'conditional': True},
    ),
  ],
)
def test_scores_are_those_of_a_run_alone(data, metrics, more, monkeypatch):
  crew = build(data, metrics, **more)
  backend = 'vmap' if more else 'map'
  monkeypatch.setattr(member_evaluator, '_MOST_IN_TURN', 1)  # two calls
  members = member_evaluator.MemberEvaluator(
    crew.base.make_evaluator(),
    crew.base.gan,
    crew.base.labels,
    shape=crew.shape,
    count=COUNT,
    devices=crew.devices,
    backend=backend,
  )
  weights = jax.tree.map(np.array, crew.init_state().ema)
  jax.tree.leaves(weights[0])[0][2] = np.nan
  rows = members(weights, [True, False, True, True])
  assert rows[1] is None and rows[2] is None
  evaluator = crew.base.make_evaluator()
  for index in (0, 3):
    one = ensemble_lib.take_member(weights, index)
    expected = score_alone(crew, evaluator, one)
    assert [row.name for row in rows[index]] == [row.name for row in expected]
    for found, row in zip(rows[index], expected, strict=True):
      numbers = lambda row: [
        np.nan if x is None else x for x in (row.value, row.error, row.p_value)
      ]
      np.testing.assert_allclose(numbers(found), numbers(row), rtol=1e-3)
      assert found._replace(value=0, error=0, p_value=0) == row._replace(
        value=0, error=0, p_value=0
      )
  assert members.notes == evaluator.notes or data['name'] == 'gaussian'
