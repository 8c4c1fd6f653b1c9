"""Times one DCGAN train step: gan_jax, plain Flax and PyTorch, in one table.

  python benchmarks/dcgan_step.py
  python benchmarks/dcgan_step.py --torch_python=PATH   torch from elsewhere

A step is one D step and one G step with non-saturating cross-entropy, Adam,
batch norm in both networks, real and fake as two batches of D, and the EMA of
G, on images of 32 x 32 x 3 at width 64, batch 64 and 100 latents. The
contenders take turns, STEPS steps at a time; each row is the median over the
rounds. PyTorch runs in its own process. CPU seconds are those of all threads,
so they measure the cost of a step even if cores are shared. A ratio above 1
means less CPU time than PyTorch's faster memory layout, or than the loop of the
same networks. A row of several members gives the time of one. Takes about six
minutes on two cores; --short leaves out the slow rows.
"""

import functools
import json
from typing import Callable
from unittest import mock

import dcgan_flax
import flax.linen as nn
import fused
import jax
import jax.numpy as jnp
import turns
from optax import global_norm

from gan_jax import distributed, losses, networks, training
from gan_jax.distributed import devices, xla_setup
from gan_jax.layers import convolution
from gan_jax.models import dcgan
from gan_jax.training import gan as gan_lib
from gan_jax.training import optimizers

SIZES = {'batch': 64, 'latent_dim': 100, 'width': 64, 'size': 32}
SHAPE = (SIZES['size'], SIZES['size'], 3)
STEPS = 5  # per turn: the length of the scan and of the loop
MEMBERS = 4
HPARAMS = {
  'g_learning_rate': 2e-4,
  'd_learning_rate': 2e-4,
  'ema_decay': 0.999,
} | {
  f'{player}_{name}': value
  for player in 'gd'
  for name, value in optimizers.hparam_defaults('adam').items()
}
TOLERANCE = 1e-3  # rounding can flip a leaky ReLU whose input is almost 0
SLOW = 'plain Flax, in a scan'  # a hundred times slower: one cold round


def make_gan(generator: nn.Module, discriminator: nn.Module) -> training.GAN:
  """Builds the GAN that all contenders train."""
  return training.GAN(
    generator=networks.from_linen(generator),
    discriminator=networks.from_linen(discriminator),
    loss=losses.LOSSES['non_saturating'],
    latent_dim=SIZES['latent_dim'],
    g_optimizer=optimizers.from_hparams('adam', 'g'),
    d_optimizer=optimizers.from_hparams('adam', 'd'),
  )


class Program:
  """A compiled train step, or a scan of several, and its state.

  Attributes:
    state: train state; each call of `run` continues from it.
  """

  def __init__(self, gan: training.GAN, variant: str = 'loop'):
    """Compiles a step.

    Args:
      gan: GAN to train.
      variant: 'loop'; 'xla', a loop with XLA's gradients of convolutions;
        'scan', all steps in one call; 'members', a vmap over several GANs;
        'pmap' on one device.
    """
    self.members = MEMBERS if variant == 'members' else 1
    self.calls = 1 if variant == 'scan' else STEPS
    self.key = jax.random.key(0)
    # Noise instead of images: their content does not change the time.
    images = jax.random.uniform(self.key, (SIZES['batch'], *SHAPE), minval=-1)
    self.batch = {'x': images[None]}
    init = lambda key: training.init_state(gan, key, {'x': images}, HPARAMS)
    axis_name = devices.AXIS_NAME if variant == 'pmap' else None
    step = training.make_train_step(gan, axis_name=axis_name)

    def scan(state, batch, key):
      body = lambda state, _: step(state, batch, key)
      return jax.lax.scan(body, state, length=STEPS)

    program = {
      'scan': scan,
      'members': jax.vmap(step, in_axes=(0, None, 0)),
    }.get(variant, step)
    if variant == 'members':
      init = jax.vmap(init)
      self.key = jax.random.split(self.key, MEMBERS)
    self.state = jax.jit(init)(self.key)
    if variant == 'pmap':
      mapped = distributed.parallelize_step(step, devices.local_devices(1))
      self.state, self.key = mapped.put((self.state, self.key))
      self.batch = mapped.put_batch(self.batch)
      self._step = mapped.step
      return
    choose = convolution.uses_own_gradients
    if variant == 'xla':
      choose = lambda _: False
    with mock.patch.object(convolution, 'uses_own_gradients', choose):
      lowered = jax.jit(program, donate_argnums=0).lower(
        self.state, self.batch, self.key
      )
    self._step = lowered.compile()

  def __call__(self) -> gan_lib.Metrics:
    """Calls the compiled program once, and returns its metrics."""
    self.state, metrics = self._step(self.state, self.batch, self.key)
    return metrics

  def run(self) -> turns.Spent:
    """Times STEPS steps; of several members, returns the time of one."""

    def work():
      for _ in range(self.calls):
        self()
      jax.block_until_ready(self.state)

    return turns.timed(work).per(self.members)

  def num_parameters(self) -> int:
    """Returns the number of parameters of both networks of one member."""
    return fused.num_parameters(self.state) // self.members


