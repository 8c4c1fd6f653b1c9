"""Reads how far runs are from the files in their directories, without JAX.

>>> from gan_jax.runner import status
>>> status.format_seconds(3725)
'1 h 02 min'
"""

import json
import math
import os
import pathlib
import time
from typing import Any, NamedTuple, Sequence

from gan_jax.io import files, lock

_TAIL = 2**18  # bytes at the end of a log that are read
_MAX_LINE = 2**26  # of an ensemble of thousands of members
_WARNINGS = 'warnings.jsonl'
_METRICS, _MEMBERS = 'metrics.jsonl', 'members.jsonl'
_COLUMNS = (
  'run',
  'state',
  'step',
  'left',
  'checkpoint',
  'in use by',
  'warning',
)


class RunStatus(NamedTuple):
  """How far a run is.

  Attributes:
    workdir: directory of the run.
    state: 'running' while a process holds its lock; otherwise 'finished' if the
      last checkpoint is of the last step, or 'stopped'.
    step: number of train steps done, as of the last line of the log or the last
      checkpoint.
    num_steps: number of train steps of the config.
    seconds_left: estimate, from the speed of the last lines; None if the run is
      not running, or the speed is not known.
    checkpoint: step of the last checkpoint; None if there is none.
    holder: process and host that train; '' if none does.
    seconds_quiet: seconds since the log or a checkpoint was last written; None
      if neither was.
    warnings: kind -> text of the warnings of the last picture that had any.
    warned_at: step of these warnings; None for none.
    members: number of members of an ensemble; None for a single run, or before
      the first line.
    diverged: number of members that diverged.
  """

  workdir: str
  state: str
  step: int
  num_steps: int
  seconds_left: float | None
  checkpoint: int | None
  holder: str
  seconds_quiet: float | None
  warnings: dict[str, str]
  warned_at: int | None
  members: int | None
  diverged: int


def find_runs(directory: pathlib.Path) -> list[pathlib.Path]:
  """Returns a run's directory, or the runs in a directory, sorted.

  Args:
    directory: directory of a run, or of several.

  Raises:
    FileNotFoundError: if there is no run.
    NotADirectoryError: if it is a file.
  """
  if _is_run(directory):
    return [directory]
  shown = files.printable(directory)
  if directory.is_file():
    raise NotADirectoryError(f'{shown} is a file; must be a directory')
  found = [p for p in sorted(directory.glob('*')) if _is_run(p)]
  if not found:
    raise FileNotFoundError(
      f'{shown} holds no run: there is no config.json in it or in its '
      'directories'
    )
  return found


def _is_run(directory: pathlib.Path) -> bool:
  return (directory / 'config.json').is_file()


def read_status(workdir: pathlib.Path, now: float | None = None) -> RunStatus:
  """Reads how far a run is; it may be running.

  Args:
    workdir: directory of the run.
    now: time in seconds since 1970; None for the current time.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if config.json is not as it was written; the message names it.
  """
  now = time.time() if now is None else now
  num_steps = _num_steps(workdir / 'config.json')
  saved = _checkpoints(workdir)
  is_ensemble = (workdir / _MEMBERS).exists()
  log = workdir / (_MEMBERS if is_ensemble else _METRICS)
  lines = _last_lines(log)
  last = lines[-1] if lines else {}
  checkpoint = max(saved, default=None)
  step = max(last.get('step', 0), checkpoint or 0)
  holder = lock.holder(workdir)
  ended = (checkpoint or 0) >= num_steps
  state = 'running' if holder else 'finished' if ended else 'stopped'
  rate = _steps_per_second(lines, saved, _modified(workdir / lock.NAME))
  left = (num_steps - step) / rate if holder and rate else None
  written = max([_modified(log) or 0, *saved.values()])
  warned = (_last_lines(workdir / _WARNINGS) or [{}])[-1]
  texts = warned.get('warnings')
  members = [x for x in lines if isinstance(x.get('metrics'), dict)]
  return RunStatus(
    workdir=str(workdir),
    state=state,
    step=step,
    num_steps=num_steps,
    seconds_left=left,
    checkpoint=checkpoint,
    holder=holder,
    seconds_quiet=max(0.0, now - written) if written else None,
    warnings=texts if isinstance(texts, dict) else {},
    warned_at=warned.get('step') if isinstance(texts, dict) else None,
    members=_count_members(members) if is_ensemble else None,
    diverged=len(members[-1].get('diverged') or ()) if members else 0,
  )


def _num_steps(path: pathlib.Path) -> int:
  """Returns the number of train steps in config.json."""
  config = files.read_json(path).get('config')
  found = config.get('num_steps') if isinstance(config, dict) else None
  if type(found) is not int or found < 1:
    raise ValueError(
      f"{files.printable(path)} is not as it was written: bad 'num_steps'"
    )
  return found


