"""Writes docs/atlas.md and its picture from benchmarks/results/atlas.json."""

import math
import pathlib
from typing import Any, Iterable, Mapping, Sequence

import turns

DOCS = turns.ROOT / 'docs'
MODES = {'ring': 8, 'grid': 9}
PERFECT = 1 - math.exp(-4.5)  # share of a normal sample within 3 sigma
WORKS = 0.5  # part of the best coverage on a data set, from which a rate works
_INTRODUCTION = """\
# The atlas: which losses work

```sh
python benchmarks/atlas.py --out=runs/atlas
python benchmarks/atlas.py --out=runs/atlas --page
```

The first command trains every adversarial loss of the library without a
regularizer, with R1, R1 and R2, WGAN-GP, and spectral norm in D, on two mixtures
of Gaussians: {count} seeds at each of {rates} learning rates. It can be stopped and
started again. The second writes this page from the records
([benchmarks/results/atlas.json](../benchmarks/results/atlas.json)).

![Coverage of every loss with every regularizer](atlas.png)

**Coverage** is the share of modes that are found times the share of samples
within 3 sigma of a mode, the two scores of
[PacGAN](https://arxiv.org/abs/1712.04086); a perfect sampler has {perfect:.3f}. A
member that diverged counts as 0. A cell of the picture has the coverage at the
best learning rate, and that rate; filled dots are the rates that work, from the
smallest to the largest, where **works** means at least half of the best coverage
of all cells of the data set.

Short runs of small networks: this shows which games are easy to play with
untuned settings, not how good they become. `configs/ring.py` and
`configs/grid.py` are tuned for one game, and trained 30 to 40 times as long
([results.md](results.md)).

* Data: 8 modes on a circle of radius 1, sigma 0.03; and 3 x 3 modes at distances
  of 2, sigma 0.1; 100,000 points each. {samples:,} samples are scored.
* Networks: G and D with hidden layers of {features}, ReLU in G, leaky ReLU in D;
  16 outputs of D for the MMD losses.
* Training: {steps} steps of batch {batch}, one D step for each G
  step, Adam with b1 0 and b2 0.99 at one learning rate for both players
  ({listed}), and the average of G with decay {ema_decay}.
* Weights: R1 and R2 0.1, WGAN-GP 10.
"""


def number(
  value: Sequence[float] | None, scale: float = 1.0, digits: int = 1
) -> str:
  """Formats a mean and its standard error; None becomes a dash."""
  if value is None:
    return '-'
  mean, error = (scale * x for x in value)
  return f'{mean:.{digits}f} ± {error:.{digits}f}'


def coverage(row: Mapping[str, Any], data: str, seeds: int) -> float:
  """Returns the coverage at one learning rate, from 0 to 1.

  Args:
    row: means of the members that did not diverge; see atlas.summarize.
    data: 'ring' or 'grid'.
    seeds: number of members.
  """
  if row['modes'] is None:
    return 0.0
  live = 1 - row['diverged'] / seeds
  return live * row['high_quality'][0] * row['modes'][0] / MODES[data]


def coverages(record: Mapping[str, Any], seeds: int) -> list[float]:
  """Returns the coverage of a cell at each learning rate."""
  return [coverage(row, record['data'], seeds) for row in record['rates']]


def best_rate(record: Mapping[str, Any], seeds: int) -> Mapping[str, Any]:
  """Returns the scores of a cell at the rate of the largest coverage."""
  found = coverages(record, seeds)
  return record['rates'][found.index(max(found))]


def best_coverage(cells: Iterable[Mapping[str, Any]], seeds: int) -> float:
  """Returns the best coverage of all cells of a data set."""
  return max(max(coverages(c, seeds)) for c in cells if 'rates' in c)


def works(record: Mapping[str, Any], seeds: int, best: float) -> list[bool]:
  """Returns whether a cell works at each learning rate; see WORKS.

  Args:
    record: the cell.
    seeds: number of members.
    best: the best coverage on its data set.
  """
  return [x >= WORKS * best for x in coverages(record, seeds)]


def _names(cells: Iterable[Mapping[str, Any]], field: str) -> list[str]:
  return list(dict.fromkeys(cell[field] for cell in cells))


def _table(cells: Sequence[Mapping[str, Any]], seeds: int) -> str:
  """Returns the table of a data set: a row a cell, at its best rate."""
  header = (
    *('loss', 'regularizer', 'rates that work', 'best rate', 'coverage'),
    *('modes', 'within 3 sigma, %', 'reverse KL', 'diverged, all rates'),
  )
  rows, top = [], best_coverage(cells, seeds)
  for cell in cells:
    if 'refused' in cell:
      rows.append([cell['loss'], cell['regularizer'], 'refused', *[''] * 6])
      continue
    best, rates = best_rate(cell, seeds), cell['rates']
    lost = sum(row['diverged'] for row in rates)
    rows.append(
      [
        f'`{cell["loss"]}`',
        cell['regularizer'],
        f'{sum(works(cell, seeds, top))} of {len(rates)}',
        f'{best["rate"]:g}',
        f'{max(coverages(cell, seeds)):.2f}',
        number(best['modes']),
        number(best['high_quality'], 100),
        number(best['reverse_kl'], digits=3),
        f'{lost} of {seeds * len(rates)}',
      ]
    )
  return turns.table(header, rows)