def check_gradients(ours: Program, xla: Program) -> None:
  """Checks that steps with either kind of gradients agree up to rounding.

  Args:
    ours: program with the library's gradients of convolutions.
    xla: program with XLA's.

  Raises:
    AssertionError: if a metric differs by a tenth of TOLERANCE, or the moments
      of D's optimizer by TOLERANCE of their norm.
  """
  metrics = jax.tree.map(lambda a, b: jnp.abs(a - b), ours(), xla())
  moments = [p.state.discriminator.opt_state for p in (ours, xla)]
  difference = jax.tree.map(lambda a, b: 1.0 * (a - b), *moments)
  gradient = global_norm(difference) / global_norm(moments[1])
  text = {n: f'{x:.0e}' for n, x in {**metrics, 'gradient': gradient}.items()}
  assert max(*metrics.values(), 0.1 * gradient) < TOLERANCE / 10, text
  print(f"difference between own gradients and XLA's after one step: {text}")


def make_programs(short: bool) -> dict[str, Program]:
  """Compiles the train steps in JAX, and checks that they agree.

  Args:
    short: whether to leave out the slow programs.
  """
  ours = make_gan(
    dcgan.Generator(shape=SHAPE, width=SIZES['width']),
    dcgan.Discriminator(width=SIZES['width']),
  )
  programs = {
    'gan_jax': Program(ours),
    'gan_jax, in a scan': Program(ours, 'scan'),
    'gan_jax, pmap on one device': Program(ours, 'pmap'),
    f'gan_jax, {MEMBERS} members by vmap': Program(ours, 'members'),
  }
  if short:
    return programs
  plain = make_gan(
    dcgan_flax.Generator(SIZES['width'], SHAPE[-1]),
    dcgan_flax.Discriminator(SIZES['width']),
  )
  programs |= {
    "gan_jax, XLA's gradients": Program(ours, 'xla'),
    'plain Flax': Program(plain),
    SLOW: Program(plain, 'scan'),
  }
  check_gradients(programs['gan_jax'], programs["gan_jax, XLA's gradients"])
  return programs


def make_contenders(
  programs: dict[str, Program], torch: turns.Worker | None
) -> dict[str, Callable[[], turns.Spent]]:
  """Returns all contenders: the programs and, if it is there, PyTorch."""
  counts = {name: p.num_parameters() for name, p in programs.items()}
  contenders = {name: p.run for name, p in programs.items()}
  if torch is not None:
    counts['PyTorch'] = torch.info['parameters']
    for layout in ('contiguous', 'channels_last'):
      contenders[f'PyTorch, {layout}'] = functools.partial(
        torch.run, layout=layout, steps=STEPS
      )
  turns.check_sizes(counts)
  return contenders


def table(medians: dict[str, turns.Spent]) -> str:
  """Formats the results as Markdown."""
  each = {name: spent.per(STEPS) for name, spent in medians.items()}
  best = turns.fastest(each, 'PyTorch')
  header = ['', 'wall ms / step', 'CPU ms / image']
  rows = []
  for name, spent in each.items():
    loop = each.get(name.split(',')[0], spent)
    rows.append(
      [
        name,
        1e3 * spent.wall,
        1e3 * spent.cpu / SIZES['batch'],
        best and best.cpu / spent.cpu,
        loop.cpu / spent.cpu if loop is not spent else None,
      ]
    )
  return turns.table([*header, 'PyTorch / this', 'loop / this'], rows)


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=9)
  parser.add_argument(
    '--short', action='store_true', help='leaves out plain Flax'
  )
  options = parser.parse_args()
  xla_setup.keep_freed_memory()  # as train.py does
  xla_setup.configure_cpu()
  with turns.start_torch(
    options.torch_python, 'dcgan_torch.py', json.dumps(SIZES)
  ) as torch:
    print(turns.machine(torch))
    contenders = make_contenders(make_programs(options.short), torch)
    medians = turns.take_turns(contenders, options.rounds, once=[SLOW])
  print(f'\n{table(medians)}')


if __name__ == '__main__':
  main()
