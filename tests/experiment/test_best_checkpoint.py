"""Tests the best checkpoint of a run, and the scores that choose it."""

import json

import numpy as np

from gan_jax.evaluation import results
from gan_jax.experiment import best_checkpoint


def run_of_scores(path, offers, options=None, start=0):
  """Offers pairs (step, value) of a score to the best checkpoint of a run."""
  row = results.MetricResult(
    'fd', 'fd', 0.0, 0, 0, 0, None, None, 'lower', '', {}, 'train'
  )
  with best_checkpoint.BestCheckpointTracker(
    path, options or {'metrics': 'fd'}, start=start
  ) as best:
    better = [
      best.update(step, {'w': np.float32([step])}, [row._replace(value=value)])
      for step, value in offers
    ]
    return better, best.step


def test_the_best_is_kept_over_a_continuation(tmp_path):
  assert run_of_scores(tmp_path, [(2, 5), (4, 3)]) == ([True, True], 4)
  # Continued from a checkpoint before the best: it is yet to come.
  assert run_of_scores(tmp_path, [(4, 3.0)], start=2) == ([True], 4)
  better = run_of_scores(tmp_path, [(6, 4), (8, np.nan), (10, 2)], start=4)
  assert better == ([False, False, True], 10)
  with best_checkpoint.BestCheckpointTracker(
    tmp_path, {'metrics': 'fd'}, start=10
  ) as best:
    assert best.step == 10 and best.is_evaluated(8) and not best.is_evaluated(9)
  # The best before it is there too, for a run that goes back; no third is.
  assert sorted(p.name for p in (tmp_path / 'best').iterdir()) == ['10', '4']
  assert run_of_scores(tmp_path, [(12, 1)], start=10) == ([True], 12)
  assert sorted(p.name for p in (tmp_path / 'best').iterdir()) == ['10', '12']
  assert run_of_scores(tmp_path, [(12, 3)], start=11) == ([False], 10)


def test_scores_under_other_options_are_not_compared(tmp_path):
  run_of_scores(tmp_path, [(2, 0.1)])
  other = {'metrics': 'fd', 'num_samples': 7}
  kept = lambda: sorted(p.name for p in (tmp_path / 'best').iterdir())
  run_of_scores(tmp_path, [], other, start=3)
  assert kept() == ['2']  # until there is another
  assert run_of_scores(tmp_path, [(4, 9)], other, start=2) == ([True], 4)
  lines = (tmp_path / 'scores.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [2, 4]
  assert kept() == ['2', '4']
  run_of_scores(tmp_path, [], other, start=1)
  assert kept() == []  # both are of steps to come


def test_a_score_that_is_no_number_is_beaten_by_any(tmp_path):
  offers = [(2, np.nan), (4, 1e9), (6, np.inf)]
  assert run_of_scores(tmp_path, offers) == ([True, True, False], 4)
  line = (tmp_path / 'scores.jsonl').read_text().splitlines()[0]
  assert 'NaN' not in line and json.loads(line)['scores'][0]['value'] is None


def test_a_damaged_best_is_set_aside_and_the_one_before_is_the_best(tmp_path):
  run_of_scores(tmp_path, [(2, 5), (4, 3)])
  sums = tmp_path / 'best/4/checksums.json'
  sums.write_text(sums.read_text()[:-1])
  with best_checkpoint.BestCheckpointTracker(
    tmp_path, {'metrics': 'fd'}, start=4
  ) as best:
    assert best.step == 2
    (said,) = best.damaged
  assert said.startswith(f'{tmp_path}/best/4 is damaged: checksums.json cannot')
  assert (tmp_path / 'damaged/best/4').is_dir()
  assert run_of_scores(tmp_path, [(6, 4)], start=4) == ([True], 6)
