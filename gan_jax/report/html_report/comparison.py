"""The page of several runs, or of an ensemble."""

import math
from typing import Any

import numpy as np

from gan_jax.report import axis_scale
from gan_jax.report.html_report import curves, page, single_run
from gan_jax.report.html_report.records import (
  Comparison,
  Group,
  format_setting,
)

_MOST_SHOWN = 12  # groups whose curves are drawn before anything is chosen
_MOST_DRAWN = 200  # groups that have curves
_MOST_PANELS = 24  # groups whose samples are side by side


def comparison_page(
  compared: Comparison, *, written: str = '', live: bool = False
) -> str:
  """Returns the page of a comparison.

  Args:
    compared: several runs, or the members of an ensemble.
    written: when the page was written, in words.
    live: whether a server makes the page anew each time it is loaded.

  Returns:
    The HTML, without references to other files.
  """
  colors = _colors(compared)
  charts = _setting_charts(compared) + _metric_charts(compared, colors)
  panels = [g for g in compared.groups if g.pictures][:_MOST_PANELS]
  shown = set(_best_first(compared)[:_MOST_SHOWN])
  sections = [
    _pictures(compared, panels),
    _groups_card(compared, colors, shown),
    page.chart_cards(charts),
  ]
  if len(compared.members) > 1:
    body = page.table(compared.members[0], compared.members[1:], sortable=True)
    sections.append(
      page.card(
        '',
        f'<details><summary>All {len(compared.members) - 1} runs</summary>'
        f'{body}</details>',
      )
    )
  heading = 'Config that all have in common'
  sections.append(page.config_card(compared.config, compared.defaults, heading))
  if compared.problems:
    listed = page.bullets(compared.problems, 'problems')
    sections.append(page.card('Not shown', listed))
  data = curves.charts_as_json(charts) | {
    'panels': [_panel(group) for group in panels],
    'marks': [],
  }
  return page.document(
    compared.name, _headline(compared, written), sections, data, live=live
  )


def _headline(compared: Comparison, written: str) -> list[str]:
  config, groups = compared.config, compared.groups
  total = f' of {compared.num_steps:,}' if compared.num_steps else ''
  steps = {group.step for group in groups}
  kinds = 'groups' if any(len(g.members) > 1 for g in groups) else 'runs'
  return [
    f'{len(groups)} {kinds}' if len(groups) > 1 else '',
    f'loss {config["loss"]}' if 'loss' in config else '',
    f'step {steps.pop():,}{total}' if len(steps) == 1 else '',
    *compared.facts,
    written,
  ]


def _panel(group: Group) -> list[list[Any]]:
  found = [[p.step, p.uri] for p in group.pictures[:-1]]
  return found + [[p.step, None] for p in group.pictures[-1:]]


def _pictures(compared: Comparison, panels: list[Group]) -> str:
  """Returns the samples of all runs side by side, under one slider."""
  cards = []
  for index, group in enumerate(panels):
    tag = single_run.picture_tag(
      group.pictures[-1], f'samples of {group.label}', f'picture-{index}'
    )
    cards.append(page.card(group.label, tag, kind='small'))
  if compared.picture is not None:
    body = single_run.picture_tag(compared.picture, 'samples of members')
    body += page.sound_players(compared.sounds)
    first = 'Samples of the first member that did not diverge'
    is_scatter = not compared.picture.pixelated
    heading = first if is_scatter else 'Samples, a row a member'
    cards.append(page.card(heading, body, kind='single'))
  if compared.real is not None and cards:
    tag = single_run.picture_tag(compared.real, 'real examples')
    cards.append(page.card('Real examples', tag, kind='small'))
  if not cards:
    return ''
  steps = sorted({p.step for group in panels for p in group.pictures})
  slider = page.card('Samples', single_run.step_slider(steps)) if panels else ''
  return slider + page.row(cards, 'panels' if panels else '')


def _best_first(compared: Comparison) -> list[int]:
  """Returns the places of the groups, by their first score."""
  names = list(compared.baselines) or list(compared.better)
  names = names or [n for group in compared.groups for n in group.scores]
  if not names:
    return list(range(len(compared.groups)))
  better = compared.better.get(names[0], 'lower')

  def key(place: int) -> tuple[bool, int, float]:
    group = compared.groups[place]
    found = group.scores.get(names[0])
    if found is None:
      return True, group.diverged, math.inf
    value = abs(found[0] - 0.5) if better == 'near 0.5' else found[0]
    return False, group.diverged, -value if better == 'higher' else value

  return sorted(range(len(compared.groups)), key=key)


