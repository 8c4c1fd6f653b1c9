"""Tests of gan_jax.train, in this process."""

import itertools
import json
import logging
import os
import pathlib
import signal
import threading
import traceback
import warnings

import chex
import jax
import ml_collections
import numpy as np
import pytest
import scipy.io.wavfile
from PIL import Image

import gan_jax
from gan_jax import config as config_lib
from gan_jax import experiment as experiment_lib
from gan_jax import networks
from gan_jax.data import ArraySource
from gan_jax.distributed import watchdog, xla_setup
from gan_jax.experiment import run_dir
from gan_jax.io import checkpoint, lock
from gan_jax.runner import config_file, loop, meters
from gan_jax.runner import train as train_lib

ROOT = pathlib.Path(__file__).parents[2]
TOY_FILE = f'{ROOT}/configs/d2l_gaussian.py:test'
TOY = config_lib.with_values(
  config_lib.resolve(config_file.load_config(TOY_FILE)), {'num_devices': 1}
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def toy(**changes):
  """Returns the toy's config with changes; '__' stands for a dot."""
  return config_lib.with_values(
    TOY, {name.replace('__', '.'): value for name, value in changes.items()}
  )


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, tmp_path_factory):
  """Sets the width of tables and the cache, and leaves XLA's flags alone."""
  monkeypatch.setenv('COLUMNS', '200')
  cache = tmp_path_factory.getbasetemp() / 'cache'
  monkeypatch.setenv('GAN_JAX_CACHE', str(cache))
  monkeypatch.setattr(xla_setup, 'is_backend_initialized', lambda: True)
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)


def stop_after(calls, action=lambda: None):
  """Returns a `should_stop` that acts, and is True from a call on."""
  counter = itertools.count(1)

  def should_stop():
    count = next(counter)
    if count == calls:
      action()
    return count >= calls

  return should_stop


def lines(workdir, name='metrics.jsonl'):
  text = (workdir / name).read_text()
  return [json.loads(line) for line in text.splitlines()]


# ---------------------------------------------------------------- a whole run


def test_a_run_and_its_continuation(tmp_path, capsys):
  with_steps = lambda count: toy(num_steps=count, ema_decay=0.9)
  result = gan_jax.train(with_steps(6), tmp_path)
  out = capsys.readouterr().out
  assert 'a new run' in out
  assert 'KL to the truth' in out and 'true [1.0, 2.0]' in out
  assert str(tmp_path / 'samples.png') in out
  for name in ('samples.png', 'real.png', 'samples/00000006.png'):
    with Image.open(tmp_path / name) as image:
      assert np.asarray(image).std() > 1
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['config']['num_steps'] == 6 and 'jax' in config['versions']
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['scores'][0]['baseline'] < 0.5
  assert [line['step'] for line in lines(tmp_path)] == [2, 4, 6]
  assert list((tmp_path / 'tensorboard').glob('events.out.tfevents.*'))
  assert (tmp_path / 'checkpoints' / '6').is_dir()

  assert result.finished and result.step == 6 == int(result.state.step)
  assert result.workdir == tmp_path and result.experiment.config.num_steps == 6
  values = [row['value'] for row in summary['scores']]
  assert [row.value for row in result.scores] == values
  *_, saved = run_dir.restore(tmp_path)
  chex.assert_trees_all_equal(jax.device_get(result.state), saved)
  sample = gan_jax.load(tmp_path)
  assert sample(3).shape == (3, 2) and sample.step == 6
  ema, _ = jax.device_get(result.state.ema)
  chex.assert_trees_all_equal(sample.weights[0], ema)
  raw = jax.device_get(result.state.generator.params)
  chex.assert_trees_all_equal(
    gan_jax.load(tmp_path, weights='raw').weights[0], raw
  )
  with pytest.raises(AssertionError):
    chex.assert_trees_all_close(ema, raw)

  result = gan_jax.train(with_steps(8), str(tmp_path))
  out = capsys.readouterr().out
  assert 'continues from the checkpoint of step 6 of 8' in out
  assert [line['step'] for line in lines(tmp_path)] == [2, 4, 6, 8]
  assert result.finished and result.step == 8

  # A run that is complete is scored again, and keeps its losses.
  losses = json.loads((tmp_path / 'summary.json').read_text())['losses']
  again = gan_jax.train(with_steps(8), tmp_path)
  out = capsys.readouterr().out
  assert 'continues from the checkpoint of step 8 of 8' in out
  assert 'KL to the truth' in out
  chex.assert_trees_all_equal(again.state, jax.device_get(result.state))
  assert [row.value for row in again.scores] == [
    row.value for row in result.scores
  ]
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['losses'] == losses and summary['scores']
  assert 0 < losses['d_loss'] < 5

  with pytest.raises(ValueError, match=r'batch_size: .*\b8\b.*\b4\b'):
    gan_jax.train(toy(batch_size=4), tmp_path)


