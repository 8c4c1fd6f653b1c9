"""Trains a GAN from a config: the training program, as a function.

  import gan_jax
  result = gan_jax.train('configs/digits.py', 'runs/digits')
  result.scores

`train.py` calls the same function; runner/launch.py adds what belongs to a
program of its own: exit statuses, one-line errors and several processes.
"""

import contextlib
import os
import pathlib
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from gan_jax import config as config_lib
from gan_jax import validation
from gan_jax.distributed import multihost, shutdown, xla_setup
from gan_jax.distributed.watchdog import Watchdog
from gan_jax.experiment import ensemble as ensemble_lib
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.experiment import (
  initial_weights,
  own_parts,
  resume,
  run_dir,
  schedule,
)
from gan_jax.io import files, lock
from gan_jax.runner import config_file as config_file_lib
from gan_jax.runner import (
  console,
  interrupts,
  loop,
  meters,
  run_logger,
  train_ensemble,
)
from gan_jax.runner.config_file import PARTS
from gan_jax.training import fused

_MAX_ROLLBACKS = 3  # to one checkpoint
_warned_of_flags = False

Experiment = experiment_lib.Experiment
EnsembleExperiment = ensemble_lib.EnsembleExperiment


class TrainingResult(NamedTuple):
  """What `train` returns.

  Attributes:
    experiment: the experiment or the ensemble that was trained.
    state: its last train state.
    step: number of train steps done.
    finished: whether the run came to its end; False if it was asked to stop.
    scores: scores of the last state; one entry per member for an ensemble,
      None for those that diverged. Empty if the run did not finish, and on
      processes other than the first.
    workdir: directory of the run, or None.
  """

  experiment: Any
  state: Any
  step: int
  finished: bool
  scores: Any
  workdir: pathlib.Path | None

  def __repr__(self) -> str:  # without the arrays of the state
    return (
      f'TrainingResult(step={self.step}, finished={self.finished}, '
      f'workdir={self.workdir})'
    )


