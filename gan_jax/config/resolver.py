"""Builds a config from a mapping, and checks all of it once.

`resolve` is the only way from what a user writes to a `Config`: it refuses
unknown options, wrong types, values out of range, and combinations that have
no meaning, and fills in the options whose 0 stands for another value.
"""

import dataclasses
from typing import Any, Collection, Iterator, Mapping, Sequence

from gan_jax.config import export, fields, rules, schedules
from gan_jax.config.evaluation import Eval
from gan_jax.config.fields import Part, is_section, normalize
from gan_jax.config.penalties import (
  PENALTIES,
  PENALTY_ALIASES,
  PENALTY_POINTERS,
  Penalties,
)
from gan_jax.config.schema import Config
from gan_jax.config.sweeps import (
  format_points,
  parse_points,
  varied_by,
  varied_names,
)
from gan_jax.validation import fill_options, unknown_name_message

# Options that have another name or place than one may remember.
RENAMED = {
  'ensemble.way': 'ensemble.backend',
  'eval.every': 'eval_every',
  'eval.against': 'eval.reference_split',
}
_MOST_PLACES = 4  # named in a message


def defaults() -> dict[str, Any]:
  """Returns every option at its default, as a nested dict.

  Every section of every part is there, so that a config file or a command line
  may change any of them, whichever part it chooses.
  """
  return dataclasses.asdict(Config())


def resolve(mapping: Any, typed: Collection[str] = ()) -> Config:
  """Checks the options of an experiment and fills them in.

  Args:
    mapping: Options by name, nested; missing ones take their defaults. A plain
      mapping, anything with a method `to_dict`, or a Config.
    typed: Dotted names of the options that a user typed. One that belongs to a
      part that is not chosen is refused; in `mapping` alone it is silently
      kept. Those that `ensemble.sweep` or `ensemble.points` names count as
      typed.

  Returns:
    The config. Names have their canonical spelling, lists are tuples, and
    whole numbers are floats if the default is one.

  Raises:
    ValueError: For an unknown option (with its dotted name and the nearest), a
      value of another type or out of range, an option typed for a part that is
      not chosen, or a combination of options that has no meaning.
  """
  allowed = Config()
  leaves = dict(_leaves(mapping, allowed))
  values = fill_options('the config', leaves, fields.flatten_section(allowed))
  config = _with_schedules(_build(allowed, values))
  scored = _with_canonical_metrics(config.eval)
  points = format_points(parse_points(config.ensemble.points))
  ensemble = dataclasses.replace(config.ensemble, points=points)
  config = dataclasses.replace(config, eval=scored, ensemble=ensemble)
  _check_varied(config)
  _check_typed(config, typed, values)
  rules.check_rules(config)
  rules.warn(config)
  return config


def resolve_eval(mapping: Any) -> Eval:
  """Checks the options of evaluation by themselves.

  Unlike `resolve` it accepts metrics that samples of a run cannot have, for
  samples and data of any origin.

  Args:
    mapping: Options of the section `eval`, as in `resolve`.

  Returns:
    The section.

  Raises:
    ValueError: As `resolve`.
  """
  allowed = Eval()
  leaves = dict(_leaves(mapping, allowed, 'eval.'))
  defaults = fields.flatten_section(allowed, 'eval.')
  values = fill_options('the config', leaves, defaults)
  scored = _with_canonical_metrics(_build(allowed, values, 'eval.'))
  rules.check_eval_section(scored)
  return scored


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
  """Returns a config with other values of some options.

  Options that `resolve` filled in keep their numbers.

  Args:
    config: The config.
    values: Values by dotted name.

  Raises:
    ValueError: As `resolve`; the names count as typed.
  """
  mapping = dataclasses.asdict(config)
  for leaf, value in values.items():
    if leaf.startswith(schedules.PREFIX):
      text = mapping['schedules']
      mapping['schedules'] = schedules.with_argument(text, leaf, value)
      continue
    *path, last = leaf.split('.')
    section = mapping
    for name in path:
      section = section.get(name)
      if not isinstance(section, dict):
        raise ValueError(_unknown('', leaf, Config(), {}))
    section[last] = value
  return resolve(mapping, typed=values)


