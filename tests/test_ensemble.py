"""Many runs in one program: each is what it would be alone."""

import json
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import (
  assemble,
  checkpoint,
  ensemble,
  experiment,
  extract,
  plots,
  runs,
  settings,
  sweep,
  team,
  train_team,
  writers,
)
from tests import test_fuse

RATE = 'g_optimizer.learning_rate'


def mapping(seeds=1, swept='', **more):
  # No batch norm: Adam makes steps of the rounding in gradients that are zero.
  plain = {**test_fuse.TOY['generator'], 'norm': 'none'}
  several = {'seeds': seeds, 'sweep': swept}
  return {**test_fuse.TOY, 'generator': plain, 'ensemble': several, **more}


def assert_alike(found, expected):
  """Equal but for the order in which XLA fuses sums."""
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-5)


def train(crew, count, way=''):
  program = crew.program(way)
  now, draws = program.put(crew.init_state()), program.put(crew.draws)
  with program.feed(0) as feed:
    examples, _ = feed.take(0, count, lambda: None)
    now, metrics = program.run(now, examples, draws, np.int32(count))
  return jax.device_get(now), {k: v[:, :count] for k, v in metrics.items()}


class TestSweep:
  @pytest.mark.parametrize(
    ('text', 'values'),
    [
      ('a=0.1,1e-2,3', (0.1, 0.01, 3.0)),
      ('a = linspace(0, 1, 3)', (0.0, 0.5, 1.0)),
      ('a=logspace(-3,2,6)', (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)),
      ('a=geomspace(1,16,5)', (1.0, 2.0, 4.0, 8.0, 16.0)),
    ],
  )
  def test_values(self, text, values):
    (axis,) = sweep.parse(text)
    assert axis.leaves == ('a',)
    np.testing.assert_allclose(axis.values, values)

  def test_several_settings(self):
    one, two = sweep.parse('a+b.c=1,2; d=3')
    assert one == sweep.Axis(('a', 'b.c'), (1.0, 2.0)) and one.name == 'a+b.c'
    assert two == sweep.Axis(('d',), (3.0,))
    assert sweep.parse('') == ()

  @pytest.mark.parametrize(
    ('text', 'message'),
    [
      ('a', "ensemble.sweep='a': must be like"),
      ('a=', "values '': must be like"),
      ('a=1,x', "values '1,x': must be like"),
      ('a=logspace(1,2)', "values 'logspace\\(1,2\\)': must be like"),
      ('a=logspace(1,2,0)', 'must be like'),
      ('a=logspce(1,2,3)', "unknown range 'logspce'.*'logspace'"),
      ('a=1,2;a=3,4', 'names a twice'),
    ],
  )
  def test_bad_text(self, text, message):
    with pytest.raises(ValueError, match=message):
      sweep.parse(text)

  def test_members_are_ordinary_settings(self):
    built = experiment.build(mapping(seeds=2, swept=f'{RATE}=0.1,0.2', seed=5))
    found = sweep.members(built.settings)
    assert [m.settings.seed for m in found] == [5, 6, 5, 6]
    rates = [m.settings.g_optimizer['learning_rate'] for m in found]
    assert rates == [0.1, 0.1, 0.2, 0.2]
    assert not any(settings.is_ensemble(m.settings) for m in found)

  @pytest.mark.parametrize(
    ('swept', 'message'),
    [
      (
        'g_optimizer.learning_rat=1,2',
        "unknown continuous setting.*mean 'g_optimizer.learning_rate'",
      ),
      ('batch_size=8,16', 'batch_size=8 is not a continuous setting'),
      ('d_loss_scale=1,2', 'd_loss_scale is part of the program'),
      (f'{RATE}+d_loss_scale=1,2', 'd_loss_scale is part of the program'),
      ('penalties.r1.weight=0,1', 'r1_weight would be in the program for some'),
      ('ema_decay=0.5,1.5', 'ema_decay=1.5: must be between 0 and 1'),
      (f'{RATE}=-1,1', 'learning_rate=-1.0: must be at least 0'),
    ],
  )
  def test_what_cannot_be_swept(self, swept, message):
    with pytest.raises(ValueError, match=message):
      team.build(mapping(swept=swept))

  def test_seeds_below_one(self):
    with pytest.raises(ValueError, match='ensemble.seeds=0: must be at least'):
      team.build(mapping(seeds=0))

  def test_data_that_stream_are_refused(self):
    with pytest.raises(ValueError, match='resident_mb=0: the members of an'):
      team.build(mapping(seeds=2, resident_mb=0))