def train(
  config: Any,
  workdir: str | os.PathLike | None = None,
  *,
  generator: Any = None,
  discriminator: Any = None,
  loss: Any = None,
  train: Any = None,
  test: Any = None,
  config_file: str | os.PathLike = '',
  init_from: str | os.PathLike = '',
  init_parts: str | Sequence[str] = initial_weights.PLAYERS,
  init_skip_mismatched: bool = False,
  quiet: bool = False,
  should_stop: Callable[[], bool] = lambda: False,
  watchdog: Watchdog | None = None,
  reporter: console.ConsoleReporter | None = None,
) -> TrainingResult:
  """Trains a run, or an ensemble of runs, from a config.

  A workdir that holds a checkpoint of the same config is continued. In the main
  thread, the first Ctrl-C or SIGTERM lets the current step end, saves the
  state, and returns; in other threads `should_stop` does the same. The process
  is never exited, and its signal handlers are restored.

  Args:
    config: a mapping of config fields, a ConfigDict, a config.Config, the path
      of a config file ('configs/digits.py:test'), or an experiment that was
      built from one.
    workdir: directory for logs, pictures, scores and checkpoints. None writes
      nothing.
    generator: generator in place of the config's, as in experiment.build: a
      Linen module, a `Network`, `lambda rngs: ...` (NNX) or `lambda key: ...`
      (Equinox).
    discriminator: discriminator in place of the config's, likewise.
    loss: an AdversarialLoss in place of the config's.
    train: training examples in place of the config's: arrays, a mapping of
      arrays, or a dataset with `len()` and `[i]`.
    test: held-out examples, likewise; None takes the training examples.
    config_file: config file whose `get_parts` returned these parts, for
      evaluate.py to find them again. A config given by its path is read for
      `get_parts`, too.
    init_from: directory of another run, or file of convert_weights, from whose
      weights a new run starts; '' for none.
    init_parts: players that take these weights: 'generator' (and its average),
      'discriminator', or both.
    init_skip_mismatched: whether arrays that are missing there, or of another
      shape, start anew; the run lists them. Otherwise they are refused.
    quiet: whether to print nothing.
    should_stop: called after every call of the compiled program; True stops
      the run and saves it.
    watchdog: receives a heartbeat for every call; None for no watchdog.
    reporter: prints the progress; None for one as `quiet` says.

  Returns:
    The result, with the last state and the scores.

  Raises:
    ValueError: for a config that does not fit, or a workdir that holds another
      run.
    FileNotFoundError: if a config file or data are missing.
    io.lock.DirectoryLockedError: if another process trains in the workdir.
    TrainingError: for an error of the data, of the disk or of a score in the
      course of training.
    NonFiniteError: if a metric or the state becomes NaN or infinite, and the
      config does not say to go on.
    KeyboardInterrupt: if it is raised in this thread, after saving.
  """
  # ---- Resolve: one config, and XLA's flags before its first computation.
  own = dict(zip(PARTS, (generator, discriminator, loss, train, test)))
  config, experiment, parts = _resolve(config, own, str(config_file))
  _set_xla_flags(config)
  if workdir is not None:
    workdir = files.resolve_path(workdir, 'workdir')
  start_from = initial_weights.make_init_from(
    init_from, init_parts, init_skip_mismatched
  )
  is_writer = multihost.is_chief()
  if reporter is None:
    reporter = console.ConsoleReporter(quiet=quiet or not is_writer)
  watchdog = Watchdog() if watchdog is None else watchdog
  with contextlib.ExitStack() as stack:
    stop = stack.enter_context(
      shutdown.GracefulShutdown(should_stop, quiet=quiet)
    )
    starting = stack.enter_context(contextlib.ExitStack())
    starting.enter_context(
      interrupts.exiting_at_once(reporter, workdir, 'before the first step')
    )
    if config_lib.is_ensemble(config):
      check_ensemble_call(init_from)
      return _train_ensemble(
        experiment or (config, parts), workdir, reporter, stop, starting.close
      )

    # ---- Build: refuse what is wrong before anything is compiled.
    with multihost.raise_together('build the run', *shutdown.USER_ERRORS):
      if experiment is None:
        experiment = experiment_lib.build_from_parts(config, parts)
      logger = None
      if is_writer:
        probe = run_logger.RunProbe(experiment, reporter)
        if workdir is not None:
          stack.enter_context(lock.DirectoryLock(workdir))
          logger = run_logger.RunLogger(probe, workdir, reporter)

    # ---- Restore: the last good checkpoint, other weights, or a new state.
    restore = lambda: resume.restore_or_initialize(
      experiment, workdir, start_from
    )
    start = restore()
    if logger:
      metadata = run_dir.run_metadata(experiment)
      files.write_json(workdir / run_dir.CONFIG_FILE, metadata)
    reporter.header(experiment, start.state, workdir, start.note)

    # ---- Train loop: once, and again after each rollback.
    io = _loop_io(experiment, logger, stop, reporter, watchdog)
    io = io._replace(on_start=starting.close)
    rollbacks = _Rollbacks(experiment, workdir)
    program = experiment.program()
    while True:
      try:
        with logger.open(start) if logger else contextlib.nullcontext():
          state, step = loop.train_loop(
            start,
            fused.make_streams(experiment.config.seed, start.rollbacks),
            experiment.config,
            program,
            io,
          )
        break
      except meters.NonFiniteError as error:
        # ---- Rollback: to the last checkpoint, with other batches from there.
        start = rollbacks.next_start(error, start, restore)
        reporter.rolled_back(str(error), start)

    if step < experiment.config.num_steps:
      reporter.interrupted(step, workdir)
      return TrainingResult(experiment, state, step, False, [], workdir)

    # ---- Finish: how good it is, and where to look.
    scores = _finish(probe if is_writer else None, logger, step, state, io)
    multihost.barrier('end')
    return TrainingResult(experiment, state, step, True, scores, workdir)


def _resolve(
  config: Any, given: Mapping[str, Any], file: str
) -> tuple[config_lib.Config, Any, own_parts.OwnParts]:
  """Returns the config, the experiment if there is one, and the own parts."""
  given = {name: part for name, part in given.items() if part is not None}
  if isinstance(config, Experiment | EnsembleExperiment):
    if given:
      raise ValueError(
        f'{", ".join(given)}: the experiment is built: pass them to '
        'experiment.build'
      )
    return config.config, config, own_parts.OwnParts()
  if isinstance(config, str | os.PathLike):
    path, config = config, config_file_lib.load_config(config)
    of_file = config_file_lib.load_parts(path, config)
    file, given = str(path) if of_file else file, of_file | given
  parts = own_parts.make_own_parts(**given)
  if file:
    path, variant = config_file_lib.split_path(file)
    file = str(path.resolve()) + (f':{variant}' if variant else '')
  parts = parts._replace(config_file=file)
  if isinstance(config, config_lib.Config):
    return parts.mark(config), None, parts
  if not isinstance(config, Mapping) and not hasattr(config, 'to_dict'):
    raise ValueError(
      f'config={config!r}: must be a mapping, a ConfigDict, a Config, the path '
      'of a config file, or an experiment'
    )
  return config_lib.resolve(parts.mark(config)), None, parts


