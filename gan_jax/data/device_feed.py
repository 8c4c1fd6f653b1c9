"""Feeds of a fused program: a resident set of examples, or chunks of batches.

The method `take(step, count, wait)` of a feed returns the examples for the
steps from `step` on, on the devices, and the number of steps that they last, of
the `count` requested.
"""

import time
from typing import Any, Callable

import jax
import numpy as np

from gan_jax.data import batches, prefetch

_AT_A_TIME = 2048  # examples per read in read_all


def source_nbytes(source: Any) -> int:
  """Returns the size in bytes of all examples of a source, with labels."""
  example = source[np.zeros(1, np.int64)]
  return len(source) * sum(x.nbytes for x in jax.tree.leaves(example))


def read_all(source: Any) -> dict[str, np.ndarray]:
  """Reads all examples of a source, in parts.

  Args:
    source: source of the examples, a data.Source.

  Returns:
    Leaves `[N, ...]`.
  """
  indices = np.arange(len(source))
  cuts = range(_AT_A_TIME, len(source), _AT_A_TIME)
  parts = [source[shard] for shard in np.split(indices, cuts)]
  return jax.tree.map(lambda *x: np.concatenate(x), *parts)


class ResidentFeed:
  """A whole set on the devices; the program gathers the batches itself.

  Attributes:
    waited: seconds that the devices were idle waiting for data: 0.
  """

  waited = 0.0

  def __init__(self, source: Any, put: Callable[[Any], Any]):
    """Reads all of a source.

    Args:
      source: source of the examples, a data.Source.
      put: function that places arrays on the devices.
    """
    self.examples = put(read_all(source))

  def take(self, step: int, count: int, wait: Callable[[], Any]):
    """Returns the set, which lasts for any number of steps."""
    del step, wait
    return self.examples, count

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    pass


class ChunkedFeed:
  """Batches of several steps at a time, copied while the devices compute.

  A thread reads and places the next chunk. All chunks have the same shape:
  shorter ones are padded with copies of their last batch, which no step reads.
  """

  def __init__(
    self,
    source: Any,
    *,
    seed: int,
    batch_size: int,
    d_steps: int,
    start: int,
    size: int,
    steps_until_boundary: Callable[[int], int],
    put: Callable[[Any], Any],
    ahead: int = 2,
    shard: tuple[int, int] = (0, 1),
    clock: Callable[[], float] = time.perf_counter,
  ):
    """Starts reading.

    Args:
      source: source of the examples, a data.Source.
      seed: seed of the order.
      batch_size: examples per discriminator step.
      d_steps: discriminator steps per train step.
      start: number of train steps already done.
      size: largest number of steps of a chunk.
      steps_until_boundary: step -> number of steps until a call must end; 0 at
        the end.
      put: function that places arrays `[size, d_steps, batch_size, ...]` on the
        devices.
      ahead: number of chunks to keep ready.
      shard: part (i, n) of each batch, as in batches.read_batches.
      clock: function that returns the time in seconds.
    """

    options = dict(
      seed=seed, batch_size=batch_size, d_steps=d_steps, shard=shard
    )

    def chunks():
      step = start
      while True:
        count = max(1, min(size, steps_until_boundary(step)))
        chunk = batches.read_batches(source, step, count, **options)
        fill = lambda x: np.concatenate(
          [x, np.repeat(x[-1:], size - count, axis=0)]
        )
        yield step, put(jax.tree.map(fill, chunk)), count
        step += count

    self._ahead = prefetch.Prefetcher(chunks(), ahead, clock=clock)

  @property
  def waited(self) -> float:
    """Seconds that the devices were idle waiting for data."""
    return self._ahead.waited

  def take(self, step: int, count: int, wait: Callable[[], Any]):
    """Returns the next chunk.

    Args:
      step: step at which the chunk must begin.
      count: ignored, because the chunks are prepared ahead.
      wait: function that returns when the devices are idle.

    Returns:
      Leaves `[size, d_steps, batch_size, ...]` on the devices, and the number
      of steps that they last.

    Raises:
      ValueError: if steps are taken out of order. Errors of the source are
        raised here, too.
    """
    del count
    at, chunk, count = self._ahead.next_item(wait)
    if at != step:
      raise ValueError(
        f'step={step}, but the next chunk begins at step {at}: chunks must be '
        'taken in order'
      )
    return chunk, count

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._ahead.close()
