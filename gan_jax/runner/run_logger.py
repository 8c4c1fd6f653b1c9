"""Writes a run's logs, sample images, scores, warnings and checkpoints.

Only process 0 writes.
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
from typing import Any, ContextManager, Mapping, Sequence

import numpy as np

from gan_jax import __version__, sampling
from gan_jax import config as config_lib
from gan_jax.distributed import devices
from gan_jax.evaluation import failure_modes, feature_cache, results
from gan_jax.experiment import best_checkpoint, resume, run_dir, schedule
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.io import files, jsonl, metric_writer, trackers
from gan_jax.report import audio, images
from gan_jax.runner import console, interrupts, meters, report
from gan_jax.sampling import digest, sampler, standing_stats

WARNINGS_FILE = 'warnings.jsonl'
Scores = list[results.MetricResult]


class Snapshot:
  """Samples, scores and health of one state, each computed at most once.

  Attributes:
    state: train state, whole on this process.
  """

  def __init__(self, probe: 'RunProbe', state: Any):
    """Initializes the snapshot; nothing is computed yet.

    Args:
      probe: functions of the run.
      state: train state, whole on this process.
    """
    self._probe, self.state = probe, state

  @functools.cached_property
  def weights(self) -> Any:
    """EMA parameters with the statistics for evaluation."""
    experiment = self._probe.experiment
    return standing_stats.evaluation_weights(
      experiment.gan, self.state.ema, labels=experiment.labels
    )

  @functools.cached_property
  def samples(self) -> np.ndarray:
    """Generated examples for pictures; a row a class if there are classes."""
    count, label = self._probe.experiment.config.num_samples, None
    if self._probe.picture_rows:
      label, _ = self._probe.picture_rows
      count = len(label)
    return self._probe.sample(self.weights, count, label=label)

  def about(self, step: int) -> dict[str, Any]:
    """Returns what makes the samples again, as sample.py writes it.

    Args:
      step: number of train steps done.
    """
    found: dict[str, Any] = {
      'gan_jax': __version__,
      'seed': 0,
      'indices': f'0-{len(self.samples) - 1}',
      'step': step,
      'weights': 'ema',
      'weights_sha256': digest.weights_digest(self.weights),
    }
    experiment = self._probe.experiment
    if experiment.example_kind == 'images':
      found['columns'] = math.ceil(math.sqrt(len(self.samples)))
    if experiment.gan.classes:
      label = experiment.labels(np.arange(len(self.samples)))
      if self._probe.picture_rows:
        label, found['columns'] = self._probe.picture_rows
      found['classes'] = [int(x) for x in label]
    return found

  @functools.cached_property
  def health(self) -> dict[str, float]:
    """Facts about both players, see failure_modes.make_health_probe."""
    return self._probe.measure_health(self.state)

  @functools.cached_property
  def scores(self) -> Scores:
    """Scores of the generator.

    Raises:
      ValueError: if a score cannot be computed.
    """
    return self._probe.score(self.weights)


class RunProbe:
  """Samples and scores the states of a run.

  Attributes:
    experiment: the run's experiment.
    evaluator: computes the scores.
    sample: (weights, count) -> generated examples.
    picture_rows: labels of the samples in a picture and its columns, for a row
      a class; None for samples in any order.
    measure_health: state -> facts about both players.
  """

  def __init__(
    self,
    experiment: experiment_lib.Experiment,
    reporter: console.ConsoleReporter,
  ):
    """Builds the functions; nothing is compiled yet.

    Args:
      experiment: the run's experiment.
      reporter: shows the progress of long evaluations.

    Raises:
      ValueError: if a metric of the config cannot be computed.
    """
    self.experiment = experiment
    self.evaluator = experiment.make_evaluator(
      store=feature_cache.default_feature_cache(),
      track=reporter.feature_progress,
    )
    self.sample = sampling.make_sampler(
      experiment.gan, labels=experiment.labels
    )
    self.picture_rows = None
    if experiment.gan.classes and experiment.example_kind != 'points':
      self.picture_rows = sampling.labels_in_rows(
        experiment.gan.classes, experiment.config.num_samples
      )
    self.measure_health = experiment.make_health_probe()
    self._sample_indices = sampler.make_indexed_sampler(
      experiment.gan, experiment.local_devices, experiment.labels
    )

  def score(self, weights: Any) -> Scores:
    """Scores a generator.

    Args:
      weights: (parameters, statistics) for evaluation.

    Raises:
      ValueError: if a score cannot be computed.
    """
    experiment = self.experiment
    count = results.num_samples_needed(experiment.config.eval.num_samples)
    source = sampler.GeneratedSource(
      self._sample_indices,
      weights,
      experiment.shape,
      count,
      seed=1,
      label=sampling.label_fn(experiment.gan)(np.arange(count)),
    )
    try:
      return self.evaluator(source)
    except ValueError as error:
      raise ValueError(f'scores: {error}') from error

  def snapshot(self, state: Any) -> Snapshot:
    """Returns the lazily computed facts about a train state."""
    return Snapshot(self, devices.addressable_state(state))


class RunLogger:
  """Writes the files of a run. Use `open` as a context manager."""

  def __init__(
    self,
    probe: RunProbe,
    workdir: pathlib.Path,
    reporter: console.ConsoleReporter,
  ):
    """Initializes the logger; nothing is written before `open`.

    Args:
      probe: samples and scores the states.
      workdir: directory of the run.
      reporter: prints lines, warnings and scores.

    Raises:
      OSError: if a tracker of the config is missing or not installed.
      ValueError: if a tracker of the config does not load.
    """
    self._probe, self._workdir, self._reporter = probe, workdir, reporter
    self._experiment = probe.experiment
    self._config: config_lib.Config = probe.experiment.config
    self._real = experiment_lib.take_examples(
      self._experiment.test, self._config.num_samples
    )
    self._meter = meters.MetricMeter(
      self._config.batch_size * self._config.d_steps
    )
    self._last: tuple[int, Snapshot] | None = None
    self._step = 0
    self._trackers = trackers.Trackers(self._config.writers, reporter.nonfatal)
    self._report = report.ReportWriter(
      workdir if self._config.report else None, reporter.nonfatal
    )

  @property
  def meter(self) -> meters.MetricMeter:
    """Metrics since the last line of the log."""
    return self._meter

  @contextlib.contextmanager
  def open(self, start: resume.ResumePoint):
    """Opens the files and drops lines that are later than the resume point.

    Args:
      start: where the run starts or continues.
    """
    workdir, step = self._workdir, start.step
    self._step = step
    self._last = None  # after a rollback the same step has another state
    with contextlib.ExitStack() as stack:
      enter = stack.enter_context
      self._checkpoints = enter(
        run_dir.open_checkpoints(self._experiment, workdir, start.rollbacks)
      )
      options = config_lib.flatten(config_lib.to_dict(self._config))
      self._trackers.open(workdir, options, start=step)
      self._metrics = enter(
        metric_writer.MetricWriter(workdir, start=step, trackers=self._trackers)
      )
      self._warnings = enter(
        jsonl.JsonlWriter(
          workdir / WARNINGS_FILE, start=step, kinds={'warnings': dict}
        )
      )
      # Warnings of the last picture are not repeated.
      every = self._config.sample_every or self._config.num_steps
      last = [v for v in self._warnings.existing if v['step'] > step - every]
      self._warned = last[-1]['warnings'].keys() if last else set()
      self._best = None
      if self._config.eval_every:
        self._best = enter(
          best_checkpoint.BestCheckpointTracker(
            workdir, dataclasses.asdict(self._config.eval), start=step
          )
        )
        self._reporter.quarantined(self._best.damaged)
      if step == 0:
        self._save_picture(0, 'real')
      if self._evaluation_missed(step):
        with self._scoring():
          self._evaluate(step, self._snapshot(step, start.state))
      try:
        yield
      finally:
        if self._step < self._config.num_steps:  # else `finalize` writes it
          self._report.write(last=True)

  def _evaluation_missed(self, step: int) -> bool:
    """Whether the run ended before the scores that were due at a step."""
    due = step and schedule.actions_at(self._config, step).evaluate
    return bool(due) and not self._best.is_evaluated(step)

  def _scoring(self) -> ContextManager[None]:
    """Returns the context of scoring a state that is saved."""
    return interrupts.exiting_at_once(
      self._reporter, self._workdir, 'while scoring', self._checkpoints.wait
    )

  def _snapshot(self, step: int, state: Any) -> Snapshot:
    if self._last is None or self._last[0] != step:
      self._last = step, self._probe.snapshot(state)
    return self._last[1]

  def on_step(self, actions: schedule.Actions, step: int, state: Any) -> None:
    """Runs the due actions, and excludes slow ones from the throughput.

    Args:
      actions: what is due.
      step: number of train steps done.
      state: train state after them.

    Raises:
      meters.NonFiniteError: if a metric or the state is not finite; then
        nothing of the state is written.
      OSError: if something cannot be written; the message names the file.
      ValueError: if scores cannot be computed.
    """
    self._step = step
    if actions.log:
      self._log_metrics(step, state)
    if not actions.any_io:
      return
    with self._meter.paused():
      # This process's copy: a program of all processes would wait for one that
      # hangs, while the watchdog allows for slow files.
      self._meter.check(devices.addressable_state(state))
      snapshot = self._snapshot(step, state)
      # What a continued run would not write again comes before the checkpoint.
      if actions.sample:
        self._save_picture(step, f'samples/{step:08d}', snapshot)
        self._warn(step, snapshot)
      if actions.checkpoint:
        self._metrics.flush()
        self._checkpoints.save(step, devices.addressable_state(state))
      if actions.evaluate:
        with self._scoring():
          self._evaluate(step, snapshot)
      elif step == self._config.num_steps:
        with self._scoring():
          self._metrics.write_events(step, results.scalars(snapshot.scores))
      if actions.sample or actions.evaluate:
        self._report.write()

  def _save_picture(
    self, step: int, name: str, snapshot: Snapshot | None = None
  ) -> None:
    """Saves samples, or the real examples, if a picture can show them."""
    sample_rate = self._experiment.sample_rate
    if not sample_rate and not images.can_draw(self._experiment.shape):
      return
    path = self._workdir / f'{name}.png'
    rows = self._probe.picture_rows
    columns = rows[1] if rows and snapshot else 0
    samples = snapshot.samples if snapshot else None
    about = snapshot.about(step) if snapshot else None
    options = dict(columns=columns, about=about)
    if sample_rate:
      clips = self._real if samples is None else samples
      audio.save_clips(path, clips, sample_rate, **options)
    else:
      images.save_samples(path, self._real, samples, **options)
    if name != 'samples':  # which repeats the last of them
      self._metrics.write_picture(step, name.split('/')[0], path)

  def _log_metrics(self, step: int, state: Any) -> None:
    means: Mapping[str, float] = self._meter.compute_and_reset()
    if self._config.diagnostics:
      means = {**means, **self._snapshot(step, state).health}
    self._metrics.write(step, means)
    self._reporter.line(step, means)

  def _warn(self, step: int, snapshot: Snapshot) -> None:
    found = failure_modes.diagnose(snapshot.health)
    if found:
      self._warnings.write({'step': step, 'warnings': found})
    for kind in found.keys() - self._warned:
      self._reporter.warning(step, found[kind])
    self._warned = found.keys()

  def _evaluate(self, step: int, snapshot: Snapshot) -> None:
    scores = snapshot.scores
    is_best = self._best.update(step, snapshot.state, scores)
    self._metrics.write_events(step, results.scalars(scores))
    self._reporter.scored(step, scores, is_best)

  def finalize(self, step: int, state: Any) -> Scores:
    """Writes the last picture, the scores and `summary.json`.

    Args:
      step: number of train steps done.
      state: train state after them.

    Returns:
      The scores.
    """
    snapshot = self._snapshot(step, state)
    self._save_picture(step, 'samples', snapshot)
    scores, notes = snapshot.scores, self._probe.evaluator.notes
    warnings = jsonl.read_jsonl(self._workdir / WARNINGS_FILE)
    self._write_summary(scores, notes, warnings)
    self._report.write(last=True)
    self._reporter.summary(
      self._meter, scores, notes, bool(warnings), self._workdir
    )
    return scores

  def _write_summary(
    self,
    scores: Scores,
    notes: Sequence[str],
    warnings: Sequence[Mapping[str, Any]],
  ) -> None:
    summary: dict[str, Any] = {
      'scores': results.as_json(scores),
      'notes': list(notes),
      'warnings': list(warnings),
    }
    # A run that was complete before keeps the losses and speed that it had.
    if self._meter.last_means:
      rates = self._meter.rates
      summary['losses'] = self._meter.last_means
      summary['median_steps_per_second'] = (
        float(np.median(rates)) if rates else math.nan
      )
    files.update_json(self._workdir / 'summary.json', summary)