def alone(member, count):
  return test_fuse.train(
    experiment.build(
      {**settings.as_mapping(member.settings), 'num_devices': 1}
    ),
    [count],
  )


def test_a_member_is_the_run_that_it_would_be_alone():
  """By 'map' nearly to the bit; by 'vmap' to rounding, which Adam enlarges."""
  swept = f'{RATE}=1e-3,1e-2; d_optimizer.b1=0.2,0.7'
  plain = {**test_fuse.TOY['generator'], 'norm': 'none'}
  crew = team.build(
    mapping(seeds=2, swept=swept, num_devices=2, generator=plain)
  )
  assert len(crew.members) == 8 and len(crew.devices) == 2
  one_by_one, rows = train(crew, 6, 'map')
  at_once, same = train(crew, 6, 'vmap')
  for index in (0, 3, 6):
    expected, metrics = alone(crew.members[index], 6)
    assert_alike(ensemble.take(one_by_one, index), expected)
    assert_alike({k: np.asarray(v[index]) for k, v in rows.items()}, metrics)
    chex.assert_trees_all_close(
      ensemble.take(at_once, index), expected, atol=5e-4
    )
  chex.assert_trees_all_close(rows, same, rtol=1e-3, atol=1e-4)
  different = one_by_one.generator.params['Dense_0']['kernel']
  assert len(np.unique(different.reshape(8, -1), axis=0)) == 8


@pytest.mark.slow
def test_members_with_convolutions():
  crew = team.build(
    {
      **test_fuse.IMAGES,
      'num_devices': 1,
      'ensemble': {'seeds': 2, 'sweep': ''},
    }
  )
  found, _ = train(crew, 2, 'map')
  # A lazy term is a cond, which vmap makes a select of all that it reads: of
  # its keys too, for which JAX's check of keys takes it.
  with jax.debug_key_reuse(False):
    at_once, _ = train(crew, 2, 'vmap')
  expected, _ = alone(crew.members[1], 2)
  # XLA fuses sums in another order: the last bit.
  chex.assert_trees_all_close(ensemble.take(found, 1), expected, atol=1e-6)
  chex.assert_trees_all_close(
    at_once.generator.params, found.generator.params, atol=5e-4
  )


def test_devices_divide_the_members():
  crew = team.build(mapping(seeds=6, num_devices=4))
  assert len(crew.devices) == 3


def test_another_way_is_refused():
  with pytest.raises(ValueError, match="way='pmap': choose one of"):
    ensemble.together(lambda: None, 'pmap')
  bad = {'seeds': 2, 'sweep': '', 'way': 'pmap'}
  with pytest.raises(ValueError, match="ensemble.way='pmap': choose one of"):
    team.build({**test_fuse.TOY, 'ensemble': bad})


def diverging(step, bad_at):
  """A step whose state is not finite once its member is past a step."""

  def guarded(state, batch, key):
    new, metrics = step(state, batch, key)
    bad = state.step == bad_at
    poison = lambda x: jnp.where(bad, jnp.nan, x)
    params = jax.tree.map(poison, new.generator.params)
    return new.replace(generator=new.generator.replace(params=params)), metrics

  return guarded


def test_a_member_that_diverges_is_frozen_and_the_others_go_on():
  crew = team.build(mapping(seeds=2, swept=f'{RATE}=1e-3,1e38', num_devices=1))
  now, metrics = train(crew, 8)
  lost = train_team.diverged(now, 8)
  assert lost == [2, 3]
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(now.generator))
  expected, _ = alone(crew.members[1], 8)
  assert_alike(ensemble.take(now, 1), expected)
  assert np.isfinite(metrics['g_loss'][:2]).all()


