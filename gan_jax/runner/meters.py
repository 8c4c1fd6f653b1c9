"""Metrics and speed of a run between two lines of its log."""

import contextlib
import math
import time
from typing import Any, Iterator, Mapping

import jax
import numpy as np

from gan_jax.training import state as state_lib
from gan_jax.training.nonfinite import SKIPPED

_MAX_SKIPPED = 100  # steps in a row


class NonFiniteError(ArithmeticError):
  """Raised when a metric or the state is NaN or infinite."""


class StepTimer:
  """Measures train steps per second between two lines of the log.

  Attributes:
    rate: steps per second in the last completed window.
    rates: steps per second in every completed window.
  """

  def __init__(self):
    self.rate = 0.0
    self.rates: list[float] = []
    self.restart()

  @property
  def seconds(self) -> float:
    """Seconds since the window began, without pauses."""
    return time.perf_counter() - self._from

  def add(self, count: int) -> None:
    """Adds steps to the window."""
    self._steps += count

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Excludes the enclosed block from the timer."""
    start = time.perf_counter()
    yield
    self._from += time.perf_counter() - start

  def lap(self) -> float:
    """Records the rate of a window that has steps; returns its seconds."""
    seconds = self.seconds
    if self._steps:
      self.rate = self._steps / seconds
      self.rates.append(self.rate)
    return seconds

  def restart(self) -> None:
    """Starts a new window and drops steps that were not recorded."""
    self._steps, self._from = 0, time.perf_counter()


class _Meter:
  """Keeps metrics on the device until a line of the log needs them."""

  def __init__(self):
    self._timer = StepTimer()
    self._pending: list[tuple[int, int, Mapping[str, Any]]] = []

  def reset(self, feed: Any) -> None:
    """Drops metrics that were not logged and restarts the timer.

    Args:
      feed: the data feed; its attribute `waited` counts the seconds for which
        the device was idle because of it.
    """
    del feed
    self._pending = []
    self._timer.restart()

  @property
  def rate(self) -> float:
    """Steps per second in the last completed window."""
    return self._timer.rate

  @property
  def rates(self) -> list[float]:
    """Steps per second in every completed window."""
    return self._timer.rates

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Excludes the enclosed block from the throughput measurement."""
    if self._pending:
      jax.block_until_ready(self._pending[-1][-1])
    with self._timer.paused():
      yield

  def add(self, step: int, metrics: Mapping[str, Any], count: int = 1) -> None:
    """Adds the metrics of one call of the program.

    Args:
      step: the last train step of the call.
      metrics: scalars for one step, or arrays `[n]` whose first `count`
        entries belong to the steps; `[M, n]` for an ensemble of M members.
      count: number of train steps in the call.
    """
    self._pending.append((step, count, metrics))
    self._timer.add(count)

  def wait(self) -> float:
    """Waits for the last step, restarts the timer, returns its seconds."""
    jax.block_until_ready(self._pending[-1][-1])
    seconds = self._timer.seconds
    self._timer.restart()
    return seconds


