"""Weak scaling over emulated devices, and what it says of many real ones.

  python benchmarks/scaling.py

DCGAN-32, the same number of images on each of 1, 2, 4 and 8 CPU devices, each
number in a process of its own; these take turns. All devices share the cores
of this machine, so that what can stay flat is not the time but the CPU seconds
of an image. Then the bytes that the compiled pmap step all-reduces, and an
estimate, not a measurement, for 8 to 1,024 accelerators. Takes about six
minutes on two cores.
"""

import functools
import re
import sys
from typing import NamedTuple

import jax
import numpy as np
import turns

from configs import cifar10, folder
from gan_jax import experiment
from gan_jax.data import ArraySource
from gan_jax.distributed import xla_setup
from gan_jax.experiment import cost

STEPS = 2  # of a turn
COUNTS = (8, 64, 256, 1024)  # accelerators of the estimate
UTILISATION = 0.3  # of the peak: assumed
LATENCY = 20e-6  # seconds of an all-reduce beside its bytes: assumed
BATCH = 64  # images on each accelerator of the estimate
_BITS = re.compile(r'\b(?:f|bf|s|u)(\d+)\[([\d,]*)\]')
_REDUCES = re.compile(r'= (.*?) all-reduce(?:-start)?\(')


class Link(NamedTuple):
  """An accelerator and what joins it to others, as published.

  Attributes:
    name: of both.
    fewest: accelerators for which it is taken.
    most: likewise.
    bytes_per_second: that one accelerator can send.
    peak: floating-point operations per second, dense, in bfloat16.
  """

  name: str
  fewest: int
  most: int
  bytes_per_second: float
  peak: float


# Sources: docs/scaling.md.
LINKS = (
  Link('H100, NVLink 4', 2, 8, 450e9, 989e12),
  Link('H100, InfiniBand NDR', 9, 1024, 50e9, 989e12),
  Link('TPU v5p, one axis of ICI', 2, 1024, 200e9, 459e12),
)


def make_experiment(
  size: int, per_device: int, width: int = 64
) -> experiment.Experiment:
  """configs/cifar10.py or folder.py on noise, for the devices that there are.

  Args:
    size: 32 or 64.
    per_device: images on each device.
    width: of both networks.
  """
  config = {32: cifar10, 64: folder}[size].get_config()
  mapping = config.to_dict()
  mapping['batch_size'] = count = per_device * jax.local_device_count()
  for player in ('generator', 'discriminator'):
    mapping[player]['width'] = width
  shape = (count, size, size, 3)
  noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  return experiment.build(mapping, train=ArraySource(noise))


def count_reduced(text: str) -> tuple[int, int]:
  """All-reduces of a program and their bytes.

  Args:
    text: compiled HLO.

  Returns:
    How many operations, and the bytes of all their operands.
  """
  found = _REDUCES.findall(text)
  total = 0
  for shapes in found:
    for bits, sizes in _BITS.findall(shapes):
      numbers = [int(n) for n in sizes.split(',') if n]
      total += int(bits) // 8 * int(np.prod(numbers, dtype=np.int64))
  return len(found), total


def measure_step(built: experiment.Experiment):
  """Compiles the pmap step.

  Returns:
    What the parent wants to know, and a function that takes some steps.
  """
  placed = built.parallel_train_step()
  state, key = placed.put(built.init_state()), placed.put(built.key)
  with built.batches(put=placed.put_batch) as batches:
    batch = next(batches)
  bound = getattr(placed.step, 'args', ())  # pmap's: the devices' numbers
  step = getattr(placed.step, 'func', placed.step)
  compiled = step.lower(*bound, state, batch, key).compile()
  operations, reduced = count_reduced(compiled.as_text())
  size = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  players = (state.generator, state.discriminator)
  about = {
    'devices': len(built.devices),
    'operations': operations,
    'reduced': reduced,
    'parameters': size([p.params for p in players]),
    'statistics': size([p.batch_stats for p in players]),
    'flops': flops_per_image(built),
  }

  def work(steps: int) -> None:
    nonlocal state
    for _ in range(steps):
      state, _ = placed.step(state, batch, key)
    jax.block_until_ready(state)

  return about, work


def flops_per_image(built: experiment.Experiment) -> float:
  """Operations of a train step by XLA's count, for each image of a device."""
  share = built.config.batch_size // len(built.devices)
  return cost.count_flops(cost.lower_train_step(built)) / share


