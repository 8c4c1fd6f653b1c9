"""Every member of an ensemble is the run that it would be alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment, training
from gan_jax.experiment import build_gan, extract_member, resume, run_dir
from gan_jax.io import files
from gan_jax.runner import train_ensemble
from gan_jax.training import ensemble as ensemble_lib
from gan_jax.training import nonfinite
from tests.training import test_fused

RATE = 'g_optimizer.learning_rate'


def mapping(seeds=1, swept='', **more):
  # No batch norm: Adam makes steps of the rounding in gradients that are zero.
  plain = {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}}
  several = {'seeds': seeds, 'sweep': swept}
  return {**test_fused.TOY, 'generator': plain, 'ensemble': several, **more}


def assert_alike(found, expected):
  """Asserts equality up to the order in which XLA fuses sums."""
  chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=2e-5)


def train(ensemble, count, backend=''):
  program = ensemble.program(backend)
  state, streams = (
    program.put(ensemble.init_state()),
    program.put(ensemble.streams),
  )
  with program.feed(0) as feed:
    batch, _ = feed.take(0, count, lambda: None)
    state, metrics = program.run(state, batch, streams, np.int32(count))
  return jax.device_get(state), {k: v[:, :count] for k, v in metrics.items()}


def alone(member, count):
  return test_fused.train(
    experiment.build({**config_lib.to_dict(member.config), 'num_devices': 1}),
    [count],
  )


def test_a_member_is_the_run_that_it_would_be_alone():
  """By 'map' almost to the bit; by 'vmap' to rounding, amplified by Adam."""
  swept = f'{RATE}=1e-3,1e-2; d_optimizer.adam.b1=0.2,0.7'
  ensemble = experiment.build_ensemble(
    mapping(seeds=2, swept=swept, num_devices=2)
  )
  assert len(ensemble.members) == 8 and len(ensemble.devices) == 2
  one_by_one, rows = train(ensemble, 6, 'map')
  at_once, same = train(ensemble, 6, 'vmap')
  for index in (0, 3, 6):
    expected, metrics = alone(ensemble.members[index], 6)
    assert_alike(ensemble_lib.take_member(one_by_one, index), expected)
    assert_alike({k: np.asarray(v[index]) for k, v in rows.items()}, metrics)
    chex.assert_trees_all_close(
      ensemble_lib.take_member(at_once, index), expected, atol=5e-4
    )
  chex.assert_trees_all_close(rows, same, rtol=1e-3, atol=1e-4)
  different = one_by_one.generator.params['Dense_0']['kernel']
  assert len(np.unique(different.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize('backend', ensemble_lib.BACKENDS)
def test_members_begin_as_they_would_alone(backend, monkeypatch):
  monkeypatch.setattr(
    ensemble_lib, 'choose_backend', lambda given: given or backend
  )
  given = mapping(seeds=2, swept=f'{RATE}=1e-3,1e-2', num_devices=1)
  ensemble = experiment.build_ensemble(given | {'seed': 2**31 - 1})
  states, streams = ensemble.init_state(), ensemble.streams
  for index in (0, 3):
    member = ensemble.members[index]
    built = experiment.build(member.config)
    chex.assert_trees_all_close(
      ensemble_lib.take_member(states, index),
      built.init_state(),
      rtol=1e-6,
      atol=1e-7,
    )
    chex.assert_trees_all_equal(
      jax.tree.map(jax.random.key_data, streams.key[index]),
      jax.random.key_data(built.streams.key),
    )
    assert streams.seed[index] == built.streams.seed


@pytest.mark.slow
def test_points_are_the_runs_that_they_would_be_alone():
  """Also a penalty that is 0 in the config."""
  points = [
    {RATE: 1e-2, 'penalties.r1.weight': 0.1},
    {'penalties.r1.weight': 2, RATE: 1e-3},
    {RATE: 3e-3, 'penalties.r1.weight': 0.5},
  ]
  several = {'seeds': 2, 'points': points}
  ensemble = experiment.build_ensemble(
    mapping(num_devices=2) | {'ensemble': several}
  )
  assert [m.point for m in ensemble.members] == [
    p for p in points for _ in 'ab'
  ]
  assert [m.config.seed for m in ensemble.members] == [0, 1] * 3
  now, rows = train(ensemble, 4, 'map')
  for index in (0, 3, 5):
    member = ensemble.members[index]
    assert (
      member.config.penalties.r1.weight
      == points[index // 2]['penalties.r1.weight']
    )
    expected, metrics = alone(member, 4)
    assert_alike(ensemble_lib.take_member(now, index), expected)
    assert_alike({k: np.asarray(v[index]) for k, v in rows.items()}, metrics)


ABSENT_AT_0 = (
  'penalties.r1.weight',
  'instance_noise.sigma',
  'label_smoothing',
  'consensus_weight',
  'd_optimizer.weight_clip',
)


@pytest.mark.slow
def test_what_is_0_in_the_config_can_be_swept():
  swept = f'{"+".join(ABSENT_AT_0)}=0.1,0.3'
  ensemble = experiment.build_ensemble(mapping(swept=swept, num_devices=1))
  now, rows = train(ensemble, 3, 'map')
  expected, metrics = alone(ensemble.members[1], 3)
  assert_alike(ensemble_lib.take_member(now, 1), expected)
  assert_alike({k: np.asarray(v[1]) for k, v in rows.items()}, metrics)
  gan = ensemble.base.gan
  assert 'r1' in rows and gan.consensus and gan.instance_noise is not None
  assert {'label_smoothing', 'd_weight_clip'} <= ensemble.hparams.keys()


@pytest.mark.slow
def test_members_with_convolutions():
  ensemble = experiment.build_ensemble(
    {
      **test_fused.IMAGES,
      'num_devices': 1,
      'ensemble': {'seeds': 2, 'sweep': ''},
    }
  )
  found, _ = train(ensemble, 2, 'map')
  # A lazy term is a cond, which vmap makes a select of all that it reads: of
  # its keys too, for which JAX's check of keys takes it.
  with jax.debug_key_reuse(False):
    at_once, _ = train(ensemble, 2, 'vmap')
  expected, _ = alone(ensemble.members[1], 2)
  # XLA fuses sums in another order: the last bit.
  chex.assert_trees_all_close(
    ensemble_lib.take_member(found, 1), expected, atol=1e-6
  )
  chex.assert_trees_all_close(
    at_once.generator.params, found.generator.params, atol=5e-4
  )


def test_devices_divide_the_members():
  ensemble = experiment.build_ensemble(mapping(seeds=6, num_devices=4))
  assert len(ensemble.devices) == 3


def test_another_backend_is_refused():
  with pytest.raises(ValueError, match="'pmap'.*'vmap'"):
    training.vectorize_members(lambda: None, 'pmap')
  bad = {'seeds': 2, 'sweep': '', 'backend': 'pmap'}
  with pytest.raises(ValueError, match="ensemble.backend='pmap'.*'vmap'"):
    experiment.build_ensemble({**test_fused.TOY, 'ensemble': bad})


def diverging(step, bad_at):
  """Returns a step whose state is not finite after a step of its member."""

  def guarded(state, batch, key):
    new, metrics = step(state, batch, key)
    bad = state.step == bad_at
    poison = lambda x: jnp.where(bad, jnp.nan, x)
    params = jax.tree.map(poison, new.generator.params)
    return new.replace(generator=new.generator.replace(params=params)), metrics

  return guarded


def test_a_member_that_diverges_is_frozen_and_the_others_go_on():
  ensemble = experiment.build_ensemble(
    mapping(seeds=2, swept=f'{RATE}=1e-3,1e38', num_devices=1)
  )
  now, metrics = train(ensemble, 8)
  lost = train_ensemble.diverged_members(now, 8)
  assert lost == [2, 3]
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(now.generator))
  expected, _ = alone(ensemble.members[1], 8)
  assert_alike(ensemble_lib.take_member(now, 1), expected)
  assert np.isfinite(metrics['g_loss'][:2]).all()


def test_frozen_at_the_last_finite_state():
  built = test_fused.build()
  plain = build_gan.build_train_step(built.gan, built.config, None)
  step = jax.jit(nonfinite.freeze_nonfinite(diverging(plain, 3)))
  batch = {'x': jnp.asarray(built.train.x[:8])[None]}
  now = built.init_state()
  states = []
  for _ in range(6):
    now, _ = step(now, batch, built.key)
    states.append(jax.device_get(now))
  assert [int(s.step) for s in states] == [1, 2, 3, 3, 3, 3]
  chex.assert_trees_all_equal(states[-1], states[2])


class TestRecords:
  def ensemble(self):
    return experiment.build_ensemble(
      mapping(seeds=3, swept=f'{RATE}=1e-3,1e-2', num_devices=1)
    )

  @pytest.fixture(scope='class')
  @classmethod
  def saved(cls, tmp_path_factory):
    """An ensemble, its state and its directory; no test writes there."""
    workdir = tmp_path_factory.mktemp('records') / 'ensemble'
    ensemble = cls().ensemble()
    now, _ = train(ensemble, 4)
    workdir.mkdir()
    files.write_json(
      workdir / run_dir.CONFIG_FILE, run_dir.run_metadata(ensemble)
    )
    with run_dir.open_checkpoints(ensemble, workdir) as saved:
      saved.save(4, now)
    return ensemble, now, workdir

  @pytest.mark.slow
  def test_restored_extracted_and_loaded(self, saved, tmp_path):
    ensemble, now, workdir = saved
    back, _, _, note = resume.restore_or_initialize(self.ensemble(), workdir)
    chex.assert_trees_all_equal(jax.device_get(back), now)
    assert 'step 4' in note
    extract = extract_member.extract_member
    assert extract(workdir, 4, tmp_path / 'one') == 4
    _, config, _, state = run_dir.restore(tmp_path / 'one')
    assert config == ensemble.members[4].config
    chex.assert_trees_all_equal(
      jax.device_get(state), ensemble_lib.take_member(now, 4)
    )
    member = run_dir.load_sampler(workdir, member=4)
    single = run_dir.load_sampler(tmp_path / 'one')
    np.testing.assert_array_equal(member(5), single(5))
    assert np.abs(run_dir.load_sampler(workdir, member=0)(5) - single(5)).max()

  def test_an_extracted_member_goes_on_as_the_ensemble_would(
    self, saved, tmp_path
  ):
    ensemble, _, workdir = saved
    extract_member.extract_member(workdir, 1, tmp_path / 'one')
    built = experiment.build(
      {**config_lib.to_dict(ensemble.members[1].config), 'num_devices': 1}
    )
    start = resume.restore_or_initialize(built, tmp_path / 'one').state
    program = built.program()
    state, streams = program.put(start), program.put(built.streams)
    with program.feed(4) as feed:
      batch, _ = feed.take(4, 3, lambda: None)
      state, _ = program.run(state, batch, streams, np.int32(3))
    expected, _ = train(self.ensemble(), 7)
    assert_alike(jax.device_get(state), ensemble_lib.take_member(expected, 1))

  @pytest.mark.parametrize('member', [None, 6, -1])
  def test_a_member_that_is_not_there(self, saved, member):
    *_, workdir = saved
    with pytest.raises(ValueError, match=r'\b0 to 5\b'):
      run_dir.restore(workdir, member=member)

  def test_points_are_restored_extracted_and_compared(self, tmp_path):
    points = ({RATE: 1e-3, 'ema_decay': 0.5}, {RATE: 1e-2, 'ema_decay': 0.9})
    given = lambda points: (
      mapping(num_devices=1) | {'ensemble': {'points': points}}
    )
    ensemble = experiment.build_ensemble(given(points))
    state = ensemble.init_state()
    workdir = tmp_path / 'ensemble'
    workdir.mkdir()
    files.write_json(
      workdir / run_dir.CONFIG_FILE, run_dir.run_metadata(ensemble)
    )
    with run_dir.open_checkpoints(ensemble, workdir) as saved:
      saved.save(0, state)
    again = experiment.build_ensemble(given(points))
    back = resume.restore_or_initialize(again, workdir).state
    chex.assert_trees_all_equal(jax.device_get(back), jax.device_get(state))
    extract_member.extract_member(workdir, 1, tmp_path / 'one')
    _, config, _, _ = run_dir.restore(tmp_path / 'one')
    assert config.ema_decay == 0.9 and not config.ensemble.points
    other = experiment.build_ensemble(given(points[::-1]))
    with pytest.raises(ValueError, match='ensemble.points: .*0.001.*0.01'):
      resume.restore_or_initialize(other, workdir)

  def test_extract_overwrites_nothing(self, saved):
    *_, workdir = saved
    with pytest.raises(FileExistsError, match=str(workdir)):
      extract_member.extract_member(workdir, 0, workdir)

  def test_another_sweep_is_refused(self, saved):
    *_, workdir = saved
    other = experiment.build_ensemble(
      mapping(seeds=2, swept=f'{RATE}=1e-3,1e-2')
    )
    with pytest.raises(ValueError, match='ensemble.seeds: .*3.*2'):
      resume.restore_or_initialize(other, workdir)
