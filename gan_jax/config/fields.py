"""Declares the options of a config: a default, and the values allowed.

Every field of every section is an `option`. The type of its default is its
type; ranges and choices stand beside the default, and `check` applies them.
"""

import dataclasses
import difflib
import math
import re
from typing import Any, Collection, Iterator, Mapping

from gan_jax.validation import unknown_name_message


def option(default: Any, **limits: Any) -> Any:
  """Declares a field of a section.

  Args:
    default: Its default, which also sets its type.
    **limits: The values allowed, by the names that `check` reads: `at_least`,
      `above`, `at_most`, `below` bound a number, or each entry of a tuple;
      `choices` lists the values of a string; `names` lists those of a part,
      with `aliases` (other name -> name) and `pointers` (other name -> what to
      write in its place); `entries` lists the values of a tuple's entries;
      `filled` requires a tuple to have at least one entry.

  Returns:
    The dataclass field.
  """
  return dataclasses.field(default=default, metadata=limits)


@dataclasses.dataclass(frozen=True)
class Part:
  """Base of the sections that choose one of several parts by `name`.

  Fields that are dataclasses hold the options of one part each, under the
  part's name. All other fields are shared by every part.
  """

  @classmethod
  def sections(cls) -> tuple[str, ...]:
    """Returns the names of the parts that have options of their own."""
    fields = dataclasses.fields(cls)
    return tuple(f.name for f in fields if is_section(f.default))

  @property
  def options(self) -> Any:
    """The chosen part's own options, or None if it has none."""
    name = getattr(self, 'name', '')
    return getattr(self, name) if name in self.sections() else None


def is_section(value: Any) -> bool:
  """Returns whether a value is a section, not a leaf or a class."""
  return dataclasses.is_dataclass(value) and not isinstance(value, type)


def flatten_section(section: Any, prefix: str = '') -> dict[str, Any]:
  """Returns the leaves of a section and of all within it, by dotted name."""
  flat = {}
  for name, value in children(section):
    if is_section(value):
      flat.update(flatten_section(value, f'{prefix}{name}.'))
    else:
      flat[prefix + name] = value
  return flat


def children(section: Any) -> Iterator[tuple[str, Any]]:
  """Yields the name and the value of each field of a section."""
  for field in dataclasses.fields(section):
    yield field.name, getattr(section, field.name)


def normalize(name: str) -> str:
  """Returns a name in lower case, with underscores for hyphens and spaces."""
  return re.sub(r'[-\s]+', '_', name.strip().lower())


def canonical_name(
  where: str,
  name: str,
  names: Collection[str],
  aliases: Mapping[str, str] | None = None,
  pointers: Mapping[str, str] | None = None,
) -> str:
  """Returns the name that a user's spelling stands for.

  Args:
    where: Dotted name of the option, for messages.
    name: The user's spelling. Case and hyphens do not matter.
    names: The allowed names.
    aliases: Other names of theirs in the literature.
    pointers: Names that stand for several options, with what to write.

  Returns:
    One of `names`.

  Raises:
    ValueError: For an unknown name, with the nearest, or for one of
      `pointers`, with what to write.
  """
  if name in names:
    return name
  spelling = normalize(name)
  spelling = (aliases or {}).get(spelling, spelling)
  if spelling in names:
    return spelling
  if spelling in (pointers or {}):
    raise ValueError(f'{where}={name!r}: {pointers[spelling]}')
  raise ValueError(unknown_name_message(name, names, where))


def check(where: str, value: Any, limits: Mapping[str, Any]) -> Any:
  """Checks a leaf of the right type against the values allowed.

  Args:
    where: Dotted name of the leaf, for messages.
    value: Its value.
    limits: Keyword arguments of `option`.

  Returns:
    The value; a name or a choice in its canonical spelling.

  Raises:
    ValueError: Naming the value and what is allowed.
  """
  if 'names' in limits:
    more = limits.get('aliases'), limits.get('pointers')
    return canonical_name(where, value, limits['names'], *more)
  if 'choices' in limits:
    return _check_choice(where, value, limits['choices'])
  if limits.get('filled') and not value:
    raise ValueError(f'{where}=(): must have at least one entry')
  if 'entries' in limits:
    for entry in value:
      if entry not in limits['entries']:
        raise ValueError(
          unknown_name_message(entry, limits['entries'], f'entry of {where}')
        )
  for number in value if isinstance(value, tuple) else (value,):
    if isinstance(number, int | float) and not isinstance(number, bool):
      _check_number(f'{where}={value}', number, limits)
  return value


def _check_choice(where: str, value: Any, choices: tuple[Any, ...]) -> Any:
  if value in choices:
    return value
  hint = ''
  if isinstance(value, str):
    if normalize(value) in choices:
      return normalize(value)
    near = difflib.get_close_matches(value, choices, n=1)
    hint = f'. Did you mean {near[0]!r}?' if near else ''
  raise ValueError(f'{where}={value!r}: choose one of {choices}{hint}')


def _check_number(said: str, number: float, limits: Mapping[str, Any]) -> None:
  if not math.isfinite(number):
    raise ValueError(f'{said}: must be finite')
  words = {
    'at_least': ('at least', lambda x, limit: x >= limit),
    'above': ('above', lambda x, limit: x > limit),
    'at_most': ('at most', lambda x, limit: x <= limit),
    'below': ('below', lambda x, limit: x < limit),
  }
  bounds = {name: limits[name] for name in words if name in limits}
  if all(words[name][1](number, bound) for name, bound in bounds.items()):
    return
  if set(bounds) == {'at_least', 'at_most'}:
    low, high = bounds['at_least'], bounds['at_most']
    raise ValueError(f'{said}: must be between {low} and {high}')
  listed = [f'{words[name][0]} {bound}' for name, bound in bounds.items()]
  raise ValueError(f'{said}: must be {", ".join(listed)}')
