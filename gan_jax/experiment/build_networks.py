"""Networks and optimizers by name, their options checked and filled in."""

import dataclasses
import importlib
import math
from typing import Any, Mapping

import flax.linen as nn
import jax.numpy as jnp

from gan_jax import models, training, validation
from gan_jax.training import optimizers

_NOT_OPTIONS = {
  *('parent', 'name', 'shape', 'axis_name', 'return_features', 'dtype')
}


def build_network(
  spec: Mapping[str, Any], role: str, **fixed: Any
) -> tuple[nn.Module, dict[str, Any]]:
  """A network by name.

  Args:
    spec: {'name': a key of models.MODELS, and options of its class}.
    role: 'generator' or 'discriminator'.
    **fixed: fields that are no options, `dtype` among them.

  Returns:
    The Flax module, and the spec with all its options.

  Raises:
    ValueError: for an unknown name or option, a size below 1, or a dtype that
      the class does not have.
  """
  name = spec.get('name')
  validation.lookup(models.MODELS, name, f'{role} model')
  cls = getattr(importlib.import_module(models.MODELS[name]), role.capitalize())
  allowed = {
    f.name: f.default
    for f in dataclasses.fields(cls)
    if f.name not in _NOT_OPTIONS
  }
  given = {k: v for k, v in spec.items() if k != 'name'}
  options = validation.fill_options(f'{role} {name}', given, allowed)
  for option, value in options.items():
    _check_sizes(f'{role}.{option}', value)
  if 'dtype' not in {f.name for f in dataclasses.fields(cls)}:
    if fixed['dtype'] != jnp.float32:
      raise ValueError(
        f'compute_dtype={fixed["dtype"].name!r}: the {role} model {name!r} '
        "has no field 'dtype' and computes in float32"
      )
    del fixed['dtype']
  return cls(**fixed, **options), {'name': name, **options}


def _check_sizes(where: str, value: Any) -> None:
  """Refuses layers of no units; 0 and -1 mean something to minibatch_std."""
  least = -1 if where.endswith('.minibatch_std') else 1
  sizes = value if isinstance(value, tuple) else (value,)
  for size in sizes:
    if isinstance(size, int) and not isinstance(size, bool) and size < least:
      raise ValueError(f'{where}={value}: must be at least {least}')


def build_optimizer(
  spec: Mapping[str, Any], prefix: str, num_steps: int
) -> tuple[Any, dict[str, float], dict[str, Any]]:
  """An optimizer by name.

  Args:
    spec: {'name': in training.OPTIMIZERS, and its options}.
    prefix: 'g' or 'd', of its hyper-parameters.
    num_steps: updates in all, for its schedule.

  Returns:
    What builds it from `state.hparams`, starting values there, and the spec
    with all its options.

  Raises:
    ValueError: for an unknown name or option, or a value out of range.
  """
  what = f'{prefix}_optimizer'
  name = spec.get('name')
  validation.lookup(training.OPTIMIZERS, name, what)
  allowed = {
    'learning_rate': 2e-4,
    'schedule': 'constant',
    'schedule_steps': 0,
    'warmup_steps': 0,
  }
  hparams = {
    'learning_rate': allowed['learning_rate'],
    'weight_clip': 0.0,
    **optimizers.hparam_defaults(name),
  }
  given = {k: v for k, v in spec.items() if k != 'name'}
  options = validation.fill_options(f'{what} {name}', given, allowed | hparams)
  for option in hparams:
    where = f'{what}.{option}={options[option]}'
    if not 0 <= options[option] < math.inf:
      raise ValueError(f'{where}: must be at least 0, and finite')
    if option in ('b1', 'b2', 'decay') and not options[option] < 1:
      raise ValueError(f'{where}: must be at least 0, and below 1')
  factor = None
  if options['schedule'] != 'constant' or options['warmup_steps']:
    if options['schedule'] != 'constant':
      options['schedule_steps'] = options['schedule_steps'] or num_steps
    factor = optimizers.make_schedule(
      options['schedule'], options['schedule_steps'], options['warmup_steps']
    )
  values = {f'{prefix}_{option}': options[option] for option in hparams}
  clip = options['weight_clip'] > 0
  if not clip:
    del values[f'{prefix}_weight_clip']
  build_fn = optimizers.from_hparams(name, prefix, factor, clip=clip)
  return build_fn, values, {'name': name, **options}
