"""Times the toy of Dive into Deep Learning: one run, 64 at once, PyTorch.

  python benchmarks/toy.py --torch_python=PATH

Runs configs/d2l_gaussian.py unchanged: a linear generator, a discriminator of
2-5-3-1 with tanh, batch 8, Adam. The contenders take turns; each row is the
median over the rounds, without compilation. PyTorch runs D2L's loop without its
data loader, on one thread in its own process, with default and fused Adam.
Ratios are to the faster of the two, in wall time and per CPU second of all
threads. 64 loops one after the other process as many examples per second as
one. Takes about a minute.
"""

import functools

import fused
import turns

from configs import d2l_gaussian
from gan_jax import experiment
from gan_jax.distributed import xla_setup
from gan_jax.training import ensemble

STEPS = 5_000  # per call
CALLS = 20  # per turn of one run
UNFUSED_STEPS = 1_000


def config(steps_per_call: int) -> dict:
  """Returns the toy's config for one device.

  Args:
    steps_per_call: train steps per call of the program.
  """
  mapping = d2l_gaussian.get_config().to_dict()
  return mapping | {'steps_per_call': steps_per_call, 'num_devices': 1}


def make_contenders(
  members: int, backend: str, torch: turns.Worker | None
) -> tuple[dict, dict[str, int]]:
  """Compiles everything.

  Args:
    members: number of runs in the ensemble.
    backend: 'vmap' or 'map', how its runs become one program; '' for the
      default.
    torch: PyTorch's side, if there is one.

  Returns:
    The contenders, and the number of examples that each reads in a turn.
  """
  one = fused.Fused(experiment.build(config(STEPS)), STEPS)
  unfused = fused.Fused(experiment.build(config(1)), 1)
  members_config = config(STEPS) | {
    'ensemble': {'seeds': members},
    'num_devices': 0,
  }
  many = fused.Fused(
    experiment.build_ensemble(members_config), STEPS, backend=backend
  )
  batch = config(1)['batch_size']
  contenders = {
    'gan_jax, one run': functools.partial(one.run, CALLS),
    'gan_jax, one step per call': functools.partial(unfused.run, UNFUSED_STEPS),
    f'gan_jax, {members} members as one program': many.run,
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
  """Formats the results as Markdown."""
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
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=7)
  parser.add_argument(
    '--members', type=int, default=64, help='size of ensemble'
  )
  parser.add_argument(
    '--backend',
    default='',
    choices=('', *ensemble.BACKENDS),
    help='how members become one program',
  )
  options = parser.parse_args()
  xla_setup.configure_cpu(members=True)
  with turns.start_torch(options.torch_python, 'toy_torch.py') as torch:
    print(turns.machine(torch))
    contenders, examples = make_contenders(
      options.members, options.backend, torch
    )
    medians = turns.take_turns(contenders, options.rounds)
  print(f'\n{table(medians, examples)}')


if __name__ == '__main__':
  main()