def _checkpoints(workdir: pathlib.Path) -> dict[int, float]:
  """Returns step -> time of writing, of the complete checkpoints."""
  found = {}
  for path in (workdir / 'checkpoints').glob('*'):
    written = _modified(path / 'commit_success.txt')
    if path.name.isdigit() and written is not None:
      found[int(path.name)] = written
  return found


def _modified(path: pathlib.Path) -> float | None:
  """Returns the time at which a file was last written, None without one."""
  try:
    return path.stat().st_mtime
  except OSError:
    return None


def _last_lines(path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the last JSON lines with a step, [] if there is none.

  A line that is being written is left out.
  """
  try:
    with path.open('rb') as file:
      size, tail = os.fstat(file.fileno()).st_size, _TAIL
      while True:
        file.seek(max(0, size - tail))
        lines = file.read(tail).split(b'\n')
        if len(lines) > 2 or tail >= min(size, _MAX_LINE):
          break
        tail *= 4
  except OSError:
    return []
  found = []
  for line in lines:
    try:
      value = json.loads(line)
    except (ValueError, RecursionError):  # cut off, or being written
      continue
    if isinstance(value, dict) and type(value.get('step')) is int:
      found.append(value)
  return found


def _steps_per_second(
  lines: Sequence[dict[str, Any]],
  saved: dict[int, float],
  started: float | None,
) -> float | None:
  """Returns the speed of the last line that has it, or of the checkpoints."""
  for line in reversed(lines):
    rate = line.get('steps_per_second')
    if isinstance(rate, float) and math.isfinite(rate) and rate > 0:
      return rate
  recent = sorted(s for s, t in saved.items() if t > (started or 0))
  if len(recent) < 2 or saved[recent[-1]] <= saved[recent[0]]:
    return None
  seconds = saved[recent[-1]] - saved[recent[0]]
  return (recent[-1] - recent[0]) / seconds


def _count_members(lines: Sequence[dict[str, Any]]) -> int | None:
  """Returns the number of values of a metric in the last line."""
  values = next(iter(lines[-1]['metrics'].values()), None) if lines else None
  return len(values) if isinstance(values, list) else None


def format_seconds(seconds: float | None) -> str:
  """Returns '2 d 03 h', '1 h 02 min', '3 min 05 s' or '7 s'; '-' for None.

  Args:
    seconds: at least 0, or None.
  """
  if seconds is None:
    return '-'
  whole = round(seconds)
  for size, unit, small, smaller in (
    (86400, 'd', 3600, 'h'),
    (3600, 'h', 60, 'min'),
    (60, 'min', 1, 's'),
  ):
    if whole >= size:
      return f'{whole // size} {unit} {whole % size // small:02d} {smaller}'
  return f'{whole} s'


def describe(run: RunStatus) -> list[str]:
  """Returns lines about a run.

  Args:
    run: what read_status returned.
  """
  facts = [
    ('run', run.workdir),
    ('state', run.state),
    ('done', f'{run.step:,} of {run.num_steps:,} steps'),
  ]
  if run.members is not None:
    facts.append(('members', f'{run.members}, {run.diverged} diverged'))
  if run.state == 'running':
    facts.append(('time left', format_seconds(run.seconds_left)))
    facts.append(('in use by', run.holder))
  if run.seconds_quiet is not None:
    facts.append(('last written', f'{format_seconds(run.seconds_quiet)} ago'))
  facts.append(('last checkpoint', _number(run.checkpoint) or 'none'))
  for text in run.warnings.values():
    facts.append((f'warning at {run.warned_at:,}', text))
  width = max(len(name) for name, _ in facts)
  return [f'{name:{width}}  {files.printable(v)}' for name, v in facts]


def table(runs: Sequence[RunStatus]) -> list[str]:
  """Returns lines of a table of runs, its head first.

  Args:
    runs: what read_status returned.
  """
  rows = [_COLUMNS, *map(_row, runs)]
  widths = [max(map(len, column)) for column in zip(*rows)]
  return [
    '  '.join(f'{cell:{width}}' for cell, width in zip(row, widths)).rstrip()
    for row in rows
  ]


def _row(run: RunStatus) -> tuple[str, ...]:
  state = run.state
  if run.members is not None:
    state += f', {run.members} members'
  if run.diverged:
    state += f', {run.diverged} diverged'
  at = f' at {run.warned_at:,}' if run.warnings else ''
  cells = (
    run.workdir,
    state,
    f'{run.step:,} / {run.num_steps:,}',
    format_seconds(run.seconds_left),
    _number(run.checkpoint) or '-',
    run.holder or '-',
    f'{", ".join(run.warnings)}{at}' or '-',
  )
  return tuple(map(files.printable, cells))


def _number(value: int | None) -> str:
  return '' if value is None else f'{value:,}'
