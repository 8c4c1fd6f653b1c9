"""Times a start: imports, and train.py's first step, the second time too.

  python benchmarks/startup.py

Imports beside that of jax, flax and optax, each in a process of its own: all
of the process, from its start to its end. Then `train.py` on the digits for
one step, with a directory of compiled programs (GAN_JAX_CACHE) that is empty,
and again with what the first run left there: the time from the start of the
process to the line 'first step after', and to the end with its pictures and
scores. Everything takes turns; rows are medians over the rounds. Takes about
five minutes on two cores.
"""

import ast
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import turns

PEER = 'import jax, flax, optax'
FIRST_STEP = 'first step after'


def run_process(command: list[str]) -> turns.Spent:
  """Seconds of a process from its start to its end."""
  start = time.perf_counter()
  process = subprocess.Popen(command, cwd=turns.ROOT)
  _, status, usage = os.wait4(process.pid, 0)
  spent = turns.Spent(
    time.perf_counter() - start, usage.ru_utime + usage.ru_stime
  )
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    raise subprocess.CalledProcessError(process.returncode, command)
  return spent


def train_imports() -> str:
  """The imports of train.py for one run, as they stand there."""
  tree = ast.parse((turns.ROOT / 'train.py').read_text())
  both = [
    n for n in tree.body if getattr(n, 'name', '') in ('main', 'train_run')
  ]
  found = [n for f in both for n in f.body if isinstance(n, ast.ImportFrom)]
  names = {alias.name for node in found for alias in node.names}
  return f'from gan_jax import {", ".join(sorted(names))}'


def import_table(rounds: int) -> str:
  """Times the imports."""
  codes = {
    'Python alone': 'pass',
    f'`{PEER}`': PEER,
    '`import gan_jax`': 'import gan_jax',
    'what a step of your own needs': (
      'from gan_jax import game, losses, models, networks, optimizers, state, '
      'steps'
    ),
    'all that `train.py` imports': train_imports(),
  }

  def start(code):
    return lambda: run_process([sys.executable, '-c', code])

  medians = turns.take_turns({n: start(c) for n, c in codes.items()}, rounds)
  peer = medians[f'`{PEER}`']
  rows = [
    [name, spent.wall, spent.cpu, spent.wall / peer.wall, spent.cpu / peer.cpu]
    for name, spent in medians.items()
  ]
  header = ('', 'seconds', 'CPU seconds', 'this / jax, flax, optax', 'CPU')
  return turns.table(header, rows)


class Start(NamedTuple):
  """Seconds of a run of train.py.

  Attributes:
    first_step: until its first step was done.
    end: until its end.
  """

  first_step: float
  end: float


def train_once(cache: pathlib.Path, workdir: pathlib.Path) -> Start:
  """One step of train.py on the digits.

  Args:
    cache: where compiled programs are kept.
    workdir: a new directory.
  """
  command = [
    *(sys.executable, '-u', 'train.py', '--config=configs/digits.py'),
    *('--config.num_steps=1', f'--workdir={workdir}'),
  ]
  environment = os.environ | {'GAN_JAX_CACHE': str(cache)}
  environment.pop('JAX_COMPILATION_CACHE_DIR', None)  # would go first
  start, first_step = time.perf_counter(), None
  process = subprocess.Popen(
    command,
    cwd=turns.ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    text=True,
  )
  for line in process.stdout:
    if line.startswith(FIRST_STEP):
      first_step = time.perf_counter() - start
  if process.wait():
    raise subprocess.CalledProcessError(process.returncode, command)
  if first_step is None:
    raise RuntimeError(f'train.py did not print {FIRST_STEP!r}')
  return Start(first_step, time.perf_counter() - start)


def start_table(rounds: int) -> str:
  """Times first and second starts; each round has a new, empty cache."""
  starts: dict[str, list[Start]] = {'empty': [], 'of an earlier run': []}
  for number in range(rounds):
    with tempfile.TemporaryDirectory() as scratch:
      for name, found in starts.items():
        workdir = pathlib.Path(scratch, name.replace(' ', '_'))
        found.append(train_once(pathlib.Path(scratch, 'cache'), workdir))
    print(f'start {number + 1} of {rounds}', file=sys.stderr, flush=True)
  medians = {
    name: Start(*(statistics.median(column) for column in zip(*found)))
    for name, found in starts.items()
  }
  rows = [
    [name, *found, found.first_step / medians['empty'].first_step]
    for name, found in medians.items()
  ]
  header = (
    'compiled programs',
    'seconds to the first step',
    'seconds to the end',
    'this / empty, first step',
  )
  return turns.table(header, rows)


def main() -> None:
  """Measures and prints."""
  parser = turns.parser(__doc__, rounds=8)
  parser.add_argument('--starts', type=int, default=5, help='of train.py')
  options = parser.parse_args()
  print(turns.machine())
  print(f'\nImports:\n\n{import_table(options.rounds)}')
  if options.starts:
    print(f'\nStarts of `train.py`:\n\n{start_table(options.starts)}')


if __name__ == '__main__':
  main()
