"""Tests of what is printed: whole tables, progress, the words of a call."""

import pathlib
import time

import pytest

from gan_jax.evaluation import results
from gan_jax.runner import console

ROW = results.MetricResult(
  metric='nn',
  name='1-NN accuracy',
  value=0.7,
  error=0.03,
  baseline=0.5,
  baseline_error=0.01,
  p_value=None,
  baseline_p_value=None,
  better='lower',
  error_is='seeds',
  counts={'generated': 359, 'real': 359},
  real='test',
)


@pytest.mark.parametrize('columns', ['20', '60', '200'])
def test_no_letter_of_a_table_is_left_out(monkeypatch, capsys, columns):
  monkeypatch.setenv('COLUMNS', columns)
  console.ConsoleReporter().scores([ROW], [])
  out = capsys.readouterr().out
  for word in ('1-NN', 'accuracy', '0.7 ± 0.03', '0.5 ± 0.01', 'examples'):
    assert word in out
  assert '…' not in out


def test_names_with_newlines_stay_on_their_line(capsys):
  console.ConsoleReporter().recorded(pathlib.Path('a\nb\x1b[31m.json'), 1.0)
  assert capsys.readouterr().out == 'record   a\\nb\\x1b[31m.json (1 s)\n'


@pytest.mark.parametrize(
  ('program', 'word'), [(True, 'same command'), (False, 'same call')]
)
def test_a_call_is_not_a_command(capsys, program, word):
  reporter = console.ConsoleReporter(program=program)
  reporter.interrupted(3, pathlib.Path('runs/x'))
  assert word in capsys.readouterr().out
  reporter.ensemble_summary('', [], 2, None, pathlib.Path('a b'))
  out = capsys.readouterr().out
  assert ("extract_member 'a b' NUMBER" in out) == program
  assert ("gan_jax.load('a b', member=NUMBER)" in out) != program


def test_progress_lines_say_where_and_how_long():
  now, lines = [0.0], []
  progress = console.ProgressLines(lines.append, clock=lambda: now[0])
  score = progress.track('score fid', 1)
  features = progress.track('real', 64)
  now[0] = 9
  features(16)
  assert lines == []  # short evaluations print nothing
  now[0] = 20
  features(16)
  now[0] = 21
  progress.tick()
  now[0] = 31
  progress.tick()
  features(32)
  now[0] = 50
  progress.tick()
  score(1)
  now[0] = 99
  progress.tick()
  assert lines == [
    'real: 32 of 64, 20 s, about 20 s left',
    'real: 32 of 64, 31 s, about 31 s left',
    'score fid: 50 s',
  ]


def test_lines_come_while_nothing_advances():
  printed = []
  progress = console.ProgressLines(printed.append, every=0.01)
  with progress.at_intervals():
    progress.track('compiling', 2)
    until = time.monotonic() + 10
    while len(printed) < 2 and time.monotonic() < until:
      pass
  assert printed[0].startswith('compiling: 0 of 2')
