"""Measures whether the input pipeline keeps up with training.

  python benchmarks/feed.py

Streamed: trains configs/folder.py (DCGAN-64, at a width that a CPU can run) on
a folder of JPEGs that the benchmark writes, without keeping any in memory. It
measures the share of time for which the train step waits for data (data_wait in
metrics.jsonl), and the throughput of the pipeline alone. Resident: trains the
networks of configs/digits.py on 60,000 images of 32 x 32, whose batches the
program gathers on the device. It compares a step with the same step on a
constant batch; the two take turns. Takes about two minutes on two cores.
"""

import functools
import os
import pathlib
import tempfile

import fused
import jax
import numpy as np
import turns
from PIL import Image

from configs import digits, folder
from gan_jax import distributed, experiment, training
from gan_jax.data import ArraySource
from gan_jax.distributed import xla_setup
from gan_jax.runner import pacing

BATCH = 64
CALL = 10  # steps per call on resident examples


def write_images(directory: pathlib.Path, count: int, size: int) -> int:
  """Writes smooth random images as JPEGs, and returns their total bytes.

  Args:
    directory: directory to write to.
    count: number of images.
    size: side of the images in pixels.
  """
  rng, total = np.random.default_rng(0), 0
  for number in range(count):
    coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    path = directory / f'{number:06d}.jpg'
    image.save(path, quality=90)
    total += path.stat().st_size
  return total


def folder_experiment(
  directory: pathlib.Path, width: int, steps: int
) -> experiment.Experiment:
  """Builds configs/folder.py without keeping any image in memory.

  Args:
    directory: directory of the images.
    width: width of DCGAN.
    steps: number of train steps.
  """
  config = folder.get_config()
  config.data.folder.update(path=str(directory), memory_mb=0)
  for player in (config.generator, config.discriminator):
    player.dcgan.width = width
  config.update(batch_size=BATCH, num_steps=steps, resident_mb=0)
  return experiment.build(config)


def train(
  streamed: experiment.Experiment,
) -> tuple[turns.Spent, float, int]:
  """Trains as train.py does, without writing files.

  Args:
    streamed: the experiment.

  Returns:
    The time after the first call, the seconds of it in which the device waited
    for data, and the number of steps taken in it.
  """
  program = streamed.program()
  pacer = pacing.CallPacer(streamed.config, program.max_steps)
  state = program.put(streamed.init_state())
  streams = program.put(streamed.streams)
  step, total = 0, streamed.config.num_steps

  with program.feed(0) as feed:

    def call():
      nonlocal state, step
      examples, count = feed.take(step, pacer.count(step), pacer.wait)
      state, metrics = program.run(state, examples, streams, np.int32(count))
      pacer.dispatched(count, metrics)
      step += count

    call()  # compiles
    pacer.wait()
    first, waited = step, feed.waited

    def work():
      while step < total:
        call()
      pacer.wait()

    spent = turns.timed(work)
    return spent, feed.waited - waited, total - first


def time_pipeline(streamed: experiment.Experiment, batches: int) -> turns.Spent:
  """Times the reading of batches, without training.

  Args:
    streamed: the experiment.
    batches: number of batches to read.
  """
  with streamed.batches() as pipeline:
    next(pipeline)
    return turns.timed(lambda: [next(pipeline) for _ in range(batches)])


def streamed_rows(count: int, width: int, steps: int) -> list[list]:
  """Measures streaming from a folder; returns rows of names and values.

  Args:
    count: number of JPEGs.
    width: width of DCGAN-64.
    steps: number of train steps.
  """
  with tempfile.TemporaryDirectory() as scratch:
    directory = pathlib.Path(scratch)
    size = write_images(directory, count, 64) / count
    streamed = folder_experiment(directory, width, steps)
    spent, waited, taken = train(streamed)
    batches = max(10, len(streamed.train) // BATCH)
    alone = time_pipeline(streamed, batches)
  images, cores = BATCH * batches, os.cpu_count()
  return [
    [f'{count:,} JPEGs of 64 x 64: bytes per image', float(size)],
    [
      f'training DCGAN-64 of width {width}, images / s',
      taken * BATCH / spent.wall,
    ],
    ['waiting for data, % of the time', 100 * waited / spent.wall],
    ['pipeline alone, images / s', images / alone.wall],
    [
      f'pipeline alone, images / s per core, {cores} cores',
      images / alone.wall / cores,
    ],
    ['pipeline alone, images / CPU s', images / alone.cpu],
  ]


def resident_rows(rounds: int) -> list[list]:
  """Measures the cost of gathering on the device; returns names and values.

  Args:
    rounds: number of rounds; the first is a warm-up.
  """
  shape = (60_000, 32, 32, 1)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  config = digits.get_config()
  config.update(batch_size=BATCH, steps_per_call=CALL)
  resident = experiment.build(config, train=ArraySource(images))
  gathering = fused.Fused(resident, CALL)
  constant = distributed.parallelize_step(
    training.fuse_steps(
      resident.train_step, lambda feed, *_: lambda *_: feed, max_steps=CALL
    ),
    resident.devices,
    batch_axis=None,
    arguments=4,
  )
  batch = constant.put_batch({'x': images[None, :BATCH]})
  streams = constant.put(resident.streams)
  state = constant.put(resident.init_state())

  def run_constant():
    nonlocal state
    state, _ = constant.step(state, batch, streams, np.int32(CALL))
    jax.block_until_ready(state)

  run_constant()  # compiles
  medians = turns.take_turns(
    {
      'gathering': gathering.run,
      'constant': functools.partial(turns.timed, run_constant),
    },
    rounds,
  )
  seconds = [spent.wall / CALL for spent in medians.values()]
  cpu = [spent.cpu for spent in medians.values()]
  return [
    ['60,000 resident images of 32 x 32, ms / step', 1e3 * seconds[0]],
    ['constant batch, ms / step', 1e3 * seconds[1]],
    ['gathering, % of the time', 100 * (1 - seconds[1] / seconds[0])],
    ['gathering, % of CPU seconds', 100 * (1 - cpu[1] / cpu[0])],
  ]


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.parser(__doc__, rounds=10)
  parser.add_argument(
    '--images', type=int, default=10_000, help='number of JPEGs'
  )
  parser.add_argument('--width', type=int, default=16, help='width of DCGAN-64')
  parser.add_argument(
    '--steps', type=int, default=150, help='train steps of DCGAN-64'
  )
  options = parser.parse_args()
  xla_setup.configure_cpu()
  print(turns.machine())
  rows = streamed_rows(options.images, options.width, options.steps)
  rows += resident_rows(options.rounds)
  print('\n' + turns.table(['', 'measured'], rows))


if __name__ == '__main__':
  main()
