"""Batches of a source by step: pure functions of the seed and the step."""

from typing import Any, Callable

import jax
import numpy as np

from gan_jax import shuffle
from gan_jax.data.prefetch import Prefetcher


class BatchIterator:
  """Infinite iterator over the batches of steps start, start + 1, ...

  A thread reads the next batches and places them on the devices while these
  compute. The batch of step t is a pure function of (seed, t). Use as a context
  manager, or call close().

    with BatchIterator(source, seed=0, batch_size=64) as batches:
      batch = next(batches)  # {'x': [1, 64, ...], 'label': [1, 64]}
  """

  def __init__(
    self,
    source: Any,
    *,
    seed: int,
    batch_size: int,
    d_steps: int = 1,
    start: int = 0,
    put: Callable[[Any], Any] = lambda batch: batch,
    ahead: int = 2,
    shard: tuple[int, int] = (0, 1),
  ):
    """Starts reading.

    Args:
      source: source of the examples, a data.Source.
      seed: seed of the order.
      batch_size: examples per discriminator step.
      d_steps: batches per train step, the leading axis of the output.
      start: number of train steps already done.
      put: function that places a batch of numpy arrays on the devices.
      ahead: number of batches to keep ready.
      shard: part (i, n) of each batch, as in `read_batches`.

    Raises:
      ValueError: if the source has less than one batch of examples.
    """
    if not 1 <= batch_size <= len(source):
      raise ValueError(
        f'batch_size={batch_size}: must be between 1 and the {len(source)} '
        'examples of the training split'
      )
    self._source = source
    self._options = dict(
      seed=seed, batch_size=batch_size, d_steps=d_steps, shard=shard
    )
    self._ahead = Prefetcher(self._batches(start, put), ahead)

  def host_batch(self, step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step, leaves `[d_steps, batch_size, ...]`."""
    chunk = read_batches(self._source, step, 1, **self._options)
    return jax.tree.map(lambda x: x[0], chunk)

  def _batches(self, step, put):
    while True:
      yield put(self.host_batch(step))
      step += 1

  def __iter__(self):
    return self

  def __next__(self) -> dict[str, Any]:
    return next(self._ahead)

  def close(self) -> None:
    """Stops the thread and waits for it to end."""
    self._ahead.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()


def read_batches(
  source: Any,
  step: int,
  count: int,
  *,
  seed: int,
  batch_size: int,
  d_steps: int,
  shard: tuple[int, int] = (0, 1),
) -> dict[str, np.ndarray]:
  """Reads the batches of `count` successive train steps from a source.

  Args:
    source: source of the examples, a data.Source.
    step: first train step.
    count: number of train steps.
    seed: seed of the order.
    batch_size: examples per discriminator step.
    d_steps: discriminator steps per train step.
    shard: (i, n) for the i-th of n equal, consecutive parts of each batch; n
      must divide batch_size.

  Returns:
    Leaves `[count, d_steps, batch_size / n, ...]`, numpy.
  """
  numbers = range(step * d_steps, (step + count) * d_steps)
  own = batch_size // shard[1]
  rows = slice(shard[0] * own, (shard[0] + 1) * own)
  indices = [
    shuffle.batch_indices(seed, t, len(source), batch_size)[rows]
    for t in numbers
  ]
  batch = source[np.concatenate(indices)]
  lead = (count, d_steps, own)
  return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), batch)
