"""Puts runs beside one another, and those of different seeds together."""

import math
from typing import Any, Collection, Mapping, Sequence

import numpy as np

from gan_jax.report.html_report import curves
from gan_jax.report.html_report.records import (
  Comparison,
  Curve,
  EnsembleRecord,
  Group,
  RunRecord,
  format_setting,
)

# Options that change no result, see experiment.compatibility.
_OF_THE_MACHINE = (
  *('parallel', 'num_devices', 'steps_per_call', 'resident_mb', 'report'),
  *('stall_seconds', 'keep_checkpoints', 'checkpoint_every', 'writers'),
  'ensemble.backend',
)
_MOST_NAMED = 4  # runs in a title
_MISSING = object()

Rows = Sequence[Mapping[str, Any]]


def mean_and_error(
  values: Sequence[float | None],
) -> tuple[float, float | None] | None:
  """Computes the mean of the known values and its standard error.

  Args:
    values: one value a run; None for none.

  Returns:
    The mean and its standard error, which is None for a single value; None
    without values.
  """
  known = [v for v in values if v is not None]
  if not known:
    return None
  mean = float(np.mean(known))
  if len(known) == 1:
    return mean, None
  return mean, float(np.std(known, ddof=1)) / math.sqrt(len(known))


def compare_runs(runs: Sequence[RunRecord]) -> Comparison:
  """Compares runs; those that differ in their seeds alone are one group.

  Args:
    runs: the runs, at least one, whose names differ.

  Returns:
    The comparison.
  """
  differing = _differing([run.config for run in runs])
  told = [name for name in differing if name != 'seed']
  groups: dict[str, list[RunRecord]] = {}
  for run in runs:
    key = repr([run.config.get(name) for name in told])
    groups.setdefault(key, []).append(run)
  # Options of a part that not all have chosen say nothing about the others.
  told = [
    name
    for name in told
    if name.endswith('.weight') or all(name in run.config for run in runs)
  ]
  first = runs[0]
  data = {str(run.facts[:1]) for run in runs}
  notes = dict.fromkeys(note for run in runs for note in run.notes)
  if len(data) > 1:
    notes = {
      'The runs have different data: losses and scores are not comparable': None
    } | notes
  steps = {run.config.get('num_steps') for run in runs}
  return Comparison(
    name=', '.join(run.name for run in runs)
    if len(runs) <= _MOST_NAMED
    else f'{len(runs)} runs',
    facts=() if len(data) > 1 else first.facts,
    groups=[_group_of_runs(group, told) for group in groups.values()],
    num_steps=steps.pop() if len(steps) == 1 else None,
    baselines=_baselines([run.scores for run in runs]),
    better=_better([run.scores for run in runs]),
    config={k: v for k, v in first.config.items() if k not in differing},
    defaults=first.defaults,
    penalties=first.penalties,
    members=_run_table(runs) if len(groups) < len(runs) else (),
    notes=list(notes),
    real=None if len(data) > 1 else first.real,
    problems=[
      f'{run.name}: {problem}' for run in runs for problem in run.problems
    ],
  )


def compare_members(ensemble: EnsembleRecord) -> Comparison:
  """Compares the points of an ensemble's sweep.

  Args:
    ensemble: the ensemble.

  Returns:
    The comparison: a group for each point, or one of all seeds.
  """
  points: dict[str, tuple[dict[str, Any], list[int]]] = {}
  for index, member in enumerate(ensemble.members):
    at = {k: v for k, v in member.items() if k not in ('member', 'seed')}
    points.setdefault(repr(at), (at, []))[1].append(index)
  rows = [found for found in ensemble.rows if found]
  last = ensemble.history[-1]['scores'] if ensemble.history else []
  scored = dict.fromkeys(n for found in last if found for n in found)
  lost = set(ensemble.lines[-1]['diverged']) if ensemble.lines else set()
  lost |= {i for i, found in enumerate(last) if found is None}
  swept = next(iter(points.values()))[0] if points else {}
  return Comparison(
    name=ensemble.name,
    facts=(f'{len(ensemble.members)} members', *ensemble.facts),
    groups=[
      _group_of_members(ensemble, scored, lost, *point)
      for point in points.values()
    ],
    num_steps=ensemble.config.get('num_steps'),
    baselines=ensemble.baselines or _baselines(rows),
    better=_better(rows),
    config={k: v for k, v in ensemble.config.items() if k not in swept},
    defaults=ensemble.defaults,
    penalties=ensemble.penalties,
    members=_member_table(ensemble),
    notes=ensemble.notes,
    picture=ensemble.picture,
    sounds=ensemble.sounds,
    problems=ensemble.problems,
  )


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
  """Returns the options in which configs differ, in order."""
  names = dict.fromkeys(name for config in configs for name in config)
  return [
    name
    for name in names
    if name not in _OF_THE_MACHINE
    and len({repr(config.get(name, _MISSING)) for config in configs}) > 1
  ]