def test_frozen_at_the_last_finite_state():
  built = test_fuse.build()
  plain = assemble.make_step(built.gan, built.settings, None)
  step = jax.jit(ensemble.freeze(diverging(plain, 3)))
  batch = {'x': jnp.asarray(built.train.x[:8])[None]}
  now = built.init_state()
  states = []
  for _ in range(6):
    now, _ = step(now, batch, built.key)
    states.append(jax.device_get(now))
  assert [int(s.step) for s in states] == [1, 2, 3, 3, 3, 3]
  chex.assert_trees_all_equal(states[-1], states[2])


class TestRecords:
  def crew(self):
    return team.build(
      mapping(seeds=3, swept=f'{RATE}=1e-3,1e-2', num_devices=1)
    )

  def saved(self, workdir):
    crew = self.crew()
    now, _ = train(crew, 4)
    workdir.mkdir()
    writers.write_json(workdir / runs.CONFIG_FILE, runs.describe(crew))
    with checkpoint.Checkpoints(workdir / runs.CHECKPOINTS, keep=1) as saved:
      saved.save(4, now)
    return crew, now

  def test_restored_extracted_and_loaded(self, tmp_path):
    crew, now = self.saved(tmp_path / 'crew')
    back, note = runs.start(self.crew(), tmp_path / 'crew')
    chex.assert_trees_all_equal(jax.device_get(back), now)
    assert 'step 4' in note
    assert extract.extract(tmp_path / 'crew', 4, tmp_path / 'one') == 4
    _, chosen, _, state = runs.restore(tmp_path / 'one')
    assert chosen == crew.members[4].settings
    chex.assert_trees_all_equal(jax.device_get(state), ensemble.take(now, 4))
    member = experiment.load(tmp_path / 'crew', member=4)
    single = experiment.load(tmp_path / 'one')
    np.testing.assert_array_equal(member(5), single(5))
    assert np.abs(
      experiment.load(tmp_path / 'crew', member=0)(5) - single(5)
    ).max()

  def test_an_extracted_member_goes_on_as_the_ensemble_would(self, tmp_path):
    crew, _ = self.saved(tmp_path / 'crew')
    extract.extract(tmp_path / 'crew', 1, tmp_path / 'one')
    built = experiment.build(
      {**settings.as_mapping(crew.members[1].settings), 'num_devices': 1}
    )
    start, _ = runs.start(built, tmp_path / 'one')
    program = built.program()
    now, draws = program.put(start), program.put(built.draws)
    with program.feed(4) as feed:
      examples, _ = feed.take(4, 3, lambda: None)
      now, _ = program.run(now, examples, draws, np.int32(3))
    expected, _ = train(self.crew(), 7)
    assert_alike(jax.device_get(now), ensemble.take(expected, 1))

  @pytest.mark.parametrize('member', [None, 6, -1])
  def test_a_member_that_is_not_there(self, tmp_path, member):
    self.saved(tmp_path / 'crew')
    with pytest.raises(ValueError, match='its members are 0 to 5'):
      runs.restore(tmp_path / 'crew', member=member)

  def test_extract_overwrites_nothing(self, tmp_path):
    self.saved(tmp_path / 'crew')
    with pytest.raises(FileExistsError, match='holds a run already'):
      extract.extract(tmp_path / 'crew', 0, tmp_path / 'crew')

  def test_another_sweep_is_refused(self, tmp_path):
    self.saved(tmp_path / 'crew')
    other = team.build(mapping(seeds=2, swept=f'{RATE}=1e-3,1e-2'))
    with pytest.raises(ValueError, match='ensemble.seeds: 3 there, 2 now'):
      runs.start(other, tmp_path / 'crew')


