"""Checks options by name and type, and fills in defaults."""

import difflib
import inspect
import pathlib
import sys
import warnings
from typing import Any, Callable, Iterable, Mapping

_PACKAGE = str(pathlib.Path(__file__).parent)
_MAX_INT = 2**31 - 1  # devices count in int32; seeds are distinct up to here


def unknown_name_message(name: str, allowed: Iterable[str], what: str) -> str:
  """Returns the error message for a name that is not allowed.

  Args:
    name: the offending name.
    allowed: the allowed names.
    what: kind of name, such as 'loss'.

  Returns:
    One line, with the closest allowed name if one is similar.
  """
  allowed = sorted(allowed)
  near = difflib.get_close_matches(name, allowed, n=1)
  hint = f' Did you mean {near[0]!r}?' if near else ''
  return f'unknown {what} {name!r}.{hint} Allowed: {", ".join(allowed)}'


def lookup(table: Any, name: Any, what: str) -> Any:
  """Looks a name up in a table, or checks it against a collection of names.

  Args:
    table: mapping from names to entries, or a collection of names.
    name: the name to look up.
    what: kind of name, for the error message.

  Returns:
    The table's entry, or the name itself if the table is not a mapping.

  Raises:
    ValueError: if the name is unknown; the message has the closest and all
      allowed names.
  """
  if not isinstance(name, str) or name not in table:
    raise ValueError(unknown_name_message(str(name), table, what))
  return table[name] if isinstance(table, Mapping) else name


def fill_options(
  what: str, given: Mapping[str, Any], allowed: Mapping[str, Any]
) -> dict[str, Any]:
  """Checks options against the allowed ones and fills in defaults.

  Args:
    what: owner of the options, for messages ('generator dcgan').
    given: mapping from option to value.
    allowed: mapping from option to default, which also determines the type.

  Returns:
    All options. Ints become floats and lists become tuples if the default is
    one. Entries of a tuple have the type of the default's first entry.

  Raises:
    ValueError: if an option is unknown or a value has another type.
  """
  checked = dict(allowed)
  if not isinstance(given, Mapping):
    raise ValueError(f'{what}: {given!r} must be a mapping of options')
  for name, value in given.items():
    if name not in allowed:
      raise ValueError(
        unknown_name_message(name, allowed, f'option of {what}:')
      )
    checked[name] = _typed(f'{what}: {name}', value, allowed[name])
  return checked


def _typed(where: str, value: Any, default: Any) -> Any:
  kind = type(default)
  if kind is tuple and isinstance(value, tuple | list):
    # Entries have the type of the default's first; an empty default allows any.
    like = default[:1] * len(value) or value
    return tuple(
      _typed(f'{where}[{i}]', *pair) for i, pair in enumerate(zip(value, like))
    )
  if default is None or isinstance(value, kind) and kind is not int:
    return value
  if type(value) is int and kind in (int, float) and abs(value) > _MAX_INT:
    raise ValueError(f'{where}={value}: must be at most {_MAX_INT}')
  if kind is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  if isinstance(default, Mapping) and isinstance(value, Mapping):
    return dict(value)
  if kind is int and isinstance(value, int) and not isinstance(value, bool):
    return value
  raise ValueError(
    f'{where}={value!r} is of type {type(value).__name__}; '
    f'must be {kind.__name__}'
  )


def keyword_defaults(function: Callable[..., Any]) -> dict[str, Any]:
  """Returns the keyword-only parameters of a function with their defaults."""
  parameters = inspect.signature(function).parameters.values()
  return {
    p.name: p.default
    for p in parameters
    if p.kind == p.KEYWORD_ONLY and p.default is not p.empty
  }


def warn(message: str, category: type[Warning] = UserWarning) -> None:
  """Warns at the line that called this library, from wherever in it.

  Args:
    message: the message.
    category: kind of the warning.
  """
  frame, level = sys._getframe(1), 2
  while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
    frame, level = frame.f_back, level + 1
  warnings.warn(message, category, stacklevel=level)


def square_side(
  shape: tuple[int, ...], sides: Iterable[int], model: str
) -> int:
  """Returns the side of square images that an architecture is defined for.

  Args:
    shape: shape of one image.
    sides: the sides that the architecture is defined for.
    model: its name, for the error message.

  Returns:
    The side in pixels.

  Raises:
    ValueError: if the shape is not [side, side, channels] of one of them.
  """
  sides = tuple(sides)
  if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in sides:
    raise ValueError(
      f'{model} takes square images [size, size, channels] with size one of '
      f'{sides}; the data have shape {tuple(shape)}'
    )
  return shape[0]
