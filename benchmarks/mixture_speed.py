"""Times PacGAN's grid: ten runs as one program, and ten runs in PyTorch.

  python benchmarks/mixture_speed.py --torch_python=PATH

Runs configs/grid.py:pacgan_short unchanged: PacGAN's networks, batch 100. PyTorch
trains its runs one after the other on all cores, or in one single-threaded
process per core; ratios are to the faster of the two. The contenders take
turns; rows are medians over the rounds, without compilation, in wall time and
in CPU seconds of all threads. Takes about three minutes on two cores.
"""

import functools
import json
import os
import sys
import time

import fused
import turns

from configs import grid
from gan_jax import experiment
from gan_jax.distributed import xla_setup
from gan_jax.training import ensemble

STEPS = 20  # of each run, per turn
FEWER = 5  # for threads that may wait very long for one another
ONE_BY_ONE = 'PyTorch, one by one, all cores'


def config(seeds: int) -> dict:
  """Returns the config of an ensemble, or of a run if `seeds` is 1."""
  return grid.get_config('pacgan_short').to_dict() | {
    'ensemble': {'seeds': seeds},
    'steps_per_call': STEPS,
  }


def torch_sizes() -> str:
  """Returns what PyTorch must know of the experiment, as JSON."""
  mapping = config(1)
  data = mapping['data']['grid']
  discriminator = mapping['discriminator']['mlp']
  return json.dumps(
    {
      'batch': mapping['batch_size'],
      'latent_dim': mapping['latent_dim'],
      'g_widths': mapping['generator']['mlp']['features'],
      'd_widths': discriminator['features'],
      'pieces': discriminator['pieces'],
      'data': {n: data[n] for n in ('size', 'side', 'spacing', 'sigma')},
    }
  )


def steps_of(name: str) -> int:
  """Returns the steps that a contender takes per run and turn."""
  return FEWER if name == ONE_BY_ONE else STEPS


def run_in_parallel(workers: list[turns.Worker], steps: int) -> turns.Spent:
  """Times several processes that work at once; CPU seconds are added up."""
  start = time.perf_counter()
  for worker in workers:
    worker.send(steps=steps)
  answers = [worker.receive() for worker in workers]
  wall = time.perf_counter() - start
  return turns.Spent(wall, sum(answer['cpu'] for answer in answers))


def start_workers(python: str, members: int) -> dict[str, list[turns.Worker]]:
  """Starts the processes of each PyTorch contender; none without PyTorch."""
  if not turns.has_torch(python):
    return {}
  cores = os.cpu_count()
  start = lambda threads, runs: turns.Worker(
    *(python or sys.executable, 'mixture_torch.py', torch_sizes()),
    *(str(threads), str(runs)),
  )
  shares = [len(range(core, members, cores)) for core in range(cores)]
  return {
    ONE_BY_ONE: [start(cores, members)],
    f'PyTorch, {cores} single-threaded processes': [
      start(1, runs) for runs in shares if runs
    ],
  }


def make_contenders(
  members: int, backend: str, workers: dict[str, list[turns.Worker]]
) -> dict[str, functools.partial]:
  """Compiles everything, and checks that all networks have the same size.

  Args:
    members: number of runs.
    backend: 'vmap' or 'map', how they become one program; '' for the default.
    workers: processes of each PyTorch contender.
  """
  many = fused.Fused(
    experiment.build_ensemble(config(members)), STEPS, backend=backend
  )
  one = fused.Fused(experiment.build(config(1) | {'num_devices': 1}), STEPS)
  sizes = {'gan_jax': fused.num_parameters(one.state)}
  sizes |= {name: p[0].info['parameters'] for name, p in workers.items()}
  turns.check_sizes(sizes)
  return {
    f'gan_jax, {members} members as one program': many.run,
    f'gan_jax, {members} calls of one run': functools.partial(one.run, members),
  } | {
    name: functools.partial(run_in_parallel, processes, steps_of(name))
    for name, processes in workers.items()
  }


def table(medians: dict[str, turns.Spent], members: int) -> str:
  """Formats the results as Markdown."""
  each = {
    name: spent.per(members * steps_of(name)) for name, spent in medians.items()
  }
  best = turns.fastest(each, 'PyTorch')
  rows = [
    [
      name,
      1 / spent.wall,
      1e3 * spent.cpu,
      best and best.wall / spent.wall,
      best and best.cpu / spent.cpu,
    ]
    for name, spent in each.items()
  ]
  header = (
    '',
    'steps / s, all runs',
    'CPU ms / step',
    'PyTorch / this',
    'PyTorch / this, CPU',
  )
  return turns.table(header, rows)


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=6)
  parser.add_argument('--members', type=int, default=10, help='number of runs')
  parser.add_argument(
    '--backend',
    default='',
    choices=('', *ensemble.BACKENDS),
    help='how members become one program',
  )
  options = parser.parse_args()
  xla_setup.keep_freed_memory()  # as train.py does
  xla_setup.configure_cpu(members=True)
  workers = start_workers(options.torch_python, options.members)
  processes = [process for group in workers.values() for process in group]
  print(turns.machine(processes[0] if processes else None))
  contenders = make_contenders(options.members, options.backend, workers)
  medians = turns.take_turns(contenders, options.rounds)
  print(f'\n{table(medians, options.members)}')
  for process in processes:
    process.close()


if __name__ == '__main__':
  main()
