"""What a fused program reads: a resident set of examples, or chunks of one.

A feed answers `take(step, count, wait)`: the examples for the steps from
`step` on, on the devices, and for how many of the `count` steps they last.
"""

import time
from typing import Any, Callable

import numpy as np

from gan_jax.data import batches, prefetch

_AT_A_TIME = 2048  # examples, where all of a source is read


def source_nbytes(source: Any) -> int:
  """Bytes that all examples of a source take, labels included."""
  example = source[np.zeros(1, np.int64)]
  return len(source) * sum(x.nbytes for x in example.values())


def read_all(source: Any) -> dict[str, np.ndarray]:
  """All examples of a source, read in parts.

  Args:
    source: as data.Source.

  Returns:
    Leaves `[N, ...]`.
  """
  indices = np.arange(len(source))
  cuts = range(_AT_A_TIME, len(source), _AT_A_TIME)
  parts = [source[shard] for shard in np.split(indices, cuts)]
  return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


class ResidentFeed:
  """A whole set on the devices; the program gathers its batches itself.

  Attributes:
    waited: seconds that the device stood still for data: 0.
  """

  waited = 0.0

  def __init__(self, source: Any, put: Callable[[Any], Any]):
    """Reads all of a source.

    Args:
      source: as data.Source.
      put: places arrays on the devices.
    """
    self.examples = put(read_all(source))

  def take(self, step: int, count: int, wait: Callable[[], Any]):
    """The set, which lasts for any number of steps."""
    del step, wait
    return self.examples, count

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    pass


class ChunkedFeed:
  """Batches of some steps at a time, copied while the device computes.

  A thread reads and places the next chunk. All chunks have the same shape: a
  shorter one repeats its last batch, which no step reads.
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
      source: as data.Source.
      seed: of the order.
      batch_size: examples per discriminator step.
      d_steps: discriminator steps per train step.
      start: train steps already done.
      size: the most steps of a chunk.
      until: step -> number of steps until a call must end; 0 at the end.
      put: places arrays `[size, d_steps, batch_size, ...]` on the devices.
      ahead: chunks to hold ready.
      shard: of each batch, as in batches.read_batches.
      clock: returns the time in seconds.
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
        yield step, put({n: fill(x) for n, x in chunk.items()}), count
        step += count

    self._ahead = prefetch.Prefetcher(chunks(), ahead, clock=clock)

  @property
  def waited(self) -> float:
    """Seconds that the device stood still for data."""
    return self._ahead.waited

  def take(self, step: int, count: int, wait: Callable[[], Any]):
    """The next chunk.

    Args:
      step: for which it must be.
      count: ignored: the chunks were cut ahead.
      wait: returns when the device has nothing left to do.

    Returns:
      Leaves `[size, d_steps, batch_size, ...]` on the devices, and the number
      of steps that they last.

    Raises:
      ValueError: where steps are taken out of order; and as the source.
    """
    del count
    at, chunk, count = self._ahead.next_item(wait)
    if at != step:
      raise ValueError(f'step {step} asked for the chunk of step {at}')
    return chunk, count

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self._ahead.close()
