"""Builds experiments, refuses bad ones before compiling, and resumes runs."""

import json
import pathlib
import re

import chex
import jax
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment
from gan_jax.data import ArraySource
from gan_jax.distributed import devices
from gan_jax.experiment import (
  build_gan,
  compatibility,
  initial_weights,
  resume,
  run_dir,
)
from gan_jax.experiment import experiment as experiment_lib

TINY = {
  'batch_size': 8,
  'num_steps': 4,
  'latent_dim': 3,
  'num_devices': 1,
  'data': {'name': 'gaussian', 'gaussian': {'size': 64}},
  'generator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  'discriminator': {
    'name': 'mlp',
    'mlp': {'features': (8,), 'activation': 'tanh'},
  },
}


def build(**changes):
  return experiment.build({**TINY, **changes})


def test_defaults_are_filled_in():
  built = build()
  config = built.config
  assert config.generator.options.norm == 'batch'
  assert config.d_optimizer.adam.b1 == 0.5
  assert config.data.options.seed == 0
  assert built.shape == (2,)
  assert built.hparams['d_learning_rate'] == 2e-4
  json.dumps(run_dir.run_metadata(built))


def test_the_check_and_the_program_share_a_trace(monkeypatch):
  traced, make_step = [], build_gan.build_train_step

  def make_counted(*arguments):
    step = make_step(*arguments)

    def counted(state, batch, key):
      traced.append(batch['x'].shape)
      return step(state, batch, key)

    counted.axis_name = step.axis_name
    return counted

  monkeypatch.setattr(build_gan, 'build_train_step', make_counted)
  for backend in devices.BACKENDS:
    built = build(parallel=backend)
    assert len(traced) == 1
    program = built.program()
    state, streams = program.put(built.init_state()), program.put(built.streams)
    with program.feed(0) as feed:
      examples, count = feed.take(0, 2, lambda: None)
    program.run(state, examples, streams, np.int32(count))
    assert len(traced) == 1
    traced.clear()


def test_building_again_from_what_was_described():
  described = json.loads(json.dumps(run_dir.run_metadata(build())))
  again = experiment.build(described['config'])
  assert run_dir.run_metadata(again) == described


