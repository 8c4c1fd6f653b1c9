"""Tests the members of a sweep, and what cannot be swept."""

import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment
from gan_jax.experiment import build_hparams, sweep
from tests.experiment.test_ensemble import RATE, mapping


@pytest.mark.parametrize(
  ('text', 'values'),
  [
    ('a=0.1,1e-2,3', (0.1, 0.01, 3.0)),
    ('a = linspace(0, 1, 3)', (0.0, 0.5, 1.0)),
    ('a=logspace(-3,2,6)', (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)),
    ('a=geomspace(1,16,5)', (1.0, 2.0, 4.0, 8.0, 16.0)),
  ],
)
def test_values(text, values):
  (axis,) = sweep.parse_sweep(text)
  assert axis.fields == ('a',)
  np.testing.assert_allclose(axis.values, values)


def test_several_settings():
  one, two = sweep.parse_sweep('a+b.c=1,2; d=3')
  assert (
    one == sweep.SweepAxis(('a', 'b.c'), (1.0, 2.0)) and one.name == 'a+b.c'
  )
  assert two == sweep.SweepAxis(('d',), (3.0,))
  assert sweep.parse_sweep('') == ()


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('a', "ensemble.sweep='a'.*logspace"),
    ('a=', "\\ba .*''.*logspace"),
    ('a=1,x', "\\ba .*'1,x'.*logspace"),
    ('a=logspace(1,2)', "'logspace\\(1,2\\)'.*logspace"),
    ('a=geomspace(0,1,3)', "'geomspace\\(0,1,3\\)'"),
    ('a=0.9,0.9', "'a=0.9,0.9'.*twice"),
    ('a=logspace(1,2,0)', "'logspace\\(1,2,0\\)'.*geomspace"),
    ('a=logspce(1,2,3)', "'logspce'.*'logspace'"),
    ('a=1,2;a=3,4', r'\ba twice'),
  ],
)
def test_bad_text(text, message):
  with pytest.raises(ValueError, match=message):
    sweep.parse_sweep(text)


def test_members_are_ordinary_configs():
  built = experiment.build(mapping(seeds=2, swept=f'{RATE}=0.1,0.2', seed=5))
  found = sweep.expand_sweep(built.config)
  assert [m.config.seed for m in found] == [5, 6, 5, 6]
  rates = [m.config.g_optimizer.learning_rate for m in found]
  assert rates == [0.1, 0.1, 0.2, 0.2]
  assert not any(config_lib.is_ensemble(m.config) for m in found)


@pytest.mark.parametrize(
  ('swept', 'message'),
  [
    ('g_optimizer.learning_rat=1,2', "'g_optimizer.learning_rate'"),
    ('batch_size=8,16', r'\bbatch_size\b.*\b8\b'),
    ('loss=hinge,minimax', r'\bloss\b.*continuous'),
    ('d_loss_scale=1,2', r"\bd_loss_scale\b.*'g_learning_rate'"),
    (f'{RATE}+d_loss_scale=1,2', r"\bd_loss_scale\b.*'g_learning_rate'"),
    ('penalties.r1.weight=0,1', r'\br1_weight\b.*\b0\b'),
    ('ema_decay=0.5,1.5', r'ema_decay=1.5: .*0 and 1'),
    (f'{RATE}=-1,1', 'learning_rate=-1.0: .*0'),
  ],
)
def test_what_cannot_be_swept(swept, message):
  with pytest.raises(ValueError, match=message):
    experiment.build_ensemble(mapping(swept=swept))


def test_too_many_members_are_refused_at_once():
  swept = f'{RATE}=linspace(0.1,1,1000);ema_decay=linspace(0.1,0.9,100000)'
  with pytest.raises(ValueError, match='200,000,000 .*10,000'):
    experiment.build_ensemble(mapping(seeds=2, swept=swept))


def test_seeds_below_one():
  with pytest.raises(ValueError, match='ensemble.seeds=0: .*1'):
    experiment.build_ensemble(mapping(seeds=0))


def test_data_that_stream_are_refused():
  with pytest.raises(ValueError, match='resident_mb=0: '):
    experiment.build_ensemble(mapping(seeds=2, resident_mb=0))


