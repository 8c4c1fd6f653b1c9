"""Compares what a test finds with a record, or writes the record anew.

GAN_JAX_WRITE_GOLDEN=1 python -m pytest tests/golden -n 0
"""

import json
import os
import pathlib
import re

import numpy as np
import pytest

from tests.helpers import api

_HERE = pathlib.Path(__file__).parent
_WRITE = os.environ.get('GAN_JAX_WRITE_GOLDEN') == '1'
COMMAND = 'GAN_JAX_WRITE_GOLDEN=1 python -m pytest tests/golden -n 0'
_RTOL = 1e-5
# Absolute, of one number of a state: what rounding does to numbers near 1 ...
_FLOOR = 1e-7
# ... and to sums of gradients that cancel; second moments are far smaller.
_FLOORS = {'trace': 1e-6, 'mu': 0.0, 'nu': 0.0}


class Moved(AssertionError):
  """A number is not the recorded one."""


def _same(path, found, expected, rtol):
  del path, rtol
  return '' if found == expected else f'{found}, recorded {expected}'


def _near(path, found, expected, rtol):
  """Numbers, or lists of them, relative to the largest in a list."""
  del path
  a, b = (np.asarray(x, np.float64) for x in (found, expected))
  if a.shape != b.shape:
    return f'of shape {a.shape}, recorded {b.shape}'
  if (np.isnan(a) != np.isnan(b)).any():
    return f'{found}, recorded {expected}'
  a, b = np.nan_to_num(a), np.nan_to_num(b)
  if (np.abs(a - b) > rtol * np.abs(b).max(initial=0) + _FLOOR).any():
    return f'{found}, recorded {expected}'
  return ''


def _same_leaf(path, found, expected, rtol):
  """[size, sum, sum of squares], as if each number were off by rtol."""
  if path.startswith('metrics/'):
    return _near(path, found, expected, rtol)
  if len(found) != len(expected) or found[0] != expected[0]:
    return f'{found}, recorded {expected}'
  if len(expected) == 1:
    return ''
  size, total, squares = expected
  kinds = [kind for kind in _FLOORS if f'/{kind}/' in path]
  floor = _FLOORS[kinds[0]] if kinds else _FLOOR
  norm = (size * squares) ** 0.5  # at least the sum of absolute values
  allowed = rtol * norm + size * floor
  if not abs(found[1] - total) <= allowed:
    return f'sum {found[1]}, recorded {total} +- {allowed:.2g}'
  allowed = 2 * rtol * squares + 2 * norm * floor + size * floor**2
  if not abs(found[2] - squares) <= allowed:
    return f'sum of squares {found[2]}, recorded {squares} +- {allowed:.2g}'
  return ''


def _short(x):
  """A number as records have it: nine digits."""
  if isinstance(x, float | np.floating):
    return float(f'{x:.9g}')
  return x


def _sums(x):
  x = np.asarray(x, np.float64)
  return [x.size, _short(x.sum()), _short(np.square(x).sum())]


class Record:
  """The records of one file, tests/golden/GROUP.json."""

  def __init__(self, group):
    self.path = _HERE / f'{group}.json'
    self.whole = {'versions': api.versions(), 'records': {}}
    if self.path.exists():
      self.whole = json.loads(self.path.read_text())

  def state(self, name, leaves, metrics, *, rtol=_RTOL, unsure='$^'):
    """Sums of all leaves of a state, and the metrics of its last step.

    Args:
      name: of the record.
      leaves: path -> array.
      metrics: name -> number.
      rtol: relative tolerance of a number.
      unsure: pattern of the paths of leaves that rounding decides, of which
        the size alone is recorded.
    """
    found = {f'metrics/{k}': _short(v) for k, v in metrics.items()}
    for path, x in leaves.items():
      sums = _sums(x)
      found[path] = sums[:1] if re.search(unsure, path) else sums
    self._check(name, found, _same_leaf, rtol, True)

  def numbers(self, name, found, *, rtol=_RTOL):
    """Numbers, or lists of them, by name; None for what is none."""
    bare = lambda x: [np.nan if v is None else _short(float(v)) for v in x]
    found = {k: bare(np.ravel(v)) for k, v in found.items()}
    self._check(name, found, _near, rtol, True)

  def exact(self, name, found, *, moves=False):
    """Whatever JSON holds, by name.

    Args:
      name: of the record.
      found: name -> value.
      moves: whether another version of a library may give others.
    """
    self._check(name, found, _same, 0.0, moves)

  def names(self, expected):
    """That the file has these records, and no others."""
    if _WRITE:
      records = self.whole['records']
      self.whole['records'] = {k: records[k] for k in records if k in expected}
      self.path.write_text(_as_text(self.whole))
      return
    assert sorted(self.whole['records']) == sorted(expected), COMMAND

  def _check(self, name, found, compare, rtol, moves):
    found = json.loads(json.dumps(found))
    if _WRITE:
      self.whole['versions'] = api.versions()
      self.whole['records'][name] = found
      self.path.write_text(_as_text(self.whole))
      return
    if name not in self.whole['records']:
      pytest.fail(
        f'{self.path.name} has no record {name!r}; write it: {COMMAND}'
      )
    expected = self.whole['records'][name]
    wrong = [f'{path}: is gone' for path in sorted(set(expected) - set(found))]
    wrong += [f'{path}: is new' for path in sorted(set(found) - set(expected))]
    for path in sorted(set(found) & set(expected)):
      if message := compare(path, found[path], expected[path], rtol):
        wrong.append(f'{path}: {message}')
    if not wrong:
      return
    if moves and self.whole['versions'] != api.versions():
      pytest.skip(
        f'recorded with {self.whole["versions"]}, and here is '
        f'{api.versions()}: {len(wrong)} of {len(expected)} are others, the '
        f'first {wrong[0]}'
      )
    shown = '\n  '.join(wrong[:12] + ['...'] * (len(wrong) > 12))
    raise Moved(
      f'{self.path.name}, record {name!r}: {len(wrong)} of {len(expected)} '
      f'are not as recorded\n  {shown}\n'
      f'If they are meant to change, write the records anew: {COMMAND}'
    )


def _as_text(whole):
  """JSON with a line for each path."""
  lines = ['{', f'"versions": {json.dumps(whole["versions"])},', '"records": {']
  for i, (name, record) in enumerate(sorted(whole['records'].items())):
    lines.append(f'{"," * (i > 0)}{json.dumps(name)}: {{')
    rows = [
      f'{json.dumps(k)}: {json.dumps(v)}' for k, v in sorted(record.items())
    ]
    lines += [',\n'.join(rows), '}']
  return '\n'.join([*lines, '}', '}']) + '\n'


@pytest.fixture
def golden():
  """group -> its records."""
  if _WRITE and 'PYTEST_XDIST_WORKER' in os.environ:
    pytest.exit(f'records are written by one process: {COMMAND}')
  return Record
