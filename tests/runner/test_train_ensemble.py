"""Tests of the training of an ensemble: its files, scores and pictures."""

import collections
import json
import math
import pathlib
import re

import numpy as np
import pytest
import scipy.io.wavfile
from PIL import Image

import gan_jax
from gan_jax import config as config_lib
from gan_jax import experiment
from gan_jax.distributed import xla_setup
from gan_jax.experiment import run_dir, sweep, sweep_results
from gan_jax.report import images, sweep_plots
from gan_jax.runner import (
  config_file,
  console,
  extract,
  status,
  train_ensemble,
)
from tests.experiment.test_ensemble import RATE, mapping
from tests.training import test_fused


@pytest.mark.parametrize(
  ('data', 'lost', 'drawn'),
  [('points', [0], [1]), ('images', [1], [0, 2])],
)
def test_only_what_is_shown_is_drawn(tmp_path, monkeypatch, data, lost, drawn):
  several = {'ensemble': {'seeds': 3, 'sweep': ''}}
  given = mapping() if data == 'points' else test_fused.IMAGES
  ensemble = experiment.build_ensemble(given | several | {'num_devices': 1})
  state = ensemble.init_state()
  state = state.replace(
    step=np.array([0 if i in lost else 4 for i in range(3)])
  )
  asked, saved = [], []

  class Scorer(train_ensemble.EnsembleEvaluator):
    def weights(self, state, index):
      asked.append(index)
      return super().weights(state, index)

  scorer = Scorer(ensemble, None)
  save = lambda path, x, **more: saved.append((x.shape, more))
  points = lambda path, real, x: saved.append((x.shape, {}))
  monkeypatch.setattr(images, 'save_samples', points)
  monkeypatch.setattr(images, 'save_image_grid', save)
  train_ensemble._save_pictures(tmp_path / 'x.png', ensemble, scorer, state, 4)
  assert asked == drawn
  if data == 'points':
    assert saved == [((64, 2), {})]
  else:
    assert saved == [((24, 8, 8, 1), {'columns': 12})]


def test_members_on_sound_are_rows_of_spectrograms(tmp_path):
  networks = {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}}
  config = {
    'data': {'name': 'tones', 'tones': {'size': 40, 'length': 64}},
    'generator': networks,
    'discriminator': networks,
    'ensemble': {'seeds': 2},
    'batch_size': 8,
    'num_devices': 1,
  }
  ensemble = experiment.build_ensemble(config)
  state = ensemble.init_state()
  scorer = train_ensemble.EnsembleEvaluator(ensemble, None)
  train_ensemble._save_pictures(tmp_path / 'x.png', ensemble, scorer, state, 0)
  _, levels = scipy.io.wavfile.read(tmp_path / 'x.wav')
  assert len(levels) == 24 * (64 + 1200)
  with Image.open(tmp_path / 'x.png') as picture:
    assert picture.size == (12 * (128 + 4) + 4, 2 * (64 + 4) + 4)


def test_the_best_points_are_listed():
  point = lambda i, mean: sweep_results.SweepPoint(
    {'a': i}, [i], [], {'score': (mean, None)}, {'score': [mean]}
  )
  means = [3.0, math.nan, 1.0, *range(10, 30)]
  found = [point(i, mean) for i, mean in enumerate(means)]
  listed = lambda better: [
    p.scores['score'][0] for p in sweep_results.rank_points(found, better)
  ]
  assert listed('lower')[:3] == [1.0, 3.0, 10] and len(listed('lower')) == 16
  assert listed('higher')[:2] == [29, 28]
  assert listed('near 0.5')[0] == 1.0
  assert sweep_results.rank_points(found[:3], 'lower') == found[:3]
  first = lambda better: sweep_results.best_point(found[:4], better)
  assert [first(b) for b in ('lower', 'higher', 'near 0.5')] == [2, 3, 2]


def test_mean_and_error():
  mean, error = sweep_results.mean_and_error([1.0, 3.0, None, math.nan])
  assert mean == 2 and error == pytest.approx(1.0)
  assert sweep_results.mean_and_error([4.0]) == (4.0, None)
  assert math.isnan(sweep_results.mean_and_error([])[0])