def test_a_swept_field_is_checked_by_two_of_its_values(monkeypatch):
  built = []
  build = build_hparams.build_hparams

  def counted(config):
    built.append(config)
    return build(config)

  monkeypatch.setattr(build_hparams, 'build_hparams', counted)
  b1 = 'd_optimizer.adam.b1'
  swept = f'{RATE}=logspace(-3,-1,5); {b1}=0.5,0.6; ema_decay=0.9'
  ensemble = experiment.build_ensemble(mapping(seeds=3, swept=swept))
  # The experiment, two for each field that varies, the GAN, one per point.
  assert len(built) == 1 + 2 * 2 + 1 + 10
  assert len(ensemble.members) == 30
  rates = np.repeat(np.logspace(-3, -1, 5), 6)
  np.testing.assert_allclose(ensemble.hparams['g_learning_rate'], rates)
  moments = np.tile(np.repeat([0.5, 0.6], 3), 5)
  np.testing.assert_array_equal(ensemble.hparams['d_b1'], moments)


POINTS = (
  {'ema_decay': 0.9, RATE: 1},
  {RATE: 0.5, 'ema_decay': 0.8},
  {RATE: 0.25, 'ema_decay': 0.7},
)
LINES = (
  f'{{"ema_decay": 0.9, "{RATE}": 1}}\n\n{{"{RATE}": 0.5, "ema_decay": 0.8}}\n',
  f'{{"ema_decay": 0.7, "{RATE}": 0.25}}',
)


@pytest.mark.parametrize('given', [POINTS, list(POINTS), LINES])
def test_points_are_mappings_or_lines_of_json(given):
  config = config_lib.resolve({'ensemble': {'seeds': 2, 'points': given}})
  assert config.ensemble.points == tuple(
    f'{{"ema_decay": {decay}, "{RATE}": {rate}}}'
    for decay, rate in [(0.9, 1.0), (0.8, 0.5), (0.7, 0.25)]
  )
  assert config_lib.resolve(config_lib.to_dict(config)) == config
  found = sweep.expand_sweep(config)
  assert [m.config.ema_decay for m in found] == [0.9, 0.9, 0.8, 0.8, 0.7, 0.7]
  assert not any(config_lib.is_ensemble(m.config) for m in found)
  assert sweep.ensemble_axes(config) == (
    sweep.SweepAxis(('ema_decay',), (0.9, 0.8, 0.7)),
    sweep.SweepAxis((RATE,), (1.0, 0.5, 0.25)),
  )


@pytest.mark.parametrize(
  ('points', 'message'),
  [
    (('{"ema_decay" 1}',), r'points\[0\]=.*line of JSON.*delimiter'),
    (('{"ema_decay": 1, "ema_decay": 2}',), 'ema_decay is named twice'),
    (({'ema_decay': 0.1}, 3), r'points\[1\]=3: must be a mapping'),
    (({},), r'points\[0\]={}: must be'),
    (({'ema_decay': True},), r'points\[0\]: ema_decay=True must be a finite'),
    (({'ema_decay': 0.1}, {'ema_decay': '1'}), r"points\[1\]: .*='1'"),
    (('{"ema_decay": NaN}',), r'points\[0\]: ema_decay=nan must be'),
    (({'ema_decay': 0.1}, {RATE: 1}), r'points\[1\]: ema_decay, .*first'),
    (({'ema_decay': 0.1},) * 2, r'points\[1\]=.*points\[0\] again'),
    (({'ema_dekay': 0.1},), "ensemble.points: .*'ema_decay'"),
    (({'batch_size': 8},), 'ensemble.points: batch_size .*continuous'),
    (({'d_loss_scale': 1}, {'d_loss_scale': 2}), 'points: d_loss_scale'),
    (({'ema_decay': 0.5}, {'ema_decay': 1.5}), r'points\[1\]: ema_decay=1.5'),
    (
      ({'penalties.r1.weight': 0}, {'penalties.r1.weight': 1}),
      r'ensemble.points: .*r1_weight\b.*\b0\b',
    ),
  ],
)
def test_bad_points_are_named(points, message):
  given = {**mapping(), 'ensemble': {'points': points}}
  with pytest.raises(ValueError, match=message):
    experiment.build_ensemble(given)


def test_points_and_a_sweep_are_refused():
  both = {'sweep': f'{RATE}=1,2', 'points': ({'ema_decay': 0.5},)}
  with pytest.raises(ValueError, match='one or the other'):
    config_lib.resolve({'ensemble': both})


def test_too_many_points_are_refused():
  points = [{'ema_decay': i / 6000} for i in range(6000)]
  with pytest.raises(ValueError, match='6,000 points .*12,000.*10,000'):
    experiment.build_ensemble(
      {**mapping(), 'ensemble': {'seeds': 2, 'points': points}}
    )