def test_the_best_points_are_listed():
  point = lambda i, mean: train_team.Point(
    {'a': i}, [i], [], {'score': (mean, None)}, {'score': [mean]}
  )
  means = [3.0, math.nan, 1.0, *range(10, 30)]
  points = [point(i, mean) for i, mean in enumerate(means)]
  listed = lambda better: [
    p.scores['score'][0] for p in train_team.best_first(points, better)
  ]
  assert listed('lower')[:3] == [1.0, 3.0, 10] and len(listed('lower')) == 16
  assert listed('higher')[:2] == [29, 28]
  assert listed('near 0.5')[0] == 1.0
  assert train_team.best_first(points[:3], 'lower') == points[:3]


def test_mean_and_error():
  mean, error = train_team.mean_and_error([1.0, 3.0, None, math.nan])
  assert mean == 2 and error == pytest.approx(1.0)
  assert train_team.mean_and_error([4.0]) == (4.0, None)
  assert math.isnan(train_team.mean_and_error([])[0])


class TestPlots:
  def points(self, shape):
    found = []
    for i in range(math.prod(shape)):
      lost = [2 * i] if i == 1 else []
      scores = {'score': (1.0 + i, 0.1), 'other': (math.nan, None)}
      found.append(
        train_team.Point(
          {'a': i},
          [2 * i, 2 * i + 1],
          lost,
          scores,
          {'score': [1.0, 2.0], 'other': []},
        )
      )
    return found

  @pytest.mark.parametrize('shape', [(), (3,), (3, 2)])
  def test_a_picture(self, tmp_path, shape):
    pytest.importorskip('matplotlib', reason="pip install 'gan_jax[plots]'")
    axes = [
      sweep.Axis((name,), tuple(range(1, n + 1)))
      for name, n in zip('ab', shape)
    ]
    lines = [
      {'step': s, 'metrics': {'d_loss': [1, None], 'g_loss': [2.0, 3.0]}}
      for s in (1, 2)
    ]
    floors = {'score': (0.5, 0.01), 'other': (0.5, None)}
    path = tmp_path / 'x.png'
    assert plots.ensemble(path, axes, self.points(shape), floors, lines)
    assert path.stat().st_size > 5000

  def test_no_picture_of_three_dimensions(self, tmp_path):
    axes = [sweep.Axis((name,), (1.0,)) for name in 'abc']
    floors = {'score': (0.5, 0.01)}
    path = tmp_path / 'x.png'
    assert not plots.ensemble(path, axes, self.points(()), floors, [])


@pytest.mark.slow
class TestTrainPy:
  ARGUMENTS = (
    '--config=configs/d2l_gaussian.py:test',
    '--config.num_steps=4',
    '--config.ensemble.seeds=2',
    f'--config.ensemble.sweep={RATE}=1e-3,1e38',
  )

  def test_an_ensemble_and_its_continuation(self, tmp_path):
    from tests.test_train import run

    workdir = f'--workdir={tmp_path}'
    out = run(*self.ARGUMENTS, workdir)
    assert 'members  4: 2 seeds from 0' in out
    assert '2 of 4 diverged' in out
    rows = json.loads((tmp_path / 'summary.json').read_text())
    assert [len(p['diverged']) for p in rows['points']] == [0, 2]
    assert rows['members'][0]['scores'] and not rows['members'][3]['scores']
    more = run(*self.ARGUMENTS, '--config.num_steps=8', workdir)
    assert 'continues from the checkpoint of step 4' in more
    lines = (tmp_path / 'members.jsonl').read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    steps = [line['step'] for line in logged if 'metrics' in line]
    assert steps == sorted(set(steps)) and steps[-1] == 8

  def test_bad_input_is_one_line(self, tmp_path):
    from tests.test_train import run

    out = run(
      '--config=configs/d2l_gaussian.py:test',
      '--config.ensemble.sweep=batch_size=8,16',
      f'--workdir={tmp_path}',
      rc=1,
    )
    assert out.startswith('train.py: ensemble.sweep: batch_size=8 is not')

  def test_dry_run_writes_nothing(self, tmp_path):
    from tests.test_train import run

    workdir = tmp_path / 'none'
    out = run(*self.ARGUMENTS, '--dry_run', f'--workdir={workdir}')
    assert 'parameters  G 6, D' in out and 'kFLOP' in out
    assert not workdir.exists()
