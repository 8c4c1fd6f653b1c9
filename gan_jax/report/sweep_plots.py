"""Plots of an ensemble, with matplotlib if it is installed.

For seeds only: the losses over steps with a band, and every member's score. For
one swept setting: the score against it, with a band. For two: a heat map. For a
list of points: the scores against each setting.
"""

import io
import math
import os
import pathlib
import warnings
from typing import Any, Mapping, Sequence

import numpy as np

from gan_jax.io import files
from gan_jax.report import axis_scale

_SCORES = 3  # largest number of scores in a figure
_SETTINGS = 6  # largest number of settings of a list of points in a figure
_SMALL_MARKERS = 200  # points from which on they are drawn smaller
_COLORS = ('tab:blue', 'tab:orange', 'tab:green')


def _pyplot() -> Any:
  os.environ.setdefault('MPLBACKEND', 'Agg')
  try:
    import matplotlib.pyplot as plt
  except ImportError:
    return None
  return plt


def plot_sweep(
  path: pathlib.Path,
  axes: Sequence[Any],
  points: Sequence[Any],
  baselines: Mapping[str, tuple[float, float | None]],
  lines: Sequence[Mapping[str, Any]],
) -> bool:
  """Plots the scores of an ensemble.

  Args:
    path: path of the PNG.
    axes: sweep.SweepAxis of each dimension.
    points: sweep_results.SweepPoint of each point.
    baselines: name of a score -> (its value for real data, standard error).
    lines: lines of members.jsonl.

  Returns:
    Whether a plot was written. None is written without matplotlib, for a sweep
    of more than two dimensions, or without scores (all members diverged).
  """
  names = list(baselines)[:_SCORES]
  is_grid = math.prod(len(axis.values) for axis in axes) == len(points)
  is_drawable = names and (len(axes) <= 2 or not is_grid)
  plt = _pyplot() if is_drawable else None
  if plt is None:
    return False
  if is_grid:
    figure = _draw_grid(plt, names, axes, points, baselines, lines)
  else:
    figure = _draw_list(plt, names, axes[:_SETTINGS], points, baselines)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # about fonts and tight layouts
    figure.tight_layout()
    png = io.BytesIO()
    figure.savefig(png, dpi=110)
  plt.close(figure)
  files.atomic_write(path, png.getvalue())
  return True


def _draw_grid(plt, names, axes, points, baselines, lines) -> Any:
  """Draws a panel for each score of seeds, or of a product of axes."""
  columns = len(names) + (0 if axes else 1)
  figure, panels = plt.subplots(
    1, columns, figsize=(4.6 * columns, 3.9), squeeze=False
  )
  panels = list(panels[0])
  if not axes:
    _plot_curves(panels.pop(0), lines)
  draw = (_plot_seeds, _plot_line, _plot_heatmap)[len(axes)]
  for panel, name in zip(panels, names):
    draw(panel, name, axes, points, baselines[name])
  return figure


def _draw_list(plt, names, axes, points, baselines) -> Any:
  """Draws a panel for each score and setting of a list of points."""
  rows, columns = len(names), len(axes)
  figure, panels = plt.subplots(
    *(rows, columns),
    figsize=(3.7 * columns + 0.6, 3.4 * rows),
    squeeze=False,
    sharey='row',
  )
  for row, name in zip(panels, names):
    for panel, axis in zip(row, axes):
      _plot_points(panel, name, axis, points, baselines[name])
    row[0].set_ylabel(name)
    row[-1].legend(fontsize=8)
  return figure


def _plot_points(panel, name, axis, points, baseline) -> None:
  """Plots the score of each point against one of its settings."""
  x = np.array(axis.values)
  mean = np.array([p.scores[name][0] for p in points])
  error = np.array([p.scores[name][1] or 0.0 for p in points])
  panel.errorbar(
    *(x, mean, error),
    fmt='o',
    ms=4 if len(points) <= _SMALL_MARKERS else 2,
    lw=1,
    label='points, mean over seeds',
  )
  _draw_baseline(panel, baseline)
  lost = [v for v, p in zip(axis.values, points) if p.diverged]
  if lost:
    panel.plot(
      *(lost, [1] * len(lost)),
      'x',
      color='tab:red',
      transform=panel.get_xaxis_transform(),
      clip_on=False,
      label='some seeds diverged',
    )
  panel.set(
    xlabel=axis.name,
    xscale=_setting_scale(axis.values),
    yscale=_scale([*mean, baseline[0]]),
  )


def _plot_curves(panel, lines) -> None:
  """Plots both losses: mean over members and a band of 1 standard deviation."""
  logged = [line for line in lines if 'metrics' in line]
  steps = [line['step'] for line in logged]
  for color, name in zip(_COLORS, ('d_loss', 'g_loss')):
    rows = np.array(
      [
        [math.nan if v is None else v for v in line['metrics'][name]]
        for line in logged
      ]
    )
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # means of no values are not drawn
      mean, spread = np.nanmean(rows, axis=1), np.nanstd(rows, axis=1)
    panel.plot(steps, mean, color=color, label=name)
    panel.fill_between(
      steps, mean - spread, mean + spread, color=color, alpha=0.25, lw=0
    )
  count = len(logged[0]['metrics']['d_loss']) if logged else 0
  panel.set(xlabel='steps', title=f'losses, {count} members, band: 1 s.d.')
  panel.legend()


