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
  process is ended as a whole. Use as a context manager, again if need be.
  """

  def __init__(
    self,
    seconds: float = 0,
    last_words: Callable[[int, float], Any] = lambda step, seconds: None,
    status: int = 1,
    *,
    patience: float = 30,
    end: Callable[[int], Any] = os._exit,
  ):
    """Describes it; a thread starts when it is entered.

    Args:
      seconds: without a sign of life; 0 for ever.
      last_words: (step, seconds) says why the process ends: after which step
        nothing came for how long.
      status: that it ends with.
      patience: how many times as long it waits before the first sign of life,
        and where it is told of a rest or a pause.
      end: ends the process.
    """
    self._seconds, self._slow = seconds, patience * seconds
    self._last_words, self._status, self._end = last_words, status, end
    self._waits = time.monotonic(), self._slow
    self._step = 0
    self._closed = threading.Event()

  def _expect(self, seconds):
    self._waits = time.monotonic(), seconds  # both at once, for the thread

  def alive(self, step: int) -> None:
    """A sign of life.

    Args:
      step: train steps done.
    """
    self._step = step
    self._expect(self._seconds)

  def rest(self) -> None:
    """What comes before the next sign of life may take long."""
    self._expect(self._slow)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """What is done within may take long."""
    _, before = self._waits
    self.rest()
    yield
    self._expect(before)

  def _watch(self, closed) -> None:
    while not closed.wait(min(1.0, self._seconds / 4)):
      since, most = self._waits
      if time.monotonic() - since > most:
        try:
          self._last_words(self._step, most)
        finally:
          self._end(self._status)
        return

  def __enter__(self):
    if not self._seconds:
      return self
    self.rest()
    self._closed = threading.Event()
    threading.Thread(
      target=self._watch,
      args=(self._closed,),
      daemon=True,
      name='gan_jax-watchdog',
    ).start()
    return self

  def __exit__(self, *unused):
    self._closed.set()
