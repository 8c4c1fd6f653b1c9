"""Starts train.py as jobs of SLURM, one for each learning rate.

  pip install submitit
  python examples/submitit_slurm.py --out=runs/rates --partition=gpu
  python examples/submitit_slurm.py --out=runs/rates --cluster=local --test

A job starts train.py again when it asks for it, with exit status 75, as after a
signal: a run continues from its checkpoint. A job that SLURM preempts, or that
runs into its time limit, is submitted again and continues likewise. `--test`
trains a few steps of a toy, `--cluster=local` on this machine.
"""

import argparse
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATES = (1e-4, 3e-4, 1e-3, 3e-3)
STARTS_AGAIN = 75  # exit status of train.py that asks for another start
TRAIN = (sys.executable, str(ROOT / 'train.py'))
# SLURM sends the signal that submitit waits for to all processes of a job.
_IGNORING_USR2 = ('sh', '-c', 'trap "" USR2; exec "$@"', 'sh')
_MAX_STARTS = 50
_SECONDS_TO_SAVE = 100


class TrainJob:
  """A job: pickled here, called there. It does not import JAX."""

  def __init__(self, arguments, command=TRAIN):
    self.arguments, self.command = list(arguments), list(command)
    self.process = None

  def __call__(self):
    """Trains to the end; returns the number of starts."""
    for starts in range(_MAX_STARTS):
      status = self.start()
      if status == 0:
        return starts + 1
      if status != STARTS_AGAIN:
        break
    raise RuntimeError(f'train.py ended with status {status}')

  def start(self):
    """Starts train.py once; returns its exit status."""
    command = [*_IGNORING_USR2, *self.command, *self.arguments]
    self.process = subprocess.Popen(command)
    while self.process.poll() is None:  # a wait would block `checkpoint`
      time.sleep(0.2)
    return self.process.returncode

  def checkpoint(self):
    """Saves the run and submits it again, when SLURM takes the machine away."""
    import submitit

    if self.process is not None and self.process.poll() is None:
      self.process.terminate()  # train.py saves and exits
      self.process.wait(timeout=_SECONDS_TO_SAVE)
    again = TrainJob(self.arguments, self.command)
    return submitit.helpers.DelayedSubmission(again)


def make_jobs(out, test):
  """Returns a job for each learning rate."""
  config, more = 'configs/cifar10.py', []
  if test:
    config, more = 'configs/d2l_gaussian.py', ['--config.num_steps=250']
  return [
    TrainJob(
      [
        f'--config={ROOT / config}',
        f'--config.g_optimizer.learning_rate={rate}',
        f'--workdir={out / f"rate_{rate}"}',
        '--num_processes=1',  # a run of its own, not a part of one
        *more,
      ]
    )
    for rate in (RATES[-2:] if test else RATES)
  ]


def main():
  import submitit

  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--cluster', choices=('slurm', 'local'), default='slurm')
  parser.add_argument('--partition', help='partition of SLURM')
  parser.add_argument('--minutes', type=int, default=240)
  parser.add_argument('--test', action='store_true')
  options = parser.parse_args()
  out = options.out.resolve()
  executor = submitit.AutoExecutor(out / 'log', cluster=options.cluster)
  executor.update_parameters(timeout_min=options.minutes, cpus_per_task=4)
  if options.cluster == 'slurm':
    # Two minutes before the time limit, SLURM signals.
    executor.update_parameters(gpus_per_node=1, slurm_signal_delay_s=120)
    if options.partition:
      executor.update_parameters(slurm_partition=options.partition)
  with executor.batch():  # one array
    jobs = [executor.submit(job) for job in make_jobs(out, options.test)]
  print('jobs', *(job.job_id for job in jobs), 'of', out)
  for job in jobs:
    print(job.job_id, 'done after', job.result(), 'starts')


if __name__ == '__main__':
  main()
