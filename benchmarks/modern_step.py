"""Times one train step of StyleGAN2, R3GAN, FastGAN and WaveGAN, and in PyTorch.

  python benchmarks/modern_step.py
  python benchmarks/modern_step.py --torch_python=PATH   torch from elsewhere
  python benchmarks/modern_step.py --dtype=bfloat16 --steps=50   on a GPU

A step is one D step and one G step with the loss and the penalties of the
network's configs, at every step, Adam, real and fake as two batches of D, and
the EMA of G. Images have 32 x 32 x 3 pixels and sounds 8,192 samples:

* StyleGAN2 for CIFAR-10 (plain discriminator, two layers of mapping) with 64
  channels, non-saturating loss and R1, batch 16;
* R3GAN of width 64, groups of 16 and one block a stage, relativistic pairing
  loss, R1 and R2, batch 16;
* FastGAN, hinge loss and a decoder, the same generated images for both players,
  batch 8;
* WaveGAN of width 16, non-saturating loss and R1, phase shuffle, batch 16.

PyTorch runs in a process for each way to write a network: both memory layouts
of images, and StyleGAN2's modulated convolution with one kernel per example, as
the authors', or by scaled activations. It gets the weights of gan_jax, and must
compute the same images and losses, without noise. The contenders take turns;
each row is the median over the rounds. CPU seconds are those of all threads.
PyTorch runs in one thread, and then its fastest way in all: on shared cores its
threads spend more CPU time waiting for one another than working. A ratio above 1 means less CPU time than PyTorch's
fastest row. Peak memory is that of the process in its first steps, less that
after its imports; in gan_jax a part of it is what compiling leaves behind, and
the buffers of a step, with the state, are given separately. On a GPU, PyTorch
runs channels last, eager and compiled, the ratio is of wall times, and memory
is that of the device. Takes less than ten minutes on two cores; with --short
the networks are small, and the batch is 4.
"""

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
from typing import Any

import turns

WAYS = {0: 'scaled activations', 1: 'a kernel per example'}
NAMES = ('StyleGAN2', 'R3GAN', 'FastGAN', 'WaveGAN')
TOLERANCE = 1e-3  # rounding can flip a leaky ReLU whose input is almost 0


