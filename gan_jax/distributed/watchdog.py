"""Terminates a process that waits for other processes which died or hang."""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from typing import Any, Callable, Iterator


def dump_stacks() -> None:
  """Writes the Python stacks of all threads to the standard error stream.

  If sys.stderr has no file descriptor, writes to the original one,
  sys.__stderr__. If neither works, writes nothing: no error may prevent the
  termination of the process.
  """
  streams = [s for s in (sys.stderr, sys.__stderr__) if s is not None]
  for stream in streams:
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
      faulthandler.dump_traceback(stream, all_threads=True)
      return


class Watchdog:
  """Terminates the process when heartbeats stop.

  A step of several processes never returns if one of them does not take it, and
  no exception can be raised in a thread that waits for the device. The watchdog
  therefore terminates the whole process, after writing the stacks of its
  threads, which show where it was blocked. Use as a context manager; it can be
  entered again.
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
    """Initializes the watchdog; entering the context starts a thread.

    Args:
      seconds: longest time without a heartbeat; 0 for no limit.
      on_timeout: function (step, seconds) that reports the reason for the
        termination: the last step, and for how long no heartbeat has followed
        it.
      status: exit status of the process.
      slow_factor: factor on `seconds` before the first heartbeat, after
        allow_slow() and within paused().
      end: function that terminates the process.
      clock: function that returns the time in seconds.
      wait: function (closed, seconds) that waits until the event is set or the
        time is over, and returns whether the event is set.
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
    """Records a heartbeat.

    Args:
      step: number of train steps done.
    """
    self._step = step
    self._expect(self._seconds)

  def allow_slow(self) -> None:
    """Allows more time, slow_factor * seconds, until the next heartbeat."""
    self._expect(self._slow)

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Allows the enclosed block to take slow_factor * seconds."""
    _, before = self._waits
    self.allow_slow()
    yield
    self._expect(before)

  def check(self) -> bool:
    """Terminates the process if the last heartbeat is too long ago.

    The thread calls it several times per `seconds`.

    Returns:
      Whether it is too long ago, in case `end` returns.
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
