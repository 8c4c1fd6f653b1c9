"""Writes docs/results.md from the records of benchmarks/results.py."""

import textwrap
from typing import Any, Mapping, Sequence

import turns
from result_rows import Row, Score

_INTRODUCTION = """\
# Results

```sh
python benchmarks/results.py --list
python benchmarks/results.py ring --out=runs/results
python benchmarks/results.py --collect runs/results
```

A row is one command: it trains as `train.py` does, can be stopped and started
again, and leaves a record. The third command writes the records into
[benchmarks/results/](../benchmarks/results), and this page from them. Each table
has the published rows, what this library reaches (mean ± standard error), and
the **floor**: the same score of real data, or of a perfect sampler, at the same
sample size. Only rows of one table may be compared.
`benchmarks/accelerator.sh MINUTES OUT` runs the rows that need a GPU. A + after a
commit stands for changes that were not committed.
[atlas.md](atlas.md) compares all losses on two of these data sets.
"""


def format_score(
  value: float | None, error: float | None, scale: float = 1.0
) -> str:
  """Formats a score with its standard error.

  Args:
    value: the score; None becomes a dash.
    error: its standard error, None for none.
    scale: factor of both.
  """
  if value is None:
    return '-'
  value *= scale
  if not error:
    return f'{value:.4g}'
  error *= scale
  # Two digits of the error.
  digits = max(0, min(5, 1 - int(f'{error:e}'.partition('e')[2])))
  return f'{value:.{digits}f} ± {error:.{digits}f}'


def is_finished(record: Mapping[str, Any] | None) -> bool:
  """Returns whether a row was run to its end."""
  return record is not None and record['step'] >= record['num_steps']


def _cells(
  scores: Mapping[str, Sequence], columns: Sequence[Score], start: int
) -> list[str]:
  """Returns the cells of a row: pairs from `start` in each score's record."""
  found = []
  for column in columns:
    pair = scores.get(column.name, (None,) * 4)[start : start + 2]
    found.append(format_score(*pair, column.scale))
  return found


def _table(row: Row, record: Mapping[str, Any] | None) -> str:
  rows = [[source, *cells] for source, cells in row.published]
  scores = record.get('scores', {}) if is_finished(record) else {}
  if scores:
    rows.append(['**gan_jax**', *_cells(scores, row.scores, 0)])
    rows.append(['floor', *_cells(scores, row.scores, 2)])
  if not rows:
    return ''
  headers = [column.header for column in row.scores]
  return turns.table(['', *headers], rows) + '\n'


def _curve(row: Row, record: Mapping[str, Any]) -> str:
  """Returns the table of the samples that were saved on the way."""
  column, rows = row.scores[0], []
  for point in record['curve']:
    scores = point.get('scores', {})
    floor = _cells(scores, [column], 2)[0]
    rows.append(
      [
        f'{point["minutes"]:.1f}',
        f'{point["images"]:,}',
        f'{point["samples"]:,}',
        _cells(scores, [column], 0)[0] if scores else 'not scored',
        floor,
      ]
    )
  header = ('minutes', 'images', 'samples', column.header, 'floor')
  return turns.table(header, rows) + '\n'


def _progress(record: Mapping[str, Any] | None) -> str:
  if record is None:
    return '**Not run.**'
  if not is_finished(record):
    return (
      f'**Not run to its end: {record["step"]:,} of {record["num_steps"]:,} '
      'steps.**'
    )
  if 'scores' not in record and not record['curve']:
    return '**Run to its end, and not scored.**'
  return ''


def _facts(record: Mapping[str, Any]) -> str:
  """Returns a line about the run: seeds, time, machine, versions."""
  parts = [f'{record["step"]:,} steps']
  if 'error_over' in record:
    parts.append(f'standard errors over {record["error_over"]}')
  if record.get('diverged'):
    parts.append(f'{record["diverged"]} diverged')
  if record.get('seconds') is not None:
    cpu = record.get('cpu_seconds')
    cpu = f' ({cpu:,.0f} CPU seconds)' if cpu is not None else ''
    parts.append(f'{record["seconds"]:,.0f} seconds{cpu}, start included')
  parts += [record[name] for name in ('machine', 'date') if record.get(name)]
  if record.get('commit'):
    parts.append(f'commit {record["commit"]}')
  if record.get('note'):
    parts.append(record['note'])
  return textwrap.fill('; '.join(parts) + '.', 80)


def make_section(row: Row, record: Mapping[str, Any] | None) -> str:
  """Returns the section of a row.

  Args:
    row: the row.
    record: its record; None for a row that was never begun.
  """
  parts = [f'## {row.title}\n', f'{textwrap.fill(row.protocol, 80)}\n']
  parts.append(f'```sh\n{row.command()}\n```\n')
  progress = _progress(record)
  if progress:
    parts.append(f'{progress}\n')
  parts.append(_table(row, record))
  if record and record['curve']:
    parts.append(_curve(row, record))
  if record:
    parts.append(f'{_facts(record)}\n')
  return '\n'.join(part for part in parts if part)


def make_overview(
  rows: Mapping[str, Row], records: Mapping[str, Mapping[str, Any]]
) -> str:
  """Returns the table of all rows: what they reached, in the first column.

  Args:
    rows: all rows by name.
    records: records of those that were begun.
  """
  found = []
  for name, row in rows.items():
    record = records.get(name)
    column = row.scores[0]
    state = _progress(record).strip('*.').lower() or 'samples at some minutes'
    if is_finished(record) and 'scores' in record:
      ours, floor = (_cells(record['scores'], [column], at)[0] for at in (0, 2))
      state = f'{column.header} {ours} (floor {floor})'
    found.append([f'`{name}`', row.title, state])
  return turns.table(('', '', 'state'), found) + '\n'


def make_page(
  rows: Mapping[str, Row],
  records: Mapping[str, Mapping[str, Any]],
  tables: Mapping[str, str],
) -> str:
  """Returns the text of docs/results.md.

  Args:
    rows: all rows by name.
    records: records of those that were begun.
    tables: tables of speeds on an accelerator, by the name of the benchmark.
  """
  parts = [_INTRODUCTION, make_overview(rows, records)]
  parts += [make_section(row, records.get(name)) for name, row in rows.items()]
  for name, text in tables.items():
    parts.append(f'## Speed: {name}\n\n{text.strip()}\n')
  return '\n'.join(parts)
