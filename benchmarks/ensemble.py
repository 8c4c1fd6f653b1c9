"""Times ensembles: a toy's phases by members, and a convolutional network's speed.

  python benchmarks/ensemble.py
  python benchmarks/ensemble.py --members 1 64 512 4096 --networks 1 2 4 8

The first table trains configs/d2l_gaussian.py unchanged, scores and files
included, each number of members in its own process, from the start of Python to
its end: CPU seconds of all threads by phase, seconds of them all, peak memory.
The first round fills the compilation cache and does not count. The second table
trains members of configs/digits.py (DCGAN, 16 x 16) as one program, without
compilation: what all of them do per second, against one. On an accelerator,
pass more members: --networks 1 4 16 64. Takes about five minutes on two cores.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import memory
import turns

PHASES = (
  *('imports', 'building', 'states', 'first step', 'training', 'scores'),
  *('files', 'in all'),
)
MEMBERS = (1, 64, 512, 4096)
NETWORKS = (1, 2, 4, 8)


def train_toys(members: int, directory: str) -> None:
  """Trains toys as train.py does; prints CPU seconds, seconds and MiB.

  Args:
    members: number of members.
    directory: new directory for the ensemble.
  """
  start = time.perf_counter()
  from configs import d2l_gaussian
  from gan_jax import distributed, experiment
  from gan_jax.runner import console, train_ensemble

  marks = []
  mark = lambda: marks.append(time.process_time())

  class Reporter(console.ConsoleReporter):
    def ensemble_header(self, *unused):
      mark()

    def compiled(self, seconds):
      mark()

  class Evaluator(train_ensemble.EnsembleEvaluator):
    def __call__(self, state, step):
      mark()
      scores = super().__call__(state, step)
      mark()
      return scores

  train_ensemble.EnsembleEvaluator = Evaluator
  distributed.configure_jax(members=True, limit_malloc=True)
  mark()
  mapping = d2l_gaussian.get_config().to_dict()
  ensemble = experiment.build_ensemble(
    mapping | {'ensemble': {'seeds': members}}
  )
  mark()
  workdir = pathlib.Path(directory)
  train_ensemble.train_ensemble(
    ensemble, workdir, Reporter(quiet=True), lambda: False
  )
  mark()
  seconds = [after - before for before, after in zip([0, *marks], marks)]
  print(*seconds, marks[-1], time.perf_counter() - start, memory.peak_mib())


def time_toys(members: int) -> list[float]:
  """Returns what `train_toys` prints, from a process of its own."""
  with tempfile.TemporaryDirectory() as scratch:
    command = [sys.executable, __file__, '--toys', str(members), scratch]
    done = subprocess.run(
      command, cwd=turns.ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
  return [float(x) for x in done.stdout.split()]


def toy_table(sizes: list[int], rounds: int) -> str:
  """Times the toy's phases.

  Args:
    sizes: numbers of members.
    rounds: number of rounds; the first is a warm-up.
  """
  found: dict[int, list[list[float]]] = {size: [] for size in sizes}
  for number in range(rounds):
    for size, times in found.items():
      times.append(time_toys(size))
    print(f'toys {number + 1} of {rounds}', file=sys.stderr, flush=True)
  columns = lambda times: zip(*(times[1:] or times))
  rows = [
    [f'{size:,}', *map(statistics.median, columns(times))]
    for size, times in found.items()
  ]
  header = ('members', *PHASES, 'seconds', 'peak MiB')
  return turns.table(header, rows)


def network_table(sizes: list[int], steps: int, rounds: int) -> str:
  """Times train steps of a convolutional network's members.

  Args:
    sizes: numbers of members.
    steps: train steps per turn.
    rounds: number of rounds; the first is a warm-up.
  """
  import fused

  from configs import digits
  from gan_jax import experiment

  def contender(size):
    mapping = digits.get_config().to_dict() | {
      'ensemble': {'seeds': size},
      'steps_per_call': steps,
    }
    return fused.Fused(experiment.build_ensemble(mapping), steps).run

  contenders = {f'{size:,}': contender(size) for size in sizes}
  spent = turns.take_turns(contenders, rounds)
  rate = {n: int(n.replace(',', '')) * steps / spent[n].wall for n in spent}
  first = next(iter(rate.values())) / sizes[0]
  rows = [
    [name, rate[name], rate[name] / first, spent[name].cpu / steps * 1e3]
    for name in spent
  ]
  header = (
    'members',
    'steps/s of all',
    'this / one member',
    'CPU ms a step of all',
  )
  return turns.table(header, rows)


def main() -> None:
  """Measures, and prints the tables."""
  parser = turns.parser(__doc__, rounds=4)
  parser.add_argument('--members', type=int, nargs='*', default=MEMBERS)
  parser.add_argument('--networks', type=int, nargs='*', default=NETWORKS)
  parser.add_argument(
    '--steps', type=int, default=20, help='steps of the networks, per turn'
  )
  parser.add_argument('--toys', nargs=2, help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.toys:
    train_toys(int(options.toys[0]), options.toys[1])
    return
  from gan_jax import distributed

  distributed.configure_jax(members=True)
  print(turns.machine())
  if options.members:
    table = toy_table(options.members, options.rounds)
    print(f'\nToys, CPU seconds by phase:\n\n{table}')
  if options.networks:
    table = network_table(options.networks, options.steps, options.rounds)
    print(f'\nDCGAN, 16 x 16, batch 64:\n\n{table}')


if __name__ == '__main__':
  main()
