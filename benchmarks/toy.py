"""Times the toy of Dive into Deep Learning: one run, 64 at once, PyTorch.

  python benchmarks/toy.py --torch_python=PATH

configs/d2l_gaussian.py as it stands: a linear G, a D of 2-5-3-1 with tanh,
batch 8, Adam. The contenders take turns; a row is the median over the rounds,
without compilation. PyTorch is D2L's loop without its data loader, on one
thread in a process of its own, with Adam as it comes and fused; ratios are to
the faster of the two, in wall time and per CPU second of all threads. 64 loops
one after the other have the examples/s of one. Takes about a minute.
"""

import functools

import fused
import turns

from configs import d2l_gaussian
from gan_jax import experiment
from gan_jax.distributed import xla_setup
from gan_jax.training import ensemble

STEPS = 5_000  # of a call
CALLS = 20  # of one run, at a time
UNFUSED_STEPS = 1_000


def settings(steps_per_call: int) -> dict:
  """The toy, with calls of some length, on one device."""
  mapping = d2l_gaussian.get_config().to_dict()
  return mapping | {'steps_per_call': steps_per_call, 'num_devices': 1}


def make_contenders(
  members: int, way: str, torch: turns.Peer | None
) -> tuple[dict, dict[str, int]]:
  """Compiles everything.

  Returns:
    What takes turns, and how many examples each turn of it reads.
  """
  one = fused.Fused(experiment.build(settings(STEPS)), STEPS)
  unfused = fused.Fused(experiment.build(settings(1)), 1)
  several = {'ensemble': {'seeds': members, 'sweep': ''}, 'num_devices': 0}
  ensemble = experiment.build_ensemble(settings(STEPS) | several)
  many = fused.Fused(ensemble, STEPS, way=way)
  batch = settings(1)['batch_size']
  together = f'gan_jax, {members} members as one program'
  contenders = {
    'gan_jax, one run': functools.partial(one.run, CALLS),
    'gan_jax, one step per call': functools.partial(unfused.run, UNFUSED_STEPS),
    together: many.run,
  }
  steps = [CALLS * STEPS, UNFUSED_STEPS, members * STEPS]
  if torch is not None:
    for adam in ('default', 'fused'):
      contenders[f'PyTorch, {adam} Adam'] = functools.partial(
        torch.run, adam=adam, steps=UNFUSED_STEPS
      )
      steps.append(UNFUSED_STEPS)
  return contenders, {n: batch * s for n, s in zip(contenders, steps)}


def table(medians: dict[str, turns.Spent], examples: dict[str, int]) -> str:
  """The results in Markdown."""
  each = {name: spent.per(examples[name]) for name, spent in medians.items()}
  best = turns.fastest(each, 'PyTorch')
  rows = [
    [
      name,
      1 / spent.wall,
      1 / spent.cpu,
      best and best.wall / spent.wall,
      best and best.cpu / spent.cpu,
    ]
    for name, spent in each.items()
  ]
  header = (
    '',
    'examples / s',
    'examples / CPU s',
    'this / PyTorch',
    'this / PyTorch, CPU',
  )
  return turns.table(header, rows)


def main() -> None:
  """Measures and prints."""
  parser = turns.torch_parser(__doc__, rounds=7)
  parser.add_argument('--members', type=int, default=64)
  parser.add_argument(
    '--way', default='', choices=('', *ensemble.BACKENDS), help='of the members'
  )
  options = parser.parse_args()
  xla_setup.configure_cpu(members=True)
  with turns.start_torch(options.torch_python, 'toy_torch.py') as torch:
    print(turns.machine(torch))
    contenders, examples = make_contenders(options.members, options.way, torch)
    medians = turns.take_turns(contenders, options.rounds)
  print(f'\n{table(medians, examples)}')


if __name__ == '__main__':
  main()
