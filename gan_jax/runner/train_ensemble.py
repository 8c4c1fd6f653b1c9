"""The training of an ensemble: its loop, its records, its scores, its end."""

import math
import pathlib
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib, experiment, sampling
from gan_jax.distributed import watchdog
from gan_jax.evaluation import feature_cache, results
from gan_jax.experiment import resume, run_dir, schedule, sweep, sweep_results
from gan_jax.io import checkpoint, files, jsonl
from gan_jax.metrics import checks
from gan_jax.report import images, sweep_plots, tables
from gan_jax.runner import console, loop, meters
from gan_jax.sampling import sampler, standing_stats
from gan_jax.training import ensemble

MEMBERS_FILE = 'members.json'
CURVES_FILE = 'members.jsonl'
_PICTURES = 8  # members in a picture of samples, a row of it for each
_COLUMNS = 12

Scores = Sequence[
  Sequence[results.MetricResult] | None
]  # None for who diverged


def diverged_members(state: Any, step: int) -> list[int]:
  """Members that stopped before a step: theirs would not have been finite."""
  steps = np.asarray(jax.device_get(state.step))
  return [int(i) for i in np.flatnonzero(steps < step)]


class EnsembleEvaluator:
  """Scores each member as if it were a run by itself.

  Attributes:
    judge: what gives the scores.
    notes: that go with them; those of some members alone name them.
  """

  def __init__(
    self, team: experiment.EnsembleExperiment, track: Callable[..., Any]
  ):
    experiment = team.base
    self.notes: list[str] = []
    self.evaluator = experiment.evaluator(
      store=feature_cache.default_feature_cache(), track=track
    )
    self._team = team
    self._draw_at = sampler.make_indexed_sampler(
      experiment.gan, team.devices[:1]
    )
    self._count = results.num_samples_needed(team.config.eval['num_samples'])

  def weights(self, state: Any, index: int) -> Any:
    """Parameters and statistics of a member's average, for evaluation."""
    average = jax.device_get(ensemble.take_member(state.ema, index))
    return standing_stats.evaluation_weights(self._team.base.gan, average)

  def __call__(self, state: Any, step: int) -> Scores:
    """Rows of each member; None for those that diverged."""
    lost, said = set(diverged_members(state, step)), {}
    count, found = len(self._team.members), []
    for index in range(count):
      found.append(None if index in lost else self._rows(state, index))
      for note in self.evaluator.notes if found[-1] else ():
        said.setdefault(note, []).append(index)
    live = sum(rows is not None for rows in found)
    self.notes = [
      note if len(of) == live else f'member {", ".join(map(str, of))}: {note}'
      for note, of in said.items()
    ]
    return found

  def _rows(self, state, index):
    weights, shape = self.weights(state, index), self._team.shape
    source = sampler.GeneratedSource(
      self._draw_at, weights, shape, self._count, seed=1
    )
    try:
      return self.evaluator(source)
    except checks.NonFiniteError:  # its state is finite, its samples are not
      return None


class EnsembleLogger:
  """What training leaves: lines of metrics and of scores, checkpoints.

  Attributes:
    curves: metrics since the last line.
    scored: the last scores; None before the first.
  """

  def __init__(
    self,
    scorer: EnsembleEvaluator,
    report: console.ConsoleReporter,
    checkpoints: checkpoint.RunCheckpointer,
    lines: jsonl.JsonlWriter,
    end: int,
  ):
    self.curves = meters.MemberMeter()
    self.scored: Scores | None = None
    self._scorer, self._report = scorer, report
    self._checkpoints, self._lines = checkpoints, lines
    self._end = end

  def keep(self, now: schedule.Actions, step: int, state: Any) -> None:
    """Does what is due; the clock of the curves leaves out what takes long."""
    if now.log:
      self._line(state, step)
    with self.curves.paused():
      if now.checkpoint:
        self._checkpoints.save(step, state)
      if now.evaluate or step == self._end:
        self.score(state, step)

  def _line(self, state, step):
    means, lost = self.curves.close(), diverged_members(state, step)
    listed = {
      name: [float(v) if math.isfinite(v) else None for v in values]
      for name, values in means.items()
    }
    self._lines.write({'step': step, 'diverged': lost, 'metrics': listed})
    self._report.members_line(step, means, lost, self.curves.rate)

  def missed(self, config: config_lib.Config, step: int) -> bool:
    """Whether scores were due at a step, and the run ended before them."""
    done = {line['step'] for line in self._lines.existing if 'scores' in line}
    wanted = schedule.actions_at(config, step).evaluate or step == self._end
    return bool(step) and wanted and step not in done

  def score(self, state: Any, step: int) -> None:
    """Scores all members, and writes a line of it."""
    self.scored = self._scorer(state, step)
    values = [
      rows and {row['name']: row['value'] for row in results.as_json(rows)}
      for rows in self.scored
    ]
    self._lines.write({'step': step, 'scores': values})