BAD = {
  'bach_size': ({'bach_size': 8}, "'bach_size'. Did you mean 'batch_size'"),
  'type': ({'batch_size': '8'}, "batch_size='8' is of type str; must be int"),
  'bool': ({'batch_size': True}, 'batch_size=True is of type bool'),
  'zero': ({'batch_size': 0}, 'batch_size=0: .* 1$'),
  'seed': ({'seed': 2**32}, 'seed=4294967296: .* 2147483647'),
  'call': (
    {'steps_per_call': 2**31},
    'steps_per_call=2147483648: .*2147483647',
  ),
  'weight of an int': ({'d_loss_scale': 10**400}, 'd_loss_scale.* 2147483647'),
  'no mapping': ({'penalties': {'r1': 5}}, 'penalties.r1=5.* mapping'),
  'no name': ({'d_optimizer': {'name': [1]}}, r'd_optimizer.name=\[1\].*str'),
  'steps': ({'num_steps': 0}, 'num_steps=0: .* 1$'),
  'decay': ({'ema_decay': 1.5}, 'ema_decay=1.5: .* 0 and 1$'),
  'loss': ({'loss': 'non_saturatng'}, "Did you mean 'non_saturating'"),
  'reduction': ({'loss_reduction': 'max'}, "'mean', 'sum'"),
  'penalty': ({'penalties': {'r3': {'weight': 1.0}}}, "penalty 'r3'"),
  'weight': (
    {'penalties': {'r1': {'weight': -1.0}}},
    'penalties.r1.weight=-1.0: .* 0$',
  ),
  'model': ({'generator': {'name': 'dcgam'}}, "Did you mean 'dcgan'"),
  'option': (
    {'generator': {'name': 'mlp', 'mlp': {'featurs': (8,)}}},
    "'generator.mlp.featurs'.*'generator.mlp.features'",
  ),
  'source': ({'data': {'name': 'digit'}}, "Did you mean 'digits'"),
  'source option': (
    {'data': {'name': 'ring', 'ring': {'sigm': 0.1}}},
    "'data.ring.sigm'.*'data.ring.sigma'",
  ),
  'optimizer': (
    {'d_optimizer': {'name': 'adams'}},
    "d_optimizer.name 'adams'.*'adam'",
  ),
  'rate': (
    {'d_optimizer': {'name': 'adam', 'learning_rate': -1.0}},
    'd_optimizer.learning_rate=-1.0: .* 0$',
  ),
  'schedule': (
    {'schedules': 'ema_decay=step(0, 1)'},
    "unknown shape 'step'",
  ),
  'few data': (
    {'batch_size': 100},
    'batch_size=100: .* 64 ',
  ),
  'divides': (
    {'batch_size': 6, 'num_devices': 4},
    'batch_size=6 .*devices, 4; .* 4 and 8',
  ),
  'devices': ({'num_devices': 99}, 'num_devices=99: '),
  'micro': ({'micro_batches': 3}, 'micro_batches=3 .*batch_size=8'),
  'micro on a device': (
    {'micro_batches': 4, 'num_devices': 4},
    'micro_batches=4 .* 2 ',
  ),
  'parallel': ({'parallel': 'pmpa'}, "Did you mean 'pmap'"),
  'size': (
    {
      'data': {'name': 'digits', 'digits': {'size': 30}},
      'generator': {'name': 'dcgan'},
      'discriminator': {'name': 'dcgan'},
    },
    r'DCGAN .*square.* \(30, 30, 1\)',
  ),
  'fit': ({'generator': {'name': 'dcgan'}}, r'DCGAN .* \(2,\)'),
  'init': (
    {'discriminator': {'name': 'mlp', 'mlp': {'kernel_init': 'ones'}}},
    "discriminator.mlp.kernel_init='ones': .*normal",
  ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_refused(case):
  changes, message = BAD[case]
  if changes.get('num_devices') == 4 and jax.local_device_count() < 4:
    pytest.skip('needs 4 devices: JAX_PLATFORMS=cpu python -m pytest')
  with pytest.raises(ValueError, match=message):
    build(**changes)


def test_penalty_with_batch_norm_in_d_warns():
  with pytest.warns(UserWarning, match="r1 .*discriminator.mlp.norm='batch'"):
    build(
      penalties={'r1': {'weight': 1.0}},
      discriminator={
        'name': 'mlp',
        'mlp': {'norm': 'batch', 'activation': 'relu'},
      },
    )


def test_own_source():
  x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
  built = experiment.build(TINY, train=ArraySource(x))
  assert config_lib.to_dict(built.config)['data'] == {
    'name': 'own',
    'flip': False,
  }
  with built.batches() as batches:
    assert next(batches)['x'].shape == (1, 8, 2)


def train_and_save(workdir: pathlib.Path, **changes):
  """Trains without a loop of its own, and saves the last state."""
  built = build(**changes)
  first, _, _, note = resume.restore_or_initialize(built, workdir)
  (workdir / run_dir.CONFIG_FILE).write_text(
    json.dumps(run_dir.run_metadata(built))
  )
  runner = built.parallel_train_step()
  now, key = runner.put(first), runner.put(built.key)
  with (
    built.batches(int(first.step), runner.put_batch) as batches,
    run_dir.open_checkpoints(built, workdir) as saved,
  ):
    for _ in range(int(first.step), built.config.num_steps):
      now, _ = runner.step(now, next(batches), key)
    saved.save(int(now.step), now)
  return jax.device_get(now), note


MEMORIES = {
  'none': {},
  'all': dict(
    generator={'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}},
    update_rule='past_extragradient',
    lookahead={'every': 2},
    penalties={
      'lecam': {'weight': 0.1, 'every': 2},
      'path_length': {'weight': 0.1},
    },
    label_smoothing=0.1,
    diagnostics=True,
  ),
}


@pytest.mark.parametrize('memories', MEMORIES)
@pytest.mark.slow
def test_three_steps_and_two_more_are_five_bit_for_bit(tmp_path, memories):
  changes = MEMORIES[memories]
  _, note = train_and_save(tmp_path / 'a', num_steps=3, **changes)
  assert note == 'a new run'
  resumed, note = train_and_save(tmp_path / 'a', num_steps=5, **changes)
  assert note == 'continues from the checkpoint of step 3 of 5'
  whole, _ = train_and_save(tmp_path / 'b', num_steps=5, **changes)
  chex.assert_trees_all_equal(resumed, whole)


def test_load_gives_the_sampling_function(tmp_path):
  now, _ = train_and_save(tmp_path)
  sample = run_dir.load_sampler(tmp_path)
  assert sample.step == 4 and sample.shape == (2,)
  x = sample(10, seed=1)
  assert x.shape == (10, 2) and x.dtype == np.float32
  # The i-th sample depends on the seed and i alone.
  np.testing.assert_allclose(sample(3, seed=1), x[:3], atol=1e-6)
  np.testing.assert_allclose(sample(10, seed=1, batch_size=4), x, atol=1e-6)
  assert not np.allclose(sample(10, seed=2), x)
  raw = run_dir.load_sampler(tmp_path, weights='raw')
  chex.assert_trees_all_equal(raw.weights[0], now.generator.params)
  chex.assert_trees_all_equal(sample.weights[0], now.ema[0])
  with pytest.raises(ValueError, match='count=0'):
    sample(0)
  with pytest.raises(ValueError, match="weights='best'"):
    run_dir.load_sampler(tmp_path, weights='best')


def test_load_of_nothing(tmp_path):
  with pytest.raises(FileNotFoundError, match='holds no run'):
    run_dir.load_sampler(tmp_path / 'nowhere')


def test_workdir_of_another_config_is_refused_by_its_leaves(tmp_path):
  train_and_save(tmp_path)
  other = build(seed=1, d_optimizer={'name': 'adam', 'learning_rate': 1e-3})
  with pytest.raises(ValueError) as error:
    resume.restore_or_initialize(other, tmp_path)
  message = str(error.value)
  rate, seed = [x for x in message.splitlines() if x.startswith('  ')]
  assert rate.startswith('  d_optimizer.learning_rate: ')
  assert re.findall(r'\b0\.\d+', rate) == ['0.0002', '0.001']
  assert seed.startswith('  seed: ') and re.findall(r'\d', seed) == ['0', '1']
  # What changes no update may differ.
  same = build(num_steps=9, log_every=7, checkpoint_every=3)
  assert 'continues' in resume.restore_or_initialize(same, tmp_path).note


def test_init_from_takes_weights_and_nothing_else(tmp_path):
  trained, _ = train_and_save(tmp_path / 'old')
  built = build(d_optimizer={'name': 'sgd'}, seed=5, lookahead={'every': 2})
  init = initial_weights.InitFrom(tmp_path / 'old')
  state, _, _, note = resume.restore_or_initialize(
    built, tmp_path / 'new', init
  )
  assert 'step 4' in note and int(state.step) == 0
  for player in ('generator', 'discriminator'):
    mine, theirs = getattr(state, player), getattr(trained, player)
    chex.assert_trees_all_equal(mine.params, theirs.params)
    chex.assert_trees_all_equal(mine.batch_stats, theirs.batch_stats)
    slow = state.aux_state['lookahead'][player]
    chex.assert_trees_all_equal(slow, theirs.params)
  chex.assert_trees_all_equal(state.ema, trained.ema)
  other = build(generator={'name': 'mlp', 'mlp': {'features': (9,)}})
  message = r'generator.mlp.features: .*\[8\].*\[9\]'
  with pytest.raises(ValueError, match=message):
    resume.restore_or_initialize(other, tmp_path / 'c', init)
  with pytest.raises(FileNotFoundError, match='holds no run'):
    resume.restore_or_initialize(
      built,
      tmp_path / 'd',
      initial_weights.InitFrom(tmp_path / 'nowhere'),
    )


def test_differences_of_configs_name_leaves():
  resolved = lambda **changes: config_lib.to_dict(config_lib.resolve(changes))
  old = resolved()
  sgd = resolved(d_optimizer={'name': 'sgd'}, seed=3, num_steps=7)
  assert compatibility.incompatible_fields(old, sgd) == {
    'd_optimizer.name': ('adam', 'sgd'),
    'd_optimizer.adam.b1': (0.5, None),
    'd_optimizer.adam.b2': (0.999, None),
    'd_optimizer.adam.eps': (1e-8, None),
    'd_optimizer.sgd.momentum': (None, 0.0),
    'seed': (0, 3),
  }
  # A run of an older version did what is the default of a new option.
  older = {
    **old,
    'data': {'name': 'digits', 'digits': old['data']['digits']},
    'ensemble': {'seeds': 1, 'sweep': '', 'backend': ''},
    'd_optimizer': {
      name: value
      for name, value in old['d_optimizer'].items()
      if name != 'freeze_layers'
    },
  }
  points = resolved(ensemble={'points': [{'ema_decay': 0.5}]})
  assert compatibility.incompatible_fields(older, points) == {
    'ensemble.points': (None, ['{"ema_decay": 0.5}'])
  }
  flipped = resolved(data={'flip': True})
  assert compatibility.incompatible_fields(older, old) == {}
  assert compatibility.incompatible_fields(older, flipped) == {
    'data.flip': (None, True)
  }
  # Options of parts that are not chosen are of no run.
  other = resolved(generator={'mlp': {'features': (9,)}})
  assert compatibility.incompatible_fields(old, other) == {}


def test_fields_that_may_differ_are_fields():
  for name in compatibility.RESUMABLE_FIELDS | compatibility.PATH_FIELDS:
    config_lib.check_name(name)


def test_num_steps_below_what_is_done(tmp_path):
  train_and_save(tmp_path)
  with pytest.raises(ValueError, match='num_steps=2: .* 4 steps'):
    resume.restore_or_initialize(build(num_steps=2), tmp_path)


def test_data_that_changed_since_are_refused(tmp_path):
  train_and_save(tmp_path)
  built = build()
  more = ArraySource(np.zeros((70, 2), np.float32))
  built = experiment_lib.dataclasses.replace(built, train=more)
  with pytest.raises(ValueError, match='examples.train: .*64.*70'):
    resume.restore_or_initialize(built, tmp_path)


def test_reading_a_run_leaves_what_is_being_written(tmp_path):
  train_and_save(tmp_path)
  being_written = tmp_path / run_dir.CHECKPOINTS / '5.orbax-checkpoint-tmp'
  being_written.mkdir()
  run_dir.load_sampler(tmp_path)
  resume.restore_or_initialize(build(num_steps=9), tmp_path)
  assert being_written.is_dir()


def test_labels_of_other_shapes_are_refused():
  class Odd(ArraySource):
    def __getitem__(self, indices):
      return {'x': self.x[indices], 'label': np.zeros((len(indices), 1))}

  with pytest.raises(ValueError, match=r'int32.* \[n\]'):
    experiment.build(TINY, train=Odd(np.zeros((20, 2), np.float32)))


def test_conditional_generator_is_drawn_from_with_labels():
  from gan_jax import networks, sampling
  from tests.helpers import tiny

  shift = networks.Network(
    lambda key, z, label: ({}, {}),
    lambda p, s, z, label=None, **_: (z[:, :2] * 0 + label[:, None], s),
  )
  gan = experiment_lib.dataclasses.replace(tiny.gan(), generator=shift)
  label = np.arange(5)
  x = sampling.make_sampler(gan)(({}, {}), 5, batch_size=2, label=label)
  np.testing.assert_array_equal(x[:, 0], label)
  with pytest.raises(ValueError, match=r'label has shape \(4,\)'):
    sampling.make_sampler(gan)(({}, {}), 5, label=label[:4])
