"""Times DCGAN on an accelerator: gan_jax beside PyTorch, and the roofline.

  python benchmarks/gpu.py --torch_python=PATH
  python benchmarks/gpu.py --allow_cpu --width=8 --batch=8 --steps=2   a look

32 and 64 pixels, float32 and bfloat16, batch norm in both networks, Adam and
the moving average, on resident images. gan_jax runs its fused program; PyTorch
is eager and compiled, in a process of its own. The contenders take turns; rows
are medians over the rounds, without compilation. Where JAX sees no accelerator
it says so in one line and measures nothing.
"""

import functools
import json
import os

import fused
import jax
import numpy as np
import turns

from configs import common, folder
from gan_jax import dry_run, experiment
from gan_jax.data.arrays import ArraySource

# Peaks as published, dense, TFLOP/s: bfloat16, and TF32 (XLA's and PyTorch's
# float32 here). By part of jax.Device.device_kind; the first that fits.
PEAKS = {
  'H200': (989, 494),
  'H100 PCIe': (756, 378),
  'H100': (989, 494),
  'A100': (312, 156),
  'L4': (121, 60),
}
EXAMPLES = 4096


def make_experiment(size: int, dtype: str, options) -> experiment.Experiment:
  """DCGAN on random images, as the PyTorch side has it."""
  config = folder.get_config()
  common.dcgan(config, width=options.width, d_norm='batch', r1=0.0)
  mapping = config.to_dict() | {
    'batch_size': options.batch,
    'latent_dim': 100,
    'compute_dtype': dtype,
    'num_devices': 1,
    'steps_per_call': options.steps,
  }
  shape = (EXAMPLES, size, size, 3)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  return experiment.build(mapping, train=ArraySource(images))


def find_peak(kind: str, dtype: str, given: float) -> float | None:
  """The peak in TFLOP/s; None for a device that is not known.

  Args:
    kind: of the device, by JAX.
    dtype: 'float32' or 'bfloat16'.
    given: the answer, where it is above 0.
  """
  if given:
    return given
  for name, peaks in PEAKS.items():
    if name in kind:
      return peaks[dtype == 'float32']
  return None


def start_torch(size: int, dtype: str, options) -> turns.Peer | None:
  """PyTorch's side of one experiment."""
  sizes = {
    'size': size,
    'width': options.width,
    'batch': options.batch,
    'latent_dim': 100,
    'examples': EXAMPLES,
  }
  return turns.start_torch(
    options.torch_python, 'gpu_torch.py', json.dumps(sizes), dtype
  )


def measure(size: int, dtype: str, options) -> list[list]:
  """Rows of one experiment."""
  built = make_experiment(size, dtype, options)
  ours = fused.Fused(built, options.steps)
  players = (ours.state.generator.params, ours.state.discriminator.params)
  count = sum(x.size for x in jax.tree.leaves(players))
  contenders = {'gan_jax': ours.run}
  torch = options.torch and start_torch(size, dtype, options)
  if torch:
    if torch.about['parameters'] != count:
      raise AssertionError(f'sizes: {count}, {torch.about["parameters"]}')
    for name, compiled in {'eager': False, 'compiled': True}.items():
      contenders[f'PyTorch, {name}'] = functools.partial(
        torch.run, compiled=compiled, steps=options.steps
      )
  medians = turns.take_turns(contenders, options.rounds)
  if torch:
    torch.close()
  flops = dry_run.count_flops(dry_run.lower(built))
  kind = jax.devices()[0].device_kind
  peak = find_peak(kind, dtype, options.peak_tflops)
  eager, compiled = (
    medians.get(f'PyTorch, {n}') for n in ('eager', 'compiled')
  )
  rows = []
  for name, spent in medians.items():
    rate = options.steps / spent.wall
    speed = rate * flops / 1e12
    rows.append(
      [
        f'DCGAN-{size}, {dtype}, {name}',
        rate * options.batch,
        eager and eager.wall / spent.wall,
        compiled and compiled.wall / spent.wall,
        speed,
        peak and 100 * speed / peak,
      ]
    )
  return rows


def main() -> None:
  """Measures and prints."""
  parser = turns.torch_parser(__doc__, rounds=7)
  parser.add_argument('--batch', type=int, default=64)
  parser.add_argument('--width', type=int, default=64)
  parser.add_argument('--steps', type=int, default=100, help='of a turn')
  parser.add_argument('--sizes', type=int, nargs='*', default=[32, 64])
  parser.add_argument(
    '--peak_tflops', type=float, default=0.0, help='of your device'
  )
  parser.add_argument('--allow_cpu', action='store_true', help='to try it out')
  options = parser.parse_args()
  # JAX takes three quarters of the memory else, and PyTorch has none.
  os.environ.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '0.4')
  device = jax.devices()[0]
  if device.platform == 'cpu' and not options.allow_cpu:
    print('No accelerator: JAX sees a CPU alone; nothing was measured.')
    return
  options.torch = turns.has_torch(options.torch_python)
  print(f'{device.device_kind}; {turns.machine()}')
  rows = []
  for size in options.sizes:
    for dtype in ('float32', 'bfloat16'):
      rows += measure(size, dtype, options)
  header = (
    f'batch {options.batch}, width {options.width}',
    'images / s',
    'eager / this',
    'compiled / this',
    'TFLOP / s',
    '% of the peak',
  )
  print('\n' + turns.table(header, rows))


if __name__ == '__main__':
  main()
