"""Times one train step of SNGAN and BigGAN for 32 pixels, and in PyTorch.

  python benchmarks/residual_step.py
  python benchmarks/residual_step.py --torch_python=PATH   torch from elsewhere
  python benchmarks/residual_step.py --dtype=bfloat16 --steps=50   on a GPU

SNGAN's networks are the authors', without classes. BigGAN's are those of the
author's script for CIFAR-10: 10 classes, scales and shifts by class in G,
projection in D, spectral norm in both. A step is one D step and one G step with
hinge losses, Adam, real and fake as two batches of D, and the EMA of G, on
images of 32 x 32 x 3, batch 64. The contenders take turns, a step at a time;
each row is the median over the rounds. PyTorch runs in its own process, in one
thread as well: on shared cores its threads spend more CPU time waiting for one
another than working. CPU seconds are those of all threads. A ratio above 1
means less CPU time than PyTorch's fastest row. On a GPU, PyTorch runs channels
last, eager and compiled, a turn is --steps steps, and the ratio is of wall
times. Takes about ten minutes on two cores; with --short the networks have a
quarter of the channels, and the batch 16.
"""

import functools
import itertools
import json
import os
from typing import Any, Callable

import fused
import jax
import jax.numpy as jnp
import turns

from gan_jax import losses, networks, training
from gan_jax.distributed import xla_setup
from gan_jax.models import biggan, sngan
from gan_jax.training import optimizers

LAYOUTS = ('contiguous', 'channels_last')
THREADS = {1: 'one thread', 0: 'all threads'}
SHAPE, LATENT_DIM = (32, 32, 3), 128
HPARAMS = {
  'g_learning_rate': 2e-4,
  'd_learning_rate': 2e-4,
  'ema_decay': 0.999,
} | {
  f'{player}_{name}': value
  for player in 'gd'
  for name, value in (
    optimizers.hparam_defaults('adam') | {'b1': 0.0, 'b2': 0.9}
  ).items()
}


def make_sizes(short: bool) -> dict[str, dict[str, int]]:
  """Returns name -> sizes of the networks, also for PyTorch.

  Args:
    short: whether to take small ones.
  """
  width, batch = (16, 16) if short else (64, 64)
  common = dict(batch=batch, latent_dim=LATENT_DIM, g_channels=4 * width)
  return {
    'SNGAN': common | dict(d_channels=2 * width, g_spectral=0, classes=0),
    'BigGAN': common | dict(d_channels=4 * width, g_spectral=1, classes=10),
  }


def make_gan(name: str, sizes: dict[str, int], dtype: str) -> training.GAN:
  """Builds a GAN of the given sizes."""
  options: dict[str, Any] = dict(
    width=sizes['g_channels'] // 4,
    classes=sizes['classes'],
    dtype=jnp.dtype(dtype),
  )
  module, g_options = sngan, {}
  if name == 'BigGAN':
    module, g_options = biggan, dict(hierarchical=False, shared_dim=0)
  return training.GAN(
    generator=networks.from_linen(
      module.Generator(shape=SHAPE, **options, **g_options)
    ),
    discriminator=networks.from_linen(module.Discriminator(**options)),
    loss=losses.LOSSES['hinge'],
    latent_dim=LATENT_DIM,
    g_optimizer=optimizers.from_hparams('adam', 'g'),
    d_optimizer=optimizers.from_hparams('adam', 'd'),
  )