def _groups_card(
  compared: Comparison, colors: list[str], shown: set[int]
) -> str:
  """Returns the table with a row a group, the best first."""
  groups = compared.groups
  settings = list(dict.fromkeys(n for g in groups for n in g.settings))
  scores = list(dict.fromkeys(n for g in groups for n in g.scores))
  named = any(group.name for group in groups)
  several = any(len(group.members) > 1 for group in groups)
  lost = any(group.diverged for group in groups)
  uneven = len({group.step for group in groups}) > 1
  header: list[Any] = [('', 'shown')]
  header += ['run'] if named else []
  header += ['seeds'] if several else []
  header += ['diverged'] if lost else []
  header += ['step'] if uneven else []
  of_scores = [(name, _about_score(compared, name)) for name in scores]
  # What runs were told comes first in a sweep, and last where it is long.
  header += [*of_scores, *settings] if named else [*settings, *of_scores]
  rows = []
  for place in _best_first(compared):
    group = groups[place]
    cells: list[Any] = [_switch(place, group, colors[place], place in shown)]
    cells += [group.name or ', '.join(group.members)] if named else []
    cells += [len(group.members)] if several else []
    cells += [group.diverged] if lost else []
    cells += [group.step] if uneven else []
    told = [_setting(group.settings.get(name)) for name in settings]
    found = []
    for name in scores:
      value, error = group.scores.get(name) or (None, None)
      found.append(page.Number(value, page.number_with_error(value, error)))
    rows.append(cells + (found + told if named else told + found))
  about = []
  if several:
    about.append(
      'A score is the mean over seeds ± its standard error. Curves are the '
      'median over seeds, and a band from the first to the third quartile.'
    )
  if len(groups) > _MOST_DRAWN:
    about.append(f'Curves are of the best {_MOST_DRAWN} of {len(groups):,}.')
  body = page.table(header, rows, sortable=True)
  body += page.bullets(about, 'soft notes') + page.notes(compared.notes)
  heading = 'Points of the sweep' if not named and settings else 'Runs'
  return page.card(heading, body)


def _about_score(compared: Comparison, name: str) -> str:
  value, error = compared.baselines.get(name, (None, None))
  parts = []
  if value is not None:
    shown = page.number_with_error(value, error)
    parts.append(f'real data {shown}')
  if compared.better.get(name):
    parts.append(f'better: {compared.better[name]}')
  return '; '.join(parts)


def _switch(place: int, group: Group, color: str, on: bool) -> page.Markup:
  checked = ' checked' if on else ''
  return page.Markup(
    f'<label class="swatch"><input type="checkbox" data-group="{place}"'
    f'{checked} aria-label="{page.text(group.label)}">'
    f'<svg width="14" height="14" aria-hidden="true"><rect width="14" '
    f'height="14" rx="3" fill="{color}"/></svg></label>'
  )


def _setting(value: Any) -> Any:
  if isinstance(value, int | float) and not isinstance(value, bool):
    return page.Number(value, format_setting(value))
  return format_setting(value) if value is not None else '–'


def _axis(compared: Comparison) -> tuple[str, np.ndarray] | None:
  """Returns the setting in which groups differ and its values, if it is one.

  None if there are several, if they are few, or if they are no numbers.
  """
  groups = compared.groups
  names = {tuple(group.settings) for group in groups}
  if len(groups) < 3 or len(names) != 1 or len(next(iter(names))) != 1:
    return None
  ((name,),) = names
  values = [group.settings[name] for group in groups]
  if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
    return None
  return name, np.array(values, np.float64)


def _colors(compared: Comparison) -> list[str]:
  """Returns the color of each group, a scale if they have an order."""
  axis, count = _axis(compared), len(compared.groups)
  if axis is None or count < 4:
    return curves.palette(count)
  scale = curves.scale(count)
  ranks = np.argsort(np.argsort(axis[1], kind='stable'))
  return [scale[rank] for rank in ranks]


def _setting_charts(compared: Comparison) -> list[curves.Chart]:
  """Returns the scores against the setting, if a single one is swept."""
  axis, groups = _axis(compared), compared.groups
  if axis is None or len(set(axis[1])) < len(groups):
    return []
  name, values = axis
  order = np.argsort(values)
  x = values[order]
  log_x = axis_scale.is_geometric(x)
  charts = []
  for score in dict.fromkeys(n for g in groups for n in g.scores):
    pairs = [groups[i].scores.get(score) or (math.nan, None) for i in order]
    y = np.array([value for value, _ in pairs], np.float64)
    error = np.array([e or 0.0 for _, e in pairs], np.float64)
    lines = [curves.Series(score, x, y, y - error, y + error)]
    baseline = compared.baselines.get(score, (None, None))[0]
    if baseline is not None:
      flat = np.full(len(x), baseline, np.float64)
      lines.append(
        curves.Series(
          'real data', x, flat, color=curves.COLORS[-1], dashed=True
        )
      )
    charts.append(
      curves.Chart(f'Score by setting: {score}', lines, name, log_x)
    )
  return charts


def _metric_charts(
  compared: Comparison, colors: list[str]
) -> list[curves.Chart]:
  """Returns a chart of each metric, with a line a group."""
  groups = compared.groups
  drawn = sorted(_best_first(compared)[:_MOST_DRAWN])
  scores = list(dict.fromkeys(n for g in groups for n in g.scores))
  names = dict.fromkeys(n for g in groups for n in g.curves)
  metrics = [name for name in names if name not in scores]
  ordered = [
    name
    for _, group in curves.group_metrics(metrics, compared.penalties)
    for name in group
  ]
  charts = []
  for name in [*(n for n in scores if n in names), *ordered]:
    lines = []
    for place in drawn:
      group = groups[place]
      curve = group.curves.get(name)
      if curve is None or curves.is_quiet(name, curve.values):
        continue
      low, middle, high = curves.quartiles(curve.values)
      single = curve.values.shape[1] == 1
      lines.append(
        curves.Series(
          group.label,
          curve.steps,
          middle,
          None if single else low,
          None if single else high,
          color=colors[place],
          group=place,
        )
      )
    longest = max((len(line.x) for line in lines), default=0)
    if longest > 1 or (lines and name not in scores):
      title = f'Score: {name}' if name in scores else name
      charts.append(curves.Chart(title, lines))
  return charts
