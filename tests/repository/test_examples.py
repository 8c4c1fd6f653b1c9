"""Tests that the examples run and show what they claim."""

import ast
import pathlib
import pickle
import sys
import threading
import time

import numpy as np
import pytest

from examples import dirac_gan, optuna_ensemble, own_loop, submitit_slurm


def radii(title):
  path = dirac_gan.trajectory(*dirac_gan.METHODS[title])
  return np.linalg.norm(path, axis=1)


def test_dirac_gan_agrees_with_theory():
  start = np.sqrt(2)
  outward = radii('minimax, simultaneous')
  assert outward[-1] > 1.5 * start and (np.diff(outward) > 0).all()
  for title in ('minimax, alternating', 'WGAN, alternating'):
    orbit = radii(title)
    assert 0.85 * start < orbit.min() and orbit.max() < 1.2 * start
  # Bilinear, learning rate 0.1: a simultaneous step grows by sqrt(1 + 0.01).
  wgan = radii('WGAN, simultaneous')
  np.testing.assert_allclose(wgan[-1], start * 1.01**250, rtol=1e-3)
  assert radii('WGAN, extragradient')[-1] < 0.1 * start
  # Non-saturating without a penalty: inwards, slower than exponentially.
  slow = radii('non-saturating, alternating')
  assert 0.2 * start < slow[-1] < 0.5 * start
  for title in ('minimax + R1, simultaneous', 'minimax + R1, alternating'):
    assert radii(title)[-1] < 1e-6


@pytest.mark.parametrize('gamma', [0.0, 0.3, 1.0, 2.0])
def test_dirac_gan_eigenvalues(gamma):
  # Minimax with R1: -gamma / 2 +- sqrt(gamma^2 / 4 - f'(0)^2), f'(0) = 1/2.
  root = np.sqrt(complex(gamma**2 / 4 - 0.25))
  expected = np.sort_complex([-gamma / 2 - root, -gamma / 2 + root])
  eigenvalues = np.sort_complex(dirac_gan.eigenvalues('minimax', gamma))
  np.testing.assert_allclose(eigenvalues, expected, atol=2e-3)


@pytest.mark.slow
def test_own_loop_uses_three_functions_and_learns():
  tree = ast.parse(pathlib.Path(own_loop.__file__).read_text())
  used = [
    alias.name
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom) and node.module.startswith('gan_jax')
    for alias in node.names
  ]
  assert sorted(used) == ['ema_update', 'r1', 'relativistic']
  shares, near = own_loop.main(num_steps=3000)
  assert shares.min() > 0.1 and near > 0.4


POINTS = [
  {'d_optimizer.learning_rate': 0.05, 'g_optimizer.learning_rate': 0.005},
  {'d_optimizer.learning_rate': 0.01, 'g_optimizer.learning_rate': 0.1},
]


@pytest.mark.slow
def test_points_of_a_search_train_as_one_program():
  train = optuna_ensemble.Trainer(num_steps=40, points=2, seeds=3)
  kl = train(POINTS)
  assert kl.shape == (2, 3) and len(np.unique(kl)) == 6
  program = train.program
  np.testing.assert_allclose(train(POINTS[::-1]), kl[::-1], rtol=1e-4)
  assert train.program is program
  POINTS[0]['g_optimizer.learning_rate'] = 1e30
  assert (train(POINTS)[0] == optuna_ensemble.WORST).all()


def test_a_search_asks_trains_and_tells(tmp_path, capsys):
  pytest.importorskip('optuna', reason='pip install optuna')

  class Train:
    points = 4

    def __call__(self, points):
      """A known function of the points, and one seed far away."""
      rates = [np.log(point['g_optimizer.learning_rate']) for point in points]
      return np.abs(rates)[:, None] + [0.0, 0.0, 1e3]

  study = optuna_ensemble.open_study(tmp_path, 'tpe')
  optuna_ensemble.search(study, Train(), rounds=2)
  again = optuna_ensemble.open_study(tmp_path, 'tpe')
  assert len(again.trials) == 8
  for trial in again.trials:
    rate = trial.params['g_optimizer.learning_rate']
    assert trial.value == pytest.approx(abs(np.log(rate)))  # the median
  assert 'best of 8' in capsys.readouterr().out


def job_that_ends_with(tmp_path, *statuses):
  """Returns a job that ends with each status in turn, and writes a line."""
  log = tmp_path / 'log'
  code = (
    'import pathlib, sys\n'
    f'log = pathlib.Path({str(log)!r})\n'
    'lines = log.read_text().splitlines() if log.exists() else []\n'
    'log.write_text("\\n".join([*lines, " ".join(sys.argv[1:])]))\n'
    f'sys.exit({list(statuses)!r}[len(lines)])\n'
  )
  return submitit_slurm.TrainJob(['--a=1'], (sys.executable, '-c', code)), log


def test_a_job_starts_again_when_it_is_asked_to(tmp_path):
  job, log = job_that_ends_with(tmp_path, 75, 75, 0)
  assert pickle.loads(pickle.dumps(job))() == 3
  assert log.read_text().splitlines() == ['--a=1'] * 3


def test_a_job_that_fails_says_how(tmp_path):
  job, log = job_that_ends_with(tmp_path, 75, 1, 0)
  with pytest.raises(RuntimeError, match='status 1'):
    job()
  assert len(log.read_text().splitlines()) == 2


def test_a_preempted_job_saves_and_is_submitted_again(tmp_path):
  pytest.importorskip('submitit', reason='pip install submitit')
  ready, saved = tmp_path / 'ready', tmp_path / 'saved'
  code = (
    'import pathlib, signal, sys, time\n'
    'def save(*_):\n'
    f'  pathlib.Path({str(saved)!r}).touch()\n'
    '  sys.exit(75)\n'
    'signal.signal(signal.SIGTERM, save)\n'
    f'pathlib.Path({str(ready)!r}).touch()\n'
    'time.sleep(60)\n'
  )
  job = submitit_slurm.TrainJob(['--a=1'], (sys.executable, '-c', code))
  thread = threading.Thread(target=job.start)
  thread.start()
  while not ready.exists():
    time.sleep(0.05)
  delayed = job.checkpoint()
  thread.join(timeout=30)
  assert saved.exists() and not thread.is_alive()
  again = pickle.loads(pickle.dumps(delayed.function))
  assert (again.arguments, again.process) == (['--a=1'], None)


def test_jobs_are_runs_of_their_own(tmp_path):
  jobs = submitit_slurm.make_jobs(tmp_path, test=False)
  workdirs = [a for job in jobs for a in job.arguments if 'workdir' in a]
  assert len(set(workdirs)) == len(submitit_slurm.RATES)
  assert all('--num_processes=1' in job.arguments for job in jobs)
