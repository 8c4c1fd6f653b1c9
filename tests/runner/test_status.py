"""Tests of the status of runs."""

import json
import os
import subprocess
import sys

import pytest

import gan_jax
from gan_jax.commands import status as program
from gan_jax.distributed import xla_setup
from gan_jax.io import lock
from gan_jax.runner import status

TOY = {
  'num_steps': 4,
  'batch_size': 8,
  'log_every': 1,
  'checkpoint_every': 2,
  'sample_every': 0,
  'steps_per_call': 1,
  'latent_dim': 2,
  'num_devices': 1,
  'data': {'name': 'gaussian', 'gaussian': {'size': 64}},
  'generator': {'name': 'linear'},
  'discriminator': {'name': 'linear'},
}


def line(step, **values):
  return json.dumps({'step': step, **values}) + '\n'


def make_run(path, *, num_steps=1000, saved=(), log='', name='metrics.jsonl'):
  """Writes the files of a run; each checkpoint is 10 s after the one before."""
  path.mkdir(parents=True)
  (path / 'config.json').write_text(
    json.dumps({'config': {'num_steps': num_steps}})
  )
  (path / '.lock').write_text('process 1 on a host that is gone')
  os.utime(path / '.lock', (100, 100))
  if log:
    (path / name).write_text(log)
    os.utime(path / name, (1000, 1000))
  for i, step in enumerate(saved):
    done = path / 'checkpoints' / str(step) / 'commit_success.txt'
    done.parent.mkdir(parents=True)
    done.touch()
    os.utime(done, (200 + 10 * i, 200 + 10 * i))
  return path


def run_program(monkeypatch, capsys, *arguments):
  """Returns the exit status, stdout and stderr of the program."""
  monkeypatch.setattr(sys, 'argv', ['gan-jax status', *map(str, arguments)])
  try:
    code = program.run()
  except SystemExit as error:
    code = error.code
  printed = capsys.readouterr()
  return code, printed.out, printed.err


def test_a_run_from_its_start_to_its_end(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)
  seen = []

  def look():
    if (tmp_path / 'metrics.jsonl').exists():
      seen.append(status.read_status(tmp_path))
    return False

  gan_jax.train(TOY, tmp_path, quiet=True, should_stop=look)
  assert {run.state for run in seen} == {'running'}
  assert f'process {os.getpid()} on ' in seen[0].holder
  assert [run.step for run in seen] == sorted(run.step for run in seen)
  # A checkpoint is written while training goes on.
  assert seen[-1].step == 3 and seen[-1].checkpoint in (None, 2)
  assert seen[-1].seconds_left > 0 and seen[-1].seconds_quiet < 60
  ended = status.read_status(tmp_path)
  assert (ended.state, ended.step, ended.checkpoint) == ('finished', 4, 4)
  assert ended.holder == '' and ended.seconds_left is None
  code, printed, _ = run_program(monkeypatch, capsys, tmp_path)
  assert code == 0 and '4 of 4 steps' in printed


def test_time_left(tmp_path):
  log = line(100, steps_per_second=7.0) + line(200, steps_per_second=8.0)
  # The last line is being written.
  make_run(tmp_path / 'a', saved=[100], log=log + '{"step": 300, "steps_p')
  assert status.read_status(tmp_path / 'a', now=1060).seconds_left is None
  with lock.DirectoryLock(tmp_path / 'a'):
    found = status.read_status(tmp_path / 'a', now=1060)
  assert (found.step, found.seconds_left) == (200, 800 / 8)
  assert (found.checkpoint, found.seconds_quiet) == (100, 60)


def test_an_ensemble(tmp_path):
  """Its lines have no speed, which is that between the checkpoints."""
  log = line(500, diverged=[], metrics={'d_loss': [1.0, 2.0, 3.0]})
  log += line(700, diverged=[1], metrics={'d_loss': [1.0, None, 3.0]})
  log += line(700, scores=[None, None, None])
  path = make_run(
    tmp_path / 'a', saved=[300, 500], log=log, name='members.jsonl'
  )
  with lock.DirectoryLock(path):
    os.utime(path / '.lock', (100, 100))
    found = status.read_status(path)
  assert (found.members, found.diverged, found.step) == (3, 1, 700)
  assert found.seconds_left == (1000 - 700) / ((500 - 300) / 10)
  row = status.table([found])[1]
  assert 'running, 3 members, 1 diverged' in row and ' 15 s ' in row


def test_checkpoints_of_before_the_start_tell_no_speed(tmp_path):
  log = line(700, diverged=[], metrics={'d_loss': [1.0]})
  path = make_run(
    tmp_path / 'a', saved=[300, 500], log=log, name='members.jsonl'
  )
  with lock.DirectoryLock(path):
    found = status.read_status(path)
  assert found.state == 'running' and found.seconds_left is None


