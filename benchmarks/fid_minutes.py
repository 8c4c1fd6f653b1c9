"""Trains on CIFAR-10 for some minutes and saves samples on the way, for FID.

  python benchmarks/fid_minutes.py --out=DIR --minutes=6
  python benchmarks/fid_minutes.py --out=DIR --images=cifar10.npz
  python benchmarks/fid_minutes.py --out=DIR --random --minutes=0.1 --width=8   a trial

The config is configs/sngan_cifar10.py at half the width, in bfloat16, with a
batch of 128 and an exponential moving average. The images are those of
TensorFlow Datasets, or `x_train` (uint8, `[N, 32, 32, 3]`) of an .npz file, and
stay on the device. Samples are saved after each of --marks parts of the time,
10,000 each as uint8, with the minutes of training in their name; sampling does
not count as training. Afterwards, where Inception's weights are,

  python evaluate.py --samples=DIR/minute_3.0.npz --data=configs/cifar10.py --metrics=fid --num_samples=10000

scores each of them, beside the baseline of real images.
"""

import pathlib
import time

import fused
import jax
import numpy as np
import turns

from configs import sngan_cifar10
from gan_jax import data, experiment, pixels, sampling
from gan_jax.data import ArraySource
from gan_jax.sampling import standing_stats


def read_images(options) -> np.ndarray:
  """Returns the training images, `[N, 32, 32, 3]` uint8."""
  if options.random:
    shape = (1024, 32, 32, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  if options.images:
    return np.load(options.images)['x_train']
  spec = {'name': 'tfds', 'dataset': 'cifar10', 'size': 32, 'channels': 3}
  source = data.make_source(spec, 'train')
  return source[np.arange(len(source))]['x']


def make_experiment(options) -> experiment.Experiment:
  """Builds the experiment."""
  config = sngan_cifar10.get_config()
  for player in (config.generator, config.discriminator):
    player.sngan.width = options.width
  config.update(
    batch_size=options.batch,
    compute_dtype=options.dtype,
    steps_per_call=options.steps,
    d_steps=options.d_steps,
    ema_decay=0.999,
    schedules='',
    num_devices=1,
  )
  return experiment.build(config, train=ArraySource(read_images(options)))


def main() -> None:
  """Trains, and saves samples."""
  parser = turns.parser(__doc__, rounds=1)
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--images', default='', help='.npz file with x_train')
  parser.add_argument('--random', action='store_true', help='noise as images')
  parser.add_argument('--minutes', type=float, default=6.0)
  parser.add_argument('--marks', type=int, default=4)
  parser.add_argument('--samples', type=int, default=10_000)
  parser.add_argument('--width', type=int, default=32)
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--d_steps', type=int, default=5)
  parser.add_argument('--steps', type=int, default=50, help='steps a call')
  parser.add_argument('--dtype', default='bfloat16')
  options = parser.parse_args()
  options.out.mkdir(parents=True, exist_ok=True)
  built = make_experiment(options)
  started = time.perf_counter()
  program = fused.Fused(built, options.steps)
  seconds = time.perf_counter() - started
  print(f'{jax.devices()[0].device_kind}; first call after {seconds:.1f} s')
  draw = sampling.make_sampler(built.gan)
  spent = 0.0
  for mark in range(1, options.marks + 1):
    while spent < 60 * options.minutes * mark / options.marks:
      spent += program.run().wall
    weights = standing_stats.evaluation_weights(built.gan, program.state.ema)
    x = pixels.to_uint8(draw(weights, options.samples, batch_size=500))
    steps = int(program.state.step)
    path = options.out / f'minute_{spent / 60:.1f}.npz'
    np.savez(path, samples=x)
    speed = steps * options.batch / spent
    print(f'{path}: step {steps}, {speed:.0f} images of G / s', flush=True)


if __name__ == '__main__':
  main()
