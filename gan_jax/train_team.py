"""The training of an ensemble: its loop, its records, its scores, its end."""

import json
import math
import pathlib
import time
from typing import Any, Callable, NamedTuple, Sequence

import jax
import numpy as np

from gan_jax import (
  checkpoint,
  ensemble,
  feature_store,
  jsonl,
  plots,
  programs,
  progress,
  runs,
  sampling,
  scoring,
  standing,
  sweep,
  tables,
  window,
  writers,
)
from gan_jax import team as team_lib

MEMBERS_FILE = 'members.json'
CURVES_FILE = 'members.jsonl'
_LISTED = 16  # points of a sweep that the terminal shows, the best
_PICTURES = 8  # members in a picture of samples


def _finite(values: np.ndarray) -> list[float | None]:
  return [float(v) if math.isfinite(v) else None for v in values]


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
  """Mean of what is finite, and its standard error; NaN of nothing.

  Args:
    values: one per member.

  Returns:
    The mean, and the standard error of the mean, None for less than two.
  """
  good = np.asarray([v for v in values if v is not None and math.isfinite(v)])
  if not len(good):
    return math.nan, None
  error = good.std(ddof=1) / math.sqrt(len(good)) if len(good) > 1 else None
  return float(good.mean()), error


class Point(NamedTuple):
  """The members of one point of a sweep, which differ in their seeds.

  Attributes:
    at: setting -> value; empty without a sweep.
    members: their places.
    diverged: of these, the ones that are frozen.
    scores: name of a score -> (mean over seeds, standard error).
    values: name of a score -> its value for each seed that did not diverge.
  """

  at: dict[str, float]
  members: list[int]
  diverged: list[int]
  scores: dict[str, tuple[float, float | None]]
  values: dict[str, list[float]]


def points_of(
  members: Sequence[sweep.Member],
  scores: Sequence[Sequence[scoring.Row] | None],
) -> list[Point]:
  """Scores by point of the sweep, over seeds.

  Args:
    members: of the ensemble.
    scores: rows of each; None for one that diverged.

  Returns:
    The points, in order.
  """
  groups: dict[tuple, list[int]] = {}
  for i, member in enumerate(members):
    groups.setdefault(tuple(member.point.items()), []).append(i)
  names = next(([r.name for r in rows] for rows in scores if rows), [])
  found = []
  for at, places in groups.items():
    lost = [i for i in places if scores[i] is None]
    values = {
      name: [scores[i][n].value for i in places if scores[i]]
      for n, name in enumerate(names)
    }
    means = {name: mean_and_error(values[name]) for name in names}
    found.append(Point(dict(at), places, lost, means, values))
  return found


def best_first(points: Sequence[Point], better: str) -> list[Point]:
  """Points in the order of their first score; as they are where they are few.

  Args:
    points: of a sweep.
    better: of the score, as scoring.Row has it.
  """
  if len(points) <= _LISTED:
    return list(points)
  sign = -1 if better == 'higher' else 1

  def key(point):
    mean = next(iter(point.scores.values()), (math.nan, None))[0]
    mean = abs(mean - 0.5) if better == 'near 0.5' else sign * mean
    return mean if math.isfinite(mean) else math.inf

  return sorted(points, key=key)[:_LISTED]


def diverged(state, step: int) -> list[int]:
  """Members that stopped before a step: theirs would not have been finite."""
  steps = np.asarray(jax.device_get(state.step))
  return [int(i) for i in np.flatnonzero(steps < step)]


def _describe(team: team_lib.Team) -> list[dict[str, Any]]:
  return [
    {'member': i, 'seed': m.settings.seed, **m.point}
    for i, m in enumerate(team.members)
  ]


class Scorer:
  """Scores each member as if it were a run by itself."""

  def __init__(self, team: team_lib.Team, track: Callable[..., Any]):
    built = team.base
    self.judge = built.judge(store=feature_store.default(), track=track)
    self._team = team
    self._draw_at = sampling.make_draw_at(built.gan, team.devices[:1])
    self._count = scoring.samples_for(team.settings.eval['num_samples'])

  def weights(self, state: Any, index: int) -> Any:
    """Parameters and statistics of a member's average, for evaluation."""
    average = jax.device_get(ensemble.take(state.ema, index))
    return standing.for_evaluation(self._team.base.gan, average)

  def __call__(self, state: Any, step: int) -> list[list[scoring.Row] | None]:
    """Rows of each member; None for those that diverged."""
    lost, shape = set(diverged(state, step)), self._team.shape
    found = []
    for index in range(len(self._team.members)):
      if index in lost:
        found.append(None)
        continue
      weights = self.weights(state, index)
      source = sampling.Generated(
        self._draw_at, weights, shape, self._count, seed=1
      )
      found.append(self.judge(source))
    return found