def test_warnings(tmp_path):
  path = make_run(tmp_path / 'a', log=line(300))
  warned = line(100, warnings={'collapse': 'old'})
  warned += line(200, warnings={'d_dominates': 'D has\x1b[31m won', 'b': 'c'})
  (path / 'warnings.jsonl').write_text(warned)
  found = status.read_status(path)
  assert found.warned_at == 200
  assert status.table([found])[1].endswith('d_dominates, b at 200')
  text = '\n'.join(status.describe(found))
  assert 'warning at 200' in text and 'D has\\x1b[31m won' in text
  assert 'old' not in text


def test_a_line_longer_than_the_tail_is_read_whole(tmp_path, monkeypatch):
  monkeypatch.setattr(status, '_TAIL', 16)
  log = line(100) + line(300, metrics={'d_loss': [0.5] * 500}, diverged=[])
  path = make_run(tmp_path / 'a', log=log, name='members.jsonl')
  found = status.read_status(path)
  assert (found.step, found.members) == (300, 500)


def test_a_table_of_runs(tmp_path, monkeypatch, capsys):
  make_run(tmp_path / 'runs' / 'a', saved=[500, 1000])
  make_run(tmp_path / 'runs' / 'b\n', num_steps=5, saved=[3])
  (tmp_path / 'runs' / 'no_run').mkdir()
  (tmp_path / 'runs' / 'file').touch()
  monkeypatch.chdir(tmp_path)
  code, printed, error = run_program(monkeypatch, capsys)
  head, *rows = printed.splitlines()
  assert (
    code == 0 and not error and head.split()[:3] == ['run', 'state', 'step']
  )
  assert len(rows) == 2
  assert rows[0].split()[:5] == ['runs/a', 'finished', '1,000', '/', '1,000']
  assert rows[1].split()[:3] == ['runs/b\\n', 'stopped', '3']
  code, printed, _ = run_program(
    monkeypatch, capsys, '--json', 'runs/a', 'runs/b\n', 'runs/file'
  )
  assert code == 0
  assert [(r['step'], r['state']) for r in json.loads(printed)] == [
    (1000, 'finished'),
    (3, 'stopped'),
  ]


def test_what_is_no_run(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  make_run(tmp_path / 'good', saved=[3])
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'file').touch()
  for name, text in (('bad', '{'), ('odd', '{"config": {"num_steps": "x"}}')):
    make_run(tmp_path / name)
    (tmp_path / name / 'config.json').write_text(text)
  for name, message in (
    ('none', 'none holds no run'),
    ('empty', 'empty holds no run'),
    ('file', 'file is a file; must be a directory'),
    ('bad', 'bad/config.json is not valid JSON'),
    ('odd', "odd/config.json is not as it was written: bad 'num_steps'"),
    ('a\0b', 'WORKDIR=a\\x00b: a path must not have a null character'),
  ):
    code, printed, error = run_program(monkeypatch, capsys, name)
    assert code == 1 and not printed
    assert error.startswith('gan-jax status: ') and message in error
    assert len(error.splitlines()) == 1
    code, printed, error = run_program(monkeypatch, capsys, 'good', name)
    assert '3 of 1,000 steps' in printed
    assert code == (0 if name == 'file' else 1)


@pytest.mark.parametrize(
  ('seconds', 'text'),
  [
    (None, '-'),
    (0, '0 s'),
    (59.4, '59 s'),
    (59.6, '1 min 00 s'),
    (185, '3 min 05 s'),
    (3725, '1 h 02 min'),
    (86400 * 2 + 3600 * 3 + 59, '2 d 03 h'),
  ],
)
def test_seconds(seconds, text):
  assert status.format_seconds(seconds) == text


# ---- The lock.

HOLD = (
  'import pathlib, sys\n'
  'from gan_jax.io import lock\n'
  'with lock.DirectoryLock(pathlib.Path(sys.argv[1])):\n'
  '  print("held", flush=True)\n'
  '  sys.stdin.read()\n'
)


def test_the_holder_of_a_lock(tmp_path):
  assert lock.holder(tmp_path) == ''
  assert not (tmp_path / lock.NAME).exists()
  with subprocess.Popen(
    [sys.executable, '-c', HOLD, tmp_path],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env={'PYTHONPATH': os.getcwd()},
  ) as other:
    other.stdout.readline()
    assert lock.holder(tmp_path).startswith(f'process {other.pid} on ')
    other.stdin.close()
  assert lock.holder(tmp_path) == ''
  with lock.DirectoryLock(tmp_path):
    with pytest.raises(lock.DirectoryLockedError, match='in use by process'):
      lock.DirectoryLock(tmp_path)


def test_a_look_at_the_lock_refuses_no_run(tmp_path, monkeypatch):
  fcntl = pytest.importorskip('fcntl')
  (tmp_path / lock.NAME).touch()
  looking = (tmp_path / lock.NAME).open()
  fcntl.flock(looking, fcntl.LOCK_SH)
  monkeypatch.setattr(lock.time, 'sleep', lambda _: looking.close())
  with lock.DirectoryLock(tmp_path):
    assert lock.holder(tmp_path)