@pytest.mark.slow
def test_init_from(tmp_path, capsys):
  old = gan_jax.train(TOY, tmp_path / 'old', quiet=True)
  new = gan_jax.train(
    toy(g_optimizer__learning_rate=0.0, d_optimizer__learning_rate=0.0),
    tmp_path / 'new',
    init_from=tmp_path / 'old',
  )
  out = capsys.readouterr().out
  assert f'from the weights of {tmp_path / "old"}, step 2' in out
  chex.assert_trees_all_equal(
    jax.device_get(new.state.generator.params),
    jax.device_get(old.state.generator.params),
  )
  with pytest.raises(FileNotFoundError, match=str(tmp_path / 'none')):
    gan_jax.train(
      TOY, tmp_path / 'other', init_from=tmp_path / 'none', quiet=True
    )
  assert not (tmp_path / 'other').exists()


def test_warnings_are_printed_and_kept(tmp_path, capsys):
  gan_jax.train(toy(g_optimizer__learning_rate=0.0), tmp_path)
  (line,) = lines(tmp_path, 'warnings.jsonl')
  assert list(line['warnings']) == ['mode_collapse']
  text = line['warnings']['mode_collapse']
  assert f'warning: {text}' in capsys.readouterr().out
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['warnings'] == [line]


@pytest.mark.slow
@pytest.mark.skipif(jax.local_device_count() < 4, reason='needs 4 devices')
@pytest.mark.parametrize('backend', ['pmap', 'shard_map'])
def test_digits_on_four_devices(tmp_path, capsys, backend):
  config = config_file.load_config(f'{ROOT}/configs/digits.py:test')
  config.parallel = backend
  gan_jax.train(config, tmp_path)
  out = capsys.readouterr().out
  assert f'4 x cpu (cpu:0 cpu:1 cpu:2 cpu:3), {backend}' in out
  assert '1-NN accuracy' in out
  with Image.open(tmp_path / 'samples.png') as grid:
    assert grid.mode == 'L' and grid.width == grid.height


# ------------------------------------------------------------- what it accepts


def as_config_dict(mapping):
  config = ml_collections.ConfigDict(config_lib.defaults())
  config.update(mapping)
  return config


KINDS = {
  'a mapping': config_lib.to_dict,
  'a ConfigDict': lambda config: as_config_dict(config_lib.to_dict(config)),
  'a Config': lambda config: config,
  'an experiment': experiment_lib.build,
}


@pytest.mark.parametrize('kind', KINDS)
def test_kinds_of_configs(kind):
  config = toy(seed=3)
  stop = lambda: True
  result = gan_jax.train(KINDS[kind](config), quiet=True, should_stop=stop)
  assert config_lib.to_dict(result.experiment.config) == config_lib.to_dict(
    config
  )
  assert (result.step, result.finished, result.scores) == (1, False, [])


@pytest.mark.parametrize('kind', [str, pathlib.Path])
def test_the_path_of_a_config(tmp_path, monkeypatch, kind):
  monkeypatch.chdir(ROOT)
  result = gan_jax.train(
    kind('configs/d2l_gaussian.py:test'), quiet=True, should_stop=lambda: True
  )
  expected = config_lib.with_values(TOY, {'num_devices': 0})
  assert result.experiment.config == expected
  with pytest.raises(FileNotFoundError, match='configs/none.py.*digits'):
    gan_jax.train('configs/none.py')
  with pytest.raises(ValueError, match="'fast'.*':test'"):
    gan_jax.train('configs/digits.py:fast')


