"""The training loop: some train steps as one call, then what is due."""

import contextlib
from typing import Any, Callable, Iterator

import numpy as np

from gan_jax import config as config_lib
from gan_jax.distributed import multihost
from gan_jax.distributed.watchdog import Watchdog
from gan_jax.experiment import program as program_lib
from gan_jax.experiment import resume, schedule
from gan_jax.runner import meters, pacing
from gan_jax.training import fused


class TrainingError(Exception):
  """Training cannot go on; it says at which step, and why."""


def train_loop(
  start: resume.ResumePoint,
  streams: fused.RandomStreams,
  config: config_lib.Config,
  program: program_lib.TrainProgram,
  log: Any,
  keep: Callable[[schedule.Actions, int, Any], Any],
  *,
  stopped: Callable[[], bool],
  report: Any,
  watchdog: Watchdog,
) -> tuple[Any, int]:
  """Trains from a start to the end, or until someone asks to stop.

  Args:
    start: the state, the step, how often the run has gone back.
    streams: sources of all randomness.
    config: the settings.
    program: the compiled program.
    log: a meters.MetricMeter or meters.MemberMeter: takes the metrics.
    keep: (due, step, state) does what is due; called after each call, on every
      process. The state is donated to the next call.
    stopped: whether someone asked this process to stop.
    report: a console.ConsoleReporter.
    watchdog: is told of each call.

  Returns:
    The state and the step, which is below `num_steps` where it was stopped.

  Raises:
    meters.NonFiniteError: as keep does.
    Failed: for an error of the data or of keep that a person can mend.
  """
  state, streams = program.put(start.state), program.put(streams)
  pace = pacing.CallPacer(config, program.max_steps)
  step, stopping = start.step, False
  with (
    _as_training_error(lambda: step),
    program.feed(step, start.rollbacks) as feed,
    report.bar(total=config.num_steps, done=step) as bar,
  ):
    log.begin(feed)
    while step < config.num_steps and not stopping:
      examples, count = feed.take(step, pace.count(step), pace.wait)
      state, metrics = program.run(state, examples, streams, np.int32(count))
      step += count
      pace.started(count, metrics)
      log.add(step, metrics, count)
      if step == start.step + count:
        report.compiled(log.wait())
      watchdog.alive(step)

      stopping = pace.agree(stopped())
      now = schedule.actions_at(config, step, stopping)
      if any(now):
        pace.rest()
        with watchdog.paused():
          keep(now, step, state)
        if now.any_io or config.diagnostics:
          _wait_for_writer(step, watchdog)
      bar.update(step, log.rate)
  watchdog.rest()  # what is being written may take its time
  return state, step


def _wait_for_writer(step: int, watchdog: Watchdog) -> None:
  """The others wait for the one that writes; it need not wait for them."""
  chief = multihost.is_chief()
  with contextlib.nullcontext() if chief else watchdog.paused():
    multihost.barrier(f'step {step}')


@contextlib.contextmanager
def _as_training_error(step: Callable[[], int]) -> Iterator[None]:
  try:
    yield
  except (ValueError, OSError) as error:
    raise TrainingError(f'at step {step()}: {error}') from error


def make_callback(records: Any, log: meters.MetricMeter) -> Callable[..., None]:
  """Makes the `keep` of one run.

  Args:
    records: a run_logger.RunLogger or run_logger.Nothing.
    log: of the run.

  Returns:
    (due, step, state) -> None. Raises NonFinite before anything is kept of a
    state that is not finite.
  """

  def keep(now: schedule.Actions, step: int, state: Any) -> None:
    if now.log:
      records.line(step, log.close(), state)
    if now.any_io:
      with log.paused():
        log.check(state)
        records.keep(now, step, state)

  return keep
