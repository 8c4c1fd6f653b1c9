"""train.py as its users run it: in a process of its own."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import chex
import numpy as np
import pytest
from PIL import Image

from gan_jax.experiment import run_dir
from gan_jax.io import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
TOY = '--config=configs/d2l_gaussian.py:test'
pytestmark = pytest.mark.slow


def command(*arguments):
  return [sys.executable, 'train.py', *arguments]


def environment(devices=1):
  inherited = {k: v for k, v in os.environ.items() if k != 'PJRT_NPROC'}
  return inherited | {
    'JAX_PLATFORMS': 'cpu',
    'JAX_NUM_CPU_DEVICES': str(devices),
    'COLUMNS': '200',
  }


def run(*arguments, devices=1, rc=0):
  """Runs train.py to its end; what it printed."""
  done = subprocess.run(
    command(*arguments),
    cwd=ROOT,
    env=environment(devices),
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == rc, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr, done.stderr
  return done.stdout + done.stderr


def lines(workdir):
  text = (workdir / 'metrics.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_a_run_and_its_continuation(tmp_path):
  out = run(TOY, f'--workdir={tmp_path}', '--config.num_steps=6')
  assert 'a new run' in out
  assert 'KL to the truth' in out and 'fitted mean' in out
  assert str(tmp_path / 'samples.png') in out
  for name in ('samples.png', 'real.png', 'samples/00000006.png'):
    with Image.open(tmp_path / name) as picture:
      assert np.asarray(picture).std() > 1
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['config']['num_steps'] == 6 and 'jax' in config['versions']
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['scores'][0]['baseline'] < 0.5
  assert [line['step'] for line in lines(tmp_path)] == [2, 4, 6]
  assert list((tmp_path / 'tensorboard').glob('events.out.tfevents.*'))
  assert (tmp_path / 'checkpoints' / '6').is_dir()

  out = run(TOY, f'--workdir={tmp_path}', '--config.num_steps=8')
  assert 'continues from the checkpoint of step 6 of 8' in out
  assert [line['step'] for line in lines(tmp_path)] == [2, 4, 6, 8]

  out = run(TOY, f'--workdir={tmp_path}', '--config.batch_size=4', rc=1)
  assert 'batch_size: 8 there, 4 now' in out


def test_finished_run_is_scored_again(tmp_path):
  run(TOY, f'--workdir={tmp_path}')
  out = run(TOY, f'--workdir={tmp_path}')
  assert 'continues from the checkpoint of step 2 of 2' in out
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert 0 < summary['losses']['d_loss'] < 5 and summary['scores']
  assert 'KL to the truth' in out


@pytest.mark.parametrize(
  ('number', 'read'),
  # Ctrl-C goes to all that a pipe connects: `| tee log` ends, too.
  [(signal.SIGTERM, True), (signal.SIGINT, False)],
)
def test_interrupt_saves_and_the_same_command_continues(tmp_path, number, read):
  arguments = (TOY, f'--workdir={tmp_path}', '--config.log_every=10')
  process = subprocess.Popen(
    command(*arguments, '--config.num_steps=1000000'),
    cwd=ROOT,
    env=environment(),
    stdout=subprocess.PIPE,
    text=True,
  )
  for line in process.stdout:
    if line.startswith('step'):
      break
  if not read:
    process.stdout.close()
  process.send_signal(number)
  out = process.communicate(timeout=120)[0] if read else ''
  assert process.wait(120) == 75, out
  step = lines(tmp_path)[-1]['step']
  if read:
    assert 'the same command continues' in out
    assert f'stopped at step {step}' in out
  out = run(*arguments, f'--config.num_steps={step + 5}')
  assert f'continues from the checkpoint of step {step} of' in out
  seen = [line['step'] for line in lines(tmp_path)]
  assert seen == sorted(set(seen)) and seen[-1] == step + 5


def test_two_runs_in_one_workdir(tmp_path):
  arguments = (TOY, f'--workdir={tmp_path}', '--config.num_steps=1000000')
  with subprocess.Popen(
    command(*arguments),
    cwd=ROOT,
    env=environment(),
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    for line in process.stdout:
      if line.startswith('step'):
        break
    out = run(*arguments, rc=1)
    process.kill()
  assert f'{tmp_path} is in use by process {process.pid} on' in out
  # Killed without a word, it holds nothing any more.
  assert 'a new run' in run(TOY, f'--workdir={tmp_path}')


def test_init_from(tmp_path):
  run(TOY, f'--workdir={tmp_path / "old"}')
  new = f'--workdir={tmp_path / "new"}'
  out = run(TOY, new, f'--init_from={tmp_path / "old"}')
  assert f'from the weights of {tmp_path / "old"}, step 2' in out


def test_a_loss_that_is_not_finite_stops_and_keeps_the_good(tmp_path):
  out = run(
    TOY,
    f'--workdir={tmp_path}',
    '--config.num_steps=50',
    '--config.checkpoint_every=1',
    '--config.g_optimizer.learning_rate=3e38',
    rc=1,
  )
  assert 'not finite at step 2: ' in out and 'd_loss = nan' in out
  assert 'The last good checkpoint: 1.' in out
  assert (tmp_path / 'checkpoints' / '1').is_dir()


@pytest.mark.parametrize('backend', ['pmap', 'shard_map'])
def test_digits_on_four_devices(tmp_path, backend):
  out = run(
    '--config=configs/digits.py:test',
    f'--workdir={tmp_path}',
    f'--config.parallel={backend}',
    devices=4,
  )
  assert f'4 x cpu (cpu:0 cpu:1 cpu:2 cpu:3), {backend}' in out
  assert '1-NN accuracy' in out
  with Image.open(tmp_path / 'samples.png') as grid:
    assert grid.mode == 'L' and grid.width == grid.height


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--config.bach_size=3'], 'Did you mean "batch_size"'),
    (['--config.batch_size=3.5'], 'batch_size'),
    (['--confg=x'], 'Did you mean: config'),
    (['--config=configs/none.py'], 'configs/none.py'),
    (['--config=configs/digits.py:fast'], "unknown variant 'fast'"),
    (['--config.loss=hing'], "unknown loss 'hing'"),
    (['--config.data.name=digts'], "Did you mean 'digits'"),
    (['--config.batch_size=5000'], 'only 1438 examples'),
    (['--config.data.size=30'], 'DCGAN takes square images'),
    (
      ['--config.eval.metrics=fidd'],
      "unknown metric 'fidd'. Did you mean 'fid'",
    ),
    (['--config.eval.metrics=modes'], 'a known Mixture'),
    (['--config=configs/folder.py'], 'data.path is empty'),
    (['--init_from=/nowhere'], 'holds no run'),
  ],
)
def test_one_line_for_what_is_wrong(tmp_path, arguments, message):
  out = run(f'--workdir={tmp_path}', *arguments, rc=1)
  assert message in out
  assert 'train.py:' in out


FLAKY = """
import numpy as np
from configs import common, d2l_gaussian
from gan_jax import data
from gan_jax.data.array_source import ArraySource