def _set_xla_flags(config: config_lib.Config) -> None:
  """Sets XLA's flags, or warns once that it is too late for them."""
  global _warned_of_flags
  many = config_lib.is_ensemble(config)
  if not xla_setup.is_backend_initialized():
    xla_setup.configure_xla(members=many, deterministic=config.deterministic)
  elif not xla_setup.are_flags_set() and not _warned_of_flags:
    _warned_of_flags = True
    validation.warn(
      'JAX has run before XLA flags could be set, so that training on CPU may '
      'be slower: call gan_jax.distributed.configure_jax() first',
      RuntimeWarning,
    )


def _loop_io(
  experiment: Experiment,
  logger: run_logger.RunLogger | None,
  should_stop: Callable[[], bool],
  reporter: console.ConsoleReporter,
  watchdog: Watchdog,
) -> loop.LoopIO:
  """Returns what the loop reports to; without a logger nothing is written."""
  if logger:
    return loop.LoopIO(
      logger.meter, logger.on_step, should_stop, reporter, watchdog
    )
  config = experiment.config
  meter = meters.MetricMeter(config.batch_size * config.d_steps)

  def on_step(actions: schedule.Actions, step: int, state: Any) -> None:
    if actions.log:
      reporter.line(step, meter.compute_and_reset())
    if actions.any_io:
      with meter.paused():
        meter.check(state)

  return loop.LoopIO(meter, on_step, should_stop, reporter, watchdog)


class _Rollbacks:
  """Decides whether a run that is not finite goes back to a checkpoint."""

  def __init__(self, experiment: Experiment, workdir: pathlib.Path | None):
    self._nonfinite = experiment.config.nonfinite
    self._workdir, self._tries = workdir, 0

  def next_start(
    self,
    error: meters.NonFiniteError,
    before: resume.ResumePoint,
    restore: Callable[[], resume.ResumePoint],
  ) -> resume.ResumePoint:
    """Returns where to go on from, or raises the error with advice."""
    if self._nonfinite != 'rollback':
      raise meters.NonFiniteError(f'{error}{self._advice()}') from error
    start = restore()
    self._tries = self._tries + 1 if start.step == before.step else 1
    if self._tries > _MAX_ROLLBACKS:
      raise meters.NonFiniteError(
        f'{error} The same happened after {_MAX_ROLLBACKS} rollbacks to step '
        f'{start.step}.'
      ) from error
    return start._replace(rollbacks=before.rollbacks + 1)

  def _advice(self) -> str:
    if self._workdir is None:
      return ''
    if not multihost.is_chief():
      return ' The last good checkpoint: see process 0.'
    latest = run_dir.latest_step(self._workdir) or 'none yet'
    return f' The last good checkpoint: {latest}.'


def _finish(
  probe: run_logger.RunProbe | None,
  logger: run_logger.RunLogger | None,
  step: int,
  state: Any,
  io: loop.LoopIO,
) -> run_logger.Scores:
  """Scores the last state; writes and prints where to look."""
  if logger:
    return logger.finalize(step, state)
  if probe is None:
    return []
  scores = probe.snapshot(state).scores
  io.reporter.summary(io.meter, scores, probe.evaluator.notes, False, None)
  return scores


def check_ensemble_call(init_from: str | os.PathLike) -> None:
  """Refuses what a single run can have, and an ensemble cannot.

  Args:
    init_from: as in `train`.

  Raises:
    ValueError: if it is given, or if there are several processes.
  """
  if init_from:
    raise ValueError('init_from is for one run, not for an ensemble')
  if multihost.process_count() > 1:
    raise ValueError('an ensemble trains in one process: num_processes=1')


def _train_ensemble(
  experiment: EnsembleExperiment | tuple[config_lib.Config, own_parts.OwnParts],
  workdir: pathlib.Path | None,
  reporter: console.ConsoleReporter,
  stop: Callable[[], bool],
  on_start: Callable[[], None],
) -> TrainingResult:
  """Trains all members of an ensemble as one program."""
  if isinstance(experiment, tuple):
    experiment = ensemble_lib.build_ensemble_from_parts(*experiment)
  locked = contextlib.nullcontext()
  if workdir is not None:
    locked = lock.DirectoryLock(workdir)
  with locked:
    state, step, scores = train_ensemble.train_ensemble(
      experiment, workdir, reporter, stop, on_start
    )
  finished = step == experiment.config.num_steps
  return TrainingResult(experiment, state, step, finished, scores, workdir)
