"""What all pages share: the frame, escaping, tables, the config."""

import base64
import functools
import hashlib
import html
import importlib.resources
import json
import math
from typing import Any, Mapping, NamedTuple, Sequence

from gan_jax.io import files
from gan_jax.report.html_report import curves
from gan_jax.report.html_report.records import format_setting

_ASSETS = 'gan_jax.report.html_report'
_MOST_NOTES = 6
_LONG = 30  # characters of a cell that would otherwise be very narrow
REFRESH_SECONDS = 20  # of a page that is served


class Number(NamedTuple):
  """A cell of a table that is sorted by its value.

  Attributes:
    value: the number; None for none.
    shown: what the cell shows.
  """

  value: float | None
  shown: str


def text(value: Any) -> str:
  """Returns anything as text of a page: escaped, on one line."""
  return html.escape(files.printable(value))


def embedded_json(value: Any) -> str:
  """Returns JSON for a script element, which nothing in it can close."""
  dumped = json.dumps(value, separators=(',', ':'), allow_nan=False)
  return dumped.replace('<', '\\u003c')


@functools.cache
def _asset(name: str) -> str:
  return importlib.resources.files(_ASSETS).joinpath('assets', name).read_text()


def _policy() -> str:
  """Returns a content security policy: our scripts, nothing from elsewhere."""
  hashes = []
  for name in ('uPlot.iife.min.js', 'report.js'):
    digest = hashlib.sha256(_asset(name).encode()).digest()
    hashes.append(f"'sha256-{base64.b64encode(digest).decode()}'")
  return (
    "default-src 'none'; img-src data:; media-src data:; "
    f"style-src 'unsafe-inline'; script-src {' '.join(hashes)}; "
    "base-uri 'none'; form-action 'none'"
  )


