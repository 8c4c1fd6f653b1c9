"""Chooses how many train steps the next call of the program takes."""

import time
from typing import Any

import jax

from gan_jax import config as config_lib
from gan_jax.distributed import multihost
from gan_jax.experiment import schedule

_CALL_SECONDS = 0.25  # target length of a call, so that Ctrl-C is answered
_SYNC_SECONDS = 1.0  # interval at which several processes agree again


class CallPacer:
  """Chooses call lengths: up to the next due action, in bounded time.

  At most two calls are in flight, so that the device never waits for the host
  and a signal is answered soon. Several processes make the same calls: about
  once a second they agree on the slowest process's time.

  Attributes:
    seconds: last measured (and agreed) seconds per step; 0 before the first
      measurement.
  """

  def __init__(self, config: config_lib.Config, max_steps: int):
    """Initializes the pacer.

    Args:
      config: resolved config.
      max_steps: largest number of steps that one call can take.
    """
    self.seconds = 0.0
    self._config, self._max_steps = config, max_steps
    self._in_flight: list[tuple[int, Any]] = []
    self._finished_at: float | None = None
    self._measured, self._steps_left = 0.0, 0
    self._is_alone = multihost.process_count() == 1

  def count(self, step: int) -> int:
    """Returns the length of the call that starts at a step, at least 1."""
    due = schedule.steps_to_next_action(self._config, step)
    if self._config.steps_per_call:
      return min(due, self._max_steps)
    if not self.seconds:
      return 1
    in_time = int(_CALL_SECONDS / self.seconds)
    return max(1, min(due, self._max_steps, in_time))

  def dispatched(self, count: int, result: Any) -> None:
    """Registers a call and waits for the one before it.

    A call that has ended is measured at once: where calls return when they
    have ended (see xla_setup.keep_freed_memory), each is measured by itself.

    Args:
      count: number of steps of the call.
      result: arrays that are ready when the call is done.
    """
    self._in_flight.append((count, result))
    self._steps_left -= count
    while len(self._in_flight) > 1 or self._in_flight and self._is_ready():
      self._finish()

  def sync(self, stop: bool) -> bool:
    """Returns whether any process wants to stop, and agrees on the pace.

    Args:
      stop: whether this process wants to stop.
    """
    if self._is_alone:
      return stop
    if self._steps_left > 0:
      return False
    stops, seconds = multihost.allgather([stop, self._measured]).T
    self.seconds = float(seconds.max())
    if self.seconds:
      self._steps_left = int(_SYNC_SECONDS / self.seconds)
    return bool(stops.any())

  def wait(self) -> None:
    """Waits for all calls in flight."""
    while self._in_flight:
      self._finish()

  def drain(self) -> None:
    """Waits for all calls, and excludes what follows from the measurement."""
    self.wait()
    self._finished_at = None

  def _is_ready(self) -> bool:
    """Returns whether the first call in flight has ended."""
    return all(x.is_ready() for x in jax.tree.leaves(self._in_flight[0][1]))

  def _finish(self) -> None:
    count, result = self._in_flight.pop(0)
    jax.block_until_ready(result)
    now = time.perf_counter()
    if self._finished_at is not None:
      self._measured = max((now - self._finished_at) / count, 1e-9)
    if self._is_alone:
      self.seconds = self._measured
    self._finished_at = now
