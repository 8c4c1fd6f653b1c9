"""Tables of scores: a row for each point of a sweep, and the baseline."""

import io

from rich import console

from gan_jax.experiment import sweep, sweep_results
from gan_jax.report import tables


def text_of(table):
  out = console.Console(file=io.StringIO(), width=100)
  out.print(table)
  return out.file.getvalue()


def point(rate, weight):
  at = {'d_optimizer.learning_rate': rate, 'penalties.r1.weight': weight}
  scores = {'KL': (10 * rate, 0.5)}
  return sweep_results.SweepPoint(at, [0, 1], [], scores, {'KL': [1.0, 2.0]})


def test_a_sweep_has_a_row_for_each_point_and_the_baseline():
  axes = sweep.parse_sweep(
    'd_optimizer.learning_rate=0.1,0.2; penalties.r1.weight=3'
  )
  points = [point(0.1, 3.0), point(0.2, 3.0)]
  text = text_of(tables.sweep_table(axes, points, {'KL': (0.25, 0.125)}, 2))
  rows = [line.split() for line in text.splitlines() if line.strip()]
  assert any(row[:2] == ['0.1', '3'] and '1' in row for row in rows)
  assert any(row[:2] == ['0.2', '3'] and '2' in row for row in rows)
  assert any(row[:2] == ['real', 'data'] and '0.25' in row for row in rows)
  marked = [row[:2] for row in rows if row[-1] == 'best']
  assert marked == [['0.1', '3']]  # the first, as the points are ranked


def test_seeds_alone_have_no_best():
  seeds = point(0.1, 3.0)._replace(at={})
  text = text_of(tables.sweep_table((), [seeds], {'KL': (0.25, None)}, 1))
  assert 'best' not in text and '0.25' in text


def test_without_a_baseline():
  text = text_of(
    tables.sweep_table((), [point(0.1, 3.0)], {'KL': (None, None)}, 1)
  )
  assert text.split()[-1] == '-' or ' - ' in text
