"""Curves of charts: groups of metrics, thinning, quartiles, colors."""

import math
import warnings
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

import numpy as np

# Distinct on white and on black.
COLORS = (
  *('#3b78c9', '#dd7426', '#3a9d5d', '#9358b8', '#c9485b', '#8f7f1f'),
  *('#2a9db0', '#7f7f7f'),
)
# A scale for many ordered groups.
_SCALE = ('#3f6fd0', '#2a9db0', '#4fae5c', '#c9a227', '#d9762b', '#c2414b')
_BINS = 2000

# Titles, and the metrics that share a chart: by their whole names or ends.
_GROUPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
  ('Losses', (), ('_loss',)),
  ('Logits of the discriminator', ('d_real', 'd_fake'), ()),
  ('Accuracy of the discriminator', ('d_accuracy',), ()),
  ('Accuracy by kind of example', (), ('_real', '_fake', '_held_out')),
  ('Penalties', (), ()),
  ('Gradient norms', (), ('_grad_norm',)),
  ('Cosine of successive updates', (), ('_update_cosine',)),
  ('Diversity of samples', ('diversity',), ()),
  ("Gradient of G's loss by the logits", ('g_signal',), ()),
  ('Overfitting of the discriminator (r_v)', ('overfitting',), ()),
  ('Strength of augmentation', ('augment_strength',), ()),
  ('Steps per second', ('steps_per_second',), ()),
  ('Share of time that waits for data', ('data_wait',), ()),
  ('Skipped steps', ('skipped',), ()),
)
# Shown only if they are ever above this.
_QUIET = {'data_wait': 0.01, 'skipped': 0.0}
_HIDDEN = ('examples_per_second',)  # steps per second times a constant


class Series(NamedTuple):
  """A line of a chart, with a band if there is one.

  Attributes:
    label: name in the legend.
    x: `[T]`, increasing.
    y: `[T]`, NaN for gaps.
    low: `[T]`, lower end of the band, or None.
    high: `[T]`, upper end of the band, or None.
    color: as CSS has it.
    group: index of the group of runs; None if lines are metrics of one run.
    dashed: whether it is a line to compare with.
  """

  label: str
  x: np.ndarray
  y: np.ndarray
  low: np.ndarray | None = None
  high: np.ndarray | None = None
  color: str = COLORS[0]
  group: int | None = None
  dashed: bool = False


class Chart(NamedTuple):
  """A chart.

  Attributes:
    title: title.
    series: its lines.
    x_label: name of the horizontal axis.
    log_x: whether that axis is logarithmic.
  """

  title: str
  series: Sequence[Series]
  x_label: str = 'step'
  log_x: bool = False


def group_metrics(
  names: Iterable[str], penalties: Sequence[str]
) -> list[tuple[str, list[str]]]:
  """Groups metrics that are read together, in the order of charts.

  Args:
    names: names of the metrics of a run.
    penalties: names of the penalties.

  Returns:
    (title, names) of each chart; every name that a page shows is in one.
  """
  found: dict[str, list[str]] = {title: [] for title, *_ in _GROUPS}
  for name in names:
    if name not in _HIDDEN:
      found.setdefault(_title(name, penalties), []).append(name)
  speed = {title: found.pop(title) for title, *_ in _GROUPS[-3:]}
  return [(t, shown) for t, shown in (found | speed).items() if shown]


def _title(name: str, penalties: Sequence[str]) -> str:
  if name in penalties:
    return 'Penalties'
  whole = [title for title, names, _ in _GROUPS if name in names]
  ends = [title for title, _, ends in _GROUPS if ends and name.endswith(ends)]
  # Options that a schedule changes: 'd_b2' and 'g_b2' are on one scale.
  player, _, rest = name.partition('_')
  option = rest if player in ('d', 'g') and rest else name
  option = 'weight' if name.endswith('_weight') else option
  return next(iter((*whole, *ends)), f'Scheduled: {option}')


def is_quiet(name: str, values: np.ndarray) -> bool:
  """Returns whether a metric has nothing to show.

  Args:
    name: name of the metric.
    values: its values, NaN for none.
  """
  known = values[np.isfinite(values)]
  return not known.size or known.max() <= _QUIET.get(name, -math.inf)