def with_each(
  config: Config, points: Sequence[Mapping[str, float]]
) -> Iterator[Config]:
  """Yields a config for each of many points, as `with_values` returns them.

  Rules are checked at the first point and where an option has its least or its
  greatest value, ranges everywhere: all rules take a thousand times as long.

  Args:
    config: The config.
    points: Values of the same continuous options, by dotted name.

  Raises:
    ValueError: As `with_values`, at the point where it occurs.
  """
  names = list(points[0])
  columns = [[point[name] for point in points] for name in names]
  checked = {0} | {
    column.index(extreme(column))
    for column in columns
    for extreme in (min, max)
  }
  is_plain = not any(name.startswith(schedules.PREFIX) for name in names)
  for place, point in enumerate(points):
    if place in checked or not is_plain:
      yield with_values(config, point)
      continue
    one = config
    for name, value in point.items():
      value = fields.check(name, float(value), _limits(config, name))
      one = _replace_leaf(one, name, value)
    yield one


def with_own_parts(config: Any, names: Collection[str]) -> Any:
  """Names the parts that a program passes 'own'.

  Args:
    config: A Config, or a mapping of options.
    names: Arguments of `experiment.build` that are passed: 'generator',
      'discriminator', 'loss', 'train'.

  Returns:
    A Config that is resolved again, or a mapping.

  Raises:
    ValueError: As `resolve`.
  """
  own: dict[str, Any] = {
    {'train': 'data'}.get(name, name): {'name': 'own'}
    for name in names
    if name not in ('loss', 'test')
  }
  if 'data' in own:
    own['data'] |= _shared_data_options(config)
  if 'loss' in names:
    own['loss'] = 'own'
  if not own:
    return config
  if isinstance(config, Config):
    return resolve({**dataclasses.asdict(config), **own})
  return {**_plain(config), **own}


def _shared_data_options(config: Any) -> dict[str, Any]:
  """Returns the options of a config's data that any source has."""
  given = _plain(_plain(config).get('data') or {})
  return {'flip': given['flip']} if given.get('flip') else {}


def check_name(dotted: str) -> None:
  """Checks that there is a field of a dotted name.

  Args:
    dotted: name of a field, such as 'generator.dcgan.width'.

  Raises:
    ValueError: with the nearest or the allowed names.
  """
  section: Any = Config()
  prefix = ''
  for name in dotted.split('.'):
    if not is_section(section):
      raise ValueError(
        f'unknown option {dotted!r}: {prefix[:-1]} is a value, without options'
      )
    known = dict(fields.children(section))
    if name not in known:
      if isinstance(section, Penalties):
        canonical = list(_with_penalty_names({name: {}}))[0]
        raise ValueError(
          f'unknown option {dotted!r}: its name is '
          f'{dotted.replace(name, canonical, 1)!r}'
        )
      raise ValueError(_unknown(prefix, name, section, {}))
    section, prefix = known[name], f'{prefix}{name}.'
  if is_section(section):
    leaves = list(fields.flatten_section(section, prefix))
    places = leaves[:_MOST_PLACES] + ['...'] * (len(leaves) > _MOST_PLACES)
    raise ValueError(f'{dotted} is a section: there is {", ".join(places)}')


def _plain(given: Any) -> Any:
  """Returns one level of a section as a mapping, if it is one."""
  if hasattr(given, 'to_dict'):
    return given.to_dict()
  return dict(fields.children(given)) if is_section(given) else given


