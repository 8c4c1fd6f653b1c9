"""Ends a process that waits for others which died or hang."""

import contextlib
import os
import threading
import time
from typing import Any, Callable, Iterator


class Watchdog:
  """Ends the process where no sign of life came for too long.

  A step of several processes never ends where one of them does not take it,
  and nothing can be raised in a thread that waits for the device: hence the
  process is ended as a whole. Use as a context manager; the clock stands
  still until the first sign of life.
  """

  def __init__(
    self,
    seconds: float = 0,
    last_words: Callable[[int], Any] = lambda step: None,
    status: int = 1,
    *,
    end: Callable[[int], Any] = os._exit,
  ):
    """Describes it; a thread starts when it is entered.

    Args:
      seconds: without a sign of life; 0 for ever.
      last_words: (step) says why the process ends, step being the last.
      status: that it ends with.
      end: ends the process.
    """
    self._seconds, self._status = seconds, status
    self._last_words, self._end = last_words, end
    self._last: float | None = None
    self._step = 0
    self._closed = threading.Event()

  def alive(self, step: int) -> None:
    """A sign of life.

    Args:
      step: train steps done.
    """
    self._last, self._step = time.monotonic(), step

  def rest(self) -> None:
    """Nothing is expected until the next sign of life."""
    self._last = None

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """What is done within may take long."""
    watched, self._last = self._last is not None, None
    yield
    if watched:
      self.alive(self._step)

  def _watch(self) -> None:
    while not self._closed.wait(min(1.0, self._seconds / 4)):
      last = self._last
      if last is not None and time.monotonic() - last > self._seconds:
        try:
          self._last_words(self._step)
        finally:
          self._end(self._status)
        return

  def __enter__(self):
    if not self._seconds:
      return self
    threading.Thread(
      target=self._watch, daemon=True, name='gan_jax-watchdog'
    ).start()
    return self

  def __exit__(self, *unused):
    self._closed.set()
