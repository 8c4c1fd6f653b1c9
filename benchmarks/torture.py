"""Kills a run again and again, and compares its end with one left alone.

  python benchmarks/torture.py                 100 times SIGKILL, 20 SIGTERM
  python benchmarks/torture.py --kills=5 --terms=2 --steps=600    a look

`train.py` on the digits is started and killed at a random moment, between its
start and two seconds after its first step. It is started again by the same
command, until all kills are spent, and then left to its end. After each kill
the files of the run are read as a user would read them. SIGTERM is answered:
the run saves and ends with status 75. At the end the state must be that of a
run that nobody disturbed, bit for bit. Takes about a quarter of an hour on two
cores.
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

LIFE = 2.0  # seconds after the first step


class Death(NamedTuple):
  """One end of the run.

  Attributes:
    status: of the process.
    trained: whether it had taken a step.
    saved: step of the newest checkpoint that it left; 0 for none.
    reached: the last step in its log; 0 for none.
    broken: files that do not read back.
  """

  status: int
  trained: bool
  saved: int
  reached: int
  broken: list[str]


def command(workdir: pathlib.Path, steps: int) -> list[str]:
  """Trains the digits, saving every 50 steps."""
  return [
    *(sys.executable, 'train.py', f'--workdir={workdir}'),
    f'--config.num_steps={steps}',
    '--config.checkpoint_every=50',
    '--config.log_every=10',
    '--config.sample_every=100',
    '--config.eval.num_samples=200',
  ]


def find_broken(workdir: pathlib.Path) -> list[str]:
  """Files of a run that do not read back, or repeat a step."""
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
  """Step of the newest checkpoint that is complete; 0 for none."""
  kept = workdir / 'checkpoints'
  names = [p.name for p in kept.iterdir()] if kept.is_dir() else []
  return max((int(name) for name in names if name.isdigit()), default=0)


def last_step(workdir: pathlib.Path) -> int:
  """The last step of the log; 0 for none."""
  path = workdir / 'metrics.jsonl'
  lines = path.read_text().splitlines() if path.is_file() else []
  return json.loads(lines[-1])['step'] if lines else 0


def live(
  workdir: pathlib.Path, steps: int, number: int, choose: random.Random
) -> Death | None:
  """Starts the run and sends it a signal; None where it came to its end.

  Args:
    workdir: of the run.
    steps: of the run.
    number: of the signal.
    choose: when.
  """
  start = time.monotonic()
  process = subprocess.Popen(
    command(workdir, steps),
    cwd=turns.ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  trained, first = threading.Event(), []

  def read() -> None:
    for line in process.stdout:
      first.append(line)
      if 'first step' in line:
        trained.set()

  reader = threading.Thread(target=read)
  reader.start()
  share = choose.random()
  if number == signal.SIGKILL and share < 0.3:  # while it starts
    trained.wait(timeout=share / 0.3 * 4)
  else:
    while not trained.wait(timeout=0.1) and process.poll() is None:
      pass
    time.sleep(LIFE * choose.random())
  reached = trained.is_set()
  process.send_signal(number)
  status = process.wait()
  reader.join()
  if status == 0:
    return None
  expected = shutdown.EXIT_RESUMABLE if number == signal.SIGTERM else -number
  if status != expected:
    raise RuntimeError(f'status {status}, not {expected}:\n{"".join(first)}')
  print(
    f'  {time.monotonic() - start:4.1f} s, checkpoint {newest(workdir)}, '
    f'log {last_step(workdir)}',
    file=sys.stderr,
  )
  return Death(
    status, reached, newest(workdir), last_step(workdir), find_broken(workdir)
  )


def finish(workdir: pathlib.Path, steps: int) -> None:
  """Runs to the end."""
  subprocess.run(
    command(workdir, steps),
    cwd=turns.ROOT,
    check=True,
    stdout=subprocess.DEVNULL,
  )


def count_different(one: pathlib.Path, other: pathlib.Path) -> tuple[int, int]:
  """Arrays of the final states that differ in a bit, and all of them."""
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
  """One row: a run that gets so many signals, beside `root / 'alone'`."""
  name = signal.Signals(number).name
  workdir, deaths = root / name, []
  choose = random.Random(seed)
  while len(deaths) < count:
    death = live(workdir, steps, number, choose)
    if death is None:
      break
    deaths.append(death)
  finish(workdir, steps)
  different, arrays = count_different(root / 'alone', workdir)
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
  """Reads the command line."""
  options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  options.add_argument('--kills', type=int, default=100, help='SIGKILL')
  options.add_argument('--terms', type=int, default=20, help='SIGTERM')
  options.add_argument('--steps', type=int, default=6000, help='of the run')
  options.add_argument('--seed', type=int, default=0, help='of the moments')
  given = options.parse_args()
  with tempfile.TemporaryDirectory() as directory:
    root = pathlib.Path(directory)
    finish(root / 'alone', given.steps)
    rows = [
      torture(root, number, count, given.steps, given.seed)
      for number, count in (
        (signal.SIGKILL, given.kills),
        (signal.SIGTERM, given.terms),
      )
    ]
  header = (
    *('signal', 'restarts', 'before a first step', 'steps lost', 'the most'),
    *('files broken', 'arrays that differ at the end'),
  )
  print(turns.machine())
  print('\n' + turns.table(header, rows))


if __name__ == '__main__':
  main()