class MetricMeter(_Meter):
  """Averages the metrics of a run between two lines of the log.

  Attributes:
    last_means: means over the last completed window.
    examples_per_step: number of real examples that one step reads.
  """

  def __init__(self, examples_per_step: int):
    """Starts the timer.

    Args:
      examples_per_step: number of real examples that one step reads.
    """
    super().__init__()
    self.last_means: dict[str, float] = {}
    self.examples_per_step = examples_per_step
    self._feed, self._waited_before = None, 0.0
    self._values: list[Mapping[str, np.ndarray]] = []
    self._skipped = 0
    self._all_finite = jax.jit(state_lib.all_finite)

  def reset(self, feed: Any) -> None:
    """Resets the meter and starts measuring time spent waiting for data."""
    super().reset(feed)
    self._feed, self._waited_before = feed, feed.waited
    self._values = []

  @property
  def examples_per_second(self) -> float:
    """Real examples per second in the last completed window."""
    return self.rate * self.examples_per_step

  def _fetch(self) -> None:
    for step, count, metrics in jax.device_get(self._pending):
      rows = {k: np.atleast_1d(v)[:count] for k, v in metrics.items()}
      finite = np.all([np.isfinite(v) for v in rows.values()], axis=0)
      if not finite.all():
        at = int(np.argmin(finite))
        named = ', '.join(
          f'{k} = {v[at]}' for k, v in rows.items() if not np.isfinite(v[at])
        )
        raise NonFiniteError(
          f'not finite at step {step - count + 1 + at}: {named}.'
        )
      self._values.append(rows)
    self._pending = []

  def check(self, state: Any) -> None:
    """Raises NonFiniteError if any metric so far or the state is not finite."""
    self._fetch()
    if not self._all_finite(state):
      raise NonFiniteError(
        f'not finite: the state after step {int(state.step)}.'
      )

  def compute_and_reset(self) -> dict[str, float]:
    """Computes means since the last call, with the speed, and resets.

    Skipped steps (nonfinite.skip_nonfinite) are counted and left out of the
    means; the means of a window of skipped steps alone are NaN.

    Raises:
      NonFiniteError: if a metric is not finite, or if too many steps in a row
        were skipped.
    """
    self._fetch()
    self._count_skipped()
    seconds = self._timer.lap()
    waited = self._feed.waited if self._feed else 0.0
    self.last_means = _means(self._values) | {
      'steps_per_second': self.rate,
      'examples_per_second': self.examples_per_second,
      'data_wait': min(1.0, (waited - self._waited_before) / seconds),
    }
    self._values, self._waited_before = [], waited
    self._timer.restart()
    return self.last_means

  def _count_skipped(self) -> None:
    for row in self._values:
      for skipped in row.get(SKIPPED, ()):
        self._skipped = self._skipped + 1 if skipped else 0
        if self._skipped >= _MAX_SKIPPED:
          raise NonFiniteError(
            f'not finite: the last {self._skipped} steps, all of which were '
            'skipped.'
          )


def _means(rows: list[Mapping[str, np.ndarray]]) -> dict[str, float]:
  values = {n: np.concatenate([row[n] for row in rows]) for n in rows[0]}
  skipped = values.pop(SKIPPED, None)
  if skipped is None:
    return {name: float(x.mean()) for name, x in values.items()}
  taken = skipped == 0
  mean = lambda x: float(x[taken].mean()) if taken.any() else math.nan
  means = {name: mean(x) for name, x in values.items()}
  return means | {SKIPPED: float(skipped.sum())}


class MemberMeter(_Meter):
  """Averages the metrics of every member of an ensemble."""

  def __init__(self):
    super().__init__()
    self._rows: list[Mapping[str, np.ndarray]] = []

  def reset(self, feed: Any) -> None:
    """Drops metrics that were not logged and restarts the timer."""
    super().reset(feed)
    self._rows = []

  def add(self, step: int, metrics: Mapping[str, Any], count: int = 1) -> None:
    """Adds the metrics of one call, as _Meter does.

    A call of few steps returns arrays for many, of thousands of members: what
    is not used is dropped as soon as the calls are done, all but the last two.
    """
    super().add(step, metrics, count)
    self._rows += map(_steps_taken, self._pending[:-2])
    self._pending = self._pending[-2:]

  def compute_and_reset(self) -> dict[str, np.ndarray]:
    """Computes means since the last call, `[M]` each, and resets.

    Means of a member that diverged are not finite.
    """
    rows = [*self._rows, *map(_steps_taken, self._pending)]
    self._pending, self._rows = [], []
    self._timer.lap()
    self._timer.restart()
    return {
      name: np.concatenate([row[name] for row in rows], axis=1).mean(axis=1)
      for name in rows[0]
    }


def _steps_taken(
  call: tuple[int, int, Mapping[str, Any]],
) -> dict[str, np.ndarray]:
  """Returns the metrics of the steps of one call, `[M, count]`."""
  _, count, metrics = call
  return {k: v[:, :count].copy() for k, v in jax.device_get(metrics).items()}