class Program:
  """A compiled train step and its state.

  Attributes:
    state: train state; each call of `run` continues from it.
  """

  def __init__(self, name: str, sizes: dict[str, int], options: Any):
    gan, self._key = make_gan(name, sizes, options.dtype), jax.random.key(0)
    self._steps = options.steps
    # Noise instead of images: their content does not change the time.
    images = jax.random.uniform(
      jax.random.key(1), (sizes['batch'], *SHAPE), minval=-1
    )
    batch = {'x': images}
    if sizes['classes']:
      batch['label'] = jnp.arange(sizes['batch']) % sizes['classes']
    init = lambda key: training.init_state(gan, key, batch, HPARAMS)
    self.state = jax.jit(init)(jax.random.key(2))
    self._batch = jax.tree.map(lambda x: x[None], batch)
    step = jax.jit(training.make_train_step(gan), donate_argnums=0)
    lowered = step.lower(self.state, self._batch, self._key)
    self._step = lowered.compile()

  def run(self) -> turns.Spent:
    """Times a turn."""

    def work():
      for _ in range(self._steps):
        self.state, _ = self._step(self.state, self._batch, self._key)
      jax.block_until_ready(self.state)

    return turns.timed(work)


def torch_contenders(
  name: str, torch: turns.Worker, steps: int
) -> dict[str, Callable[[], turns.Spent]]:
  """Returns the contenders in PyTorch, on its device."""
  options = {
    f'{layout}, {THREADS[threads]}': (layout, threads, False)
    for layout, threads in itertools.product(LAYOUTS, THREADS)
  }
  if torch.info['device'] == 'cuda':
    options = {
      'eager': ('channels_last', 0, False),
      'compiled': ('channels_last', 0, True),
    }
  return {
    f'{name}, PyTorch, {title}': functools.partial(
      torch.run,
      name=name,
      layout=layout,
      threads=threads,
      compiled=compiled,
      steps=steps,
    )
    for title, (layout, threads, compiled) in options.items()
  }


def make_contenders(
  every_size: dict[str, dict[str, int]],
  torch: turns.Worker | None,
  options: Any,
) -> dict[str, Callable[[], turns.Spent]]:
  """Returns all contenders: the programs and, if it is there, PyTorch."""
  contenders = {}
  for name, sizes in every_size.items():
    program = Program(name, sizes, options)
    counts = {'gan_jax': fused.num_parameters(program.state)}
    contenders[f'{name}, gan_jax'] = program.run
    if torch is not None:
      counts['PyTorch'] = torch.info['parameters'][name]
      contenders |= torch_contenders(name, torch, options.steps)
    turns.check_sizes(counts)
  return contenders


def table(
  medians: dict[str, turns.Spent],
  every_size: dict[str, dict[str, int]],
  steps: int,
) -> str:
  """Formats the results as Markdown."""
  on_cpu = jax.default_backend() == 'cpu'
  cost = lambda spent: spent.cpu if on_cpu else spent.wall
  rows = []
  for title, spent in medians.items():
    name = title.split(',')[0]
    best = turns.fastest(medians, f'{name}, PyTorch')
    batch = every_size[name]['batch']
    rows.append(
      [
        title,
        1e3 * spent.wall / steps,
        1e3 * spent.cpu / steps / batch,
        batch * steps / spent.wall,
        best and cost(best) / cost(spent),
      ]
    )
  header = [
    *('', 'wall ms / step', 'CPU ms / image', 'images / s'),
    'PyTorch / this',
  ]
  return turns.table(header, rows)


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=4)
  parser.add_argument(
    '--short', action='store_true', help='small networks and batches'
  )
  parser.add_argument(
    '--dtype', choices=('float32', 'bfloat16'), default='float32'
  )
  parser.add_argument('--steps', type=int, default=1, help='steps per turn')
  options = parser.parse_args()
  # By default JAX takes three quarters of a GPU's memory.
  os.environ.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '0.4')
  xla_setup.keep_freed_memory()  # as train.py does
  xla_setup.configure_cpu()
  every_size = make_sizes(options.short)
  with turns.start_torch(
    options.torch_python,
    'residual_torch.py',
    json.dumps(every_size),
    options.dtype,
  ) as torch:
    print(f'{jax.devices()[0].device_kind}; {turns.machine(torch)}')
    contenders = make_contenders(every_size, torch, options)
    medians = turns.take_turns(contenders, options.rounds)
  print(f'\n{table(medians, every_size, options.steps)}')


if __name__ == '__main__':
  main()
