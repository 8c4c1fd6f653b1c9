"""Chooses how many train steps the next call of the program takes."""

import time
from typing import Any

import jax

from gan_jax import config as config_lib
from gan_jax.distributed import multihost
from gan_jax.experiment import schedule

_CALL_SECONDS = 0.25  # what a call is paced to, so that Ctrl-C is answered
_MEET_SECONDS = 1.0  # after which several processes agree anew


class CallPacer:
  """How many steps the next call takes: up to what is due, in bounded time.

  At most two calls are under way, so that the device never waits for the
  host and a signal is answered soon. Several processes take the same calls:
  they agree about once a second on the slowest one's time.

  Attributes:
    seconds: of one step, as last measured (and agreed on); 0 before.
  """

  def __init__(self, config: config_lib.Config, max_steps: int):
    self.seconds = 0.0
    self._config, self._limit = config, max_steps
    self._under_way: list[tuple[int, Any]] = []
    self._clock: float | None = None
    self._measured, self._steps_left = 0.0, 0
    self._alone = multihost.process_count() == 1

  def count(self, step: int) -> int:
    """Steps of the call that begins at a step; at least 1."""
    until = schedule.steps_to_next_action(self._config, step)
    if self._config.steps_per_call:
      return min(until, self._limit)
    if not self.seconds:
      return 1
    return max(1, min(until, self._limit, int(_CALL_SECONDS / self.seconds)))

  def started(self, count: int, result: Any) -> None:
    """Notes a call, and waits for the one before it."""
    self._under_way.append((count, result))
    self._steps_left -= count
    if len(self._under_way) > 1:
      self._finish()

  def agree(self, stop: bool) -> bool:
    """Whether to stop here, as some process wants to; sets the pace of all.

    Args:
      stop: whether this one wants to.
    """
    if self._alone:
      return stop
    if self._steps_left > 0:
      return False
    stops, seconds = multihost.allgather([stop, self._measured]).T
    self.seconds = float(seconds.max())
    if self.seconds:
      self._steps_left = int(_MEET_SECONDS / self.seconds)
    return bool(stops.any())

  def wait(self) -> None:
    """Waits for all calls."""
    while self._under_way:
      self._finish()

  def rest(self) -> None:
    """Waits for all calls; what comes until the next is not measured."""
    self.wait()
    self._clock = None

  def _finish(self) -> None:
    count, result = self._under_way.pop(0)
    jax.block_until_ready(result)
    now = time.perf_counter()
    if self._clock is not None:
      self._measured = max((now - self._clock) / count, 1e-9)
    if self._alone:
      self.seconds = self._measured
    self._clock = now
