"""Several processes train as one does: on CPU, by gloo, on this machine."""

import signal
import socket
import subprocess
import sys
import time

import chex
import jax
import numpy as np
import pytest

from gan_jax import distributed
from gan_jax.distributed import multihost
from gan_jax.experiment import run_dir
from tests.helpers import job
from tests.runner.test_train_program import ROOT, environment


def free_port():
  with socket.socket() as found:
    found.bind(('localhost', 0))
    return found.getsockname()[1]


class Job:
  """Starts `count` processes.

  `{id}` in the command, and in the variables of `env`, is the index of each.
  """

  def __init__(self, command, count=2, env=None):
    variables = environment(devices=2) | (env or {})
    self.processes = [
      subprocess.Popen(
        [sys.executable, *(word.format(id=i) for word in command)],
        cwd=ROOT,
        env={k: v.replace('{id}', str(i)) for k, v in variables.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
      )
      for i in range(count)
    ]

  def wait(self, seconds=200):
    """Returns what each process printed, and its exit status."""
    ends = [p.communicate(timeout=seconds)[0] for p in self.processes]
    return list(zip(ends, [p.returncode for p in self.processes]))

  def until(self, text, number=0):
    """Reads the output of a process up to a text."""
    for line in self.processes[number].stdout:
      if text in line:
        return
    raise AssertionError(f'never said {text!r}')

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    for process in self.processes:
      process.kill()
      process.wait()
      process.stdout.close()


def states(out, count=2):
  """Returns the states of tests.helpers.job after all of its cases."""
  words = [str(free_port()), str(count), '{id}', str(out)]
  with Job(['-m', 'tests.helpers.job', *words], count) as started:
    for said, status in started.wait():
      assert status == 0, said
  with np.load(out) as arrays:
    return dict(arrays)


@pytest.mark.slow
def test_two_processes_are_as_one_and_twice_the_same(tmp_path):
  """The test of one that dies compares the bits of other processes."""
  found = states(tmp_path / 'states.npz')
  for case in job.CASES:
    once, again = (
      [found[f'{"-".join(case)}-{time}-{i}'] for i in range(len(found) // 4)]
      for time in range(2)
    )
    chex.assert_trees_all_equal(once, again)
    (alone,) = job.train(*case, times=1)
    chex.assert_trees_all_close(once, alone, rtol=1e-4, atol=1e-5)


def toy(workdir, *arguments):
  return [
    'train.py',
    '--config=configs/d2l_gaussian.py',
    f'--workdir={workdir}',
    '--config.steps_per_call=5',
    *('--config.log_every=10', '--config.checkpoint_every=10'),
    *('--config.eval.num_samples=50', '--config.stall_seconds=10'),
    *arguments,
  ]


def toy_of_two(workdir, port, *arguments):
  flags = f'--coordinator=localhost:{port}', '--num_processes=2'
  return toy(workdir, *flags, '--process_id={id}', *arguments)


def final(workdir, step):
  *_, state = run_dir.restore(workdir)
  assert int(state.step) == step
  return state


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1])
def test_one_dies_and_the_others_say_so_and_all_go_on(tmp_path, victim):
  long = '--config.num_steps=100000'
  with Job(toy_of_two(tmp_path / 'a', free_port(), long)) as started:
    started.until('step      40')
    started.processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    left = started.processes[1 - victim]
    said = left.communicate(timeout=120)[0]
    assert time.monotonic() - began < 50
  if left.returncode == 76:
    assert 'another process' in said
    assert 'Traceback' not in said
  else:  # the runtime was first: process 0 is what it talks to
    assert left.returncode == -signal.SIGABRT and 'task' in said

  if victim == 0:
    return
  kept = run_dir.latest_step(tmp_path / 'a')
  end = f'--config.num_steps={kept + 20}'
  with Job(toy_of_two(tmp_path / 'a', free_port(), end)) as started:
    (said, status), (nothing, other) = started.wait()
    assert status == other == 0, said + nothing
    assert f'continues from the checkpoint of step {kept}' in said
    assert 'continues' not in nothing
  with Job(toy_of_two(tmp_path / 'b', free_port(), end)) as started:
    assert [status for _, status in started.wait()] == [0, 0]
  a, b = (final(tmp_path / name, kept + 20) for name in 'ab')
  same_bytes = lambda x, y: np.asarray(x).tobytes() == np.asarray(y).tobytes()
  assert jax.tree.all(jax.tree.map(same_bytes, a, b))


@pytest.mark.slow
def test_a_hang_is_seen_and_fewer_processes_go_on(tmp_path):
  with Job(
    toy_of_two(tmp_path, free_port(), '--config.num_steps=100000')
  ) as started:
    started.until('step      40')
    started.processes[1].send_signal(signal.SIGSTOP)
    said = started.processes[0].communicate(timeout=120)[0]
    assert started.processes[0].returncode == 76, said
    assert 'no train step for 10 s after step' in said
  one = [
    *('train.py', '--config=configs/d2l_gaussian.py', f'--workdir={tmp_path}'),
    *('--config.num_steps=2000', '--config.eval.num_samples=50'),
  ]
  with Job(one, 1) as started:
    ((said, status),) = started.wait()
    assert status == 0 and 'continues from the checkpoint' in said, said


@pytest.mark.slow
def test_slurm_needs_no_flags_and_a_signal_to_one_stops_all(tmp_path):
  slurm = {
    'SLURM_JOB_ID': '1',
    'SLURM_STEP_NODELIST': 'localhost',
    'SLURM_NTASKS': '2',
    'SLURM_PROCID': '{id}',
    'SLURM_LOCALID': '{id}',
    'JAX_COORDINATOR_PORT': str(free_port()),
  }
  words = toy(tmp_path, '--config.num_steps=1000000')
  with Job(words, env=slurm) as started:
    started.until('2 processes')
    started.until('step      20')
    started.processes[1].send_signal(signal.SIGTERM)
    (said, status), (_, other) = started.wait(120)
    assert status == other == 75, said
    assert 'stopped at step' in said


@pytest.mark.slow
def test_all_fail_where_one_does(tmp_path):
  (tmp_path / 'runs').write_text('not a directory')
  with Job(toy_of_two(tmp_path / 'runs', free_port())) as started:
    (said, status), (other_said, other) = started.wait(120)
  assert status == other == 1
  assert 'is a file' in said
  assert 'process 0 could not build the run' in other_said


@pytest.mark.parametrize(
  ('variables', 'expected'),
  [
    ({'SLURM_STEP_NODELIST': 'n[1-2]', 'SLURM_NTASKS': '4'}, 'SLURM'),
    ({'SLURM_STEP_NODELIST': 'n1', 'SLURM_NTASKS': '1'}, ''),
    ({'SLURM_NTASKS': '4'}, ''),  # within an allocation, without srun
    ({'OMPI_COMM_WORLD_RANK': '0', 'OMPI_COMM_WORLD_SIZE': '2'}, 'Open MPI'),
    ({}, ''),
  ],
)
def test_launchers_are_found_by_what_they_leave(variables, expected):
  assert multihost.detect_launcher(variables) == expected


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    (('host:1', 2, -1), "coordinator='host:1'.*process_id=-1"),
    (('', 2, 0), "coordinator='', num_processes=2"),
    (('host:1', 2, 2), 'process_id=2: .*0 to 1'),
  ],
)
def test_bad_numbers_are_refused(given, message):
  with pytest.raises(ValueError, match=message):
    distributed.initialize(*given)


def test_one_process_is_on_its_own():
  distributed.initialize()
  distributed.initialize(num_processes=1)
  assert multihost.process_count() == 1 and multihost.is_chief()
  np.testing.assert_array_equal(multihost.allgather([1, 2]), [[1, 2]])
  tree = {'x': np.ones(2)}
  assert multihost.broadcast_from_chief(tree) is tree
  multihost.barrier('here')
  with pytest.raises(KeyError), multihost.raise_together('fail', KeyError):
    raise KeyError('x')


@pytest.mark.slow
def test_processes_of_other_configs_are_refused(tmp_path):
  words = toy_of_two(tmp_path, free_port(), '--config.seed={id}')
  with Job(words) as started:
    (said, status), (other_said, other) = started.wait(120)
  assert status == other == 1
  for text in (said, other_said):
    assert 'process 1 has another config' in text and 'Traceback' not in text
