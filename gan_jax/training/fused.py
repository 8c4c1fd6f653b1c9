"""Many train steps in one program: the host starts it, and logs.

A fused program is a function

  (state, feed, draws, count) -> (state, metrics)

that takes `count` whole train steps in one compiled loop, each on the batch
that a `Pick` finds in the feed. The count is an argument of the program and no
part of it: any split of a run into calls is the same compiled loop, and gives
the same bits.
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
  """What everything random of a run comes from; it never changes.

  Attributes:
    key: the run's base key, for the train step.
    seed: of the order of the data, uint32 scalar.
  """

  key: Array
  seed: Array


BatchFn = Callable[[DeviceData, Array, Array, Array], Batch]
FusedSteps = Callable[
  [GANState, DeviceData, RandomStreams, Any], tuple[GANState, Metrics]
]


def make_streams(seed: int, rollbacks: int = 0) -> RandomStreams:
  """The draws of a run.

  Args:
    seed: of the run, from 0.
    rollbacks: how often the run has gone back; each time all draws are others.

  Returns:
    The draws, on the default device.
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
  """Batches out of a whole set of examples that lives on the device.

  The indices are those of shuffle.batch_indices, computed on the device.

  Args:
    size: examples in the set.
    batch_size: examples per discriminator step, over all devices.
    d_steps: discriminator steps per train step.
    axis_name: the mapped axis of devices, each of which holds the set and
      takes its own part of the batch.

  Returns:
    (feed, step, place in the call, seed) -> batch with leaves
    `[d_steps, B / devices, ...]`, of a feed with leaves `[size, ...]`.

  Raises:
    ValueError: where the set holds less than one batch.
  """
  if not 1 <= batch_size <= size:
    raise ValueError(
      f'batch_size={batch_size}: must be between 1 and the {size} examples'
    )

  def batch_fn(feed, step, place, seed):
    del place
    numbers = step * d_steps + jnp.arange(d_steps, dtype=jnp.int32)
    indices = jax.vmap(
      lambda t: shuffle.batch_indices(seed, t, size, batch_size, jnp)
    )(numbers)
    if axis_name is not None:
      own = batch_size // jax.lax.axis_size(axis_name)
      start = collectives.axis_index(axis_name) * own
      indices = jax.lax.dynamic_slice_in_dim(indices, start, own, axis=1)
    take = lambda x: x.at[indices].get(mode='promise_in_bounds')
    return {name: take(x) for name, x in feed.items()}

  return batch_fn


def slice_batch(
  feed: DeviceData, step: Array, place: Array, seed: Array
) -> Batch:
  """The batch at a place of a chunk, whose leaves are `[n, d_steps, B, ...]`."""
  del step, seed
  at = lambda x: jax.lax.dynamic_index_in_dim(x, place, keepdims=False)
  return {name: at(x) for name, x in feed.items()}


def fuse_steps(step: Step, batch_fn: BatchFn, *, max_steps: int) -> FusedSteps:
  """Makes the program of many train steps.

  Args:
    step: (state, batch, key) -> (state, metrics), as train_step.make_train_step.
    pick: (feed, `state.step`, place in the call, seed) -> batch.
    limit: the most steps of one call, for which there is room in the metrics.

  Returns:
    (state, feed, draws, count) -> (state, metrics `[limit]` each, of which
    the first `count` are set). The count is a scalar from 0 to limit; one
    above is taken for the limit. To be jitted, with the state donated.

  Raises:
    ValueError: for a limit below 1.
  """
  if max_steps < 1:
    raise ValueError(f'limit={max_steps}: must be at least 1')

  # As a jit it is traced once, for the names of the metrics and for the loop.
  @functools.partial(jax.jit, inline=True)
  def take(state, feed, streams, place):
    batch = batch_fn(feed, state.step, place, streams.seed)
    return step(state, batch, streams.key)

  def run(state, feed, streams, count):
    def body(place, carry):
      state, rows = carry
      state, metrics = take(state, feed, streams, place)
      row = jnp.stack([metrics[name] for name in names])
      return state, rows.at[place].set(row, mode='promise_in_bounds')

    start = jnp.int32(0)
    names = sorted(jax.eval_shape(take, state, feed, streams, start)[1])
    rows = jnp.zeros((max_steps, len(names)), jnp.float32)
    count = jnp.minimum(jnp.asarray(count, jnp.int32), max_steps)
    state, rows = jax.lax.fori_loop(start, count, body, (state, rows))
    return state, dict(zip(names, rows.T))

  run.axis_name = getattr(step, 'axis_name', None)
  return run