def document(
  title: str,
  facts: Sequence[str],
  sections: Sequence[str],
  data: Mapping[str, Any],
  *,
  live: bool = False,
) -> str:
  """Returns a whole page.

  Args:
    title: heading, not escaped yet.
    facts: what the line below it has, not escaped yet.
    sections: parts of the page, HTML.
    data: what the script draws.
    live: whether a server makes the page anew each time it is loaded.

  Returns:
    The HTML.
  """
  switch = ''
  if live:
    switch = (
      '<label class="live"><input type="checkbox" id="live" checked> new every '
      f'{REFRESH_SECONDS} s</label>'
    )
  about = ' · '.join(text(fact) for fact in facts if fact)
  data = {**data, 'refresh': REFRESH_SECONDS if live else 0}
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="gan_jax">
<title>{text(title)}</title>
<style>{_asset('uPlot.min.css')}</style>
<style>{_asset('report.css')}</style>
</head>
<body>
<main>
<header><h1>{text(title)}</h1>{switch}<p class="soft">{about}</p></header>
{''.join(sections)}
</main>
<script type="application/json" id="data">{embedded_json(data)}</script>
<script>{_asset('uPlot.iife.min.js')}</script>
<script>{_asset('report.js')}</script>
</body>
</html>
"""


def card(heading: str, body: str, *, kind: str = '') -> str:
  """Returns a part of a page with a heading.

  Args:
    heading: its heading, not escaped yet.
    body: HTML.
    kind: CSS class.
  """
  shown = f'<h2>{text(heading)}</h2>' if heading else ''
  return f'<section class="card {kind}">{shown}{body}</section>\n'


def row(cards: Sequence[str], kind: str = '') -> str:
  """Returns parts of a page side by side where there is room."""
  return f'<div class="grid {kind}">{"".join(cards)}</div>\n'


def notes(lines: Sequence[str]) -> str:
  """Returns notes on scores, folded if they are many; '' for none."""
  listed = bullets(lines, 'soft notes')
  if len(lines) <= _MOST_NOTES:
    return listed
  summary = f'<summary>{len(lines)} notes on the scores</summary>'
  return f'<details>{summary}{listed}</details>'


def bullets(lines: Sequence[str], kind: str = '') -> str:
  """Returns a list of lines of text; '' for none."""
  items = ''.join(f'<li>{text(line)}</li>' for line in lines)
  return f'<ul class="{kind}">{items}</ul>' if items else ''


def table(
  header: Sequence[Any], rows: Sequence[Sequence[Any]], *, sortable=False
) -> str:
  """Returns a table, which scrolls sideways if it is wide.

  Args:
    header: names of the columns, not escaped yet; a pair has a second line.
    rows: cells: text that is not escaped yet, numbers, or `Number`.
    sortable: whether a click on a name sorts by its column.
  """
  heads = []
  for cell in header:
    name, more = cell if isinstance(cell, tuple) else (cell, '')
    label = text(name)
    if sortable:
      label = f'<button type="button">{label}</button>'
    more = f'<small>{text(more)}</small>' if more else ''
    heads.append(f'<th scope="col">{label}{more}</th>')
  body = ''.join(f'<tr>{"".join(map(_cell, cells))}</tr>' for cells in rows)
  kind = ' class="sortable"' if sortable else ''
  return (
    f'<div class="wide"><table{kind}><thead><tr>{"".join(heads)}</tr></thead>'
    f'<tbody>{body}</tbody></table></div>'
  )


class Markup(str):
  """A cell that is HTML already."""


def _cell(value: Any) -> str:
  if isinstance(value, Markup):
    return f'<td>{value}</td>'
  if isinstance(value, Number):
    key = '' if value.value is None else repr(float(value.value))
    return f'<td class="n" data-value="{key}">{text(value.shown)}</td>'
  if value is None:
    return '<td class="n" data-value="">–</td>'
  if isinstance(value, int | float) and not isinstance(value, bool):
    shown = f'{value:,}' if isinstance(value, int) else f'{value:.6g}'
    return f'<td class="n" data-value="{value!r}">{text(shown)}</td>'
  shown = text(value)
  kind = ' class="long"' if len(shown) > _LONG else ''
  return f'<td{kind}>{shown}</td>'


def number_with_error(value: float | None, error: float | None) -> str:
  """Returns a score as text, with as many digits as its error allows.

  Args:
    value: the score; None for none.
    error: its standard error; None for none.
  """
  if value is None:
    return '–'
  if not error or not math.isfinite(error):
    return f'{value:.4g}'
  digits = max(0, 1 - math.floor(math.log10(error)))
  return f'{value:.{digits}f} ± {error:.{digits}f}'


def config_card(
  config: Mapping[str, Any], defaults: Mapping[str, Any], heading: str
) -> str:
  """Returns the config: what differs from the default, then all the rest.

  Args:
    config: options by dotted name.
    defaults: their defaults.
    heading: heading of the card.
  """
  changed, rest = [], []
  for name, value in config.items():
    shown = format_setting(value)
    if name not in defaults:
      changed.append([name, shown, 'unknown'])
    elif defaults[name] != value:
      changed.append([name, shown, format_setting(defaults[name])])
    else:
      rest.append([name, shown])
  body = '<p class="soft">Every option has its default.</p>'
  if changed:
    body = table(('differs from the default', 'value', 'default'), changed)
  if rest:
    body += (
      f'<details><summary>{len(rest)} options at their defaults</summary>'
      f'{table(("option", "value"), rest)}</details>'
    )
  return card(heading, body, kind='config')


def chart_cards(charts: Sequence[curves.Chart]) -> str:
  """Returns places for charts, which the script draws.

  Args:
    charts: the charts; none for an empty place.
  """
  if not charts:
    return ''
  cards = [
    f'<section class="card chart"><div class="head"><h2>{text(chart.title)}'
    f'</h2><label class="log" hidden><input type="checkbox"> log</label></div>'
    f'<div class="plot" id="chart-{i}" role="img" '
    f'aria-label="{text(chart.title)}"></div>'
    '<p class="readout soft"></p></section>\n'
    for i, chart in enumerate(charts)
  ]
  return row(cards, 'charts')


def sound_players(sounds: Mapping[str, str]) -> str:
  """Returns players for sounds.

  Args:
    sounds: name -> `data:` URI.
  """
  return ''.join(
    f'<figure><figcaption class="soft">{text(name)}</figcaption>'
    f'<audio controls preload="metadata" src="{text(uri)}"></audio></figure>'
    for name, uri in sounds.items()
  )