def _regularizers(cells: Sequence[Mapping[str, Any]], seeds: int) -> str:
  """Returns the table of regularizers over all losses and data sets."""
  rows, top = [], best_coverage(cells, seeds)
  for name in _names(cells, 'regularizer'):
    own = [c for c in cells if c['regularizer'] == name and 'rates' in c]
    if not own:
      continue
    tried = sum(len(cell['rates']) for cell in own)
    working = sum(sum(works(cell, seeds, top)) for cell in own)
    lost = sum(row['diverged'] for cell in own for row in cell['rates'])
    mean = sum(max(coverages(cell, seeds)) for cell in own) / len(own)
    rows.append(
      [
        name,
        f'{working} of {tried}',
        f'{mean:.2f}',
        f'{100 * lost / (tried * seeds):.1f}',
      ]
    )
  header = ('', 'losses and rates that work', 'mean coverage, best rate')
  return turns.table([*header, 'diverged, %'], rows)


def make_page(record: Mapping[str, Any], losses: int, regularizers: int) -> str:
  """Returns the text of docs/atlas.md.

  Args:
    record: as atlas.collect returns it.
    losses: number of losses of the library.
    regularizers: number of regularizers of the atlas.
  """
  settings, cells = record['settings'], record['cells']
  seeds, rates = settings['seeds'], settings['rates']
  parts = [
    _INTRODUCTION.format(
      count=seeds,
      perfect=PERFECT,
      samples=2500,
      listed=', '.join(f'{rate:g}' for rate in rates),
      **settings
      | {
        'rates': len(rates),
        'steps': ' and '.join(
          f'{count:,} ({data})' for data, count in settings['steps'].items()
        ),
        'features': ' and '.join(map(str, settings['features'])),
      },
    )
  ]
  seconds = sum(cell.get('cpu_seconds', 0) for cell in cells)
  members = sum(seeds * len(rates) for cell in cells if 'rates' in cell)
  parts.append(
    f'{members:,} runs, {seconds / 60:.0f} CPU minutes, compilation included, '
    f'on {"; ".join(record["machines"])}.\n'
  )
  for data in MODES:
    own = [cell for cell in cells if cell['data'] == data]
    missing = losses * regularizers - len(own)
    parts.append(f'## {data.capitalize()}\n')
    if missing:
      parts.append(f'**{missing} cells of {data} were not run.**\n')
    if own:
      parts.append(f'{_regularizers(own, seeds)}\n\n{_table(own, seeds)}\n')
  parts.append(
    'Means and standard errors are over the seeds that did not diverge.\n'
  )
  return '\n'.join(parts)


def _draw_panel(
  axes: Any,
  cells: Sequence[Mapping[str, Any]],
  losses: Sequence[str],
  regularizers: Sequence[str],
  seeds: int,
) -> Any:
  """Draws the heat map of a data set: a row a loss, a column a regularizer."""
  by_name = {(c['loss'], c['regularizer']): c for c in cells}
  grid = [[math.nan] * len(regularizers) for _ in losses]
  top = best_coverage(cells, seeds)
  for i, loss in enumerate(losses):
    for j, regularizer in enumerate(regularizers):
      cell = by_name.get((loss, regularizer))
      text = 'not run' if cell is None else 'refused'
      if cell is not None and 'rates' in cell:
        grid[i][j] = max(coverages(cell, seeds))
        dots = ''.join('○●'[ok] for ok in works(cell, seeds, top))
        rate = best_rate(cell, seeds)['rate']
        text = f'{grid[i][j]:.2f}  {dots}\n{rate:g}'
      color = 'white' if grid[i][j] < 0.6 * top else 'black'
      color = 'gray' if math.isnan(grid[i][j]) else color
      axes.text(j, i, text, ha='center', va='center', fontsize=7, color=color)
  image = axes.imshow(grid, vmin=0, vmax=top, cmap='viridis', aspect='auto')
  axes.set_xticks(range(len(regularizers)), regularizers, fontsize=8)
  axes.set_yticks(range(len(losses)), losses, fontsize=8)
  axes.xaxis.tick_top()
  axes.tick_params(length=0)
  return image


def draw(record: Mapping[str, Any], path: pathlib.Path) -> None:
  """Draws the picture.

  Args:
    record: as atlas.collect returns it.
    path: path of the PNG.
  """
  import matplotlib

  matplotlib.use('Agg')
  import matplotlib.pyplot as plt

  seeds = record['settings']['seeds']
  names = [d for d in MODES if any(c['data'] == d for c in record['cells'])]
  losses, regularizers = (
    _names(record['cells'], field) for field in ('loss', 'regularizer')
  )
  figure, panels = plt.subplots(
    *(1, len(names)),
    figsize=(1.6 + 5.4 * len(names), 1.4 + 0.36 * len(losses)),
    squeeze=False,
    sharey=True,
    layout='constrained',
  )
  for data, axes in zip(names, panels[0]):
    own = [cell for cell in record['cells'] if cell['data'] == data]
    image = _draw_panel(axes, own, losses, regularizers, seeds)
    axes.set_title(f'{data}: {MODES[data]} modes', fontsize=11)
    label = 'coverage at the best learning rate'
    figure.colorbar(image, ax=axes, label=label, shrink=0.6)
  figure.savefig(path, dpi=110)
  plt.close(figure)