def _save_pictures(path, team, scorer, state, step) -> None:
  """Samples of the first members that have not diverged, a row for each."""
  lost = set(diverged(state, step))
  shown = [i for i in range(len(team.members)) if i not in lost][:_PICTURES]
  if not shown:
    return
  draw = sampling.make_draw(team.base.gan, team.devices[:1])
  image = len(team.shape) == 3
  count = 12 if image else team.settings.num_samples
  rows = [draw(scorer.weights(state, i), count) for i in shown]
  if image:
    writers.save_grid(path, np.concatenate(rows), columns=count)
  else:
    real = team.test[np.arange(min(count, len(team.test)))]['x']
    writers.save_samples(path, rows[0], real)


def train(
  team: team_lib.Team,
  workdir: pathlib.Path,
  report: progress.Report,
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
  chosen, axes = team.settings, sweep.parse(team.settings.ensemble['sweep'])
  scorer = Scorer(team, report.track)
  start_state, note = runs.start(team, workdir)
  writers.write_json(workdir / runs.CONFIG_FILE, runs.describe(team))
  writers.write_json(workdir / MEMBERS_FILE, _describe(team))
  report.ensemble(team, workdir, note)
  program = team.program()
  state, draws = program.put(start_state), program.put(team.draws)
  step = first = runs.latest(workdir) or 0
  pace, curves = programs.Pace(chosen, program.limit), window.Curves()
  scored: list | None = None
  with (
    checkpoint.Checkpoints(
      workdir / runs.CHECKPOINTS, keep=chosen.keep_checkpoints
    ) as checkpoints,
    jsonl.Lines(workdir / CURVES_FILE, start=step) as lines,
    program.feed(step) as feed,
    report.bar(total=chosen.num_steps, done=step) as bar,
  ):
    due = lambda every: every and step % every == 0
    stopping = False
    while step < chosen.num_steps and not stopping:
      began = time.perf_counter()
      examples, count = feed.take(step, pace.count(step), pace.wait)
      state, metrics = program.run(state, examples, draws, np.int32(count))
      step += count
      pace.started(count, metrics)
      curves.add(metrics, count)
      if step == first + count:
        pace.wait()
        report.compiled(time.perf_counter() - began)
        curves.restart()
      stopping = stopped()
      last = step == chosen.num_steps or stopping
      if last or due(chosen.log_every):
        pace.rest()
        means, lost = curves.close(), diverged(state, step)
        listed = {name: _finite(values) for name, values in means.items()}
        lines.write({'step': step, 'diverged': lost, 'metrics': listed})
        rate = curves.rates[-1] if curves.rates else 0.0
        report.members_line(step, means, lost, rate)
      if last or due(chosen.checkpoint_every):
        checkpoints.save(step, state)
      if due(chosen.eval['every']) or step == chosen.num_steps:
        pace.rest()
        scored = scorer(state, step)
        values = [
          rows and {row.name: row.value for row in rows} for rows in scored
        ]
        lines.write({'step': step, 'scores': values})
      if last or due(chosen.checkpoint_every) or due(chosen.eval['every']):
        curves.restart()
      bar.update(step, 0.0, 0.0)
  if step < chosen.num_steps:
    report.interrupted(step, workdir)
    return False
  if scored is None:  # it had come to the end before
    scored = scorer(state, step)
  _save_pictures(workdir / 'samples.png', team, scorer, state, step)
  _finish(team, axes, workdir, report, scorer, scored, curves)
  return True


def _finish(team, axes, workdir, report, scorer, scored, curves) -> None:
  """summary.json, the table and the picture."""
  points = points_of(team.members, scored)
  better = next((rows[0].better for rows in scored if rows), '')
  floors = {
    row.name: (row.floor, row.floor_error)
    for row in next((rows for rows in scored if rows), [])
  }
  path = workdir / 'summary.json'
  result = json.loads(path.read_text()) if path.exists() else {}
  if curves.rates:
    result['median_steps_per_second'] = float(np.median(curves.rates))
  result |= {
    'points': [point._asdict() for point in points],
    'floors': floors,
    'members': [
      row | {'scores': None if rows is None else scoring.as_json(rows)}
      for row, rows in zip(_describe(team), scored)
    ],
    'notes': scorer.judge.notes,
  }
  writers.write_json(path, result)
  picture = workdir / 'ensemble.png'
  drawn = plots.ensemble(
    picture, axes, points, floors, jsonl.read(workdir / CURVES_FILE)
  )
  report.ensemble_end(
    tables.of_points(axes, best_first(points, better), floors, len(points)),
    curves.rates,
    len(team.members),
    picture if drawn else None,
    workdir,
  )