def _leaves(
  given: Any, section: Any, prefix: str = ''
) -> Iterator[tuple[str, Any]]:
  """Yields the leaves of a user's mapping by dotted name.

  Args:
    given: The mapping.
    section: The section that it should fit.
    prefix: Dotted name of the section, with a dot at its end.
  """
  given = _plain(given)
  where = prefix.removesuffix('.') or 'the config'
  if not isinstance(given, Mapping):
    is_part = isinstance(section, Part)
    hint = f'; the name goes in {where}.name' if is_part else ''
    raise ValueError(f'{where}={given!r}: must be a mapping of options{hint}')
  allowed = dict(fields.children(section))
  if isinstance(section, Penalties):
    given = _with_penalty_names(given)
  for name, value in given.items():
    if name not in allowed:
      raise ValueError(_unknown(prefix, str(name), section, given))
    if is_section(allowed[name]):
      yield from _leaves(value, allowed[name], f'{prefix}{name}.')
    else:
      yield prefix + name, value


def _with_penalty_names(given: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the sections of penalties under their canonical names."""
  kept = {n: _plain(v) for n, v in given.items() if n in PENALTIES}
  others = {n: _plain(v) for n, v in given.items() if n not in PENALTIES}
  for spelling, section in others.items():
    pointer = PENALTY_POINTERS.get(normalize(str(spelling)))
    if pointer:
      raise ValueError(f'penalties.{spelling}: {pointer}')
    name = fields.canonical_name(
      'penalty', str(spelling), PENALTIES, PENALTY_ALIASES
    )
    both = (section, kept.get(name, {}))
    if not all(isinstance(options, Mapping) for options in both):
      raise ValueError(
        f'penalties.{spelling}={section!r}: must be a mapping of options, such '
        f'as penalties.{name}.weight'
      )
    kept[name] = {**both[1], **section}
  return kept


def _unknown(
  prefix: str, name: str, section: Any, given: Mapping[str, Any]
) -> str:
  """Returns the message for an option that a section does not have."""
  dotted = prefix + name
  if dotted in RENAMED:
    return f'unknown option {dotted!r}: its name is {RENAMED[dotted]!r}'
  below = [
    leaf
    for leaf in fields.flatten_section(section, prefix)
    if leaf.endswith(f'.{name}')
  ]
  if isinstance(section, Part):  # rather the part that is chosen
    chosen = f'{prefix}{given.get("name", section.name)}.'
    below = [leaf for leaf in below if leaf.startswith(chosen)] or below
  if below:
    places = below[:_MOST_PLACES] + ['...'] * (len(below) > _MOST_PLACES)
    return f'unknown option {dotted!r}: there is {", ".join(places)}'
  names = [prefix + other for other, _ in fields.children(section)]
  return unknown_name_message(dotted, names, 'option')


def _build(default: Any, values: Mapping[str, Any], prefix: str = '') -> Any:
  """Builds a section from its leaves, and checks their ranges."""
  made = {}
  for field in dataclasses.fields(default):
    value, where = getattr(default, field.name), prefix + field.name
    if is_section(value):
      made[field.name] = _build(value, values, f'{where}.')
    else:
      made[field.name] = fields.check(where, values[where], field.metadata)
  return type(default)(**made)


def _with_schedules(config: Config) -> Config:
  """Returns a config whose scheduled options have their first values."""
  parsed = schedules.parse_schedules(
    config.schedules, num_steps=config.num_steps, batch_size=config.batch_size
  )
  for schedule in parsed:
    for name in schedule.options:
      rules.check_scheduled(config, name, schedule)
      config = _replace_leaf(config, name, schedule.segments[0].start)
  text = schedules.format_schedules(parsed)
  return dataclasses.replace(config, schedules=text)


def _replace_leaf(section: Any, dotted: str, value: Any) -> Any:
  """Returns a section with another value of one of its leaves."""
  name, _, rest = dotted.partition('.')
  if rest:
    value = _replace_leaf(getattr(section, name), rest, value)
  return dataclasses.replace(section, **{name: value})


def _limits(section: Any, dotted: str) -> Mapping[str, Any]:
  """Returns what the value of a leaf is checked against."""
  *path, last = dotted.split('.')
  for name in path:
    section = getattr(section, name)
  found = {field.name: field.metadata for field in dataclasses.fields(section)}
  return found[last]


def _with_canonical_metrics(scored: Eval) -> Eval:
  names = rules.metric_names(scored.metrics)
  spelled = {part.strip() for part in scored.metrics.split(',')}
  if set(names) <= spelled:
    return scored
  return dataclasses.replace(scored, metrics=','.join(dict.fromkeys(names)))


def _check_varied(config: Config) -> None:
  """Refuses members that vary what is not a continuous option."""
  leaves, where = fields.flatten_section(config), varied_by(config.ensemble)
  for name in varied_names(config.ensemble):
    if name.startswith(schedules.PREFIX):
      try:
        schedules.with_argument(config.schedules, name, 1.0)
      except ValueError as error:
        raise ValueError(f'{where}: {error}') from None
      continue
    if isinstance(leaves.get(name), float):
      continue
    if name in leaves:
      raise ValueError(
        f'{where}: {name} is not a continuous option (it is '
        f'{leaves[name]!r} in the config); members must share shapes and code, '
        'so that what can vary are learning rates, betas, weights of '
        'penalties, ema_decay, label_smoothing and the like'
      )
    raise ValueError(f'{where}: {_unknown_varied(name, config)}')


def _unknown_varied(name: str, config: Config) -> str:
  """Returns the message for an option of members that is not there."""
  if name in RENAMED:
    return f'unknown option {name!r}: its name is {RENAMED[name]!r}'
  leaves = export.flatten(export.to_dict(config))
  floats = [leaf for leaf, x in leaves.items() if isinstance(x, float)]
  floats += [f'penalties.{penalty}.weight' for penalty in PENALTIES]
  *path, last = name.split('.')
  below = [
    leaf
    for leaf in floats
    if leaf.startswith('.'.join(path)) and leaf.endswith(f'.{last}')
  ]
  if below:
    places = below[:_MOST_PLACES] + ['...'] * (len(below) > _MOST_PLACES)
    return f'unknown option {name!r}: there is {", ".join(places)}'
  return unknown_name_message(name, floats, 'continuous option')


def _check_typed(
  config: Config, typed: Collection[str], given: Mapping[str, Any]
) -> None:
  """Refuses options that a user typed, and that have no effect."""
  first = fields.flatten_section(config)
  scheduled = schedules.scheduled_names(config.schedules)
  for leaf in typed:
    reason = _not_chosen(config, leaf)
    if leaf in scheduled and given.get(leaf) != first[leaf]:
      reason = _scheduled(leaf)
    if reason:
      raise ValueError(f'{leaf}: {reason}')
  for leaf in varied_names(config.ensemble):
    is_scheduled = leaf in scheduled
    reason = _scheduled(leaf) if is_scheduled else _not_chosen(config, leaf)
    if reason:
      raise ValueError(f'{varied_by(config.ensemble)}: {leaf}: {reason}')


def _scheduled(leaf: str) -> str:
  names = [f'{schedules.PREFIX}{leaf}.{x}' for x in schedules.ARGUMENTS]
  return (
    'it has a schedule; change that, or leave this out. In a sweep, its '
    f'arguments are {", ".join(names)}'
  )


def _not_chosen(config: Config, leaf: str) -> str:
  """Returns why an option has no effect, and what to do; '' if it has."""
  head, *path = leaf.split('.')
  if len(path) < 2:
    return ''
  part, section = getattr(config, head, None), path[0]
  if isinstance(part, Part) and section in part.sections():
    if section == part.name:
      return ''
    there = hasattr(part.options, path[1])
    other = f', or {head}.{part.name}.{path[1]} instead' if there else ''
    return (
      f'{head}.name is {part.name!r}; type {head}.name={section}, too{other}, '
      'or leave this out'
    )
  if head == 'loss_options' and section != config.loss:
    return (
      f'loss is {config.loss!r}; type loss={section}, too, or leave this out'
    )
  if head == 'penalties' and path[1] != 'weight':
    name = PENALTY_ALIASES.get(normalize(section), normalize(section))
    if name not in rules.used_penalties(config):
      return (
        f'penalties.{name}.weight is 0; type a penalties.{name}.weight above '
        '0, too, or leave this out'
      )
  return ''
