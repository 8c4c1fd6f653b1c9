"""Times DCGAN on an accelerator: gan_jax, PyTorch, and the roofline.

  python benchmarks/gpu.py --torch_python=PATH
  python benchmarks/gpu.py --allow_cpu --width=8 --batch=8 --steps=2   a trial

Covers 32 and 64 pixels in float32 and bfloat16, with batch norm in both
networks, Adam and the EMA, on resident images. gan_jax runs its fused program;
PyTorch runs eager and compiled, in its own process. The contenders take turns;
rows are medians over the rounds, without compilation. If JAX finds no
accelerator, the benchmark prints one line and measures nothing.
"""

import functools
import json
import os

import fused
import jax
import numpy as np
import turns

from configs import common, folder
from gan_jax import experiment
from gan_jax.data import ArraySource
from gan_jax.experiment import cost

# Published dense peaks in TFLOP/s: bfloat16, and TF32, which both sides use for
# float32. Keys are parts of jax.Device.device_kind; the first match counts.
PEAKS = {
  'H200': (989, 494),
  'H100 PCIe': (756, 378),
  'H100': (989, 494),
  'A100': (312, 156),
  'L4': (121, 60),
}
EXAMPLES = 4096
LATENT_DIM = 100
EAGER, COMPILED = 'PyTorch, eager', 'PyTorch, compiled'


def make_experiment(size: int, dtype: str, options) -> experiment.Experiment:
  """Builds DCGAN on random images, as on the PyTorch side.

  Args:
    size: side of the images in pixels.
    dtype: 'float32' or 'bfloat16'.
    options: command-line options.
  """
  config = folder.get_config()
  common.dcgan(config, width=options.width, d_norm='batch', r1=0.0)
  mapping = config.to_dict() | {
    'batch_size': options.batch,
    'latent_dim': LATENT_DIM,
    'compute_dtype': dtype,
    'num_devices': 1,
    'steps_per_call': options.steps,
  }
  shape = (EXAMPLES, size, size, 3)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  return experiment.build(mapping, train=ArraySource(images))


def find_peak(kind: str, dtype: str, given: float) -> float | None:
  """Returns the peak in TFLOP/s, or None for an unknown device.

  Args:
    kind: JAX's device kind.
    dtype: 'float32' or 'bfloat16'.
    given: peak to return instead, if it is above 0.
  """
  if given:
    return given
  for name, peaks in PEAKS.items():
    if name in kind:
      return peaks[dtype == 'float32']
  return None


def start_torch(size: int, dtype: str, options):
  """Starts PyTorch's side of one experiment, as a context manager."""
  sizes = {
    'size': size,
    'width': options.width,
    'batch': options.batch,
    'latent_dim': LATENT_DIM,
    'examples': EXAMPLES,
  }
  return turns.start_torch(
    options.torch_python, 'gpu_torch.py', json.dumps(sizes), dtype
  )


def compare(
  ours: fused.Fused, torch: turns.Worker | None, options
) -> dict[str, turns.Spent]:
  """Returns the seconds per step of the fused program and of PyTorch.

  Args:
    ours: the fused program.
    torch: PyTorch's side, if there is one.
    options: command-line options.

  Raises:
    RuntimeError: if JAX sees an accelerator and PyTorch does not.
  """
  parameters = {'gan_jax': fused.num_parameters(ours.state)}
  contenders = {'gan_jax': ours.run}
  if torch is not None:
    if torch.info['device'] == 'cpu' and jax.default_backend() != 'cpu':
      raise RuntimeError(
        f'PyTorch {torch.info["version"]} sees no GPU: name a Python whose '
        'PyTorch does with --torch_python=PATH'
      )
    parameters['PyTorch'] = torch.info['parameters']
    for name, compiled in {EAGER: False, COMPILED: True}.items():
      contenders[name] = functools.partial(
        torch.run, compiled=compiled, steps=options.steps
      )
  turns.check_sizes(parameters)
  medians = turns.take_turns(contenders, options.rounds)
  return {name: s.per(options.steps) for name, s in medians.items()}


def measure(size: int, dtype: str, options) -> list[list]:
  """Returns the rows of one experiment."""
  dcgan = make_experiment(size, dtype, options)
  with start_torch(size, dtype, options) as torch:
    steps = compare(fused.Fused(dcgan, options.steps), torch, options)
  flops = cost.count_flops(cost.lower_train_step(dcgan))
  kind = jax.devices()[0].device_kind
  peak = find_peak(kind, dtype, options.peak_tflops)
  eager, compiled = steps.get(EAGER), steps.get(COMPILED)
  rows = []
  for name, spent in steps.items():
    speed = flops / spent.wall / 1e12
    rows.append(
      [
        f'DCGAN-{size}, {dtype}, {name}',
        options.batch / spent.wall,
        eager and eager.wall / spent.wall,
        compiled and compiled.wall / spent.wall,
        speed,
        peak and 100 * speed / peak,
      ]
    )
  return rows


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=7)
  parser.add_argument('--batch', type=int, default=64)
  parser.add_argument('--width', type=int, default=64)
  parser.add_argument('--steps', type=int, default=100, help='steps per turn')
  parser.add_argument('--sizes', type=int, nargs='*', default=[32, 64])
  parser.add_argument(
    '--peak_tflops', type=float, default=0.0, help='peak of your device'
  )
  parser.add_argument(
    '--allow_cpu', action='store_true', help='runs on a CPU too'
  )
  options = parser.parse_args()
  # By default JAX takes three quarters of the memory and leaves too little.
  os.environ.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '0.4')
  device = jax.devices()[0]
  if device.platform == 'cpu' and not options.allow_cpu:
    print('No accelerator: JAX finds only a CPU, so nothing was measured.')
    return
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
    'TFLOP/s',
    '% of peak',
  )
  print('\n' + turns.table(header, rows))


if __name__ == '__main__':
  main()
