"""Measures whether data keep a device busy: resident and streamed.

  python benchmarks/feed.py

Streamed: configs/folder.py (DCGAN-64, at a width that runs here) on a folder
of JPEGs that the benchmark writes, none of which is kept in memory: the share
of time for which the train step waits, as data_wait in metrics.jsonl, and
what the pipeline delivers by itself. Resident: configs/digits.py's networks
on 60,000 images of 32 x 32, whose batches the program gathers by itself: the
time of a step beside that of the same step on one batch again and again, which
take turns. Takes about two minutes on two cores.
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
CALL = 10  # steps of a call on resident examples


def write_pictures(directory: pathlib.Path, count: int, size: int) -> int:
  """Writes smooth random pictures as JPEGs; their bytes.

  Args:
    directory: where they go.
    count: how many.
    size: of a side in pixels.
  """
  rng, total = np.random.default_rng(0), 0
  for number in range(count):
    coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    path = directory / f'{number:06d}.jpg'
    picture.save(path, quality=90)
    total += path.stat().st_size
  return total


def folder_experiment(
  directory: pathlib.Path, width: int, steps: int
) -> experiment.Experiment:
  """configs/folder.py on a directory, nothing of which stays in memory."""
  mapping = folder.get_config().to_dict()
  mapping['data'] |= {'path': str(directory), 'memory_mb': 0}
  for player in ('generator', 'discriminator'):
    mapping[player]['width'] = width
  sizes = {'batch_size': BATCH, 'num_steps': steps, 'resident_mb': 0}
  return experiment.build(mapping | sizes)


def train(built: experiment.Experiment) -> tuple[turns.Spent, float, int]:
  """Trains as train.py does, without what it writes.

  Returns:
    The time after the first call, the seconds of it in which the device
    waited for data, and the steps that were taken in it.
  """
  program = built.program()
  pace = pacing.CallPacer(built.config, program.limit)
  state, streams = program.put(built.init_state()), program.put(built.streams)
  step, total = 0, built.config.num_steps

  with program.feed(0) as feed:

    def call():
      nonlocal state, step
      examples, count = feed.take(step, pace.count(step), pace.wait)
      state, metrics = program.run(state, examples, streams, np.int32(count))
      pace.started(count, metrics)
      step += count

    call()  # compiles
    pace.wait()
    first, waited = step, feed.waited

    def work():
      while step < total:
        call()
      pace.wait()

    spent = turns.timed(work)
    return spent, feed.waited - waited, total - first


def deliver(built: experiment.Experiment, batches: int) -> turns.Spent:
  """Reads batches and nothing else, as the pipeline does.

  Args:
    built: the experiment.
    batches: how many.
  """
  with built.batches() as pipeline:
    next(pipeline)
    return turns.timed(lambda: [next(pipeline) for _ in range(batches)])


def streamed_rows(pictures: int, width: int, steps: int) -> list[list]:
  """What is known of the folder, as names and values."""
  with tempfile.TemporaryDirectory() as scratch:
    directory = pathlib.Path(scratch)
    size = write_pictures(directory, pictures, 64) / pictures
    built = folder_experiment(directory, width, steps)
    spent, waited, count = train(built)
    batches = max(10, len(built.train) // BATCH)
    alone = deliver(built, batches)
  images, cores = BATCH * batches, os.cpu_count()
  return [
    [f'{pictures:,} JPEGs of 64 x 64: bytes of one', float(size)],
    [
      f'DCGAN-64 of width {width} trains, images / s',
      count * BATCH / spent.wall,
    ],
    ['the step waits for data, % of the time', 100 * waited / spent.wall],
    ['the pipeline alone, images / s', images / alone.wall],
    [f'the same per core, of {cores}', images / alone.wall / cores],
    ['images per CPU second', images / alone.cpu],
  ]


def resident_rows(rounds: int) -> list[list]:
  """What gathering batches on the device costs, as names and values."""
  shape = (60_000, 32, 32, 1)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  mapping = digits.get_config().to_dict() | {'batch_size': BATCH}
  mapping['steps_per_call'] = CALL
  built = experiment.build(mapping, train=ArraySource(images))
  gathers = fused.Fused(built, CALL)
  placed = distributed.parallelize_step(
    training.fuse_steps(built.train_step, lambda feed, *_: feed, limit=CALL),
    built.devices,
    batch_axis=None,
    arguments=4,
  )
  batch = placed.put_batch({'x': images[None, :BATCH]})
  streams = placed.put(built.streams)
  state = placed.put(built.init_state())

  def same_batch():
    nonlocal state
    state, _ = placed.step(state, batch, streams, np.int32(CALL))
    jax.block_until_ready(state)

  same_batch()  # compiles
  medians = turns.take_turns(
    {
      'gathers': gathers.run,
      'same': functools.partial(turns.timed, same_batch),
    },
    rounds,
  )
  seconds = [spent.wall / CALL for spent in medians.values()]
  cpu = [spent.cpu for spent in medians.values()]
  return [
    ['60,000 resident images of 32 x 32: ms / step', 1e3 * seconds[0]],
    ['the same step on one batch, ms', 1e3 * seconds[1]],
    ['gathering, % of the time', 100 * (1 - seconds[1] / seconds[0])],
    ['gathering, % of CPU seconds', 100 * (1 - cpu[1] / cpu[0])],
  ]


def main() -> None:
  """Measures and prints."""
  parser = turns.parser(__doc__, rounds=10)
  parser.add_argument('--pictures', type=int, default=10_000)
  parser.add_argument('--width', type=int, default=16, help='of DCGAN-64')
  parser.add_argument('--steps', type=int, default=150, help='of DCGAN-64')
  options = parser.parse_args()
  xla_setup.configure_cpu()
  print(turns.machine())
  rows = streamed_rows(options.pictures, options.width, options.steps)
  rows += resident_rows(options.rounds)
  print('\n' + turns.table(['', 'measured'], rows))


if __name__ == '__main__':
  main()
