"""Runs many train steps in one compiled program.

A fused program is a function

  (state, feed, streams, count) -> (state, metrics)

that takes `count` whole train steps in one compiled loop. A `BatchFn` selects
the batch of each step from the feed; what it needs for all steps is computed
before the loop. The count is an argument of the program, not a constant of it:
however a run is split into calls, the same compiled loop runs and gives the
same bits.
"""

import functools
from typing import Any, Callable, Mapping, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import collectives, shuffle
from gan_jax.training.gan import Batch, Metrics
from gan_jax.training.state import GANState
from gan_jax.training.update_rules import Step

Array = jax.Array
DeviceData = Mapping[str, Array]


class RandomStreams(NamedTuple):
  """Sources of all randomness in a run, constant throughout.

  Attributes:
    key: base PRNG key of the run, for the train step.
    seed: seed of the data order, uint32 scalar.
  """

  key: Array
  seed: Array


# (feed, first step of the call, seed, steps of the call at most) -> function
# (step, place in the call) -> batch.
BatchFn = Callable[
  [DeviceData, Array, Array, int], Callable[[Array, Array], Batch]
]
FusedSteps = Callable[
  [GANState, DeviceData, RandomStreams, Any], tuple[GANState, Metrics]
]


def make_streams(seed: int, rollbacks: int = 0) -> RandomStreams:
  """Returns the random streams of a run.

  Args:
    seed: seed of the run, at least 0.
    rollbacks: number of rollbacks of the run so far; each of them changes all
      streams.

  Returns:
    The streams, on the default device.
  """
  key = jax.random.key(seed)
  if rollbacks:
    key = jax.random.fold_in(key, rollbacks)
  return RandomStreams(key, jnp.uint32(shuffle.reseed(seed, rollbacks)))


def gather_batch(
  size: int,
  batch_size: int,
  *,
  d_steps: int = 1,
  axis_name: str | None = None,
) -> BatchFn:
  """Builds a BatchFn that gathers from a whole set resident on the device.

  The indices are those of shuffle.batch_indices, computed on the device.

  Args:
    size: number of examples in the set.
    batch_size: examples per discriminator step, over all devices.
    d_steps: discriminator steps per train step.
    axis_name: name of the mapped axis of devices, each of which holds the set
      and takes its own part of the batch; None for a single device.

  Returns:
    A BatchFn whose batches have leaves `[d_steps, B / devices, ...]`. The feed
    has leaves `[size, ...]`.

  Raises:
    ValueError: if the set is smaller than one batch.
  """
  if not 1 <= batch_size <= size:
    raise ValueError(
      f'batch_size={batch_size}: must be between 1 and the {size} examples'
    )

  def batch_fn(feed, first, seed, max_steps):
    # The indices of all steps at once: a data-dependent loop computes them,
    # whose rounds a GPU waits for.
    numbers = first * d_steps + jnp.arange(max_steps * d_steps, dtype=jnp.int32)
    indices = jax.vmap(
      lambda t: shuffle.batch_indices(seed, t, size, batch_size, jnp)
    )(numbers)
    if axis_name is not None:
      own = batch_size // jax.lax.axis_size(axis_name)
      start = collectives.axis_index(axis_name) * own
      indices = jax.lax.dynamic_slice_in_dim(indices, start, own, axis=1)
    indices = indices.reshape(max_steps, d_steps, -1)

    def batch_at(step, place):
      del place  # a frozen member's step stays, and so does its batch
      rows = _row(indices, step - first)
      take = lambda x: jnp.asarray(x).at[rows].get(mode='promise_in_bounds')
      return jax.tree.map(take, feed)

    return batch_at

  return batch_fn


def slice_batch(
  feed: DeviceData, first: Array, seed: Array, max_steps: int
) -> Callable[[Array, Array], Batch]:
  """Selects the batches of a chunk with leaves `[n, d_steps, B, ...]`."""
  del first, seed, max_steps
  return lambda step, place: jax.tree.map(lambda x: _row(x, place), feed)


def _row(x: Array, index: Array) -> Array:
  return jax.lax.dynamic_index_in_dim(x, index, keepdims=False)


def fuse_steps(
  step: Step, batch_fn: BatchFn, *, max_steps: int, block: int = 1
) -> FusedSteps:
  """Builds the program that takes many train steps.

  Args:
    step: function (state, batch, key) -> (state, metrics), such as that of
      train_step.make_train_step.
    batch_fn: selects the batches, such as gather_batch(...) or slice_batch.
    max_steps: largest number of steps of one call, and the length of the
      returned metrics.
    block: number of steps in loops of a length that is known when compiling;
      the remainder of a call is one by one. Above 1, the step is compiled
      twice. A GPU waits for the host before each round of a loop of unknown
      length, and so once a block.

  Returns:
    Function (state, feed, streams, count) -> (state, metrics `[max_steps]`
    each, of which the first `count` are set). The count is a scalar in [0,
    max_steps]; larger values are clipped. Jit it with the state donated.

  Raises:
    ValueError: if max_steps or block is below 1.
  """
  if max_steps < 1 or block < 1:
    raise ValueError(
      f'max_steps={max_steps}, block={block}: must be at least 1'
    )

  def run(state, feed, streams, count):
    batch_at = batch_fn(feed, state.step, streams.seed, max_steps)

    # Under jit, `take` is traced once for both the names of the metrics and the
    # loop.
    @functools.partial(jax.jit, inline=True)
    def take(state, place):
      return step(state, batch_at(state.step, place), streams.key)

    def body(place, carry):
      state, rows = carry
      state, metrics = take(state, place)
      row = jnp.stack([metrics[name] for name in names])
      return state, rows.at[place].set(row, mode='promise_in_bounds')

    def take_block(index, carry):
      at = lambda i, carry: body(index * block + i, carry)
      return jax.lax.fori_loop(0, block, at, carry)

    start = jnp.int32(0)
    names = sorted(jax.eval_shape(take, state, start)[1])
    rows = jnp.zeros((max_steps, len(names)), jnp.float32)
    count = jnp.minimum(jnp.asarray(count, jnp.int32), max_steps)
    carry = state, rows
    if block > 1:
      blocks = count // block
      carry = jax.lax.fori_loop(0, blocks, take_block, carry)
      start = blocks * block
    state, rows = jax.lax.fori_loop(start, count, body, carry)
    return state, dict(zip(names, rows.T))

  run.axis_name = getattr(step, 'axis_name', None)
  return run
