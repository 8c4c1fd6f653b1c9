"""Kills a run many times, and compares its result with an undisturbed run.

  python benchmarks/torture.py                 100 times SIGKILL, 20 SIGTERM
  python benchmarks/torture.py --kills=5 --terms=2 --steps=600    a trial

Starts `train.py` on the digits and kills it at a random moment, between its
start and two seconds after its first step. Starts it again with the same
command until all kills are used up, then lets it finish. Reads the files of the
run after each kill, as a user would. On SIGTERM, the run must save and exit
with status 75. At the end, its state must equal that of an undisturbed run, bit
for bit. Takes about a quarter of an hour on two cores.
"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

import numpy as np
import turns
from PIL import Image

from gan_jax.distributed import shutdown

LIFETIME = 2.0  # seconds after the first step


class Death(NamedTuple):
  """Outcome of one signal to the run.

  Attributes:
    status: exit status of the process.
    trained: whether it had taken a step.
    saved: step of its newest checkpoint; 0 for none.
    reached: last step in its log; 0 for none.
    broken: files that cannot be read back.
  """

  status: int
  trained: bool
  saved: int
  reached: int
  broken: list[str]


def command(workdir: pathlib.Path, steps: int) -> list[str]:
  """Returns the command that trains the digits, saving every 50 steps."""
  return [
    *(sys.executable, 'train.py', f'--workdir={workdir}'),
    f'--config.num_steps={steps}',
    '--config.checkpoint_every=50',
    '--config.log_every=10',
    '--config.sample_every=100',
    '--config.eval.num_samples=200',
  ]


def find_broken(workdir: pathlib.Path) -> list[str]:
  """Returns files of a run that cannot be read back, or repeat a step."""
  broken = []
  for path in sorted(workdir.rglob('*')):
    try:
      if path.suffix == '.jsonl':
        steps = [json.loads(line)['step'] for line in path.open()]
        if steps != sorted(set(steps)):
          raise ValueError('steps repeat')
      elif path.suffix == '.json' and path.parent == workdir:
        json.loads(path.read_text())
      elif path.suffix == '.png':
        with Image.open(path) as image:
          image.load()
    except (ValueError, KeyError, OSError) as error:
      broken.append(f'{path}: {error}')
  return broken


def newest(workdir: pathlib.Path) -> int:
  """Returns the step of the newest complete checkpoint; 0 for none."""
  directory = workdir / 'checkpoints'
  names = [p.name for p in directory.iterdir()] if directory.is_dir() else []
  return max((int(name) for name in names if name.isdigit()), default=0)


def last_step(workdir: pathlib.Path) -> int:
  """Returns the last step of the log; 0 for none."""
  path = workdir / 'metrics.jsonl'
  lines = path.read_text().splitlines() if path.is_file() else []
  return json.loads(lines[-1])['step'] if lines else 0


def run_and_kill(
  workdir: pathlib.Path, steps: int, number: int, rng: random.Random
) -> Death | None:
  """Starts the run and sends it a signal.

  Args:
    workdir: directory of the run.
    steps: train steps of the run.
    number: number of the signal.
    rng: chooses the moment.

  Returns:
    The outcome, or None if the run finished first.

  Raises:
    RuntimeError: if the run ends with an unexpected status.
  """
  start = time.monotonic()
  process = subprocess.Popen(
    command(workdir, steps),
    cwd=turns.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  trained, lines = threading.Event(), []

  def read() -> None:
    for line in process.stdout:
      lines.append(line)
      if 'first step' in line:
        trained.set()

  reader = threading.Thread(target=read)
  reader.start()
  share = rng.random()
  if number == signal.SIGKILL and share < 0.3:  # during start-up
    trained.wait(timeout=share / 0.3 * 4)
  else:
    while not trained.wait(timeout=0.1) and process.poll() is None:
      pass
    time.sleep(LIFETIME * rng.random())
  reached = trained.is_set()
  process.send_signal(number)
  status = process.wait()
  reader.join()
  if status == 0:
    return None
  expected = shutdown.EXIT_RESUMABLE if number == signal.SIGTERM else -number
  if status != expected:
    raise RuntimeError(f'status {status}, not {expected}:\n{"".join(lines)}')
  print(
    f'  {time.monotonic() - start:4.1f} s, checkpoint {newest(workdir)}, '
    f'log {last_step(workdir)}',
    file=sys.stderr,
  )
  return Death(
    status, reached, newest(workdir), last_step(workdir), find_broken(workdir)
  )


def finish(workdir: pathlib.Path, steps: int) -> None:
  """Runs to the end without interruption."""
  subprocess.run(
    command(workdir, steps),
    cwd=turns.ROOT,
    check=True,
    stdout=subprocess.DEVNULL,
  )


def count_different(one: pathlib.Path, other: pathlib.Path) -> tuple[int, int]:
  """Counts the arrays of two final states that differ, and all arrays."""
  import jax

  from gan_jax.experiment import run_dir

  leaves = [
    [np.asarray(x).tobytes() for x in jax.tree.leaves(run_dir.restore(run)[3])]
    for run in (one, other)
  ]
  assert len(leaves[0]) == len(leaves[1])
  return sum(a != b for a, b in zip(*leaves)), len(leaves[0])


def torture(
  root: pathlib.Path, number: int, count: int, steps: int, seed: int
) -> list:
  """Sends signals to a run, and returns its row of the table.

  Args:
    root: directory of all runs; `root / 'undisturbed'` has finished.
    number: number of the signal.
    count: number of signals to send.
    steps: train steps of the run.
    seed: seed of the moments.
  """
  name = signal.Signals(number).name
  workdir, deaths = root / name, []
  rng = random.Random(seed)
  while len(deaths) < count:
    death = run_and_kill(workdir, steps, number, rng)
    if death is None:
      break
    deaths.append(death)
  finish(workdir, steps)
  different, arrays = count_different(root / 'undisturbed', workdir)
  lost = [max(0, death.reached - death.saved) for death in deaths]
  broken = [path for death in deaths for path in death.broken]
  for path in broken:
    print(path, file=sys.stderr)
  return [
    name,
    f'{len(deaths)}',
    f'{sum(not death.trained for death in deaths)}',
    f'{sum(lost)}',
    f'{max(lost, default=0)}',
    f'{len(broken)}',
    f'{different} of {arrays}',
  ]


def main() -> None:
  """Measures, and prints a table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=100, help='SIGKILLs')
  parser.add_argument('--terms', type=int, default=20, help='SIGTERMs')
  parser.add_argument('--steps', type=int, default=6000, help='train steps')
  parser.add_argument('--seed', type=int, default=0, help='seed of the moments')
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as directory:
    root = pathlib.Path(directory)
    finish(root / 'undisturbed', options.steps)
    rows = [
      torture(root, number, count, options.steps, options.seed)
      for number, count in (
        (signal.SIGKILL, options.kills),
        (signal.SIGTERM, options.terms),
      )
    ]
  header = (
    *('signal', 'restarts', 'before the first step', 'steps lost'),
    *('most steps lost', 'broken files', 'arrays that differ at the end'),
  )
  print(turns.machine())
  print('\n' + turns.table(header, rows))


if __name__ == '__main__':
  main()
