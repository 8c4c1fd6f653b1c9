"""Aggregates the scores of an ensemble over seeds, by point of its sweep."""

import math
from typing import Any, NamedTuple, Sequence

import numpy as np

from gan_jax.evaluation import results
from gan_jax.experiment import sweep

_MAX_LISTED = 16  # points in a table, the best ones


class SweepPoint(NamedTuple):
  """The members of one point of a sweep, which differ in their seeds.

  Attributes:
    at: values of the swept fields; empty without a sweep.
    members: indices of the members.
    diverged: indices of those that are frozen or have non-finite scores.
    scores: mean over the other members and its standard error, by score.
    values: values of the other members, by score.
  """

  at: dict[str, float]
  members: list[int]
  diverged: list[int]
  scores: dict[str, tuple[float, float | None]]
  values: dict[str, list[float]]

  def as_json(self) -> dict[str, Any]:
    """Returns the point for a JSON file; an undefined mean becomes None."""
    known = lambda pair: [None if math.isnan(pair[0]) else pair[0], pair[1]]
    scores = {name: known(pair) for name, pair in self.scores.items()}
    return self._asdict() | {'scores': scores}


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
  """Computes the mean of finite values, and its standard error.

  Args:
    values: one value per member; None is ignored.

  Returns:
    The mean (NaN without values) and its standard error (None for fewer than
    two values).
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
  """Groups the members by point of the sweep, and averages over seeds.

  Args:
    members: members of the ensemble.
    scores: scores of each member; None for one that diverged.

  Returns:
    The points of the sweep, in order.
  """
  groups: dict[tuple, list[int]] = {}
  for i, member in enumerate(members):
    groups.setdefault(tuple(member.point.items()), []).append(i)
  names = next(([r.name for r in rows] for rows in scores if rows), [])
  found = []
  for at, places in groups.items():
    good = [i for i in places if _is_finite(scores[i])]
    lost = sorted(set(places).difference(good))
    values = {
      name: [scores[i][n].value for i in good] for n, name in enumerate(names)
    }
    means = {name: mean_and_error(values[name]) for name in names}
    found.append(SweepPoint(dict(at), places, lost, means, values))
  return found


def _is_finite(rows: Sequence[results.MetricResult] | None) -> bool:
  return rows is not None and all(math.isfinite(row.value) for row in rows)


def rank_points(points: Sequence[SweepPoint], better: str) -> list[SweepPoint]:
  """Sorts many points by their first score, and keeps the best.

  Points with fewer diverged members come first. A few points stay as they are.

  Args:
    points: points of a sweep.
    better: direction of the score, see results.MetricResult.
  """
  if len(points) <= _MAX_LISTED:
    return list(points)
  rank = lambda point: _rank(point, better)
  return sorted(points, key=rank)[:_MAX_LISTED]


def best_point(points: Sequence[SweepPoint], better: str) -> int:
  """Returns the index of the best point, as `rank_points` sorts them.

  Args:
    points: points of a sweep.
    better: direction of the score, see results.MetricResult.
  """
  return min(range(len(points)), key=lambda i: _rank(points[i], better))


def _rank(point: SweepPoint, better: str) -> tuple[int, float]:
  """Returns what points are sorted by, the best first."""
  mean = next(iter(point.scores.values()), (math.nan, None))[0]
  sign = -1 if better == 'higher' else 1
  mean = abs(mean - 0.5) if better == 'near 0.5' else sign * mean
  return len(point.diverged), mean if math.isfinite(mean) else math.inf
