"""Names of the options that the members of an ensemble vary.

A sweep is a product of axes, written as text. Points are a list, each a mapping
of options; in a config they are lines of JSON.
"""

import functools
import json
import math
from typing import Any, Iterable, Iterator, Mapping

GRAMMAR = (
  "must be like 'g_optimizer.learning_rate=1e-4,1e-3', "
  "'penalties.r1.weight=logspace(-3,2,16)' (from 10^-3 to 10^2), also "
  "geomspace and linspace; several with ';', and 'a+b=...' for options that "
  'have the same value'
)
POINT = (
  'must be a mapping of options to numbers, or that as a line of JSON, such as '
  '{"g_optimizer.learning_rate": 1e-4, "ema_decay": 0.99}'
)


@functools.lru_cache(maxsize=64)
def swept_names(text: str) -> tuple[str, ...]:
  """Returns the dotted names of the options that a sweep varies.

  Args:
    text: 'option=values', several separated by ';'; 'a+b=values' gives two
      options the same value. '' is no sweep.

  Raises:
    ValueError: For text that does not name options, or names one twice.
  """
  names = []
  for part in filter(None, (p.strip() for p in text.split(';'))):
    left, equals, _ = part.replace(' ', '').partition('=')
    if not equals or not all(left.split('+')):
      raise ValueError(f'ensemble.sweep={part!r}: {GRAMMAR}')
    names += left.split('+')
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(f'ensemble.sweep names {", ".join(twice)} twice')
  return tuple(names)


def varied_names(ensemble: Any) -> tuple[str, ...]:
  """Returns the dotted names of the options that an ensemble varies.

  Args:
    ensemble: The section `ensemble` of a config.

  Raises:
    ValueError: As `swept_names` and `parse_points`.
  """
  first = parse_points(ensemble.points[:1])  # all name the same options
  return tuple(first[0]) if first else swept_names(ensemble.sweep)


def varied_by(ensemble: Any) -> str:
  """Returns the option that lists what varies, for messages.

  Args:
    ensemble: The section `ensemble` of a config.
  """
  return 'ensemble.points' if ensemble.points else 'ensemble.sweep'


def parse_points(
  entries: Iterable[Mapping[str, float] | str],
) -> tuple[dict[str, float], ...]:
  """Returns the points of an ensemble.

  Args:
    entries: The points. Each is a mapping of dotted names to numbers, or that
      as a line of JSON; several lines are several points.

  Returns:
    The points, each with the names in the order of the first.

  Raises:
    ValueError: Naming the point, for one that is no mapping of numbers, that
      names other options than the first, or that is listed twice.
  """
  points = [
    _parse_point(given, f'ensemble.points[{i}]')
    for i, given in enumerate(_split_lines(entries))
  ]
  first = list(points[0]) if points else []
  for i, point in enumerate(points):
    apart = sorted(set(first) ^ set(point))
    if apart:
      raise ValueError(
        f'ensemble.points[{i}]: {", ".join(apart)} is in this point or in the '
        'first, and not in both; all points must name the same options'
      )
  points = [{name: point[name] for name in first} for point in points]
  numbers: dict[tuple[float, ...], int] = {}
  for i, point in enumerate(points):
    other = numbers.setdefault(tuple(point.values()), i)
    if other != i:
      raise ValueError(
        f'ensemble.points[{i}]={point}: is ensemble.points[{other}] again; '
        'ensemble.seeds repeats a point with other seeds'
      )
  return tuple(points)


def format_points(points: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
  """Returns each point as a line of JSON.

  Args:
    points: The points.
  """
  return tuple(json.dumps(dict(point)) for point in points)


def _split_lines(entries: Iterable[Any]) -> Iterator[Any]:
  """Yields entries, of text each line that is not blank."""
  for entry in entries:
    if isinstance(entry, str):
      yield from filter(str.strip, entry.splitlines())
    else:
      yield entry


def _parse_point(given: Any, where: str) -> dict[str, float]:
  point = given
  if isinstance(given, str):
    try:
      point = json.loads(given, object_pairs_hook=_without_repetition)
    except ValueError as error:
      raise ValueError(f'{where}={given!r}: {POINT} ({error})') from None
  if hasattr(point, 'to_dict'):
    point = point.to_dict()
  if not isinstance(point, Mapping) or not point:
    raise ValueError(f'{where}={given!r}: {POINT}')
  for name, value in point.items():
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
      raise ValueError(
        f'{where}: {name}={value!r} must be a finite number; only continuous '
        'options can vary'
      )
  return {str(name): float(value) for name, value in point.items()}


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """Returns a JSON object as a dict, and refuses a name that occurs twice."""
  names = [name for name, _ in pairs]
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(f'{", ".join(twice)} is named twice')
  return dict(pairs)
