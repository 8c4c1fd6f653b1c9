"""Runs train.py as its users do, in a process of its own."""

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

ROOT = pathlib.Path(__file__).parents[2]
TOY = '--config=configs/d2l_gaussian.py:test'


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
  """Runs train.py to its end; returns what it printed."""
  done = subprocess.run(
    command(*arguments),
    cwd=ROOT,
    env=environment(devices),
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert done.returncode == rc, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr, done.stderr
  return done.stdout + done.stderr


def lines(workdir):
  text = (workdir / 'metrics.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_a_run_and_a_refused_continuation(tmp_path):
  out = run(TOY, f'--workdir={tmp_path}', '--config.num_steps=6')
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

  out = run(TOY, f'--workdir={tmp_path}', '--config.batch_size=4', rc=1)
  assert out.startswith('train.py: ') and 'batch_size: ' in out


@pytest.mark.slow
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
  out = process.communicate(timeout=240)[0] if read else ''
  assert process.wait(240) == 75, out
  step = lines(tmp_path)[-1]['step']
  if read:
    assert 'the same command continues' in out
    assert f'stopped at step {step}' in out
    out = run(*arguments, f'--config.num_steps={step + 5}')
    assert f'continues from the checkpoint of step {step} of' in out
    step += 5
  assert run_dir.latest_step(tmp_path) == step
  seen = [line['step'] for line in lines(tmp_path)]
  assert seen == sorted(set(seen)) and seen[-1] == step


@pytest.mark.slow
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
  # A process that was killed holds no lock.
  assert 'a new run' in run(TOY, f'--workdir={tmp_path}')


@pytest.mark.slow
def test_errors_in_training_are_one_line(tmp_path):
  out = run(
    TOY,
    f'--workdir={tmp_path}',
    '--config.num_steps=50',
    '--config.checkpoint_every=1',
    '--config.g_optimizer.learning_rate=3e38',
    rc=1,
  )
  assert 'not finite at step 2: ' in out and 'd_loss = nan' in out
  assert 'The last good checkpoint: 1.' in out.splitlines()[-1]
  assert out.splitlines()[-1].startswith('train.py: ')
  assert (tmp_path / 'checkpoints' / '1').is_dir()


@pytest.mark.slow
def test_errors_in_the_command_line_are_one_line(tmp_path):
  for argument, names in (
    ('--config.data.name=digts', "'digits'"),
    ('--config.batch_size=5000', '1438'),
    ('--confg=x', 'config'),
  ):
    out = run(f'--workdir={tmp_path}', argument, rc=1)
    assert out.startswith('train.py: ') and out.count('\n') == 1
    assert names in out
  assert not list(tmp_path.glob('*.json*'))


def test_help_lists_the_flags():
  done = subprocess.run(
    command('--help'), cwd=ROOT, capture_output=True, text=True, timeout=60
  )
  for flag in ('print_config', 'dry_run', 'check_data', 'workdir', 'config'):
    assert f'--{flag}' in done.stdout or f'--[no]{flag}' in done.stdout
  # The program prints its own docstring first.
  assert 'python train.py --config=configs/x.py --print_config' in done.stdout
  assert 'Traceback' not in done.stderr


def test_the_config_is_printed_without_jax(tmp_path):
  out = run(TOY, '--print_config', '--config.loss=lsgan')
  assert 'loss = least_squares' in out.splitlines()
  assert 'discriminator.mlp.features = (8, 8)' in out.splitlines()
  code = (
    'import runpy, sys\n'
    'try:\n'
    '  runpy.run_path("train.py", run_name="__main__")\n'
    'except SystemExit as end:\n'
    '  assert not end.code, end.code\n'
    'assert "jax" not in sys.modules\n'
  )
  subprocess.run(
    [sys.executable, '-c', code, '--print_config'],
    cwd=ROOT,
    check=True,
    stdout=subprocess.DEVNULL,
    timeout=60,
  )


@pytest.mark.slow
def test_dry_run_writes_nothing(tmp_path):
  workdir = tmp_path / 'none'
  out = run(
    TOY,
    '--dry_run',
    '--config.ensemble.seeds=2',
    '--config.ensemble.sweep=g_optimizer.learning_rate=1e-3,1e38',
    f'--workdir={workdir}',
  )
  assert 'parameters  G 6, D' in out and 'kFLOP' in out
  assert not workdir.exists()


def test_check_data_lists_what_is_wrong(tmp_path):
  for i in range(4):
    Image.new('L', (8, 8), i).save(tmp_path / f'{i}.png')
  (tmp_path / '2\n.png').write_bytes(b'no image')
  folder = f'--config.data.folder.path={tmp_path}'
  flags = ('--config=configs/folder.py', folder, '--check_data')
  out = run(*flags, rc=1)
  assert f'{tmp_path}/2\\n.png: ' in out and '5 examples, 1 cannot' in out
  (tmp_path / '2\n.png').unlink()
  assert '4 examples, all are good' in run(*flags)


@pytest.mark.slow
def test_two_processes_of_one_seed_have_the_same_bits(tmp_path):
  states = []
  for name in 'ab':
    run(TOY, f'--workdir={tmp_path / name}', '--config.deterministic=True')
    states.append(run_dir.restore(tmp_path / name)[-1])
  chex.assert_trees_all_equal(*states)
