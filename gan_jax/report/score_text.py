"""Scores as text."""


def format_score(
  score: float | None, error: float | None, p_value: float | None
) -> str:
  """Formats a score with its p-value or its standard error."""
  if score is None:
    return '-'
  if p_value is not None:
    shown = f'p {p_value:.2g}' if p_value >= 1e-4 else 'p < 1e-4'
    return f'{score:.4g}, {shown}'
  return f'{score:.4g}' if error is None else f'{score:.4g} ± {error:.2g}'
