"""The page of one run."""

from typing import Any, Mapping, Sequence

import numpy as np

from gan_jax.report.html_report import curves, page
from gan_jax.report.html_report.records import Picture, RunRecord

_MOST_CLASSES = 30  # named below a picture


def run_page(run: RunRecord, *, written: str = '', live: bool = False) -> str:
  """Returns the page of a run.

  Args:
    run: the run.
    written: when the page was written, in words.
    live: whether a server makes the page anew each time it is loaded.

  Returns:
    The HTML, without references to other files.
  """
  charts = run_charts(run)
  first = [_samples_card(run)]
  if run.real is not None:
    first.append(_real_card(run))
  scores = _score_cards(run)
  sections = [
    page.row(first, 'two'),
    page.row([*scores, _warnings_card(run)], 'two'),
    page.chart_cards(charts) or _no_curves(),
    page.config_card(run.config, run.defaults, 'Config'),
  ]
  if run.problems:
    shown = page.bullets(run.problems, 'problems')
    sections.append(page.card('Not shown', shown))
  panel = [[p.step, p.uri] for p in run.pictures[:-1]]
  panel += [[p.step, None] for p in run.pictures[-1:]]  # it is in the page
  data = curves.charts_as_json(charts) | {
    'panels': [panel] if panel else [],
    'marks': _marks(run),
  }
  title = run.name
  return page.document(
    title, _headline(run, written), sections, data, live=live
  )


def _headline(run: RunRecord, written: str) -> list[str]:
  """Returns the facts below the name of a run."""
  config, total = run.config, run.config.get('num_steps')
  of = f' of {total:,}' if isinstance(total, int) else ''
  rates = [x for x in curves.column(run.lines, 'steps_per_second') if x > 0]
  players = [config.get('generator.name'), config.get('discriminator.name')]
  return [
    f'loss {config.get("loss")}',
    ' against '.join(map(str, dict.fromkeys(players))),
    f'step {run.step:,}{of}',
    f'batch {config.get("batch_size")}',
    f'{np.median(rates):.3g} steps/s' if rates else '',
    *run.facts,
    written,
  ]


def _samples_card(run: RunRecord) -> str:
  if not run.pictures:
    body = '<p class="soft">No picture yet.</p>'
    if run.lines and run.step == run.config.get('num_steps'):
      body = '<p class="soft">Examples of this shape have no picture.</p>'
    return page.card('Samples', body)
  last = run.pictures[-1]
  body = picture_tag(last, 'samples', 'picture-0') + step_slider(
    [p.step for p in run.pictures]
  )
  if run.class_names:
    names = [str(name) for name in run.class_names[:_MOST_CLASSES]]
    more = ', ...' if len(run.class_names) > _MOST_CLASSES else ''
    body += (
      f'<p class="soft">A row a class: {page.text(", ".join(names))}{more}</p>'
    )
  sounds = {k: v for k, v in run.sounds.items() if k != 'real'}
  return page.card(
    'Samples, the same latents at every step', body + page.sound_players(sounds)
  )


def _real_card(run: RunRecord) -> str:
  sounds = {k: v for k, v in run.sounds.items() if k == 'real'}
  body = picture_tag(run.real, 'real examples') + page.sound_players(sounds)
  return page.card('Real examples', body)


def picture_tag(picture: Picture, label: str, place: str = '') -> str:
  """Returns an image.

  Args:
    picture: the picture.
    label: what it shows, in words.
    place: its id for the script.
  """
  kind = ' class="pixelated"' if picture.pixelated else ''
  named = f' id="{place}"' if place else ''
  return (
    f'<img{named}{kind} width="{picture.width}" alt="{page.text(label)}" '
    f'decoding="sync" src="{picture.uri}">'
  )


def step_slider(steps: Sequence[int]) -> str:
  """Returns a slider over steps, at the last one; '' for a single step.

  Args:
    steps: steps, increasing.
  """
  if len(steps) < 2:
    label = f'step {steps[0]:,}' if steps else ''
    return f'<p class="soft n">{label}</p>'
  last = len(steps) - 1
  return (
    '<div class="slider"><button type="button" id="play" '
    'aria-label="Play">▶</button>'
    f'<input type="range" id="step" min="0" max="{last}" value="{last}" '
    f'aria-label="Training step"><output id="step-label" class="n">'
    f'step {steps[-1]:,}</output></div>'
  )


def _score_cards(run: RunRecord) -> list[str]:
  cards = []
  if run.scores:
    cards.append(
      page.card('Scores', score_table(run.scores) + page.notes(run.notes))
    )
  else:
    cards.append(page.card('Scores', '<p class="soft">Not scored yet.</p>'))
  for evaluation in run.evaluations:
    body = f'<p class="soft">{page.text(evaluation.facts)}</p>'
    body += score_table(evaluation.scores)
    cards.append(page.card(evaluation.name, body))
  return cards


