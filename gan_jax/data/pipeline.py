"""Batches, made ahead of the step that needs them."""

import queue
import threading
from typing import Any, Callable

import numpy as np

from gan_jax import order


class Pipeline:
  """Iterates over the batches of steps start, start + 1, ... without end.

  A thread reads and places the next ones while the device computes. What
  step t gets is a pure function of (seed, t). Use as a context manager, or
  call close().

    with Pipeline(source, seed=0, batch_size=64) as batches:
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
  ):
    """Starts reading.

    Args:
      source: as data.Source.
      seed: of the order.
      batch_size: examples per discriminator step.
      d_steps: batches per train step, the leading axis of what comes out.
      start: train steps already done.
      put: places a batch of numpy arrays on the devices.
      ahead: batches to hold ready.

    Raises:
      ValueError: where the source holds less than one batch.
    """
    if not 1 <= batch_size <= len(source):
      raise ValueError(
        f'batch_size={batch_size}: must be between 1 and the {len(source)} '
        'examples of the training split'
      )
    self._source, self._put, self._seed = source, put, seed
    self._batch_size, self._d_steps = batch_size, d_steps
    self._ready: queue.Queue = queue.Queue(ahead)
    self._closed = threading.Event()
    self._thread = threading.Thread(
      target=self._work, args=(start,), daemon=True, name='gan_jax-pipeline'
    )
    self._thread.start()

  def host_batch(self, step: int) -> dict[str, np.ndarray]:
    """The batch of one train step, leaves `[d_steps, batch_size, ...]`."""
    size, n = len(self._source), self._d_steps
    indices = [
      order.batch_indices(self._seed, step * n + i, size, self._batch_size)
      for i in range(n)
    ]
    batch = self._source[np.concatenate(indices)]
    return {
      key: x.reshape(n, self._batch_size, *x.shape[1:])
      for key, x in batch.items()
    }

  def _work(self, step: int) -> None:
    while not self._closed.is_set():
      try:
        item = self._put(self.host_batch(step))
      except Exception as error:  # handed over to whoever asks for the batch
        item = error
      while not self._closed.is_set():
        try:
          self._ready.put(item, timeout=0.1)
          break
        except queue.Full:
          continue
      if isinstance(item, Exception):
        return
      step += 1

  def __iter__(self):
    return self

  def __next__(self) -> dict[str, Any]:
    if self._closed.is_set():
      raise ValueError('the pipeline is closed')
    item = self._ready.get()
    if isinstance(item, Exception):
      self.close()
      raise item
    return item

  def close(self) -> None:
    """Stops the thread and waits for it."""
    self._closed.set()
    self._thread.join()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
