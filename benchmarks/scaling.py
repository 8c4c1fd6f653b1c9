"""Measures what training on several devices costs, and that it is the same.

  python benchmarks/scaling.py

Trains DCGAN, SNGAN, BigGAN, and SNGAN with a class loss that compares the batch,
all of width 16 on images of 8 x 8, with 8 images on each device: on 1 and on 8
emulated CPU devices, and on 4 in each of two processes, which take turns. All
share the cores of this machine, so ideal scaling keeps the CPU seconds per image
constant, not the time. The parameters after three steps are compared with those
of one device that has all of the images. What GPUs send:
benchmarks/gpu_collectives.py. Takes about five minutes on two cores.
"""

import argparse
import concurrent.futures
import functools
import os
import socket
import sys
import tempfile
from typing import Any

import jax
import numpy as np
import turns

from configs import biggan_cifar10, cifar10, sngan_cifar10
from gan_jax import distributed, experiment
from gan_jax.data import ArraySource
from gan_jax.distributed import devices as devices_lib
from gan_jax.distributed import multihost, xla_setup

STEPS = 2  # per turn
COMPARED = 3  # steps after which parameters are compared
WIDTH, EXAMPLES, SIDE = 16, 1000, 8


def make_dcgan() -> Any:
  """Returns the config of a DCGAN."""
  return cifar10.get_config()


def make_sngan() -> Any:
  """Returns the config of a conditional SNGAN."""
  return sngan_cifar10.get_config('conditional')


def make_reacgan() -> Any:
  """Returns the same with ReACGAN's loss, which compares the batch."""
  config = make_sngan()
  config.class_conditioning = 'none'
  config.penalties.reacgan.weight = 0.5
  config.penalties.reacgan_generator.weight = 0.5
  return config


NETWORKS = {
  'DCGAN': make_dcgan,
  'SNGAN': make_sngan,
  'BigGAN': biggan_cifar10.get_config,
  'SNGAN, ReACGAN': make_reacgan,
}


def make_experiment(name: str, per_device: int) -> experiment.Experiment:
  """Builds a network on noise, for the devices of all processes.

  Args:
    name: key of NETWORKS.
    per_device: images on each device.
  """
  config = NETWORKS[name]()
  config.batch_size = per_device * jax.device_count()
  config.d_steps, config.schedules = 1, ''
  # Adam would turn the rounding of gradients near 0 into whole steps.
  for optimizer in (config.d_optimizer, config.g_optimizer):
    optimizer.update(name='sgd', learning_rate=0.01)
  for player in (config.generator, config.discriminator):
    for network in (player.dcgan, player.sngan, player.biggan):
      network.width = WIDTH
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (EXAMPLES, SIDE, SIDE, 3), np.uint8)
  labels = np.arange(EXAMPLES) % 10
  return experiment.build(config, train=ArraySource(images, labels))


def parameters(state: Any) -> list[np.ndarray]:
  """Returns the parameters of both players."""
  own = jax.device_get(devices_lib.addressable_state(state))
  return jax.tree.leaves((own.generator.params, own.discriminator.params))


def save_parameters(
  path: str, before: list[np.ndarray], after: list[np.ndarray]
) -> None:
  """Writes parameters before and after some steps."""
  arrays = {'before': before, 'after': after}
  np.savez(
    path,
    **{
      f'{k}_{i}': x for k, found in arrays.items() for i, x in enumerate(found)
    },
  )


def prepare_step(built: experiment.Experiment):
  """Compiles the step.

  Args:
    built: the experiment.

  Returns:
    Facts for the parent process, and a function that takes some steps, and
    saves the parameters.
  """
  placed = built.parallel_train_step()
  state, key = placed.put(built.init_state()), placed.put(built.key)
  before = parameters(state)
  with built.batches(put=placed.put_batch) as batches:
    batch = next(batches)

  def work(steps: int, save: str) -> None:
    nonlocal state
    for _ in range(steps):
      state, _ = placed.step(state, batch, key)
    jax.block_until_ready(state)
    if save and multihost.is_chief():
      save_parameters(save, before, parameters(state))

  return {'devices': len(built.devices)}, work


