"""Measures weak scaling over emulated devices, and estimates it for real ones.

  python benchmarks/scaling.py

Trains DCGAN-32 with the same number of images on each of 1, 2, 4 and 8 CPU
devices. Each number of devices has its own process; the processes take turns.
All devices share the cores of this machine, so ideal scaling keeps the CPU
seconds per image constant, not the time. Then counts the bytes that the
compiled pmap step all-reduces, and estimates (without measuring) the efficiency
of 8 to 1,024 accelerators. Takes about six minutes on two cores.
"""

import argparse
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

STEPS = 2  # per turn
COUNTS = (8, 64, 256, 1024)  # accelerators in the estimate
UTILIZATION = 0.3  # assumed share of the peak
LATENCY = 20e-6  # assumed seconds per all-reduce, in addition to its bytes
BATCH = 64  # images per accelerator in the estimate
_BITS = re.compile(r'\b(?:f|bf|s|u)(\d+)\[([\d,]*)\]')
_REDUCES = re.compile(r'= (.*?) all-reduce(?:-start)?\(')


class Link(NamedTuple):
  """Published speeds of an accelerator and its interconnect.

  Attributes:
    name: name of both.
    fewest: smallest number of accelerators to estimate.
    most: largest number of accelerators to estimate.
    bytes_per_second: bytes that one accelerator can send per second.
    peak: dense bfloat16 floating-point operations per second.
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
  """Builds configs/cifar10.py or folder.py on noise, for all local devices.

  Args:
    size: side of the images in pixels, 32 or 64.
    per_device: images on each device.
    width: width of both networks.
  """
  config = {32: cifar10, 64: folder}[size].get_config()
  config.batch_size = count = per_device * jax.local_device_count()
  for player in (config.generator, config.discriminator):
    player.dcgan.width = width
  shape = (count, size, size, 3)
  noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  return experiment.build(config, train=ArraySource(noise))


def count_reduced(text: str) -> tuple[int, int]:
  """Counts the all-reduces of a program, and the bytes of their operands.

  Args:
    text: compiled HLO.
  """
  found = _REDUCES.findall(text)
  total = 0
  for shapes in found:
    for bits, sizes in _BITS.findall(shapes):
      numbers = [int(n) for n in sizes.split(',') if n]
      total += int(bits) // 8 * int(np.prod(numbers, dtype=np.int64))
  return len(found), total


def measure_step(dcgan: experiment.Experiment):
  """Compiles the pmap step.

  Args:
    dcgan: the experiment.

  Returns:
    Facts for the parent process, and a function that takes some steps.
  """
  placed = dcgan.parallel_train_step()
  state, key = placed.put(dcgan.init_state()), placed.put(dcgan.key)
  with dcgan.batches(put=placed.put_batch) as batches:
    batch = next(batches)
  bound = getattr(placed.step, 'args', ())  # pmap's: the devices' numbers
  step = getattr(placed.step, 'func', placed.step)
  compiled = step.lower(*bound, state, batch, key).compile()
  operations, reduced = count_reduced(compiled.as_text())
  size = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  players = (state.generator, state.discriminator)
  info = {
    'devices': len(dcgan.devices),
    'operations': operations,
    'reduced': reduced,
    'parameters': size([p.params for p in players]),
    'statistics': size([p.batch_stats for p in players]),
    'flops': flops_per_image(dcgan),
  }

  def work(steps: int) -> None:
    nonlocal state
    for _ in range(steps):
      state, _ = placed.step(state, batch, key)
    jax.block_until_ready(state)

  return info, work


def flops_per_image(dcgan: experiment.Experiment) -> float:
  """Returns a train step's operations per image, as XLA counts them."""
  share = dcgan.config.batch_size // len(dcgan.devices)
  return cost.count_flops(cost.lower_train_step(dcgan)) / share


def start(devices: int, *arguments: str) -> turns.Worker:
  """Starts this file in a process with a given number of devices."""
  return turns.Worker(
    *(sys.executable, 'scaling.py', '--serve', *arguments),
    JAX_NUM_CPU_DEVICES=str(devices),
    JAX_PLATFORMS='cpu',
  )


def scaling_table(options) -> str:
  """Measures weak scaling, and returns its table."""
  per_device = ('--per_device', str(options.per_device))
  size = ('--width', str(options.width))
  workers = {n: start(n, *per_device, *size) for n in options.devices}
  run = lambda worker: functools.partial(worker.run, steps=STEPS)
  contenders = {n: run(worker) for n, worker in workers.items()}
  for contender in contenders.values():
    contender()
  medians = turns.take_turns(contenders, options.rounds)
  for worker in workers.values():
    worker.close()
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
  """Counts what the pmap step on two devices all-reduces, by network."""
  found = {}
  for size in (32, 64):
    sizes = ('--size', str(size), '--width', str(width), '--per_device', '4')
    with start(2, *sizes) as worker:
      found[f'DCGAN-{size}'] = worker.info
  return found


def bytes_table(found: dict[str, dict]) -> str:
  """Formats the counts and the sizes of the networks."""
  rows = [
    [
      name,
      *(f'{info[k]:,}' for k in ('parameters', 'statistics', 'operations')),
      f'{info["reduced"]:,}',
      info['reduced'] / (4 * info['parameters']),
      info['flops'] / 1e9,
    ]
    for name, info in found.items()
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
  """Estimates the efficiency of many accelerators; see docs/scaling.md."""
  rows = []
  for name, info in found.items():
    for count in COUNTS:
      for link in LINKS:
        if not link.fewest <= count <= link.most:
          continue
        compute = BATCH * info['flops'] / (link.peak * UTILIZATION)
        sent = 2 * (count - 1) / count * info['reduced']
        moved = sent / link.bytes_per_second
        waits = info['operations'] * LATENCY
        cells = [compute, moved, waits]
        share = compute / sum(cells)
        rows.append(
          [f'{name}, {count:,} x {link.name}', *(1e3 * x for x in cells)]
          + [100 * share]
        )
  header = (
    'estimate',
    'compute, ms',
    'transfer, ms',
    'latency, ms',
    'efficiency, %',
  )
  return turns.table(header, rows)


def serve(options) -> None:
  """Serves the requests of the parent process."""
  xla_setup.configure_cpu()
  dcgan = make_experiment(options.size, options.per_device, options.width)
  turns.serve(*measure_step(dcgan))


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.parser(__doc__, rounds=4)
  parser.add_argument('--devices', type=int, nargs='*', default=[1, 2, 4, 8])
  parser.add_argument(
    '--per_device', type=int, default=16, help='images per device'
  )
  parser.add_argument('--width', type=int, default=64, help='width of DCGAN')
  parser.add_argument('--size', type=int, default=32, help=argparse.SUPPRESS)
  parser.add_argument('--serve', action='store_true', help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.serve:
    return serve(options)
  print(turns.machine())
  print(f'\nMeasured:\n\n{scaling_table(options)}')
  found = count_networks(options.width)
  print(f'\nCounted in the compiled step:\n\n{bytes_table(found)}')
  print(
    f'\nEstimated, not measured ({BATCH} images per accelerator, '
    f'{UTILIZATION:.0%} of the bfloat16 peak, {1e6 * LATENCY:.0f} us per '
    f'all-reduce):\n\n{estimate_table(found)}'
  )


if __name__ == '__main__':
  main()
