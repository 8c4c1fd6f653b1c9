"""The compiled program of a run: many train steps per call, and their data."""

from typing import Any, Callable, NamedTuple

import jax

from gan_jax import config as config_lib
from gan_jax import data, distributed, shuffle, training
from gan_jax.data import device_feed, flips
from gan_jax.distributed import devices as devices_lib
from gan_jax.distributed import multihost
from gan_jax.experiment import schedule
from gan_jax.training import fused

_CHUNK_BYTES = 64 * 2**20
_CHUNK_STEPS = 16  # in a streamed chunk, by default
_RESIDENT_STEPS = 1000  # in a call, at most
_BLOCK_STEPS = 20  # for which an accelerator does not wait for the host
# Steps of all members in a call. The indices of all steps of a call are drawn,
# and thousands of members take fewer steps in the time of a call.
_MEMBER_STEPS = 2**17


class TrainProgram(NamedTuple):
  """Many train steps as one compiled call, and how to place its arguments.

  Attributes:
    run: compiled function (state, data, streams, count) -> (state, metrics),
      which donates the state. See training.fuse_steps.
    put: places states and streams on the devices, unsplit.
    feed: function (start, rollbacks=0) -> feed of the data from a step on, a
      context manager; rollbacks as in fused.make_streams.
    max_steps: largest number of steps in one call.
  """

  run: Callable[..., Any]
  put: Callable[[Any], Any]
  feed: Callable[[int], Any]
  max_steps: int


def training_source(
  source: data.Source, config: config_lib.Config
) -> data.Source:
  """Returns the source that batches are drawn from.

  Args:
    source: source of the training examples.
    config: resolved config.

  Returns:
    The source; with `data.flip`, that of the mirror images, too.

  Raises:
    ValueError: if the examples cannot be flipped.
  """
  return flips.FlippedSource(source) if config.data.flip else source


def resident_nbytes(source: data.Source, config: config_lib.Config) -> int:
  """Returns the bytes of a source of training examples on a device."""
  return device_feed.source_nbytes(training_source(source, config))


def fits_on_device(source: data.Source, config: config_lib.Config) -> bool:
  """Returns whether a source may live on each device, by `resident_mb`."""
  return _fits(resident_nbytes(source, config), config)


def _fits(nbytes: int, config: config_lib.Config) -> bool:
  return nbytes <= config.resident_mb * 2**20


def choose_max_steps(config: config_lib.Config, nbytes: int, size: int) -> int:
  """Chooses the largest number of steps in one call of the program.

  Args:
    config: resolved config; a `steps_per_call` above 0 is the result.
    nbytes: bytes of all training examples.
    size: number of training examples.

  Returns:
    At least 1. With resident data a call needs no more steps than there are
    between two lines of the log. A streamed chunk is bounded by its bytes, and
    by 1 step on CPU, where nothing is copied.
  """
  if config.steps_per_call:
    return config.steps_per_call
  if _fits(nbytes, config):
    return min(config.log_every, _RESIDENT_STEPS)
  if jax.default_backend() == 'cpu':
    return 1
  step_examples = config.batch_size * config.d_steps
  step_bytes = max(1, int(nbytes / size * step_examples))
  return max(1, min(_CHUNK_STEPS, _CHUNK_BYTES // step_bytes))


def choose_block(max_steps: int) -> int:
  """Chooses the steps of a block, see training.fuse_steps.

  Args:
    max_steps: largest number of steps in one call.
  """
  if jax.default_backend() == 'cpu':
    return 1
  return min(_BLOCK_STEPS, max_steps)


def make_train_program(
  step: Any,
  source: data.Source,
  config: config_lib.Config,
  devices: tuple[jax.Device, ...],
  *,
  many: Callable[[fused.FusedSteps], fused.FusedSteps] | None = None,
  members: int = 1,
) -> TrainProgram:
  """Builds the program of one run, or of many, on their devices.

  Args:
    step: train step with `axis_name=devices.AXIS_NAME`; without an axis for
      many runs.
    source: source of the training examples.
    config: resolved config.
    devices: devices that share the batch, or the runs if there are many.
    many: function from the program of one run to that of many, see
      training.vectorize_members; None for one run.
    members: number of runs.

  Returns:
    The program; nothing is compiled or placed yet.
  """
  source = training_source(source, config)
  nbytes = device_feed.source_nbytes(source)
  max_steps = choose_max_steps(config, nbytes, len(source))
  if not config.steps_per_call:
    max_steps = max(1, min(max_steps, _MEMBER_STEPS // members))
  resident = _fits(nbytes, config)
  sizes = dict(batch_size=config.batch_size, d_steps=config.d_steps)
  batch_fn = fused.slice_batch
  if resident:
    axis_name = None if many else devices_lib.AXIS_NAME
    batch_fn = fused.gather_batch(len(source), axis_name=axis_name, **sizes)
  run = training.fuse_steps(
    step, batch_fn, max_steps=max_steps, block=choose_block(max_steps)
  )
  if many:
    placed = devices_lib.shard_members(many(run), devices)
  else:
    placed = distributed.parallelize_step(
      run,
      devices,
      backend=config.parallel,
      batch_axis=None if resident else 2,
      arguments=4,
    )

  def feed(start: int, rollbacks: int = 0):
    if resident:
      return device_feed.ResidentFeed(source, placed.put_batch)
    return device_feed.ChunkedFeed(
      source,
      seed=shuffle.reseed(config.seed, rollbacks),
      start=start,
      size=max_steps,
      steps_until_boundary=lambda step: schedule.steps_to_next_action(
        config, step
      ),
      put=placed.put_batch,
      shard=(multihost.process_index(), multihost.process_count()),
      **sizes,
    )

  return TrainProgram(placed.step, placed.put, feed, max_steps)
