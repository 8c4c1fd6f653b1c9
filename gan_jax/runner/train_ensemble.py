"""Trains an ensemble: its loop, its files, its scores."""

import contextlib
import math
import pathlib
from typing import Any, Callable, Mapping, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import experiment as experiment_lib
from gan_jax import sampling
from gan_jax.distributed import watchdog
from gan_jax.evaluation import feature_cache, member_evaluator, results
from gan_jax.experiment import resume, run_dir, schedule, sweep, sweep_results
from gan_jax.io import checkpoint, files, jsonl, trackers
from gan_jax.report import audio, images, sweep_plots, tables
from gan_jax.runner import console, interrupts, loop, meters
from gan_jax.runner import report as report_lib
from gan_jax.sampling import standing_stats
from gan_jax.training import ensemble as ensemble_lib

MEMBERS_FILE = 'members.json'
CURVES_FILE = 'members.jsonl'
_MAX_MEMBERS_SHOWN = 8  # in a picture of samples, one row each
_COLUMNS = 12

# One entry per member; None for a member that diverged.
Scores = Sequence[Sequence[results.MetricResult] | None]


def diverged_members(state: Any, step: int) -> list[int]:
  """Returns the members that were frozen before a step."""
  steps = np.asarray(jax.device_get(state.step))
  return [int(i) for i in np.flatnonzero(steps < step)]


class EnsembleEvaluator:
  """Scores each member as if it were a run by itself.

  Attributes:
    evaluator: computes the scores of a member by itself.
  """

  def __init__(
    self,
    ensemble: experiment_lib.EnsembleExperiment,
    track: Callable[..., Any],
  ):
    """Initializes the evaluator; nothing is compiled yet.

    Args:
      ensemble: the ensemble.
      track: shows the progress of long evaluations.

    Raises:
      ValueError: if a metric of the config cannot be computed.
    """
    base, config = ensemble.base, ensemble.config
    self.evaluator = base.make_evaluator(
      store=feature_cache.default_feature_cache(), track=track
    )
    self._ensemble = ensemble
    self._take_member = jax.jit(ensemble_lib.take_member)
    self._members = member_evaluator.MemberEvaluator(
      self.evaluator,
      base.gan,
      base.labels,
      shape=ensemble.shape,
      count=results.num_samples_needed(config.eval.num_samples),
      devices=ensemble.devices,
      backend=config.ensemble.backend,
    )

  @property
  def notes(self) -> list[str]:
    """Notes on the last scores; a note on some members names them."""
    return self._members.notes

  def weights(self, state: Any, index: int) -> Any:
    """Returns the EMA weights of a member, for evaluation."""
    average = jax.device_get(self._take_member(state.ema, index))
    base = self._ensemble.base
    return standing_stats.evaluation_weights(
      base.gan, average, labels=base.labels
    )

  def __call__(self, state: Any, step: int) -> Scores:
    """Scores every member; None stands for those that diverged."""
    live = np.ones(len(self._ensemble.members), bool)
    live[diverged_members(state, step)] = False
    return self._members(state.ema, live)