def make_sizes(name: str, short: bool) -> dict[str, Any]:
  """Returns the sizes of a network, also for PyTorch.

  Args:
    name: name of the network.
    short: whether to take small ones.
  """
  # What each network has in addition to this.
  own = {
    'StyleGAN2': dict(penalty=0.01),
    'R3GAN': dict(penalty=0.1),
    'FastGAN': dict(batch=8, spectral=1, same_latents=1),
    'WaveGAN': dict(shape=[1, 8192], width=16, latent_dim=100, phase_shuffle=1),
  }
  sizes = dict(
    shape=[3, 32, 32],
    batch=16,
    width=64,
    latent_dim=64,
    spectral=0,
    same_latents=0,
    phase_shuffle=0,
    penalty=1.0,
  )
  sizes |= own[name]
  if short:
    sizes |= dict(batch=4, width=sizes['width'] // 4)
  return sizes


def torch_ways(name: str, dtype: str, on_gpu: bool) -> dict[str, dict]:
  """Returns the ways to write a network in PyTorch, by title."""
  layouts = ['contiguous', 'channels_last']
  kernels, compiled = [0], [False]
  if on_gpu:
    layouts, compiled = layouts[1:], [False, True]
  if name == 'StyleGAN2':
    kernels = list(WAYS)
  if name == 'WaveGAN':  # sound has one layout
    layouts = layouts[:1]
  ways = {}
  for layout, way, compile_ in itertools.product(layouts, kernels, compiled):
    words = [WAYS[way]] * (len(kernels) > 1)
    words += [layout] * (len(layouts) > 1)
    words += ['compiled' if compile_ else 'eager'] * on_gpu
    ways[', '.join(['PyTorch', *words])] = dict(
      layout=layout, scales_kernels=way, compiled=compile_, dtype=dtype
    )
  return ways


class Contender:
  """A process, and one way to run its steps.

  Attributes:
    worker: the process.
  """

  def __init__(self, worker: turns.Worker, **request: int):
    self.worker, self._request = worker, request

  def run(self) -> turns.Spent:
    """Runs a turn."""
    return self.worker.run(**self._request)


def check(name: str, ours: turns.Worker, torch: turns.Worker) -> None:
  """Checks that both sides are the same networks.

  Raises:
    AssertionError: if sizes or outputs differ.
  """
  sides = {'gan_jax': ours, 'PyTorch': torch}
  turns.check_sizes({side: w.info['parameters'] for side, w in sides.items()})
  difference = torch.info['difference']
  if not difference <= TOLERANCE:
    raise AssertionError(
      f'{name}: relative difference {difference:.1e} between the outputs of '
      f'PyTorch and gan_jax: must be at most {TOLERANCE}'
    )


def start(
  name: str, options: argparse.Namespace, processes: contextlib.ExitStack
) -> dict[str, Contender]:
  """Starts all processes of a network, and returns its contenders."""
  sizes, steps = make_sizes(name, options.short), options.steps
  directory = processes.enter_context(tempfile.TemporaryDirectory())
  ours = turns.Worker(
    sys.executable,
    'modern_jax.py',
    *(name, json.dumps(sizes), options.dtype, directory),
    XLA_PYTHON_CLIENT_PREALLOCATE='false',
  )
  processes.enter_context(ours)
  contenders = {
    'gan_jax': Contender(ours, steps=1, calls=steps),
    'gan_jax, in a scan': Contender(ours, steps=steps, calls=1),
  }
  if not turns.has_torch(options.torch_python):
    return contenders
  on_gpu = ours.info['device'] != 'cpu'
  for title, way in torch_ways(name, options.dtype, on_gpu).items():
    arguments = name, json.dumps(way | {'sizes': sizes}), directory
    torch = turns.start_torch(
      options.torch_python, 'modern_torch.py', *arguments
    )
    torch = processes.enter_context(torch)
    check(name, ours, torch)
    threads = 0 if on_gpu else 1
    contenders[title] = Contender(torch, threads=threads, steps=steps)
  return contenders


def measure(
  contenders: dict[str, Contender], options: argparse.Namespace
) -> dict[str, turns.Spent]:
  """Measures contenders, and PyTorch's fastest with all threads in addition.

  Args:
    contenders: contenders by title; that of all threads is added.
    options: options of the program.

  Returns:
    Seconds of a step of each.
  """
  runs = {title: contender.run for title, contender in contenders.items()}
  found = turns.take_turns(runs, options.rounds)
  torch = {t: found[t].cpu for t in found if t.startswith('PyTorch')}
  if torch and is_on_cpu(contenders):
    best = min(torch, key=torch.get)
    title = f'{best}, all threads'
    contenders[title] = Contender(
      contenders[best].worker, threads=0, steps=options.steps
    )
    again = {title: contenders[title].run}
    found |= turns.take_turns(again, options.rounds)
  return {title: spent.per(options.steps) for title, spent in found.items()}


def is_on_cpu(contenders: dict[str, Contender]) -> bool:
  """Returns whether the contenders run on the processor."""
  return contenders['gan_jax'].worker.info['device'] == 'cpu'


def make_rows(
  name: str,
  contenders: dict[str, Contender],
  steps: dict[str, turns.Spent],
  batch: int,
) -> list[list]:
  """Returns the rows of a network in the table.

  Args:
    name: name of the network.
    contenders: contenders by title.
    steps: title -> seconds of a step.
    batch: number of examples in a batch.
  """
  on_cpu, rows = is_on_cpu(contenders), []
  cost = lambda spent: spent.cpu if on_cpu else spent.wall
  best = turns.fastest(steps, 'PyTorch')
  for title, spent in steps.items():
    info = contenders[title].worker.info
    rows.append(
      [
        f'{name}, {title}',
        1e3 * spent.wall,
        1e3 * spent.cpu / batch,
        batch / spent.wall,
        info['peak_mib'],
        info.get('buffers_mib'),
        best and cost(best) / cost(spent),
      ]
    )
  return rows


def describe(contenders: dict[str, Contender]) -> str:
  """Describes the device, the processor and the versions on one line."""
  workers = [contender.worker for contender in contenders.values()]
  torch = workers[-1] if 'version' in workers[-1].info else None
  return f'{workers[0].info["device"]}; {turns.machine(torch)}'


def parse() -> argparse.Namespace:
  """Parses the options."""
  parser = turns.torch_parser(__doc__, rounds=4)
  parser.add_argument('--only', nargs='*', choices=NAMES, default=NAMES)
  parser.add_argument(
    '--short', action='store_true', help='small networks and batches'
  )
  parser.add_argument(
    '--dtype', choices=('float32', 'bfloat16'), default='float32'
  )
  parser.add_argument('--steps', type=int, default=2, help='steps per turn')
  options = parser.parse_args()
  if options.steps < 2:
    parser.error(f'--steps={options.steps}: must be at least 2, for the scan')
  return options


def main() -> None:
  """Measures, and prints a table."""
  options, rows = parse(), []
  for name in options.only:
    print(name, file=sys.stderr, flush=True)
    with contextlib.ExitStack() as processes:
      contenders = start(name, options, processes)
      if not rows:
        print(describe(contenders), flush=True)
      steps = measure(contenders, options)
      batch = make_sizes(name, options.short)['batch']
      rows += make_rows(name, contenders, steps, batch)
  header = [
    *('', 'wall ms / step', 'CPU ms / image', 'images / s'),
    *('peak MiB', 'buffers MiB', 'PyTorch / this'),
  ]
  print(f'\n{turns.table(header, rows)}')


if __name__ == '__main__':
  main()
