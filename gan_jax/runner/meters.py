"""The metrics of a run between two lines of its log, and its speed."""

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
  """A metric or the state became NaN or infinite."""


class StepTimer:
  """Train steps per second, in the windows between two lines of the log.

  Attributes:
    rate: of the last window.
    rates: of every window.
  """

  def __init__(self):
    self.rate = 0.0
    self.rates: list[float] = []
    self.restart()

  @property
  def seconds(self) -> float:
    """Since the window began, without what was paused."""
    return time.perf_counter() - self._from

  def add(self, count: int) -> None:
    """Counts steps."""
    self._steps += count

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """What is done within does not count."""
    start = time.perf_counter()
    yield
    self._from += time.perf_counter() - start

  def lap(self) -> float:
    """Notes the rate of the window, if it has steps; its seconds."""
    seconds = self.seconds
    if self._steps:
      self.rate = self._steps / seconds
      self.rates.append(self.rate)
    return seconds

  def restart(self) -> None:
    """Begins a window; steps that no lap has noted are forgotten."""
    self._steps, self._from = 0, time.perf_counter()


class _Meter:
  """Metrics on the device, until a line of the log asks for them, and a clock."""

  def __init__(self):
    self._clock = StepTimer()
    self._pending: list[tuple[int, int, Mapping[str, Any]]] = []

  def begin(self, feed: Any) -> None:
    """Forgets what no line was written of, and starts the clock.

    Args:
      feed: with `waited`, seconds that the device has stood still for data.
    """
    del feed
    self._pending = []
    self._clock.restart()

  @property
  def rate(self) -> float:
    """Steps per second of the last closed window."""
    return self._clock.rate

  @property
  def rates(self) -> list[float]:
    """Steps per second of every closed window."""
    return self._clock.rates

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """What is done within does not count against the speed."""
    if self._pending:
      jax.block_until_ready(self._pending[-1][-1])
    with self._clock.paused():
      yield

  def add(self, step: int, metrics: Mapping[str, Any], count: int = 1) -> None:
    """Takes the metrics of some steps.

    Args:
      step: the last of them.
      metrics: scalars of one step, or `[n]` of which the first `count` are
        those of as many steps; of an ensemble `[M, n]`.
      count: number of steps.
    """
    self._pending.append((step, count, metrics))
    self._clock.add(count)

  def wait(self) -> float:
    """Waits for the last step; seconds since the clock started, restarts it."""
    jax.block_until_ready(self._pending[-1][-1])
    seconds = self._clock.seconds
    self._clock.restart()
    return seconds


class MetricMeter(_Meter):
  """The metrics of a run since the last line of the log, and the speed.

  Attributes:
    means: of the last closed window.
    examples_per_step: real examples that one step reads.
  """

  def __init__(self, examples_per_step: int):
    """Starts the clock.

    Args:
      examples_per_step: real examples that one step reads.
    """
    super().__init__()
    self.means: dict[str, float] = {}
    self.examples_per_step = examples_per_step
    self._feed, self._waited_before = None, 0.0
    self._values: list[Mapping[str, np.ndarray]] = []
    self._skipped = 0
    self._all_finite = jax.jit(state_lib.all_finite)

  def begin(self, feed: Any) -> None:
    """As of any log, and takes the time that the feed is waited for."""
    super().begin(feed)
    self._feed, self._waited_before = feed, feed.waited
    self._values = []

  @property
  def examples_per_second(self) -> float:
    """Real examples per second of the last closed window."""
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
    """Raises NonFinite for any metric so far, or the state."""
    self._fetch()
    if not self._all_finite(state):
      raise NonFiniteError(
        f'not finite: the state after step {int(state.step)}.'
      )

  def close(self) -> dict[str, float]:
    """Means since the last close, with the speed.

    Steps that were skipped (nonfinite.skip_nonfinite) are counted, and in no mean; of a
    window of such steps alone all means are NaN.

    Raises:
      NonFinite: for any metric, or where too many steps in a row were skipped.
    """
    self._fetch()
    self._count_skipped()
    seconds = self._clock.lap()
    waited = self._feed.waited if self._feed else 0.0
    self.means = _means(self._values) | {
      'steps_per_second': self.rate,
      'examples_per_second': self.examples_per_second,
      'data_wait': min(1.0, (waited - self._waited_before) / seconds),
    }
    self._values, self._waited_before = [], waited
    self._clock.restart()
    return self.means

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
  """Metrics of all members between two lines of the log, and the speed."""

  def close(self) -> dict[str, np.ndarray]:
    """Means since the last close, `[M]` each; not finite for who diverged."""
    fetched, self._pending = jax.device_get(self._pending), []
    self._clock.lap()
    self._clock.restart()
    rows = [{k: v[:, :n] for k, v in m.items()} for _, n, m in fetched]
    return {
      name: np.concatenate([row[name] for row in rows], axis=1).mean(axis=1)
      for name in rows[0]
    }