class EnsembleLogger:
  """Writes the metrics, scores, checkpoints and page of an ensemble.

  Trackers get the medians over members.

  Attributes:
    meter: metrics since the last line of the log.
    scores: the last scores; None before the first.
    report: writes the page.
  """

  def __init__(
    self,
    ensemble: experiment_lib.EnsembleExperiment,
    evaluator: EnsembleEvaluator,
    reporter: console.ConsoleReporter,
    workdir: pathlib.Path | None,
  ):
    """Initializes the logger; nothing is written before `open`.

    Args:
      ensemble: the ensemble.
      evaluator: scores the members.
      reporter: prints lines of the log.
      workdir: directory of the ensemble; None writes nothing.
    """
    self.meter = meters.MemberMeter()
    self.scores: Scores | None = None
    self._ensemble, self._evaluator = ensemble, evaluator
    self._reporter, self._workdir = reporter, workdir
    self._end = ensemble.config.num_steps
    self._checkpoints: checkpoint.RunCheckpointer | None = None
    self._lines: jsonl.JsonlWriter | None = None
    config = ensemble.config
    writers = config.writers if workdir is not None else ()
    self._trackers = trackers.Trackers(writers, reporter.nonfatal)
    self.report = report_lib.ReportWriter(
      workdir if config.report else None, reporter.nonfatal
    )

  @contextlib.contextmanager
  def open(self, start: resume.ResumePoint):
    """Opens the files and computes scores that an earlier start missed."""
    with contextlib.ExitStack() as stack:
      if self._workdir is not None:
        self._checkpoints = stack.enter_context(
          run_dir.open_checkpoints(self._ensemble, self._workdir)
        )
        path = self._workdir / CURVES_FILE
        self._lines = stack.enter_context(
          jsonl.JsonlWriter(path, start=start.step)
        )
        if self._evaluation_missed(self._ensemble.config, start.step):
          self.evaluate(start.step, start.state)
        config = config_lib.to_dict(self._ensemble.config)
        options = config_lib.flatten(config)
        self._trackers.open(self._workdir, options, start=start.step)
        stack.callback(self._trackers.close)
      yield

  def _write(self, line: dict[str, Any]) -> None:
    if self._lines is not None:
      self._lines.write(line)

  def on_step(self, actions: schedule.Actions, step: int, state: Any) -> None:
    """Runs the due actions; slow ones are excluded from the throughput."""
    if actions.log:
      self._log_metrics(step, state)
    with self.meter.paused():
      if actions.checkpoint and self._checkpoints is not None:
        self._checkpoints.save(step, state)
      if actions.evaluate or step == self._end:
        self.evaluate(step, state)
      if actions.any_io:
        self.report.write()

  def _log_metrics(self, step, state):
    means, lost = self.meter.compute_and_reset(), diverged_members(state, step)
    listed = {
      name: [float(v) if math.isfinite(v) else None for v in values]
      for name, values in means.items()
    }
    self._write({'step': step, 'diverged': lost, 'metrics': listed})
    self._trackers.write(step, _medians(listed))
    self._reporter.members_line(step, means, lost, self.meter.rate)

  def _evaluation_missed(self, config: config_lib.Config, step: int) -> bool:
    """Whether an earlier start ended before the scores due at a step."""
    done = {line['step'] for line in self._lines.existing if 'scores' in line}
    is_due = schedule.actions_at(config, step).evaluate or step == self._end
    return bool(step) and is_due and step not in done

  def score(self, step: int, state: Any) -> Scores:
    """Scores all members, whose state must be saved: a signal ends the program."""
    wait = self._checkpoints.wait if self._checkpoints else lambda: None
    with interrupts.exiting_at_once(
      self._reporter, self._workdir, 'while scoring', wait
    ):
      self.scores = self._evaluator(state, step)
    return self.scores

  def evaluate(self, step: int, state: Any) -> Scores:
    """Scores all members, and writes a line of scores."""
    self.score(step, state)
    values = [
      rows and {row['name']: row['value'] for row in results.as_json(rows)}
      for rows in self.scores
    ]
    self._write({'step': step, 'scores': values})
    named = [
      {} if rows is None else results.scalars(rows) for rows in self.scores
    ]
    names = dict.fromkeys(name for of in named for name in of)
    listed = {name: [of.get(name) for of in named] for name in names}
    self._trackers.write(step, _medians(listed))
    return self.scores


def _medians(
  listed: Mapping[str, Sequence[float | None]],
) -> dict[str, float]:
  """Returns the median over members of each metric; NaN if none has it."""
  finite = {
    name: [v for v in values if v is not None and math.isfinite(v)]
    for name, values in listed.items()
  }
  return {
    name: float(np.median(values)) if values else math.nan
    for name, values in finite.items()
  }