def _group_of_runs(runs: Sequence[RunRecord], told: Sequence[str]) -> Group:
  names = dict.fromkeys(n for run in runs for line in run.lines for n in line)
  scored = dict.fromkeys(row['name'] for run in runs for row in run.scores)
  values = {name: [_score(run.scores, name) for run in runs] for name in scored}
  scores = {name: mean_and_error(found) for name, found in values.items()}
  if len(runs) == 1:  # its own error, of the examples
    scores = {
      row['name']: None
      if row.get('value') is None
      else (row['value'], row.get('error'))
      for row in runs[0].scores
    }
  return Group(
    name=runs[0].name if len(runs) == 1 else '',
    settings=_settings(runs[0], told),
    members=[run.name for run in runs],
    diverged=0,
    step=min(run.step for run in runs),
    scores=scores,
    curves={
      **{
        n: _joined([run.lines for run in runs], n) for n in names if n != 'step'
      },
      **_score_curves([run.history for run in runs]),
    },
    pictures=runs[0].pictures,
  )


def _settings(run: RunRecord, told: Sequence[str]) -> dict[str, Any]:
  """Returns what tells a run; a weight that it does not list is the default."""
  return {
    name: run.config.get(name, run.defaults.get(name))
    for name in told
    if name in run.config or name.endswith('.weight')
  }


def _score(rows: Rows, name: str) -> float | None:
  return next((row.get('value') for row in rows if row['name'] == name), None)


def _joined(lines: Sequence[Rows], name: str) -> Curve:
  """Returns a metric of several runs at the steps of any of them."""
  having = [[line for line in of if name in line] for of in lines]
  steps = sorted({line['step'] for of in having for line in of})
  place = {step: i for i, step in enumerate(steps)}
  values = np.full((len(steps), len(lines)), np.nan)
  for member, of in enumerate(having):
    at = [place[line['step']] for line in of]
    values[at, member] = curves.column(of, name)
  return Curve(np.array(steps, np.int64), values)


def _score_curves(histories: Sequence[Rows]) -> dict[str, Curve]:
  lines = [
    [
      {'step': line['step']}
      | {row['name']: row.get('value') for row in line['scores']}
      for line in history
    ]
    for history in histories
  ]
  names = dict.fromkeys(n for of in lines for line in of for n in line)
  return {n: _joined(lines, n) for n in names if n != 'step'}


def _group_of_members(
  ensemble: EnsembleRecord,
  scored: Collection[str],
  lost: Collection[int],
  settings: dict[str, Any],
  members: list[int],
) -> Group:
  names = dict.fromkeys(n for line in ensemble.lines for n in line['metrics'])
  last = ensemble.history[-1]['scores'] if ensemble.history else []
  good = [i for i in members if i not in lost]
  taken = [last[i] for i in good if i < len(last) and last[i]]
  return Group(
    name='',
    settings=settings,
    members=[f'seed {ensemble.members[i].get("seed")}' for i in members],
    diverged=len(members) - len(good),
    step=ensemble.step,
    scores={n: mean_and_error([of.get(n) for of in taken]) for n in scored},
    curves={
      **{n: _member_curve(ensemble.lines, n, members) for n in names},
      **{n: _member_scores(ensemble.history, n, members) for n in scored},
    },
  )


def _member_curve(lines: Rows, name: str, members: Sequence[int]) -> Curve:
  having = [line for line in lines if name in line['metrics']]
  values = np.full((len(having), len(members)), np.nan)
  for at, line in enumerate(having):
    of = line['metrics'][name]
    found = [of[i] if i < len(of) else None for i in members]
    values[at] = [math.nan if v is None else v for v in found]
  return Curve(np.array([line['step'] for line in having], np.int64), values)


def _member_scores(history: Rows, name: str, members: Sequence[int]) -> Curve:
  values = np.full((len(history), len(members)), np.nan)
  for at, line in enumerate(history):
    of = line['scores']
    found = [(of[i] or {}).get(name) if i < len(of) else None for i in members]
    values[at] = [math.nan if v is None else v for v in found]
  return Curve(np.array([line['step'] for line in history], np.int64), values)


def _baselines(
  scored: Sequence[Rows],
) -> dict[str, tuple[float | None, float | None]]:
  """Returns the baseline of each score, if all runs have the same one."""
  found: dict[str, set[tuple[Any, Any]]] = {}
  for rows in scored:
    for row in rows:
      pair = row.get('baseline'), row.get('baseline_error')
      found.setdefault(row['name'], set()).add(pair)
  return {n: next(iter(of)) for n, of in found.items() if len(of) == 1}


def _better(scored: Sequence[Rows]) -> dict[str, str]:
  return {r['name']: str(r.get('better', '')) for rows in scored for r in rows}


def _run_table(runs: Sequence[RunRecord]) -> list[list[Any]]:
  names = list(dict.fromkeys(r['name'] for run in runs for r in run.scores))
  header = ['run', 'seed', 'step', *names]
  return [header] + [
    [run.name, run.config.get('seed'), run.step]
    + [_score(run.scores, name) for name in names]
    for run in runs
  ]


def _member_table(ensemble: EnsembleRecord) -> list[list[Any]]:
  last = ensemble.history[-1]['scores'] if ensemble.history else []
  names = list(dict.fromkeys(n for found in last if found for n in found))
  settings = [k for k in (ensemble.members or [{}])[0] if k != 'member']
  rows: list[list[Any]] = [['member', *settings, *names]]
  for index, member in enumerate(ensemble.members):
    found = (last[index] if index < len(last) else None) or {}
    shown = [
      v if isinstance(v := member.get(k), int | float) else format_setting(v)
      for k in settings
    ]
    rows.append([index, *shown, *(found.get(n) for n in names)])
  return rows