class Job:
  """Processes that train one GAN together, each with some emulated devices."""

  def __init__(self, name: str, per_device: int, devices: int, processes: int):
    """Starts the processes, and waits until they have compiled.

    Args:
      name: key of NETWORKS.
      per_device: images on each device.
      devices: devices of each process.
      processes: number of processes.
    """
    self.devices, self.processes = devices * processes, processes
    self.images = per_device * self.devices
    with socket.socket() as found:
      found.bind(('localhost', 0))
      port = found.getsockname()[1]
    arguments = [
      *('--serve', '--network', name, '--per_device', str(per_device)),
      *('--processes', str(processes), '--port', str(port)),
    ]
    start = lambda number: turns.Worker(
      *(sys.executable, 'scaling.py', *arguments, '--process', str(number)),
      JAX_NUM_CPU_DEVICES=str(devices),
      JAX_PLATFORMS='cpu',
    )
    # Each waits for the others before it answers.
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
      self.workers = list(pool.map(start, range(processes)))

  def run(self, steps: int, save: str = '') -> turns.Spent:
    """Takes steps; returns their wall seconds, and CPU seconds of all.

    Args:
      steps: number of steps.
      save: npz to write the parameters to after them; '' for none.
    """
    for worker in self.workers:
      worker.send(steps=steps, save=save)
    spent = [turns.Spent(**worker.receive()) for worker in self.workers]
    return turns.Spent(max(s.wall for s in spent), sum(s.cpu for s in spent))

  def close(self) -> None:
    """Ends the processes."""
    with concurrent.futures.ThreadPoolExecutor(self.processes) as pool:
      list(pool.map(turns.Worker.close, self.workers))


def largest_difference(first: str, second: str) -> float:
  """Returns the largest difference of a parameter, over the largest change.

  One by one they would not do: biases before batch norm have gradients of 0, and
  change by rounding alone.

  Args:
    first: npz of parameters, 'after_...' and 'before_...' the steps.
    second: another one.
  """
  difference = change = 0.0
  with np.load(first) as a, np.load(second) as b:
    for name in (name for name in a if name.startswith('after')):
      before = a[name.replace('after', 'before')]
      change = max(change, float(np.abs(a[name] - before).max()))
      difference = max(difference, float(np.abs(a[name] - b[name]).max()))
  return difference / change


def scaling_rows(name: str, options) -> list[list]:
  """Measures one network on one device, on several, and in two processes."""
  most, per_device = options.devices, options.per_device
  layouts = {
    'weak, 1 device': (per_device, 1, 1),
    'all images on 1 device': (per_device * most, 1, 1),
    f'{most} devices': (per_device, most, 1),
    f'2 processes of {most // 2} devices': (per_device, most // 2, 2),
  }
  jobs = {key: Job(name, *layout) for key, layout in layouts.items()}
  with tempfile.TemporaryDirectory() as directory:
    paths = {key: f'{directory}/{i}.npz' for i, key in enumerate(jobs)}
    for key, job in jobs.items():
      job.run(COMPARED, paths[key])
    reference = paths['all images on 1 device']
    differences = {
      key: largest_difference(reference, paths[key])
      for key, job in jobs.items()
      if job.devices > 1
    }
  contenders = {
    key: functools.partial(job.run, steps=STEPS) for key, job in jobs.items()
  }
  medians = turns.take_turns(contenders, options.rounds)
  for job in jobs.values():
    job.close()
  first = medians['weak, 1 device'].cpu / (STEPS * per_device)
  rows = []
  for key, job in jobs.items():
    spent = medians[key].per(STEPS * job.images)
    rows.append(
      [
        f'{name}, {key.removeprefix("weak, ")}',
        f'{job.images:,}',
        1e3 * spent.wall,
        1e3 * spent.cpu,
        spent.cpu / first,
        f'{differences[key]:.0e}' if key in differences else None,
      ]
    )
  return rows


def scaling_table(options) -> str:
  """Measures weak scaling, and returns its table."""
  rows = [
    row for name in options.networks for row in scaling_rows(name, options)
  ]
  header = (
    'network, layout',
    'images / step',
    'wall ms / image',
    'CPU ms / image',
    'CPU, this / 1 device',
    f'difference after {COMPARED} steps',
  )
  return turns.table(header, rows)


def serve(options) -> None:
  """Serves the requests of the parent process."""
  xla_setup.configure_cpu()
  if options.processes > 1:
    # Collectives of several processes print lines of their own.
    sys.stdout = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    distributed.initialize(
      f'localhost:{options.port}', options.processes, options.process
    )
  built = make_experiment(options.network, options.per_device)
  turns.serve(*prepare_step(built))


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.parser(__doc__, rounds=4)
  parser.add_argument(
    '--devices', type=int, default=8, help='emulated devices, an even number'
  )
  parser.add_argument(
    '--per_device', type=int, default=8, help='images per device'
  )
  parser.add_argument(
    '--networks', nargs='*', choices=NETWORKS, default=list(NETWORKS)
  )
  for name in ('--processes', '--process', '--port'):
    parser.add_argument(name, type=int, default=1, help=argparse.SUPPRESS)
  parser.add_argument('--network', default='', help=argparse.SUPPRESS)
  parser.add_argument('--serve', action='store_true', help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.serve:
    return serve(options)
  print(turns.machine(), flush=True)
  print(f'\n{scaling_table(options)}')


if __name__ == '__main__':
  main()