def train_ensemble(
  team: experiment.EnsembleExperiment,
  workdir: pathlib.Path,
  report: console.ConsoleReporter,
  stopped: Callable[[], bool],
) -> bool:
  """Trains all members, and leaves in the workdir what there is to see.

  Args:
    team: the ensemble.
    workdir: of the ensemble, as of a run.
    report: prints.
    stopped: whether someone asked to stop.

  Returns:
    Whether it came to the end.

  Raises:
    ValueError: where the workdir holds another run, or a score does not fit.
  """
  scorer = EnsembleEvaluator(team, report.track)
  start = resume.restore_or_initialize(team, workdir)
  files.write_json(workdir / run_dir.CONFIG_FILE, run_dir.run_metadata(team))
  files.write_json(workdir / MEMBERS_FILE, _describe(team))
  report.ensemble(team, workdir, start.note)
  with (
    run_dir.open_checkpoints(team, workdir) as saved,
    jsonl.JsonlWriter(workdir / CURVES_FILE, start=start.step) as lines,
  ):
    records = EnsembleLogger(
      scorer, report, saved, lines, team.config.num_steps
    )
    if records.missed(team.config, start.step):
      records.score(start.state, start.step)
    state, step = loop.train_loop(
      start,
      team.streams,
      team.config,
      team.program(),
      records.curves,
      records.keep,
      stopped=stopped,
      report=report,
      watchdog=watchdog.Watchdog(),
    )
  if step < team.config.num_steps:
    report.interrupted(step, workdir)
    return False
  # It may have come to the end before.
  scored = records.scored or scorer(state, step)
  _save_pictures(workdir / 'samples.png', team, scorer, state, step)
  rates = records.curves.rates
  _finish(team, workdir, report, scored, scorer.notes, rates)
  return True


def _describe(team: experiment.EnsembleExperiment) -> list[dict[str, Any]]:
  return [
    {'member': i, 'seed': m.config.seed, **m.point}
    for i, m in enumerate(team.members)
  ]


def _save_pictures(path, team, scorer, state, step) -> None:
  """Images of the first members that have not diverged; points of the first."""
  lost = set(diverged_members(state, step))
  live = [i for i in range(len(team.members)) if i not in lost]
  if not live:
    return
  draw = sampling.make_sampler(team.base.gan, team.devices[:1])
  drawn = lambda i, count: draw(scorer.weights(state, i), count)
  if len(team.shape) == 3:
    rows = [drawn(i, _COLUMNS) for i in live[:_PICTURES]]
    images.save_image_grid(path, np.concatenate(rows), columns=_COLUMNS)
  else:
    count = team.config.num_samples
    real = team.test[np.arange(min(count, len(team.test)))]['x']
    images.save_samples(path, drawn(live[0], count), real)


def _finish(team, workdir, report, scored, notes, rates) -> None:
  """summary.json, the table and the picture."""
  axes = sweep.parse_sweep(team.config.ensemble['sweep'])
  points = sweep_results.aggregate_seeds(team.members, scored)
  rows = next((rows for rows in scored if rows), [])
  baselines = {row.name: (row.baseline, row.baseline_error) for row in rows}
  path = workdir / 'summary.json'
  result = {
    'points': [point.as_json() for point in points],
    'baselines': baselines,
    'members': [
      member | {'scores': None if rows is None else results.as_json(rows)}
      for member, rows in zip(_describe(team), scored)
    ],
    'notes': notes,
  }
  if rates:  # else it was trained before, and keeps what it had
    result['median_steps_per_second'] = float(np.median(rates))
  files.update_json(path, result)
  picture = workdir / 'ensemble.png'
  curves = jsonl.read_jsonl(workdir / CURVES_FILE)
  drawn = sweep_plots.plot_sweep(picture, axes, points, baselines, curves)
  listed = sweep_results.rank_points(points, rows[0].better if rows else '')
  report.ensemble_end(
    tables.sweep_table(axes, listed, baselines, len(points)),
    rates,
    len(team.members),
    picture if drawn else None,
    workdir,
  )
