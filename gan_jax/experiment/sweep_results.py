"""Scores of an ensemble by point of its sweep: means over seeds."""

import math
from typing import Any, NamedTuple, Sequence

import numpy as np

from gan_jax.evaluation import results
from gan_jax.experiment import sweep

_MAX_LISTED = 16  # points that a table shows, the best


class SweepPoint(NamedTuple):
  """The members of one point of a sweep, which differ in their seeds.

  Attributes:
    at: setting -> value; empty without a sweep.
    members: their places.
    diverged: of these, the ones that are frozen or whose scores are not
      finite.
    scores: name of a score -> (mean over the others, standard error).
    values: name of a score -> its value for each of the others.
  """

  at: dict[str, float]
  members: list[int]
  diverged: list[int]
  scores: dict[str, tuple[float, float | None]]
  values: dict[str, list[float]]

  def as_json(self) -> dict[str, Any]:
    """For a JSON file: None for a mean of nothing."""
    known = lambda pair: [None if math.isnan(pair[0]) else pair[0], pair[1]]
    scores = {name: known(pair) for name, pair in self.scores.items()}
    return self._asdict() | {'scores': scores}


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


def aggregate_seeds(
  members: Sequence[sweep.SweepMember],
  scores: Sequence[Sequence[results.MetricResult] | None],
) -> list[SweepPoint]:
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
    good = [i for i in places if _is_finite(scores[i])]
    lost = [i for i in places if i not in good]
    values = {
      name: [scores[i][n].value for i in good] for n, name in enumerate(names)
    }
    means = {name: mean_and_error(values[name]) for name in names}
    found.append(SweepPoint(dict(at), places, lost, means, values))
  return found


def _is_finite(rows: Sequence[results.MetricResult] | None) -> bool:
  return rows is not None and all(math.isfinite(row.value) for row in rows)


def rank_points(points: Sequence[SweepPoint], better: str) -> list[SweepPoint]:
  """Points in the order of their first score; as they are where they are few.

  Those of which fewer members diverged are before others.

  Args:
    points: of a sweep.
    better: of the score, as results.MetricResult has it.
  """
  if len(points) <= _MAX_LISTED:
    return list(points)
  sign = -1 if better == 'higher' else 1

  def key(point):
    mean = next(iter(point.scores.values()), (math.nan, None))[0]
    mean = abs(mean - 0.5) if better == 'near 0.5' else sign * mean
    return len(point.diverged), mean if math.isfinite(mean) else math.inf

  return sorted(points, key=key)[:_MAX_LISTED]