@pytest.mark.parametrize(
  ('config', 'message'),
  [
    (3, 'config=3'),
    (None, 'config=None'),
    ({'bach_size': 3}, "'bach_size'.*'batch_size'"),
    ({'loss': 'hing'}, "'hing'.*'hinge'"),
    ({'batch_size': 5000}, 'batch_size=5000.* 1438 '),
    ({'data': {'digits': {'size': 30}}}, r'DCGAN.*\(30, 30, 1\)'),
    ({'data': {'name': 'folder'}}, 'path is empty'),
  ],
)
def test_a_config_that_does_not_fit_is_refused(tmp_path, config, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    gan_jax.train(config, tmp_path / 'run', quiet=True)
  assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_an_ensemble_as_an_experiment(tmp_path):
  config = toy(ensemble__seeds=2)
  ensemble = experiment_lib.build_ensemble(config)
  result = gan_jax.train(ensemble, tmp_path, quiet=True)
  assert result.experiment is ensemble and result.finished
  assert len(result.scores) == 2 and result.state.step.shape == (2,)
  assert gan_jax.load(tmp_path, member=1)(3).shape == (3, 2)
  with pytest.raises(ValueError, match='init_from'):
    gan_jax.train(config, tmp_path / 'new', init_from=tmp_path, quiet=True)


def test_without_a_workdir_nothing_is_written(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  alone = gan_jax.train(toy(num_steps=4, eval_every=2))
  assert not list(tmp_path.iterdir())
  out = capsys.readouterr().out
  assert 'KL to the truth' in out and 'workdir  none' in out
  kept = gan_jax.train(toy(num_steps=4, eval_every=2), tmp_path / 'run')
  assert [row.value for row in alone.scores] == [
    row.value for row in kept.scores
  ]
  chex.assert_trees_all_equal(
    jax.device_get(alone.state), jax.device_get(kept.state)
  )
  assert alone.workdir is None and alone.finished


@pytest.mark.slow
def test_quiet_prints_nothing(tmp_path, capfd):
  gan_jax.train(toy(eval_every=1), tmp_path, quiet=True)
  gan_jax.train(toy(num_steps=4), tmp_path, quiet=True)
  stop = lambda: os.kill(os.getpid(), signal.SIGINT)
  gan_jax.train(toy(num_steps=9), tmp_path, quiet=True, should_stop=stop)
  gan_jax.train(toy(ensemble__seeds=2), quiet=True)
  assert tuple(capfd.readouterr()) == ('', '')


# ------------------------------------------------------- stopped and continued


@pytest.mark.slow
def test_stopped_in_a_thread_and_continued(tmp_path):
  """No handler of signals can be installed there, and none is needed."""
  config = toy(num_steps=20, log_every=5, steps_per_call=1)
  results, handlers = [], []
  look = lambda: handlers.append([signal.getsignal(n) for n in SIGNALS])
  before = [signal.getsignal(n) for n in SIGNALS]
  thread = threading.Thread(
    target=lambda: results.append(
      gan_jax.train(
        config, tmp_path, quiet=True, should_stop=stop_after(7, look)
      )
    )
  )
  thread.start()
  thread.join(300)
  (stopped,) = results
  assert handlers == [before]
  assert not stopped.finished and stopped.scores == []
  assert 7 <= stopped.step < 20 and int(stopped.state.step) == stopped.step
  assert run_dir.latest_step(tmp_path) == stopped.step
  assert not (tmp_path / 'summary.json').exists()

  result = gan_jax.train(config, tmp_path, quiet=True)
  assert result.finished and result.step == 20
  steps = [line['step'] for line in lines(tmp_path)]
  assert steps == sorted({5, stopped.step, 10, 15, 20})
  whole = gan_jax.train(config, quiet=True)
  chex.assert_trees_all_equal(
    jax.device_get(result.state), jax.device_get(whole.state)
  )


@pytest.fixture
def handler():
  """Installs a handler of both signals; returns the signals that it saw."""
  seen = []
  handle = lambda number, frame: seen.append(number)
  before = {number: signal.signal(number, handle) for number in SIGNALS}
  yield handle, seen
  for number, old in before.items():
    signal.signal(number, old)


@pytest.mark.parametrize('number', SIGNALS)
def test_a_signal_saves_and_returns(tmp_path, capsys, handler, number):
  handle, seen = handler
  config = toy(num_steps=20, steps_per_call=1)
  counter = itertools.count(1)

  def kill_at_the_second_call():
    if next(counter) == 2:
      os.kill(os.getpid(), number)
    return False

  result = gan_jax.train(config, tmp_path, should_stop=kill_at_the_second_call)
  assert not seen  # the first signal is for the run
  assert [signal.getsignal(n) for n in SIGNALS] == [handle] * 2
  assert not result.finished and result.scores == []
  assert result.step < 20 and run_dir.latest_step(tmp_path) == result.step
  out = capsys.readouterr().out
  assert f'stopped at step {result.step}' in out and str(tmp_path) in out
  result = gan_jax.train(config, tmp_path, quiet=True)
  assert result.finished and result.step == 20


def test_a_second_signal_is_for_the_handler_of_before(tmp_path, handler):
  _, seen = handler

  def kill_twice():
    for _ in range(2):
      os.kill(os.getpid(), signal.SIGINT)

  gan_jax.train(TOY, tmp_path, quiet=True, should_stop=kill_twice)
  assert seen == [signal.SIGINT]


@pytest.mark.parametrize('in_thread', [False, True])
@pytest.mark.slow
def test_an_interrupt_in_the_loop_saves_and_is_raised(tmp_path, in_thread):
  """Without a handler of signals Python raises KeyboardInterrupt itself."""
  config = toy(num_steps=20, steps_per_call=1, log_every=7)
  errors = []

  def interrupt():
    raise KeyboardInterrupt

  def train():
    try:
      gan_jax.train(
        config, tmp_path, quiet=True, should_stop=stop_after(3, interrupt)
      )
    except KeyboardInterrupt as error:
      errors.append(error)

  if in_thread:
    thread = threading.Thread(target=train)
    thread.start()
    thread.join(300)
  else:
    train()
  assert len(errors) == 1
  step = run_dir.latest_step(tmp_path)
  assert step is not None and 3 <= step < 20
  result = gan_jax.train(config, tmp_path, quiet=True)
  assert result.finished
  whole = gan_jax.train(config, quiet=True)
  chex.assert_trees_all_equal(
    jax.device_get(result.state), jax.device_get(whole.state)
  )


def test_a_watchdog_hears_of_every_call():
  class Listening(watchdog.Watchdog):
    steps = ()

    def heartbeat(self, step):
      self.steps += (step,)

  dog = Listening()
  config = toy(num_steps=5, steps_per_call=2)
  gan_jax.train(config, quiet=True, watchdog=dog)
  assert dog.steps[-1] == 5 and list(dog.steps) == sorted(set(dog.steps))
  assert len(dog.steps) >= 3


def test_an_interrupted_state_that_was_donated_is_not_saved():
  state = jax.numpy.ones(2)
  state.delete()
  saved = []
  loop._save_interrupted(lambda *given: saved.append(given), {'x': state})
  assert not saved


def test_signals_and_logging_are_as_before(tmp_path, handler):
  handle, _ = handler
  loggers = [logging.getLogger(), logging.getLogger('absl')]
  levels = lambda: [(x.level, list(x.handlers), x.disabled) for x in loggers]
  before = levels()
  gan_jax.train(TOY, tmp_path, quiet=True)
  for config in (toy(batch_size=4), toy(batch_size=2000), {'loss': 'hing'}):
    with pytest.raises(ValueError):
      gan_jax.train(config, tmp_path, quiet=True)
  assert [signal.getsignal(n) for n in SIGNALS] == [handle] * 2
  assert levels() == before


# ---------------------------------------------------------------------- errors


class Flaky(ArraySource):
  """Fails in some reads of training batches, in the order of the steps.

  Attributes:
    bad: index of read -> function of the batch.
  """

  def __init__(self, bad):
    x = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    super().__init__(x)
    self.bad, self._reads = bad, 0

  def __getitem__(self, indices):
    batch = super().__getitem__(indices)
    if len(indices) == 8:
      self._reads += 1
      self.bad.get(self._reads, lambda batch: None)(batch)
    return batch


def poison(batch):
  batch['x'] = np.full_like(batch['x'], np.nan)


def unreadable(batch):
  raise OSError('bad sector')


def flaky(bad, **changes):
  """Builds an experiment of 40 steps whose data fail in some reads."""
  config = toy(
    resident_mb=0,
    num_steps=40,
    log_every=10,
    checkpoint_every=10,
    sample_every=0,
    eval__num_samples=50,
    eval__metrics='nn',
    **changes,
  )
  return experiment_lib.build(config, train=Flaky(bad))


NANS = {23: poison, 24: poison}


def assert_unlocked(workdir):
  lock.DirectoryLock(workdir).close()


def test_not_finite_halts_the_run(tmp_path):
  with pytest.raises(meters.NonFiniteError) as error:
    gan_jax.train(flaky(NANS), tmp_path, quiet=True)
  for part in ('step 23', 'd_loss = nan', 'The last good checkpoint: 20.'):
    assert part in str(error.value)
  assert_unlocked(tmp_path)
  # The same command continues from there.
  result = gan_jax.train(flaky({}), tmp_path, quiet=True)
  assert result.finished
  steps = [line['step'] for line in lines(tmp_path)]
  assert steps == [10, 20, 30, 40]


def test_not_finite_without_a_workdir_gives_no_advice():
  config = toy(num_steps=50, g_optimizer__learning_rate=3e38)
  with pytest.raises(meters.NonFiniteError) as error:
    gan_jax.train(config, quiet=True)
  assert 'step 2' in str(error.value) and 'checkpoint' not in str(error.value)


def test_updates_that_are_not_finite_are_skipped_and_counted(tmp_path, capsys):
  gan_jax.train(flaky(NANS, nonfinite='skip'), tmp_path)
  out = capsys.readouterr().out
  assert 'skipped 2.000' in out and 'skipped 0.000' not in out
  skipped = {line['step']: line['skipped'] for line in lines(tmp_path)}
  assert skipped == {10: 0, 20: 0, 30: 2, 40: 0}


def test_a_run_rolls_back_to_the_last_good_checkpoint(tmp_path, capsys):
  result = gan_jax.train(flaky(NANS, nonfinite='rollback'), tmp_path)
  out = capsys.readouterr().out
  assert 'd_loss = nan' in out and 'Back to step 20 (rollback 1)' in out
  assert [line['step'] for line in lines(tmp_path)] == [10, 20, 30, 40]
  with checkpoint.RunCheckpointer(
    tmp_path / 'checkpoints', read_only=True
  ) as saved:
    for step in (30, 40):
      assert saved.metadata(step)['rollbacks'] == 1
  # Other batches and latents from there: another result.
  plain = gan_jax.train(flaky({}), quiet=True)
  assert result.finished and plain.finished
  with pytest.raises(AssertionError):
    chex.assert_trees_all_close(
      jax.device_get(result.state.ema), jax.device_get(plain.state.ema)
    )


def test_a_run_rolls_back_three_times_at_most(tmp_path):
  always = dict.fromkeys(range(13, 1000), poison)
  with pytest.raises(meters.NonFiniteError, match='3 rollbacks.* 10'):
    gan_jax.train(flaky(always, nonfinite='rollback'), tmp_path, quiet=True)
  assert_unlocked(tmp_path)


def test_data_that_cannot_be_read_stop_the_run(tmp_path):
  with pytest.raises(loop.TrainingError, match='bad sector') as error:
    gan_jax.train(flaky({23: unreadable}), tmp_path, quiet=True)
  assert isinstance(error.value.__cause__, OSError)
  assert_unlocked(tmp_path)
  assert run_dir.latest_step(tmp_path) == 20
  result = gan_jax.train(flaky({}), tmp_path, quiet=True)
  assert result.finished and result.step == 40


def test_a_disk_that_fails_stops_the_run(tmp_path, monkeypatch):
  def full(self, step, state):
    raise OSError(28, 'No space left on device', f'checkpoints/{step}')

  monkeypatch.setattr(checkpoint.RunCheckpointer, 'save', full)
  with pytest.raises(loop.TrainingError, match='step 2: .*No space left'):
    gan_jax.train(TOY, tmp_path, quiet=True)
  monkeypatch.undo()
  assert_unlocked(tmp_path)


def test_a_bad_call_releases_the_workdir(tmp_path):
  gan_jax.train(TOY, tmp_path, quiet=True)
  for config in (toy(seed=1), toy(num_steps=1)):
    with pytest.raises(ValueError, match='seed|num_steps'):
      gan_jax.train(config, tmp_path, quiet=True)
    assert_unlocked(tmp_path)
  assert gan_jax.train(TOY, tmp_path, quiet=True).finished


def test_a_workdir_in_use_is_refused(tmp_path):
  with lock.DirectoryLock(tmp_path):
    with pytest.raises(lock.DirectoryLockedError) as error:
      gan_jax.train(TOY, tmp_path, quiet=True)
    assert str(tmp_path) in str(error.value)
    assert f'process {os.getpid()}' in str(error.value)
    with pytest.raises(lock.DirectoryLockedError):
      gan_jax.train(toy(ensemble__seeds=2), tmp_path, quiet=True)
  assert not (tmp_path / 'config.json').exists()


# ---------------------------------------------------------------- XLA's flags

# A config that is refused as soon as data are read.
REFUSED = {'batch_size': 5000}


def test_flags_that_come_too_late_are_warned_of_once(monkeypatch):
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: False)
  monkeypatch.setattr(train_lib, '_warned_of_flags', False)
  with pytest.warns(RuntimeWarning, match='configure_jax') as caught:
    with pytest.raises(ValueError):
      gan_jax.train(REFUSED)
  assert [w.filename for w in caught] == [__file__]
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    with pytest.raises(ValueError, match='5000'):
      gan_jax.train(REFUSED)


@pytest.mark.parametrize('many', [False, True])
def test_flags_are_set_before_jax_starts(monkeypatch, many):
  given = []
  monkeypatch.setattr(xla_setup, 'is_backend_initialized', lambda: False)
  monkeypatch.setattr(
    xla_setup, 'configure_xla', lambda **options: given.append(options)
  )
  seeds = {'ensemble': {'seeds': 2}} if many else {}
  with pytest.raises(ValueError, match='5000'):
    gan_jax.train({**REFUSED, **seeds, 'deterministic': True})
  assert given == [{'members': many, 'deterministic': True}]


def test_whether_the_flags_are_set_is_read_from_the_environment(monkeypatch):
  monkeypatch.undo()
  assert xla_setup.is_backend_initialized() in (False, True)
  monkeypatch.setenv('XLA_FLAGS', '--xla_other=1')
  assert xla_setup.are_flags_set() != xla_setup.XLA_FLAGS_KNOWN
  xla_setup.configure_xla()
  assert xla_setup.are_flags_set()


# --------------------------------------------------------------------- frames


def test_a_network_is_applied_within_twelve_frames(monkeypatch):
  """A traceback from a network shows these frames of gan_jax."""
  from_linen = networks.from_linen
  stacks = []

  def counted(module):
    network = from_linen(module)

    def apply(*arguments, **options):
      files = [frame.filename for frame in traceback.extract_stack()]
      ours = [name for name in files if name.startswith(f'{ROOT}/gan_jax/')]
      # One more for from_linen's own, which is called next.
      stacks.append([*ours, networks.__file__])
      return network.apply(*arguments, **options)

    return network._replace(apply=apply)

  monkeypatch.setattr(networks, 'from_linen', counted)
  config = toy(penalties__r1__weight=0.1, discriminator__mlp__activation='tanh')
  gan_jax.train(config, quiet=True, should_stop=lambda: True)
  assert len(stacks[0]) <= 12, stacks[0]


@pytest.mark.slow
def test_a_run_on_sound_saves_spectrograms_and_wavs(tmp_path, capsys):
  """A row of the picture is a class; the wav has the clips in its order."""
  networks = {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}}
  config = {
    'data': {'name': 'tones', 'tones': {'size': 40, 'length': 256}},
    'generator': networks,
    'discriminator': networks,
    'conditional': True,
    'num_steps': 2,
    'batch_size': 8,
    'num_samples': 20,
    'num_devices': 1,
    'eval': {
      'num_samples': 16,
      'metrics': 'fd,class_accuracy,classifier_score',
      'features': 'spoken_digits',
    },
  }
  result = gan_jax.train(config, workdir=tmp_path)
  printed = capsys.readouterr().out
  assert '40 clips of 256 x 1' in printed
  assert 'real.png, samples.wav, real.wav)' in printed
  assert [row.metric for row in result.scores] == config['eval'][
    'metrics'
  ].split(',')
  for name in ('real', 'samples', 'samples/00000002'):
    rate, levels = scipy.io.wavfile.read(tmp_path / f'{name}.wav')
    assert rate == 8000 and len(levels) == 20 * (256 + 1200)
  real = levels_of(tmp_path / 'real.wav', 256 + 1200)[:, :256]
  held_out = result.experiment.test.x[..., 0]
  nearest = np.abs(held_out[:, None] - real).max(axis=2).min(axis=0)
  assert (nearest < 1e-4).all()
  with Image.open(tmp_path / 'samples.png') as picture:
    assert picture.size == (2 * (128 + 4) + 4, 10 * (64 + 4) + 4)


def levels_of(path, length):
  """The pieces of a wav, `[n, length]` in [-1, 1]."""
  _, levels = scipy.io.wavfile.read(path)
  return levels.reshape(-1, length) / 32767