def start(devices: int, *arguments: str) -> turns.Peer:
  """This file again, in a process that has so many devices."""
  return turns.Peer(
    *(sys.executable, 'scaling.py', '--serve', *arguments),
    JAX_NUM_CPU_DEVICES=str(devices),
    JAX_PLATFORMS='cpu',
  )


def scaling_table(options) -> str:
  """Measures weak scaling."""
  per_device = ('--per_device', str(options.per_device))
  size = ('--width', str(options.width))
  peers = {n: start(n, *per_device, *size) for n in options.devices}
  run = lambda peer: functools.partial(peer.run, steps=STEPS)
  contenders = {n: run(peer) for n, peer in peers.items()}
  for contender in contenders.values():
    contender()
  medians = turns.take_turns(contenders, options.rounds)
  for peer in peers.values():
    peer.close()
  rows, first = [], None
  for n, spent in medians.items():
    images = STEPS * n * options.per_device
    wall, cpu = 1e3 * spent.wall / images, 1e3 * spent.cpu / images
    first = first or cpu
    rows.append([n, n * options.per_device, wall, cpu, cpu / first])
  header = (
    'devices',
    'images / step',
    'wall ms / image',
    'CPU ms / image',
    'CPU, this / first',
  )
  return turns.table(header, rows)


def count_networks(width: int) -> dict[str, dict]:
  """What the pmap step on two devices all-reduces, by network."""
  found = {}
  for size in (32, 64):
    sizes = ('--size', str(size), '--width', str(width), '--per_device', '4')
    with start(2, *sizes) as peer:
      found[f'DCGAN-{size}'] = peer.about
  return found


def bytes_table(found: dict[str, dict]) -> str:
  """What is reduced, beside the sizes of the networks."""
  rows = [
    [
      name,
      *(f'{about[k]:,}' for k in ('parameters', 'statistics', 'operations')),
      f'{about["reduced"]:,}',
      about['reduced'] / (4 * about['parameters']),
      about['flops'] / 1e9,
    ]
    for name, about in found.items()
  ]
  header = (
    'both networks',
    'parameters',
    'statistics',
    'all-reduces / step',
    'bytes / step',
    'bytes / (4 x parameters)',
    'GFLOP / image',
  )
  return turns.table(header, rows)


def estimate_table(found: dict[str, dict]) -> str:
  """The estimate for many accelerators; see docs/scaling.md."""
  rows = []
  for name, about in found.items():
    for count in COUNTS:
      for link in LINKS:
        if not link.fewest <= count <= link.most:
          continue
        compute = BATCH * about['flops'] / (link.peak * UTILISATION)
        sent = 2 * (count - 1) / count * about['reduced']
        moved = sent / link.bytes_per_second
        waits = about['operations'] * LATENCY
        cells = [compute, moved, waits]
        share = compute / sum(cells)
        rows.append(
          [f'{name}, {count:,} x {link.name}', *(1e3 * x for x in cells)]
          + [100 * share]
        )
  header = (
    'estimate',
    'computing, ms',
    'sending, ms',
    'latency, ms',
    'efficiency, %',
  )
  return turns.table(header, rows)


def serve(options) -> None:
  """The work of one process."""
  xla_setup.configure_cpu()
  built = make_experiment(options.size, options.per_device, options.width)
  turns.serve(*measure_step(built))


def main() -> None:
  """Measures and prints."""
  parser = turns.parser(__doc__, rounds=4)
  parser.add_argument('--devices', type=int, nargs='*', default=[1, 2, 4, 8])
  parser.add_argument('--per_device', type=int, default=16, help='images')
  parser.add_argument('--width', type=int, default=64, help='of DCGAN')
  parser.add_argument('--size', type=int, default=32, help='of --serve')
  parser.add_argument('--serve', action='store_true', help='for itself')
  options = parser.parse_args()
  if options.serve:
    return serve(options)
  print(turns.machine())
  print(f'\nMeasured:\n\n{scaling_table(options)}')
  found = count_networks(options.width)
  print(f'\nCounted in the compiled step:\n\n{bytes_table(found)}')
  print(
    f'\nEstimated, not measured ({BATCH} images on each, '
    f'{UTILISATION:.0%} of the bfloat16 peak, {1e6 * LATENCY:.0f} us for each '
    f'all-reduce):\n\n{estimate_table(found)}'
  )


if __name__ == '__main__':
  main()