def score_table(rows: Sequence[Mapping[str, Any]]) -> str:
  """Returns a table of scores with errors and baselines.

  Args:
    rows: rows of evaluation.results.as_json.
  """
  has_p = any(row.get('p_value') is not None for row in rows)
  header = [
    *('score', 'generated', 'real data (baseline)'),
    *(['p-value'] if has_p else []),
    *('better', 'examples'),
  ]
  shown = []
  for row in rows:
    counts = row.get('counts') or {}
    shown.append(
      [
        row['name'],
        _with_error(row, ''),
        _with_error(row, 'baseline'),
        *([_p_value(row.get('p_value'))] if has_p else []),
        row.get('better') or '',
        f'{counts.get("generated", "?")} v {counts.get("real", "?")} '
        f'{row.get("real") or ""}',
      ]
    )
  return page.table(header, shown)


def _with_error(row: Mapping[str, Any], side: str) -> page.Number:
  value = row.get(side or 'value')
  error = row.get(f'{side}_error' if side else 'error')
  return page.Number(value, page.number_with_error(value, error))


def _p_value(p: float | None) -> page.Number:
  if p is None:
    return page.Number(None, '–')
  return page.Number(p, f'{p:.2g}' if p >= 1e-4 else '< 1e-4')


def merge_warnings(
  lines: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[int], str]]:
  """Returns (kind, steps, the last sentences) of each kind of warning.

  Args:
    lines: 'step' and 'warnings' (kind -> sentences), in the order of steps.
  """
  found: dict[str, tuple[list[int], str]] = {}
  for line in lines:
    for kind, sentences in line['warnings'].items():
      steps, _ = found.get(kind, ([], ''))
      found[kind] = (steps + [line['step']], str(sentences))
  return [(kind, steps, said) for kind, (steps, said) in found.items()]


def _warnings_card(run: RunRecord) -> str:
  merged = merge_warnings(run.warnings)
  if not merged:
    empty = 'None so far.' if run.lines else 'Nothing was checked yet.'
    return page.card('Warnings', f'<p class="ok">{empty}</p>')
  items = []
  for kind, steps, said in merged:
    where = f'step {steps[0]:,}'
    if len(steps) > 1:
      where = f'steps {steps[0]:,} to {steps[-1]:,}, at {len(steps)} pictures'
    name = kind.replace('_', ' ').capitalize()
    items.append(
      f'<li><strong>{page.text(name)}</strong> <span class="soft">({where})'
      f'</span><br>{page.text(said)}</li>'
    )
  body = f'<ul class="warnings">{"".join(items)}</ul>'
  return page.card(
    'Warnings', body + '<p class="soft">Marked in the curves.</p>'
  )


def _marks(run: RunRecord) -> list[list[Any]]:
  """Returns the steps that charts mark, with what is wrong there."""
  return [
    [
      line['step'],
      ', '.join(kind.replace('_', ' ') for kind in line['warnings']),
    ]
    for line in run.warnings
  ]


def _no_curves() -> str:
  return page.card(
    'Curves', '<p class="soft">No line of metrics yet: see log_every.</p>'
  )


def run_charts(run: RunRecord) -> list[curves.Chart]:
  """Returns the charts of a run: its scores, then groups of metrics.

  Args:
    run: the run.
  """
  charts = _score_charts(run)
  steps = np.array([line['step'] for line in run.lines], np.int64)
  names = dict.fromkeys(name for line in run.lines for name in line)
  shown = [
    name
    for name in names
    if name != 'step'
    and not curves.is_quiet(name, curves.column(run.lines, name))
  ]
  for title, group in curves.group_metrics(shown, run.penalties):
    lines = [
      curves.Series(
        name,
        steps,
        curves.column(run.lines, name),
        color=curves.COLORS[i % len(curves.COLORS)],
      )
      for i, name in enumerate(group)
    ]
    charts.append(curves.Chart(title, lines))
  return charts


def _score_charts(run: RunRecord) -> list[curves.Chart]:
  """Returns a chart of each score in the course of training."""
  names = dict.fromkeys(
    row['name'] for line in run.history for row in line['scores']
  )
  charts = []
  for name in names:
    rows = [
      (line['step'], row)
      for line in run.history
      for row in line['scores']
      if row['name'] == name
    ]
    steps = np.array([step for step, _ in rows], np.int64)
    value, error, baseline = (
      curves.column([row for _, row in rows], key)
      for key in ('value', 'error', 'baseline')
    )
    low, high = (value - error, value + error)
    has_error = np.isfinite(error).any()
    lines = [
      curves.Series(
        name,
        steps,
        value,
        low if has_error else None,
        high if has_error else None,
      )
    ]
    if np.isfinite(baseline).any():
      lines.append(
        curves.Series(
          'real data', steps, baseline, color=curves.COLORS[-1], dashed=True
        )
      )
    charts.append(curves.Chart(f'Score: {name}', lines))
  return charts
