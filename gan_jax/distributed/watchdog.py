"""Ends a process that waits for others which died or hang."""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from typing import Any, Callable, Iterator


def dump_stacks() -> None:
  """Writes the Python stacks of all threads to the standard error output.

  Where sys.stderr is no file, to that of the start; where neither is,
  nowhere: no error may keep the process from being ended.
  """
  streams = [s for s in (sys.stderr, sys.__stderr__) if s is not None]
  for stream in streams:
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
      faulthandler.dump_traceback(stream, all_threads=True)
      return


class Watchdog:
  """Ends the process where no sign of life came for too long.

  A step of several processes never ends where one of them does not take it,
  and nothing can be raised in a thread that waits for the device: hence the
  process is ended as a whole, and the stacks of its threads show where it
  stood. Use as a context manager, again if need be.
  """

  def __init__(
    self,
    seconds: float = 0,
    on_timeout: Callable[[int, float], Any] = lambda step, seconds: None,
    status: int = 1,
    *,
    slow_factor: float = 30,
    end: Callable[[int], Any] = os._exit,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
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
      clock: tells the time, in seconds.
      wait: (closed, seconds) waits for the event or as long, and says whether
        it is set.
    """
    self._seconds, self._slow = seconds, slow_factor * seconds
    self._on_timeout, self._status, self._end = on_timeout, status, end
    self._clock, self._wait = clock, wait
    self._waits = clock(), self._slow
    self._step = 0
    self._closed = threading.Event()

  def _expect(self, seconds):
    self._waits = self._clock(), seconds  # both at once, for the thread

  def heartbeat(self, step: int) -> None:
    """A sign of life.

    Args:
      step: train steps done.
    """
    self._step = step
    self._expect(self._seconds)

  def allow_slow(self) -> None:
    """What comes before the next sign of life may take long."""
    self._expect(self._slow)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """What is done within may take long."""
    _, before = self._waits
    self.allow_slow()
    yield
    self._expect(before)

  def check(self) -> bool:
    """Ends the process if the last sign of life is too long ago.

    The thread calls it several times in the seconds given.

    Returns:
      Whether it is, where `end` returns.
    """
    since, most = self._waits
    if not self._seconds or self._clock() - since <= most:
      return False
    try:
      self._on_timeout(self._step, most)
      dump_stacks()
    finally:
      self._end(self._status)
    return True

  def _watch(self, closed) -> None:
    while not self._wait(closed, min(1.0, self._seconds / 4)):
      if self.check():
        return

  def __enter__(self):
    if not self._seconds:
      return self
    self.allow_slow()
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