class Flaky(ArraySource):
  reads = 0

  def __getitem__(self, indices):
    batch = super().__getitem__(indices)
    if len(indices) == 8:  # a batch of training, in the order of the steps
      Flaky.reads += 1
      if Flaky.reads in (23, 24):
        batch['x'] = np.full_like(batch['x'], np.nan)
    return batch

def flaky(split, *, size: int = 400):
  rng = np.random.default_rng(0)
  return Flaky(rng.normal(size=(size, 2)).astype(np.float32))

def get_config(variant=''):
  data.SOURCES['flaky'] = flaky
  config = d2l_gaussian.get_config(variant)
  config.data = common.part(name='flaky', size=400)
  config.resident_mb = 0
  config.num_steps = 40
  config.log_every = config.checkpoint_every = 10
  config.sample_every = 0
  config.eval.num_samples = 50
  return config
"""


@pytest.fixture
def flaky(tmp_path):
  """A config whose data are not finite at the steps 23 and 24, once."""
  path = tmp_path / 'flaky.py'
  path.write_text(FLAKY)
  return f'--config={path}', f'--workdir={tmp_path / "run"}'


def test_a_loss_that_is_not_finite_halts_the_run(flaky, tmp_path):
  out = run(*flaky, rc=1)
  assert 'not finite at step 23: d_loss = nan' in out
  assert 'The last good checkpoint: 20.' in out
  # It can be gone on with, by another policy.
  out = run(*flaky, '--config.nonfinite=skip')
  assert 'continues from the checkpoint of step 20 of 40' in out


def test_updates_that_are_not_finite_are_skipped_and_counted(flaky, tmp_path):
  out = run(*flaky, '--config.nonfinite=skip')
  assert 'skipped 2.000' in out and 'skipped 0.000' not in out
  found = {line['step']: line['skipped'] for line in lines(tmp_path / 'run')}
  assert found == {10: 0, 20: 0, 30: 2, 40: 0}


def test_a_run_rolls_back_to_the_last_good_checkpoint(flaky, tmp_path):
  out = run(*flaky, '--config.nonfinite=rollback')
  assert 'd_loss = nan' in out and 'Back to step 20 (rollback 1)' in out
  assert [line['step'] for line in lines(tmp_path / 'run')] == [10, 20, 30, 40]
  with checkpoint.RunCheckpointer(
    tmp_path / 'run' / 'checkpoints', read_only=True
  ) as saved:
    assert (
      saved.metadata(30)['rollbacks'] == saved.metadata(40)['rollbacks'] == 1
    )


def test_warnings_are_said_and_kept(tmp_path):
  out = run(
    *(TOY, f'--workdir={tmp_path}', '--config.g_optimizer.learning_rate=0.0'),
  )
  (line,) = (tmp_path / 'warnings.jsonl').read_text().splitlines()
  assert list(json.loads(line)['warnings']) == ['mode_collapse']
  assert 'warning: Possible mode collapse' in out
  summary = json.loads((tmp_path / 'summary.json').read_text())
  assert summary['warnings'] == [json.loads(line)]


def test_two_processes_of_one_seed_have_the_same_bits(tmp_path):
  found = []
  for name in 'ab':
    run(TOY, f'--workdir={tmp_path / name}', '--config.deterministic=True')
    found.append(run_dir.restore(tmp_path / name)[-1])
  chex.assert_trees_all_equal(*found)
