"""Writes a config as a plain mapping and as text.

Sections of parts that are not chosen are left out: an option that another part
gets later on changes nothing that is written of a run.
"""

import dataclasses
from typing import Any, Mapping

from gan_jax.config import fields, rules
from gan_jax.config.fields import Part
from gan_jax.config.schema import Config


def to_dict(config: Config) -> dict[str, Any]:
  """Returns the options that have an effect, nested, as JSON has them.

  Args:
    config: The config.

  Returns:
    A new plain dict that `resolve` accepts, lists in place of tuples: of parts
    the chosen section alone, of penalties those in use.
  """
  return _as_lists(_chosen(config))


def flatten(mapping: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns the leaves of a nested mapping by dotted name.

  Args:
    mapping: The mapping, such as that of `to_dict`.
    prefix: What the names begin with.

  Returns:
    Dotted name -> value, with lists in place of tuples.
  """
  return _as_lists(_flat(mapping, prefix))


def is_ensemble(config: Config) -> bool:
  """Returns whether a config is of many runs as one program.

  Args:
    config: The config.
  """
  ensemble = config.ensemble
  return ensemble.seeds > 1 or bool(ensemble.sweep or ensemble.points)


def format_config(config: Config) -> str:
  """Returns a line `name = value` for each option that has an effect.

  A line can be typed back as `--config.name=value`.

  Args:
    config: The config.
  """
  return '\n'.join(
    f'{name} = {value}' for name, value in _flat(_chosen(config)).items()
  )


def _chosen(config: Config) -> dict[str, Any]:
  """Returns the options that have an effect, nested."""
  made = {}
  for name, value in fields.children(config):
    if isinstance(value, Part):
      made[name] = _chosen_part(value)
    elif name == 'penalties':
      made[name] = {
        penalty: dataclasses.asdict(getattr(value, penalty))
        for penalty in rules.used_penalties(config)
      }
    elif name == 'loss_options':
      options = getattr(value, config.loss, None)
      has = options is not None
      made[name] = {config.loss: dataclasses.asdict(options)} if has else {}
    elif fields.is_section(value):
      made[name] = dataclasses.asdict(value)
    else:
      made[name] = value
  return made


def _chosen_part(part: Part) -> dict[str, Any]:
  made = {}
  for name, value in fields.children(part):
    if not fields.is_section(value):
      made[name] = value
    elif value is part.options:
      made[name] = dataclasses.asdict(value)
  return made


def _flat(mapping: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns the leaves of a nested mapping, tuples as they are."""
  flat = {}
  for name, value in mapping.items():
    if isinstance(value, Mapping):
      flat.update(_flat(value, f'{prefix}{name}.'))
    else:
      flat[prefix + name] = value
  return flat


def _as_lists(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {name: _as_lists(inner) for name, inner in value.items()}
  return list(value) if isinstance(value, tuple) else value
