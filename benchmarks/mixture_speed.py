"""Times PacGAN's grid: ten runs as one program beside ten of PyTorch.

  python benchmarks/mixture_speed.py --torch_python=PATH

configs/grid.py:short as it stands, PacGAN's networks, batch 100. PyTorch has
its runs one after the other on all cores, or a process with one thread on
each core at a time; ratios are to the faster of the two. The contenders take
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

STEPS = 20  # of each run, at a time
FEWER = 5  # where threads that wait for one another may take very long
ONE_BY_ONE = 'PyTorch, one by one, all cores'


def settings(seeds: int) -> dict:
  """The experiment as an ensemble, or one run of it."""
  mapping = grid.get_config('short').to_dict()
  several = {'ensemble': {'seeds': seeds, 'sweep': ''}}
  return mapping | several | {'steps_per_call': STEPS}


def torch_sizes() -> str:
  """What PyTorch must know of the experiment."""
  mapping = settings(1)
  data = mapping['data']
  return json.dumps(
    {
      'batch': mapping['batch_size'],
      'latent_dim': mapping['latent_dim'],
      'g_widths': mapping['generator']['features'],
      'd_widths': mapping['discriminator']['features'],
      'pieces': 5,
      'data': {n: data[n] for n in ('size', 'side', 'spacing', 'sigma')},
    }
  )


def steps_of(name: str) -> int:
  """Steps that a contender takes in a turn, in each run."""
  return FEWER if name == ONE_BY_ONE else STEPS


def run_together(peers: list[turns.Peer], steps: int) -> turns.Spent:
  """Work of several processes at once: wall of all, CPU seconds in all."""
  start = time.perf_counter()
  for peer in peers:
    peer.send(steps=steps)
  answers = [peer.receive() for peer in peers]
  wall = time.perf_counter() - start
  return turns.Spent(wall, sum(answer['cpu'] for answer in answers))


def start_peers(python: str, members: int) -> dict[str, list[turns.Peer]]:
  """PyTorch's ways to have ten runs; none where there is no PyTorch."""
  if not turns.has_torch(python):
    return {}
  cores = os.cpu_count()
  start = lambda threads, runs: turns.Peer(
    *(python or sys.executable, 'mixture_torch.py', torch_sizes()),
    *(str(threads), str(runs)),
  )
  shares = [len(range(core, members, cores)) for core in range(cores)]
  return {
    ONE_BY_ONE: [start(cores, members)],
    f'PyTorch, {cores} processes of a thread': [
      start(1, runs) for runs in shares if runs
    ],
  }


def make_contenders(
  members: int, way: str, peers: dict[str, list[turns.Peer]]
) -> dict[str, functools.partial]:
  """Compiles everything, and checks that networks are of one size."""
  many = fused.Fused(
    experiment.build_ensemble(settings(members)), STEPS, way=way
  )
  alone = settings(1) | {'num_devices': 1}
  one = fused.Fused(experiment.build(alone), STEPS)
  sizes = {'gan_jax': fused.num_parameters(one.state)}
  sizes |= {name: p[0].about['parameters'] for name, p in peers.items()}
  turns.check_sizes(sizes)
  return {
    f'gan_jax, {members} members as one program': many.run,
    f'gan_jax, {members} calls of one run': functools.partial(one.run, members),
  } | {
    name: functools.partial(run_together, processes, steps_of(name))
    for name, processes in peers.items()
  }


def table(medians: dict[str, turns.Spent], members: int) -> str:
  """The results in Markdown."""
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
  """Measures and prints."""
  parser = turns.torch_parser(__doc__, rounds=6)
  parser.add_argument('--members', type=int, default=10)
  parser.add_argument(
    '--way', default='', choices=('', *ensemble.BACKENDS), help='of the members'
  )
  options = parser.parse_args()
  xla_setup.configure_cpu(members=True)
  peers = start_peers(options.torch_python, options.members)
  processes = [process for group in peers.values() for process in group]
  print(turns.machine(processes[0] if processes else None))
  contenders = make_contenders(options.members, options.way, peers)
  medians = turns.take_turns(contenders, options.rounds)
  print(f'\n{table(medians, options.members)}')
  for process in processes:
    process.close()


if __name__ == '__main__':
  main()
