"""Prefetching: runs an iterator in a thread, ahead of its consumer."""

import queue
import threading
import time
from typing import Any, Callable, Iterable, Iterator


class Prefetcher:
  """Runs an iterator in a thread, some items ahead of its consumer.

  Use as a context manager, or call close().

  Attributes:
    waited: seconds that `__next__` or `next_item` have waited for an item.
  """

  def __init__(
    self,
    items: Iterable[Any],
    ahead: int = 2,
    *,
    clock: Callable[[], float] = time.perf_counter,
  ):
    """Starts the thread.

    Args:
      items: infinite iterable of the items. An exception that it raises is
        raised again where the item is requested.
      ahead: number of items to keep ready.
      clock: function that returns the time in seconds.
    """
    self.waited, self._clock = 0.0, clock
    self._ready: queue.Queue = queue.Queue(ahead)
    self._closed = threading.Event()
    self._thread = threading.Thread(
      target=self._work, args=(iter(items),), daemon=True, name='gan_jax-ahead'
    )
    self._thread.start()

  def _work(self, items: Iterator[Any]) -> None:
    while not self._closed.is_set():
      try:
        item = next(items)
      except Exception as error:  # raised again where the item is requested
        item = error
      while not self._closed.is_set():
        try:
          self._ready.put(item, timeout=0.1)
          break
        except queue.Full:
          continue
      if isinstance(item, Exception):
        return

  def next_item(self, wait: Callable[[], Any]) -> Any:
    """Returns the next item; if none is ready, calls `wait` first.

    Args:
      wait: function that returns when the device is idle. The clock starts
        afterwards, so that `waited` is the time that the device is idle
        waiting for data.

    Raises:
      ValueError: if the prefetcher is closed.
    """
    if self._closed.is_set():
      raise ValueError('the prefetcher is closed')
    if self._ready.empty():
      wait()
    start = self._clock()
    item = self._ready.get()
    self.waited += self._clock() - start
    if isinstance(item, Exception):
      self.close()
      raise item
    return item

  def __next__(self) -> Any:
    return self.next_item(lambda: None)

  def __iter__(self):
    return self

  def close(self) -> None:
    """Stops the thread and waits for it to end."""
    self._closed.set()
    self._thread.join()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
