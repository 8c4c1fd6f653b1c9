"""Hyper-parameters that change over the run, as one line of text.

  penalties.r1.weight=geometric(1, 0.1, steps=10000);
  d_optimizer.adam.b2=cosine(0.9, 0.99, images=2e7)

`gan_jax.training.schedules` evaluates them in the train step.
"""

import functools
import re
from typing import NamedTuple

from gan_jax.validation import unknown_name_message

SHAPES = ('linear', 'cosine', 'geometric')
PREFIX = 'schedules.'  # of the arguments of a schedule, in a sweep
ARGUMENTS = ('start', 'end', 'steps')
GRAMMAR = (
  "must be like 'penalties.r1.weight=geometric(1, 0.1, steps=10000)', with "
  'linear, cosine or geometric, steps or images, or neither for the whole run; '
  "several with ';', 'a+b=...' for options that have the same value, and "
  "'linear(...) then cosine(...)' for one after the other"
)
_NUMBER = r'[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?'
_CALL = re.compile(
  rf'(\w+)\(({_NUMBER}),({_NUMBER})(?:,(steps|images)=({_NUMBER}))?\)'
)


class Segment(NamedTuple):
  """One change of a value, after which it stays.

  Attributes:
    shape: One of SHAPES.
    start: Value at the first step.
    end: Value after the last step.
    steps: Training steps from start to end, a positive number.
  """

  shape: str
  start: float
  end: float
  steps: float

  def __str__(self) -> str:
    numbers = ', '.join(_shown(x) for x in (self.start, self.end))
    return f'{self.shape}({numbers}, steps={_shown(self.steps)})'


class Schedule(NamedTuple):
  """The values of some options over the run.

  Attributes:
    options: Dotted names of the options that take the value.
    segments: Changes, one after the other.
  """

  options: tuple[str, ...]
  segments: tuple[Segment, ...]

  def __str__(self) -> str:
    segments = ' then '.join(map(str, self.segments))
    return f'{"+".join(self.options)}={segments}'


def parse_schedules(
  text: str, *, num_steps: int = 1, batch_size: int = 1
) -> tuple[Schedule, ...]:
  """Parses the option `schedules`.

  Args:
    text: 'option=shape(start, end, steps=n)', several separated by ';'. '' is
      none.
    num_steps: Steps of a change that names neither steps nor images.
    batch_size: Images of a step.

  Raises:
    ValueError: For any other text, or an option that is named twice.
  """
  found: list[Schedule] = []
  for part in filter(None, (p.strip() for p in text.split(';'))):
    names, equals, calls = part.partition('=')
    options = tuple(names.replace(' ', '').split('+'))
    if not equals or not all(options):
      raise ValueError(f'schedules={part!r}: {GRAMMAR}')
    segments = tuple(
      _parse_segment(call.replace(' ', ''), part, num_steps, batch_size)
      for call in calls.split(' then ')
    )
    found.append(Schedule(options, segments))
  names = [option for schedule in found for option in schedule.options]
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(f'schedules names {", ".join(twice)} twice')
  return tuple(found)


def _parse_segment(
  call: str, part: str, num_steps: int, batch_size: int
) -> Segment:
  matched = _CALL.fullmatch(call)
  if not matched:
    raise ValueError(f'schedules={part!r}: {GRAMMAR}')
  shape, start, end, unit, length = matched.groups()
  if shape not in SHAPES:
    raise ValueError(
      f'schedules={part!r}: {unknown_name_message(shape, SHAPES, "shape")}'
    )
  steps = float(length or num_steps)
  if unit == 'images':
    steps /= batch_size
  if not steps > 0:
    raise ValueError(f'schedules={part!r}: {unit}={length}: must be above 0')
  segment = Segment(shape, float(start), float(end), steps)
  if shape == 'geometric' and not min(segment.start, segment.end) > 0:
    raise ValueError(
      f'schedules={part!r}: the start and the end of a geometric schedule must '
      'be above 0'
    )
  return segment


def format_schedules(schedules: tuple[Schedule, ...]) -> str:
  """Returns the text of schedules, with every length in steps.

  Args:
    schedules: The schedules.
  """
  return '; '.join(map(str, schedules))


@functools.lru_cache(maxsize=64)
def scheduled_names(text: str) -> tuple[str, ...]:
  """Returns the dotted names of the options that have a schedule.

  Args:
    text: The option `schedules`.
  """
  schedules = parse_schedules(text)
  return tuple(name for schedule in schedules for name in schedule.options)


def with_argument(text: str, name: str, value: float) -> str:
  """Returns schedules with another value of one argument.

  Args:
    text: The option `schedules`, every length in steps.
    name: 'schedules.option.argument', with an argument of ARGUMENTS.
    value: The argument's value.

  Raises:
    ValueError: If there is no such schedule or argument, or the schedule has
      several changes.
  """
  option, _, argument = name.removeprefix(PREFIX).rpartition('.')
  schedules = list(parse_schedules(text))
  for i, schedule in enumerate(schedules):
    if option not in schedule.options or argument not in ARGUMENTS:
      continue
    if len(schedule.segments) > 1:
      raise ValueError(
        f'{name}: the schedule of {option} has {len(schedule.segments)} '
        'changes; must have one to be swept'
      )
    segment = schedule.segments[0]._replace(**{argument: float(value)})
    schedules[i] = schedule._replace(segments=(segment,))
    return format_schedules(tuple(schedules))
  known = [
    f'{PREFIX}{option}.{argument}'
    for schedule in schedules
    for option in schedule.options
    for argument in ARGUMENTS
  ]
  raise ValueError(unknown_name_message(name, known, 'argument of a schedule'))


def _shown(number: float) -> str:
  """Returns a number as short as it can be read back."""
  return str(int(number)) if number == int(number) else repr(number)