def test_a_member_whose_scores_are_not_finite_has_diverged():
  row = collections.namedtuple('Row', ['name', 'value'])
  member = lambda seed: sweep.SweepMember(
    config_lib.resolve({'seed': seed}), {}
  )
  scores = [[row('a', v), row('b', v)] for v in (1.0, math.nan, 3.0)]
  (point,) = sweep_results.aggregate_seeds(
    [member(i) for i in range(4)], [*scores, None]
  )
  assert point.members == [0, 1, 2, 3] and point.diverged == [1, 3]
  assert point.scores['a'] == (2.0, pytest.approx(1.0))
  assert point.values == {'a': [1.0, 3.0], 'b': [1.0, 3.0]}
  (nothing,) = sweep_results.aggregate_seeds([member(0)], [scores[1]])
  text = json.dumps(nothing.as_json(), allow_nan=False)
  assert json.loads(text)['scores'] == {'a': [None, None], 'b': [None, None]}


class TestPlots:
  def points(self, shape):
    found = []
    for i in range(math.prod(shape)):
      lost = [2 * i] if i == 1 else []
      scores = {'score': (1.0 + i, 0.1), 'other': (math.nan, None)}
      found.append(
        sweep_results.SweepPoint(
          {'a': i},
          [2 * i, 2 * i + 1],
          lost,
          scores,
          {'score': [1.0, 2.0], 'other': []},
        )
      )
    return found

  def test_points_have_a_panel_for_each_setting_and_score(
    self, tmp_path, monkeypatch
  ):
    pyplot = pytest.importorskip(
      'matplotlib.pyplot', reason="pip install 'gan_jax[plots]'"
    )
    axes = [sweep.SweepAxis((name,), (0.3, 0.1, 0.2)) for name in 'abc']
    drawn = []
    monkeypatch.setattr(pyplot, 'close', drawn.append)
    baselines = {'score': (0.5, 0.01), 'other': (0.5, None)}
    found = self.points((3,))
    path = tmp_path / 'x.png'
    assert sweep_plots.plot_sweep(path, axes, found, baselines, [])
    assert path.stat().st_size > 10_000
    panels = drawn[0].axes
    assert [p.get_xlabel() for p in panels] == ['a', 'b', 'c'] * 2
    assert [p.get_ylabel() for p in panels[::3]] == ['score', 'other']
    line = panels[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0.3, 0.1, 0.2])
    np.testing.assert_array_equal(line.get_ydata(), [1.0, 2.0, 3.0])
    pyplot.figure(drawn[0].number)
    monkeypatch.undo()
    pyplot.close(drawn[0])

  @pytest.mark.parametrize('shape', [(), (3,), (3, 2)])
  def test_a_picture(self, tmp_path, shape):
    pytest.importorskip('matplotlib', reason="pip install 'gan_jax[plots]'")
    axes = [
      sweep.SweepAxis((name,), tuple(range(1, n + 1)))
      for name, n in zip('ab', shape)
    ]
    lines = [
      {'step': s, 'metrics': {'d_loss': [1, None], 'g_loss': [2.0, 3.0]}}
      for s in (1, 2)
    ]
    baselines = {'score': (0.5, 0.01), 'other': (0.5, None)}
    path = tmp_path / 'x.png'
    assert sweep_plots.plot_sweep(
      path, axes, self.points(shape), baselines, lines
    )
    assert path.stat().st_size > 5000

  def test_no_picture_of_three_dimensions(self, tmp_path):
    axes = [sweep.SweepAxis((name,), (1.0,)) for name in 'abc']
    baselines = {'score': (0.5, 0.01)}
    path = tmp_path / 'x.png'
    assert not sweep_plots.plot_sweep(
      path, axes, self.points(()), baselines, []
    )


