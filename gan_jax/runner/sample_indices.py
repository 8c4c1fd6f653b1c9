"""Indices and classes of samples, as users type them."""

import re
from typing import Iterator, NamedTuple, Sequence

import numpy as np

from gan_jax.validation import unknown_name_message

_RANGE = re.compile(r'(\d+)(?:-(\d+))?')
_MOST = 2**31  # indices are int32 on the devices


class IndexRanges(NamedTuple):
  """Indices as ranges, which take no memory however many they are.

  Attributes:
    ranges: (first, last) of each range, in the order of the samples.
  """

  ranges: tuple[tuple[int, int], ...]

  @property
  def count(self) -> int:
    """Number of indices."""
    return sum(last - first + 1 for first, last in self.ranges)

  @property
  def text(self) -> str:
    """The indices as they are typed, such as '0-63,100'."""
    return ','.join(
      f'{first}-{last}' if last > first else f'{first}'
      for first, last in self.ranges
    )

  def batches(self, size: int) -> Iterator[np.ndarray]:
    """Yields the indices in order, `size` at a time, and fewer at the end."""
    left = np.empty(0, np.int64)
    for first, last in self.ranges:
      start = first
      while start <= last:
        stop = min(last + 1, start + size - len(left))
        left = np.concatenate([left, np.arange(start, stop)])
        start = stop
        if len(left) == size:
          yield left
          left = left[:0]
    if len(left):
      yield left

  def at(self, place: int) -> int:
    """Returns the index at a place among all, from 0 to count - 1."""
    for first, last in self.ranges:
      if place <= last - first:
        return first + place
      place -= last - first + 1
    raise IndexError(place)

  def all(self) -> np.ndarray:
    """Returns all indices, `[count]`, for few of them."""
    return np.concatenate([np.arange(a, b + 1) for a, b in self.ranges])


def parse_indices(text: str, name: str = 'indices') -> IndexRanges:
  """Parses indices such as '0-63,100'.

  Args:
    text: numbers and ranges, with commas between them.
    name: name of the option, for messages.

  Raises:
    ValueError: if it is anything else, or an index is too large.
  """
  ranges = []
  for part in text.split(','):
    match = _RANGE.fullmatch(part.strip())
    first, last = match.groups() if match else (None, None)
    if match is None or int(last or first) < int(first):
      raise ValueError(
        f'{name}={text!r}: must be numbers and ranges from 0, such as 0-63,100'
      )
    ranges.append((int(first), int(last or first)))
  if max(last for _, last in ranges) >= _MOST:
    raise ValueError(f'{name}={text!r}: must be below {_MOST:,}')
  return IndexRanges(tuple(ranges))


def first_indices(count: int, name: str = 'num_samples') -> IndexRanges:
  """Returns the indices 0 .. count - 1.

  Args:
    count: number of samples.
    name: name of the option, for messages.

  Raises:
    ValueError: if it is below 1 or too large.
  """
  if not 1 <= count <= _MOST:
    raise ValueError(f'{name}={count:,}: must be from 1 to {_MOST:,}')
  return IndexRanges(((0, count - 1),))


def parse_classes(
  given: Sequence[str], classes: int, names: Sequence[str]
) -> tuple[int, ...]:
  """Returns classes that are given by name or number.

  Args:
    given: names, numbers, or ranges of numbers such as '0-9'; a name comes
      before a number.
    classes: number of classes of the generator; 0 for none.
    names: names of the classes; () if they have none.

  Raises:
    ValueError: if the generator has no classes, or not these; the message lists
      them.
  """
  if not given:
    return ()
  text = ','.join(given)
  if not classes:
    raise ValueError(
      f'class={text}: the generator has no classes; must not be given. Runs '
      'with conditional=True have them'
    )
  found = []
  for item in map(str.strip, given):
    if item in names:
      found.append(list(names).index(item))
      continue
    match = _RANGE.fullmatch(item)
    first, last = match.groups() if match else ('1', '0')
    numbers = range(int(first), int(last or first) + 1)
    if not numbers or numbers[-1] >= classes:
      raise ValueError(_unknown_class(item, classes, names))
    found.extend(numbers)
  return tuple(found)


def _unknown_class(item: str, classes: int, names: Sequence[str]) -> str:
  allowed = f'a number from 0 to {classes - 1}'
  if not names:
    return f'class={item}: must be {allowed}'
  text = unknown_name_message(item, list(names), 'class')
  return f'{text}; or {allowed}'
