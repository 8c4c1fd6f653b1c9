"""Tables of scores for a terminal."""

from typing import Any, Mapping, Sequence

from rich import box, table

from gan_jax.report.score_text import format_score


def score_table(rows: Sequence[Any]) -> table.Table:
  """Builds a table of scores and their baselines.

  Args:
    rows: results of the metrics, each a results.MetricResult.

  Returns:
    The table.
  """
  scores = table.Table(box=box.SIMPLE, pad_edge=False)
  for column in ('score', 'generated', 'real data (baseline)', 'examples'):
    right = column in ('generated', 'real data (baseline)')
    scores.add_column(column, justify='right' if right else 'left')
  for row in rows:
    scores.add_row(
      row.name,
      format_score(row.value, row.error, row.p_value),
      format_score(row.baseline, row.baseline_error, row.baseline_p_value),
      _examples(row),
    )
  return scores


def sweep_table(
  axes: Sequence[Any],
  points: Sequence[Any],
  baselines: Mapping[str, tuple[float, float | None]],
  count: int,
  best: int = 0,
) -> table.Table:
  """Builds a table of an ensemble's scores, over seeds, by sweep point.

  Args:
    axes: sweep.SweepAxis of each dimension.
    points: sweep_results.SweepPoint of each point that is shown.
    baselines: name of a score -> (its value for real data, standard error).
    count: total number of points.
    best: index of the best point, which is marked.

  Returns:
    The table.
  """
  shown = len(points)
  captions = [f'the best {shown} of {count} points'] if shown < count else []
  if any(point.diverged for point in points):
    captions.append('means exclude diverged seeds')
  caption = '; '.join(captions) or None
  scores = table.Table(box=box.SIMPLE, pad_edge=False, caption=caption)
  for axis in axes:
    scores.add_column(
      axis.name.replace('.', '.\n'),
      justify='right',
      overflow='fold',
    )
  scores.add_column('seeds', justify='right')
  for name in baselines:
    scores.add_column(name, justify='right', no_wrap=False, min_width=17)
  marks = bool(axes) and len(points) > 1
  if marks:
    scores.add_column('')
  for i, point in enumerate(points):
    swept = [f'{point.at[axis.fields[0]]:.4g}' for axis in axes]
    count, lost = len(point.members), len(point.diverged)
    counts = [f'{count - lost} of {count}' if lost else str(count)]
    found = [format_score(*point.scores[name], None) for name in baselines]
    mark = ['best'] if marks and i == best else []
    scores.add_row(*swept, *counts, *found, *mark, style='bold' if mark else '')
  last = [format_score(*baseline, None) for baseline in baselines.values()]
  if axes:
    scores.add_row(*[''] * (len(axes) - 1), 'real data', '', *last)
  else:
    scores.add_row('real data', *last)
  return scores


def _examples(row: Any) -> str:
  """Formats the numbers of examples that were compared."""
  counts = row.counts
  names = (
    ('generated', 'real')
    if 'generated' in counts
    else ('baseline', 'baseline_real')
  )
  scored, real = (
    f'{counts[name]:,}' if name in counts else 'statistics' for name in names
  )
  return scored if row.real == 'truth' else f'{scored} v {real} {row.real}'