@pytest.mark.slow
def test_stopped_and_continued_is_as_if_never_stopped(tmp_path):
  def train(workdir, stopped):
    given = mapping(seeds=2, num_steps=30, num_devices=1)
    ensemble = experiment.build_ensemble(
      given | {'eval_every': 10, 'eval': {'num_samples': 20}}
    )
    return train_ensemble.train_ensemble(
      ensemble,
      workdir,
      console.ConsoleReporter(quiet=True),
      lambda: stopped,
    )

  def lines(workdir):
    text = (workdir / train_ensemble.CURVES_FILE).read_text()
    return [json.loads(line) for line in text.splitlines()]

  state, step, scores = train(tmp_path / 'a', stopped=True)
  assert step == 1 == int(state.step[0]) and not scores
  assert not (tmp_path / 'a' / 'summary.json').exists()
  assert run_dir.latest_step(tmp_path / 'a') == 1
  assert [line['step'] for line in lines(tmp_path / 'a')] == [1]
  for name in 'ab':
    _, step, scores = train(tmp_path / name, stopped=False)
    assert step == 30 and len(scores) == 2
  scores = lambda name: [x for x in lines(tmp_path / name) if 'scores' in x]
  assert [line['step'] for line in scores('a')] == [10, 20, 30]
  for found, expected in zip(scores('a'), scores('b'), strict=True):
    for one, other in zip(found['scores'], expected['scores'], strict=True):
      assert one == pytest.approx(other, rel=1e-3)


CONFIG = f'{pathlib.Path(__file__).parents[2]}/configs/d2l_gaussian.py:test'


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch):
  """Sets the width of tables, and leaves XLA's flags alone."""
  monkeypatch.setenv('COLUMNS', '200')
  monkeypatch.setattr(xla_setup, 'is_backend_initialized', lambda: True)
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)


def toy(**ensemble):
  config = config_file.load_config(CONFIG)
  config.num_steps, config.num_devices = 4, 1
  config.ensemble.update(ensemble)
  return config


def test_an_ensemble_and_its_continuation(tmp_path, capsys):
  config = toy(seeds=2, sweep=f'{RATE}=1e-3,1e38')
  result = gan_jax.train(config, tmp_path)
  out = capsys.readouterr().out
  assert 'members  4: 2 seeds from 0' in out
  assert '2 of 4 diverged' in out
  rows = json.loads((tmp_path / 'summary.json').read_text())
  assert [len(p['diverged']) for p in rows['points']] == [0, 2]
  assert rows['members'][0]['scores'] and not rows['members'][3]['scores']
  assert result.finished and result.step == 4
  lost = [scores is None for scores in result.scores]
  assert lost == [False, False, True, True]
  curves = tmp_path / 'members.jsonl'
  read = lambda: [json.loads(x) for x in curves.read_text().splitlines()]
  scored = read().pop()
  assert scored['step'] == 4 and scored['scores']
  # As if it had been killed in its last evaluation.
  curves.write_text(''.join(json.dumps(x) + '\n' for x in read()[:-1]))
  gan_jax.train(config, tmp_path, quiet=True)
  assert read().pop().keys() == scored.keys()
  config.num_steps = 8
  capsys.readouterr()
  gan_jax.train(config, tmp_path)
  out = capsys.readouterr().out
  assert 'continues from the checkpoint of step 4' in out
  steps = [line['step'] for line in read() if 'metrics' in line]
  assert steps == sorted(set(steps)) and steps[-1] == 8
  found = status.read_status(tmp_path)
  assert (found.members, found.diverged, found.state) == (4, 2, 'finished')
  # One member as a run: it diverged, and its seed and rate are of its own.
  extract.extract(str(tmp_path), 3, str(tmp_path / 'one'))
  out = capsys.readouterr().out
  assert re.search(
    r'one: member 3 at step \d, after which it diverged \(.* 8\)', out
  )
  assert f'with --config.{RATE}=1e+38 --config.seed=1 --workdir=' in out


@pytest.mark.slow
def test_an_interrupted_ensemble_is_saved(tmp_path):
  config = toy(seeds=2)
  config.steps_per_call = 1
  calls = iter([False, True])

  def interrupt():
    if next(calls):
      raise KeyboardInterrupt
    return False

  with pytest.raises(KeyboardInterrupt):
    gan_jax.train(config, tmp_path, quiet=True, should_stop=interrupt)
  assert run_dir.latest_step(tmp_path) == 2
  result = gan_jax.train(config, tmp_path, quiet=True)
  assert result.finished and len(result.scores) == 2


def test_a_sweep_of_what_is_no_float_is_refused(tmp_path):
  for field in ('batch_size=8,16', 'd_loss_scale=1,2'):
    with pytest.raises(ValueError, match=f'ensemble.sweep: {field[:10]}'):
      gan_jax.train(toy(sweep=field), tmp_path / 'run', quiet=True)
  assert not (tmp_path / 'run').exists()