def _draw_baseline(panel, baseline, vertical=False) -> None:
  value, error = baseline
  if value is None:
    return
  line, span = (
    (panel.axvline, panel.axvspan)
    if vertical
    else (panel.axhline, panel.axhspan)
  )
  line(value, color='grey', ls=':', label='real data (baseline)')
  if error:
    span(value - error, value + error, color='grey', alpha=0.2, lw=0)


def _about_baseline(baseline) -> str:
  value, _ = baseline
  return '' if value is None else f'; real data (baseline) {value:.3g}'


def _positive(values) -> bool:
  """Returns whether a logarithmic scale suits the values better."""
  good = [v for v in values if v is not None and math.isfinite(v)]
  return bool(good) and min(good) > 0 and max(good) > 20 * min(good)


def _scale(values) -> str:
  return 'log' if _positive(values) else 'linear'


def _setting_scale(values) -> str:
  return 'log' if axis_scale.is_geometric(values) else 'linear'


def _plot_seeds(panel, name, axes, points, baseline) -> None:
  """Plots the sorted scores of all seeds, their mean and its standard error."""
  del axes
  (mean, error), values = points[0].scores[name], sorted(points[0].values[name])
  panel.plot(
    range(1, len(values) + 1),
    values,
    'o',
    ms=3,
    color=_COLORS[0],
    label='seeds',
  )
  about = f'mean {mean:.3g}' + (f' ± {error:.2g}' if error else '')
  panel.axhline(mean, color=_COLORS[0], label=about)
  if error:
    panel.axhspan(mean - error, mean + error, color=_COLORS[0], alpha=0.2, lw=0)
  _draw_baseline(panel, baseline)
  scale = _scale([*values, baseline[0]])
  panel.xaxis.get_major_locator().set_params(integer=True)
  panel.set(title=name, xlabel='seeds, in order of their score', yscale=scale)
  panel.legend(fontsize=8)


def _plot_line(panel, name, axes, points, baseline) -> None:
  """Plots a score against a swept setting, with a standard-error band."""
  x = np.array(axes[0].values)
  mean = np.array([p.scores[name][0] for p in points])
  error = np.array([p.scores[name][1] or 0.0 for p in points])
  order = np.argsort(x)
  x, mean, error = x[order], mean[order], error[order]
  panel.plot(x, mean, 'o-', color=_COLORS[0], ms=4, label='mean over seeds')
  panel.fill_between(
    x, mean - error, mean + error, color=_COLORS[0], alpha=0.25, lw=0
  )
  _draw_baseline(panel, baseline)
  lost = [
    (v, len(p.diverged) / len(p.members))
    for v, p in zip(axes[0].values, points)
    if p.diverged
  ]
  if lost:
    at = panel.get_ylim()[1]
    panel.scatter(
      [v for v, _ in lost],
      [at] * len(lost),
      s=[20 + 60 * share for _, share in lost],
      marker='x',
      color='tab:red',
      label='seeds diverged',
      clip_on=False,
    )
  panel.set(
    xlabel=axes[0].name,
    title=name,
    xscale=_setting_scale(axes[0].values),
    yscale=_scale([*mean, baseline[0]]),
  )
  panel.legend(fontsize=8)


def _plot_heatmap(panel, name, axes, points, baseline) -> None:
  """Plots the mean score over two swept settings; marks diverged points."""
  shape = [len(axis.values) for axis in axes]
  mean = np.array([p.scores[name][0] for p in points]).reshape(shape)
  import matplotlib.colors as colors

  good = mean[np.isfinite(mean)]
  logarithmic = _positive([*good, baseline[0]])
  norm = colors.LogNorm() if logarithmic and len(good) else None
  image = panel.imshow(mean, origin='lower', aspect='auto', norm=norm)
  panel.figure.colorbar(image, ax=panel, label=name)
  share = np.array([len(p.diverged) / len(p.members) for p in points])
  rows, columns = np.nonzero(share.reshape(shape))
  panel.scatter(columns, rows, marker='x', color='tab:red', s=25)
  label = lambda axis: [f'{v:.2g}' for v in axis.values]
  panel.set_xticks(range(shape[1]), label(axes[1]), rotation=60, fontsize=7)
  panel.set_yticks(range(shape[0]), label(axes[0]), fontsize=7)
  crossed = '; x: some seeds diverged' if len(rows) else ''
  panel.set(
    xlabel=axes[1].name,
    ylabel=axes[0].name,
    title=f'{name}{_about_baseline(baseline)}{crossed}',
  )
  panel.title.set_fontsize(9)
