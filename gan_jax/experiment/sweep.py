"""Members of an ensemble: seeds, and values of hyper-parameters.

  >>> from gan_jax import config as config_lib
  >>> from gan_jax.experiment import sweep
  >>> text = 'ema_decay=0.9,0.99; label_smoothing=linspace(0,0.2,3)'
  >>> config = config_lib.resolve({
  ...   'label_smoothing': 0.1, 'ensemble': {'seeds': 2, 'sweep': text}})
  >>> len(sweep.expand_sweep(config))
  12
  >>> sweep.expand_sweep(config)[3].point
  {'ema_decay': 0.9, 'label_smoothing': 0.1}

A field can be swept if it is a float and lives in `state.hparams`: learning
rates, betas, penalty weights, EMA decay, label smoothing, strength of
augmentation and the like.
"""

import dataclasses
import itertools
import math
import re
from typing import NamedTuple

import numpy as np

from gan_jax import config as config_lib
from gan_jax import validation
from gan_jax.config.sweeps import GRAMMAR, swept_names

_SPACES = {
  'linspace': np.linspace,
  'logspace': np.logspace,
  'geomspace': np.geomspace,
}
MAX_MEMBERS = 10_000  # the states of more, even of a toy, fill a machine


class SweepAxis(NamedTuple):
  """One dimension of a sweep.

  Attributes:
    fields: config fields that all take the values.
    values: values in order.
  """

  fields: tuple[str, ...]
  values: tuple[float, ...]

  @property
  def name(self) -> str:
    """Name of the axis, for tables and plots."""
    return '+'.join(self.fields)


class SweepMember(NamedTuple):
  """One run of an ensemble.

  Attributes:
    config: config of an ordinary run that is this member.
    point: values of the swept fields.
  """

  config: config_lib.Config
  point: dict[str, float]


def _values(text: str, names: str) -> tuple[float, ...]:
  called = re.fullmatch(r'(\w+)\(([^()]*)\)', text)
  if called and called[1] not in _SPACES:
    raise ValueError(
      validation.unknown_name_message(called[1], _SPACES, 'range')
    )
  parts = (called[2] if called else text).split(',')
  try:
    if not called:
      return tuple(float(part) for part in parts)
    low, high, count = float(parts[0]), float(parts[1]), int(parts[2])
    if len(parts) != 3 or count < 1:
      raise ValueError
    return tuple(float(x) for x in _SPACES[called[1]](low, high, count))
  except (ValueError, IndexError):
    raise ValueError(
      f'ensemble.sweep: {names} has the values {text!r}: {GRAMMAR}. Only '
      'continuous fields can be swept'
    ) from None


def parse_sweep(text: str) -> tuple[SweepAxis, ...]:
  """Parses the dimensions of a sweep.

  Args:
    text: 'field=values', several separated by ';'. Values are numbers with
      commas, `linspace(low, high, count)`, `geomspace(low, high, count)` or
      `logspace(low, high, count)` with exponents of 10; 'a+b=values' gives
      two fields the same value. '' is no sweep.

  Returns:
    The dimensions; the members of an ensemble are their product.

  Raises:
    ValueError: if the text is anything else; the message has the grammar.
  """
  swept_names(text)  # or raises
  axes = []
  for part in filter(None, (p.strip() for p in text.split(';'))):
    names, _, values = part.replace(' ', '').partition('=')
    axis = SweepAxis(tuple(names.split('+')), _values(values, names))
    if len(set(axis.values)) < len(axis.values):
      raise ValueError(f'ensemble.sweep={part!r}: a value is listed twice')
    axes.append(axis)
  return tuple(axes)


def ensemble_axes(config: config_lib.Config) -> tuple[SweepAxis, ...]:
  """Returns the dimensions in which the members of an ensemble differ.

  Args:
    config: resolved config.

  Returns:
    Those of the sweep, whose product the members are; or one for each option
    of `ensemble.points`, with its values at all points, in their order.
  """
  points = config_lib.parse_points(config.ensemble.points)
  if not points:
    return parse_sweep(config.ensemble.sweep)
  return tuple(
    SweepAxis((name,), tuple(point[name] for point in points))
    for name in points[0]
  )


def check_size(config: config_lib.Config) -> None:
  """Checks the number of members, before any is made.

  Args:
    config: resolved config.

  Raises:
    ValueError: if there are more than MAX_MEMBERS, or as parse_sweep.
  """
  sizes = [len(axis.values) for axis in parse_sweep(config.ensemble.sweep)]
  if config.ensemble.points:
    sizes = [len(config.ensemble.points)]
  count = math.prod([*sizes, config.ensemble.seeds])
  if count > MAX_MEMBERS:
    raise ValueError(
      f'ensemble: {" x ".join(f"{n:,}" for n in sizes or [1])} points and '
      f'{config.ensemble.seeds:,} seeds are {count:,} members; must be at '
      f'most {MAX_MEMBERS:,}'
    )


def expand_sweep(config: config_lib.Config) -> list[SweepMember]:
  """Returns the members of an ensemble: all seeds at each of its points.

  Args:
    config: resolved config.

  Returns:
    The members; their seeds `seed`, `seed + 1`, ... are innermost.

  Raises:
    ValueError: if a value is out of its option's range.
  """
  alone = dataclasses.replace(config, ensemble=type(config.ensemble)())
  listed = config_lib.parse_points(config.ensemble.points)
  points = listed or _grid(config.ensemble.sweep)
  configs = config_lib.with_each(alone, points) if points[0] else [alone]
  seeds = range(config.seed, config.seed + config.ensemble.seeds)
  members: list[SweepMember] = []
  try:
    for point, one in zip(points, configs):
      seeded = [dataclasses.replace(one, seed=seed) for seed in seeds]
      members += [SweepMember(each, point) for each in seeded]
  except ValueError as error:
    at = len(members) // len(seeds)
    where = f'ensemble.points[{at}]: ' if listed else ''
    raise ValueError(f'{where}{error}') from error
  return members


def _grid(text: str) -> list[dict[str, float]]:
  """Returns the points of a sweep, [{}] without one."""
  axes = parse_sweep(text)
  return [
    {field: value for axis, value in zip(axes, at) for field in axis.fields}
    for at in itertools.product(*(axis.values for axis in axes))
  ]
