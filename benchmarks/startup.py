"""Measures start-up: imports, and train.py with and without compiled programs.

  python benchmarks/startup.py

Times imports of gan_jax and of jax, flax and optax, each in its own process
from start to end. Then times `train.py` on the digits for one step with an
empty compilation cache (GAN_JAX_CACHE), and again with the cache of the first
run: from the start of the process to the line 'first step after', and to the
end with its images and scores. Everything takes turns; rows are medians over
the rounds. Takes about five minutes on two cores.
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

COMPARISON = 'import jax, flax, optax'
FIRST_STEP = 'first step after'


def run_process(command: list[str]) -> turns.Spent:
  """Times a process from its start to its end.

  Args:
    command: command line of the process.

  Raises:
    subprocess.CalledProcessError: if it fails.
  """
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
  """Returns code with the imports of gan_jax that train.py performs.

  They are read from commands/train.py and runner/launch.py, including those inside
  functions.
  """
  statements = []
  for path in ('gan_jax/commands/train.py', 'gan_jax/runner/launch.py'):
    for node in ast.walk(ast.parse((turns.ROOT / path).read_text())):
      is_from = isinstance(node, ast.ImportFrom)
      if is_from and node.module.startswith('gan_jax'):
        statements.append(ast.unparse(node))
  return '; '.join(dict.fromkeys(statements))


def import_table(rounds: int) -> str:
  """Times the imports.

  Args:
    rounds: number of rounds; the first is a warm-up.
  """
  codes = {
    'Python alone': 'pass',
    f'`{COMPARISON}`': COMPARISON,
    '`import gan_jax`': 'import gan_jax',
    'imports of a custom train step': (
      'from gan_jax import losses, networks, training; '
      'from gan_jax.models import dcgan'
    ),
    'imports of `train.py`': train_imports(),
  }

  def start(code):
    return lambda: run_process([sys.executable, '-c', code])

  medians = turns.take_turns({n: start(c) for n, c in codes.items()}, rounds)
  base = medians[f'`{COMPARISON}`']
  rows = [
    [name, spent.wall, spent.cpu, spent.wall / base.wall, spent.cpu / base.cpu]
    for name, spent in medians.items()
  ]
  header = ('', 'seconds', 'CPU seconds', 'this / jax, flax, optax', 'CPU')
  return turns.table(header, rows)


class Start(NamedTuple):
  """Times of one run of train.py.

  Attributes:
    first_step: seconds until its first step was done.
    end: seconds until its end.
  """

  first_step: float
  end: float


def train_once(cache: pathlib.Path, workdir: pathlib.Path) -> Start:
  """Runs train.py on the digits for one step.

  Args:
    cache: directory of compiled programs.
    workdir: new directory for the run.

  Raises:
    subprocess.CalledProcessError: if it fails.
    RuntimeError: if it does not print when the first step was done.
  """
  command = [
    *(sys.executable, '-u', 'train.py', '--config=configs/digits.py'),
    *('--config.num_steps=1', f'--workdir={workdir}'),
  ]
  environment = os.environ | {'GAN_JAX_CACHE': str(cache)}
  environment.pop('JAX_COMPILATION_CACHE_DIR', None)  # takes precedence
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
  """Times first and second starts; each round begins with an empty cache.

  Args:
    rounds: number of rounds; all of them count.
  """
  starts: dict[str, list[Start]] = {'empty': [], 'from an earlier run': []}
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
    'compilation cache',
    'seconds to the first step',
    'seconds to the end',
    'this / empty, first step',
  )
  return turns.table(header, rows)


def main() -> None:
  """Measures, and prints the tables."""
  parser = turns.parser(__doc__, rounds=8)
  parser.add_argument(
    '--starts', type=int, default=5, help='starts of train.py'
  )
  options = parser.parse_args()
  print(turns.machine())
  print(f'\nImports:\n\n{import_table(options.rounds)}')
  if options.starts:
    print(f'\nStarts of `train.py`:\n\n{start_table(options.starts)}')


if __name__ == '__main__':
  main()
