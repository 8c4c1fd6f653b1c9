"""Scores as a table for a terminal."""

from typing import Any, Sequence

from rich import box, table


def of_scores(rows: Sequence[Any]) -> table.Table:
  """Scores beside their floors.

  Args:
    rows: of scoring.Row.
  """
  scores = table.Table(box=box.SIMPLE, pad_edge=False)
  for column in ('score', 'generated', 'real data (floor)', 'examples'):
    right = column in ('generated', 'real data (floor)')
    scores.add_column(column, justify='right' if right else 'left')
  for row in rows:
    scores.add_row(
      row.name,
      value(row.value, row.error, row.p_value),
      value(row.floor, row.floor_error, row.floor_p_value),
      _examples(row),
    )
  return scores


def value(
  score: float | None, error: float | None, p_value: float | None
) -> str:
  """A score with its p-value or its standard error."""
  if score is None:
    return '-'
  if p_value is not None:
    shown = f'p {p_value:.2g}' if p_value >= 1e-4 else 'p < 1e-4'
    return f'{score:.4g}, {shown}'
  return f'{score:.4g}' if error is None else f'{score:.4g} ± {error:.2g}'


def _examples(row: Any) -> str:
  """Which numbers of examples were compared."""
  counts = row.counts
  names = (
    ('generated', 'real') if 'generated' in counts else ('floor', 'floor_real')
  )
  scored, real = (f'{counts[name]:,}' for name in names)
  return scored if row.real == 'truth' else f'{scored} v {real} {row.real}'