def train_ensemble(
  ensemble: experiment_lib.EnsembleExperiment,
  workdir: pathlib.Path | None,
  reporter: console.ConsoleReporter,
  should_stop: Callable[[], bool],
  on_start: Callable[[], None] = lambda: None,
) -> tuple[Any, int, Scores]:
  """Trains all members of an ensemble as one program.

  Args:
    ensemble: the ensemble.
    workdir: its directory; None writes nothing.
    reporter: prints.
    should_stop: returns whether to stop and save.
    on_start: called when the program is compiled, after the first call.

  Returns:
    The members' states, the step, and the scores, which are empty if the
    ensemble was stopped before its end.

  Raises:
    ValueError: if the workdir holds another run, or a score does not fit.
    loop.TrainingError: for an error in the course of training.
  """
  evaluator = EnsembleEvaluator(ensemble, reporter.feature_progress)
  start = resume.restore_or_initialize(ensemble, workdir)
  if workdir is not None:
    metadata = run_dir.run_metadata(ensemble)
    files.write_json(workdir / run_dir.CONFIG_FILE, metadata)
    files.write_json(workdir / MEMBERS_FILE, _describe(ensemble))
  reporter.ensemble_header(ensemble, workdir, start.note)
  logger = EnsembleLogger(ensemble, evaluator, reporter, workdir)
  with logger.open(start):
    state, step = loop.train_loop(
      start,
      ensemble.streams,
      ensemble.config,
      ensemble.program(),
      loop.LoopIO(
        logger.meter,
        logger.on_step,
        should_stop,
        reporter,
        watchdog.Watchdog(),
        on_start,
      ),
    )
    # An ensemble that was complete before has not been scored yet.
    if step == ensemble.config.num_steps and logger.scores is None:
      logger.score(step, state)
  if step < ensemble.config.num_steps:
    logger.report.write(last=True)
    reporter.interrupted(step, workdir)
    return state, step, []
  if workdir is not None:
    _save_pictures(workdir / 'samples.png', ensemble, evaluator, state, step)
  _finish(ensemble, workdir, reporter, logger.scores, evaluator.notes, logger)
  return state, step, logger.scores


def _describe(
  ensemble: experiment_lib.EnsembleExperiment,
) -> list[dict[str, Any]]:
  return [
    {'member': i, 'seed': m.config.seed, **m.point}
    for i, m in enumerate(ensemble.members)
  ]


def _save_pictures(path, ensemble, evaluator, state, step) -> None:
  """Saves images or sound of the first live members, or points of the first.

  A row is a member.
  """
  lost = set(diverged_members(state, step))
  live = [i for i in range(len(ensemble.members)) if i not in lost]
  if not live:
    return
  sample = sampling.make_sampler(
    ensemble.base.gan, ensemble.devices[:1], ensemble.base.labels
  )
  samples = lambda i, count, label=None: sample(
    evaluator.weights(state, i), count, label=label
  )
  sample_rate = ensemble.base.sample_rate
  if not sample_rate and not images.can_draw(ensemble.shape):
    return
  if ensemble.base.example_kind != 'points':
    classes, label = ensemble.base.gan.classes, None
    if classes:
      label = np.arange(_COLUMNS, dtype=np.int32) % classes
    rows = [samples(i, _COLUMNS, label) for i in live[:_MAX_MEMBERS_SHOWN]]
    drawn = np.concatenate(rows)
    if sample_rate:
      audio.save_clips(path, drawn, sample_rate, columns=_COLUMNS)
    else:
      images.save_image_grid(path, drawn, columns=_COLUMNS)
  else:
    count = ensemble.config.num_samples
    real = ensemble.test[np.arange(min(count, len(ensemble.test)))]['x']
    images.save_samples(path, real, samples(live[0], count))


def _finish(ensemble, workdir, reporter, scores, notes, logger) -> None:
  """Writes summary.json, the plot and the page, and prints the table."""
  meter = logger.meter
  axes = sweep.ensemble_axes(ensemble.config)
  points = sweep_results.aggregate_seeds(ensemble.members, scores)
  rows = next((rows for rows in scores if rows), [])
  baselines = {row.name: (row.baseline, row.baseline_error) for row in rows}
  plot = None
  if workdir is not None:
    summary = {
      'points': [point.as_json() for point in points],
      'baselines': baselines,
      'members': [
        member | {'scores': None if rows is None else results.as_json(rows)}
        for member, rows in zip(_describe(ensemble), scores)
      ],
      'notes': notes,
    }
    # An ensemble that was complete before keeps the speed that it had.
    if meter.rates:
      summary['median_steps_per_second'] = float(np.median(meter.rates))
    files.update_json(workdir / 'summary.json', summary)
    plot = workdir / 'ensemble.png'
    curves = jsonl.read_jsonl(workdir / CURVES_FILE)
    if not sweep_plots.plot_sweep(plot, axes, points, baselines, curves):
      plot = None
    logger.report.write(last=True)
  better = rows[0].better if rows else ''
  ranked = sweep_results.rank_points(points, better)
  best = sweep_results.best_point(ranked, better)
  reporter.ensemble_summary(
    tables.sweep_table(axes, ranked, baselines, len(points), best),
    meter.rates,
    len(ensemble.members),
    plot,
    workdir,
  )
