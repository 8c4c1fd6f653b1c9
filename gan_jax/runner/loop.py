"""The training loop: calls of several train steps, then the due actions."""

import contextlib
from typing import Any, Callable, Iterator, NamedTuple

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax.distributed import multihost
from gan_jax.distributed.watchdog import Watchdog
from gan_jax.experiment import program as program_lib
from gan_jax.experiment import resume, schedule
from gan_jax.runner import console, meters, pacing
from gan_jax.training import fused

Callback = Callable[[schedule.Actions, int, Any], None]


class TrainingError(Exception):
  """Raised when training cannot go on; the message has the step and reason."""


class LoopIO(NamedTuple):
  """Callbacks, meter and reporter of the training loop.

  Attributes:
    meter: collects the metrics.
    on_step: called as (actions, step, state) on every process if an action is
      due. The state is donated to the next call of the program.
    should_stop: returns whether this process was asked to stop.
    reporter: prints progress.
    watchdog: receives a heartbeat for each call.
    on_start: called after the first call, which compiles the program.
  """

  meter: meters.MetricMeter | meters.MemberMeter
  on_step: Callback
  should_stop: Callable[[], bool]
  reporter: console.ConsoleReporter
  watchdog: Watchdog
  on_start: Callable[[], None] = lambda: None


def train_loop(
  start: resume.ResumePoint,
  streams: fused.RandomStreams,
  config: config_lib.Config,
  program: program_lib.TrainProgram,
  io: LoopIO,
) -> tuple[Any, int]:
  """Trains from a resume point to the end, or until asked to stop.

  Args:
    start: state, step and number of rollbacks to start from.
    streams: sources of all randomness of the run.
    config: resolved config.
    program: compiled program of several train steps.
    io: callbacks, meter, reporter and watchdog.

  Returns:
    The state and the step, which is below `num_steps` if the loop was stopped.

  Raises:
    meters.NonFiniteError: if a metric or the state is not finite.
    TrainingError: for an error of the data or of a callback.
    KeyboardInterrupt: after saving the state.
  """
  state, streams = program.put(start.state), program.put(streams)
  pacer = pacing.CallPacer(config, program.max_steps)
  step, stopping = start.step, False
  with (
    _as_training_error(lambda: step),
    program.feed(step, start.rollbacks) as feed,
    io.reporter.bar(total=config.num_steps, done=step) as bar,
  ):
    io.meter.reset(feed)
    try:
      while step < config.num_steps and not stopping:
        batch, count = feed.take(step, pacer.count(step), pacer.wait)
        state, metrics = program.run(state, batch, streams, np.int32(count))
        step += count
        pacer.dispatched(count, metrics)
        io.meter.add(step, metrics, count)
        if step == start.step + count:
          io.reporter.compiled(io.meter.wait())
          io.on_start()
        io.watchdog.heartbeat(step)

        stopping = pacer.sync(io.should_stop())
        actions = schedule.actions_at(config, step, stopping)
        if any(actions):
          pacer.drain()
          with io.watchdog.paused():
            io.on_step(actions, step, state)
          if actions.any_io or config.diagnostics:
            _wait_for_writer(step, io.watchdog)
        bar.update(step, io.meter.rate)
    except KeyboardInterrupt:  # raised where no signal handler is installed
      _save_interrupted(io.on_step, state)
      raise
  io.watchdog.allow_slow()  # files that are still being written may take long
  return state, step


def _save_interrupted(on_step: Callback, state: Any) -> None:
  """Saves a state, unless it was donated when the interrupt came."""
  leaves = [x for x in jax.tree.leaves(state) if isinstance(x, jax.Array)]
  if leaves and not any(x.is_deleted() for x in leaves):
    save = schedule.Actions(
      log=False, checkpoint=True, sample=False, evaluate=False
    )
    on_step(save, int(np.max(jax.device_get(state.step))), state)


def _wait_for_writer(step: int, watchdog: Watchdog) -> None:
  """Makes the other processes wait for process 0, which writes the files."""
  is_writer = multihost.is_chief()
  with contextlib.nullcontext() if is_writer else watchdog.paused():
    multihost.barrier(f'step {step}')


@contextlib.contextmanager
def _as_training_error(step: Callable[[], int]) -> Iterator[None]:
  try:
    yield
  except (ValueError, OSError) as error:
    raise TrainingError(f'at step {step()}: {error}') from error