def column(lines: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
  """Returns a metric of each line, `[T]`, NaN where there is none.

  Args:
    lines: mappings.
    name: name of the metric.
  """
  values = [line.get(name) for line in lines]
  return np.array([math.nan if v is None else v for v in values], np.float64)


def quartiles(values: np.ndarray) -> np.ndarray:
  """Computes quartiles over members.

  Args:
    values: `[T, M]`, NaN where a member has none.

  Returns:
    `[3, T]`: first quartile, median and third quartile of those that have a
    value, NaN where none has.
  """
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of steps without values
    return np.nanquantile(values, (0.25, 0.5, 0.75), axis=1)


def thin(series: Series, bins: int = _BINS) -> Series:
  """Returns a line of fewer points, with its range as a band.

  Args:
    series: the line.
    bins: number of intervals of its steps.

  Returns:
    The line as it is, if it has few points. Otherwise a point for each interval
    of x: the mean, NaN if there is any gap, and a band from the smallest to the
    largest value, so that no peak is lost.
  """
  x, count = series.x, len(series.x)
  if count <= 2 * bins:
    return series
  span = max(float(x[-1] - x[0]), 1e-300)
  which = np.minimum(((x - x[0]) / span * bins).astype(int), bins - 1)
  starts = np.flatnonzero(np.diff(which, prepend=-1))
  sizes = np.diff(starts, append=count)
  low = series.y if series.low is None else series.low
  high = series.y if series.high is None else series.high
  finite = lambda found: np.where(np.isfinite(found), found, np.nan)
  return series._replace(
    x=x[starts + sizes // 2],
    y=np.add.reduceat(series.y, starts) / sizes,
    low=finite(np.fmin.reduceat(low, starts)),
    high=finite(np.fmax.reduceat(high, starts)),
  )


def thin_steps(steps: Sequence[int], most: int) -> list[int]:
  """Chooses steps, ever fewer the later, so that the beginning is shown, too.

  Of the same steps and some more, the same ones are chosen, or fewer: what was
  made of a step can be kept.

  Args:
    steps: steps, increasing.
    most: largest number of steps to choose, at least 2.

  Returns:
    Indices of the steps; the last one is always among them.
  """
  places = list(range(len(steps)))
  for halvings in range(16, -8, -1):
    if len(places) <= most:
      break
    buckets: dict[int, int] = {}
    for place, step in enumerate(steps[:-1]):
      octave = math.log2(max(step, 1))
      buckets.setdefault(math.floor(octave * 2.0**halvings), place)
    places = [*buckets.values(), len(steps) - 1]
  return places[: most - 1] + places[-1:] if len(places) > most else places


def palette(count: int) -> list[str]:
  """Returns colors of groups: distinct ones if they are few, else a scale.

  Args:
    count: number of groups.
  """
  return list(COLORS[:count]) if count <= len(COLORS) else scale(count)


def scale(count: int) -> list[str]:
  """Returns colors of groups that have an order, from blue to red.

  Args:
    count: number of groups.
  """
  rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _SCALE])
  at = np.linspace(0, len(_SCALE) - 1, count)
  mixed = [np.interp(at, np.arange(len(_SCALE)), rgb[:, i]) for i in range(3)]
  levels = np.stack(mixed, axis=1).round().astype(int)
  return [f'#{r:02x}{g:02x}{b:02x}' for r, g, b in levels]


def charts_as_json(charts: Sequence[Chart]) -> dict[str, Any]:
  """Returns charts for the script of a page.

  Args:
    charts: the charts.

  Returns:
    'x': arrays that several lines share; 'charts': what each chart draws,
    thinned, with None for gaps.
  """
  shared: dict[bytes, int] = {}
  arrays: list[list[float]] = []
  shown = []
  for chart in charts:
    lines = []
    for series in chart.series:
      thinned = thin(series)
      x = thinned.x
      if x.tobytes() not in shared:
        shared[x.tobytes()] = len(arrays)
        arrays.append(x.tolist())
      line = {
        'label': series.label,
        'color': series.color,
        'group': series.group,
        'dashed': series.dashed,
        'x': shared[x.tobytes()],
        'y': _numbers(thinned.y),
      }
      if thinned.low is not None and thinned.high is not None:
        line |= {'low': _numbers(thinned.low), 'high': _numbers(thinned.high)}
        line['is_range'] = thinned is not series
      lines.append(line)
    facts = {'title': chart.title, 'x_label': chart.x_label}
    shown.append(facts | {'log_x': chart.log_x, 'series': lines})
  return {'x': arrays, 'charts': shown}


def _numbers(values: np.ndarray) -> list[float | None]:
  return [float(f'{v:.6g}') if math.isfinite(v) else None for v in values]
