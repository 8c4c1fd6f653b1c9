"""What a run leaves behind: lines, pictures, scores, warnings, checkpoints.

Of several processes the first one keeps them; the others have `Nothing`.
"""

import contextlib
import pathlib
from typing import Any, Mapping

from gan_jax import evaluation, experiment, sampling
from gan_jax.distributed import devices
from gan_jax.evaluation import failure_modes, results
from gan_jax.experiment import best_checkpoint, resume, run_dir, schedule
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.io import jsonl, metric_writer
from gan_jax.report import images
from gan_jax.runner import console
from gan_jax.sampling import sampler, standing_stats

WARNINGS_FILE = 'warnings.jsonl'


class RunLogger:
  """What a run leaves, from a start of it on. Use as a context manager."""

  def __init__(
    self,
    experiment: experiment.Experiment,
    workdir: pathlib.Path,
    evaluator: evaluation.Evaluator,
    report: console.ConsoleReporter,
  ):
    """Prepares; nothing is written before `begin`.

    Args:
      built: the experiment.
      workdir: of the run.
      judge: gives the scores.
      report: prints.
    """
    self._built, self._workdir = experiment, workdir
    self._evaluator, self._report = evaluator, report
    self._chosen = experiment.config
    self._draw = sampling.make_sampler(experiment.gan)
    own = experiment.local_devices
    self._draw_at = sampler.make_indexed_sampler(experiment.gan, own)
    self._real = experiment_lib.take_examples(
      experiment.test, self._chosen.num_samples
    )
    self._health = experiment.make_health_probe()
    self._found: tuple[int, dict[str, Any]] = (-1, {})

  def begin(self, start: resume.ResumePoint) -> 'RunLogger':
    """Opens the files for what follows a step; what they have beyond goes."""
    workdir, step = self._workdir, start.step
    self._found = -1, {}  # a state of the same step may be another
    with contextlib.ExitStack() as stack:
      enter = stack.enter_context
      self._checkpoints = enter(
        run_dir.open_checkpoints(self._built, workdir, start.rollbacks)
      )
      self._scalars = enter(metric_writer.MetricWriter(workdir, start=step))
      path = workdir / WARNINGS_FILE
      self._warnings = enter(
        jsonl.JsonlWriter(path, start=step, kinds={'warnings': dict})
      )
      # Those of the last picture are not said again.
      every = self._chosen.sample_every or self._chosen.num_steps
      last = [v for v in self._warnings.kept if v['step'] > step - every]
      self._said = last[-1]['warnings'].keys() if last else set()
      self._best = None
      if self._chosen.eval['every']:
        self._best = enter(
          best_checkpoint.BestCheckpointTracker(
            workdir, self._chosen.eval, start=step
          )
        )
        self._report.set_aside(self._best.damaged)
      if step == 0:
        images.save_samples(workdir / 'real.png', self._real, self._real)
      self._stack = stack.pop_all()
    return self

  def missed(self, step: int) -> bool:
    """Whether scores were due at a step, and the run ended before them."""
    due = step and schedule.actions_at(self._chosen, step).evaluate
    return bool(due) and not self._best.is_evaluated(step)

  def line(self, step: int, means: Mapping[str, float], state: Any) -> None:
    """A line of the log."""
    if self._chosen.diagnostics:
      means = {**means, **self._facts(step, devices.addressable_state(state))}
    self._scalars.write(step, means)
    self._report.line(step, means)

  def keep(self, now: schedule.Actions, step: int, state: Any) -> None:
    """Does what is due after a step, but for the line of the log.

    Args:
      now: what is due.
      step: train steps done.
      state: the state, finite.

    Raises:
      OSError: where something cannot be written; it names the file.
      ValueError: where scores cannot be computed.
    """
    state = devices.addressable_state(state)
    # What a continued run would not do again comes before the checkpoint.
    if now.sample:
      path = self._workdir / f'samples/{step:08d}.png'
      self._save_picture(path, step, state)
      self._look(step, state)
    if now.checkpoint:
      self._scalars.flush()
      self._checkpoints.save(step, state)
    if now.evaluate:
      self.score(step, state)

  def finish(self, step: int, state: Any, log: Any) -> None:
    """The end of the run: last picture, scores, summary.

    Args:
      step: train steps done.
      state: the last state.
      log: the meters.MetricMeter of the run.
    """
    state = devices.addressable_state(state)
    self._save_picture(self._workdir / 'samples.png', step, state)
    rows = self._rows(step, state)
    noted = jsonl.read_jsonl(self._workdir / WARNINGS_FILE)
    self._report.summary(log, rows, self._evaluator.notes, noted, self._workdir)

  def _once(self, step, name, compute):
    """What is computed of the state of a step, however often it is wanted."""
    if self._found[0] != step:
      self._found = step, {}
    found = self._found[1]
    if name not in found:
      found[name] = compute()
    return found[name]

  def _facts(self, step, state):
    return self._once(step, 'facts', lambda: self._health(state))

  def _weights(self, step, state):
    average = lambda: standing_stats.evaluation_weights(
      self._built.gan, state.ema
    )
    return self._once(step, 'weights', average)

  def _save_picture(self, path, step, state):
    draw, count = self._draw, self._chosen.num_samples
    samples = self._once(
      step, 'samples', lambda: draw(self._weights(step, state), count)
    )
    images.save_samples(path, samples, self._real)

  def _look(self, step, state):
    found = failure_modes.diagnose(self._facts(step, state))
    if found:
      self._warnings.write({'step': step, 'warnings': found})
    for kind in found.keys() - self._said:
      self._report.warning(step, found[kind])
    self._said = found.keys()

  def _rows(self, step, state):
    return self._once(step, 'rows', lambda: self._judged(step, state))

  def _judged(self, step, state):
    weights, shape = self._weights(step, state), self._built.shape
    count = results.num_samples_needed(self._chosen.eval['num_samples'])
    source = sampler.GeneratedSource(
      self._draw_at, weights, shape, count, seed=1
    )
    try:
      return self._evaluator(source)
    except ValueError as error:
      raise ValueError(f'scores: {error}') from error

  def score(self, step: int, state: Any) -> None:
    """Scores a state, and keeps it where it is the best so far."""
    rows = self._rows(step, state)
    better = self._best.update(step, state, rows)
    self._scalars.write_events(step, results.scalars(rows))
    self._report.scored(step, rows, better)

  def __enter__(self):
    return self

  def __exit__(self, *error):
    return self._stack.__exit__(*error)


class Nothing:
  """The same, of a process that keeps nothing."""

  def begin(self, start):
    """Nothing."""
    del start
    return self

  def missed(self, step):
    """No."""
    del step
    return False

  def line(self, *unused):
    """Nothing."""

  keep = finish = score = line

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    pass
