"""Starting values of `state.hparams` from a config, and their schedules."""

from typing import Any

import jax.numpy as jnp

from gan_jax import config as config_lib
from gan_jax.experiment.build_networks import own_options
from gan_jax.training import ema, schedules

_HALF_LIFE = 'ema_half_life'


def build_hparams(config: config_lib.Config) -> dict[str, float]:
  """Returns the hyper-parameters that live in the train state.

  Only those that the program reads are there: of penalties the weights of
  those in use, no weight clipping at 0, and so on. Those with a schedule have
  their value at step 0; the arguments of the schedule are there, too.

  Args:
    config: resolved config.

  Returns:
    Value by name.
  """
  hparams = {
    **_optimizer_hparams(config, 'g_optimizer'),
    **_optimizer_hparams(config, 'd_optimizer'),
    **{
      f'{name}_weight': getattr(config.penalties, name).weight
      for name in config_lib.used_penalties(config)
    },
    'ema_decay': _ema_decay(config),
  }
  for name, option, value in (
    ('label_smoothing', 'label_smoothing', config.label_smoothing),
    ('noise_sigma', 'instance_noise.sigma', config.instance_noise.sigma),
    ('consensus_weight', 'consensus_weight', config.consensus_weight),
  ):
    if value or config_lib.varies(config, option):
      hparams[name] = value
  augment = config.augment.options
  if augment is not None and not augment.target:
    hparams['augment_strength'] = augment.strength
  if config.lookahead.every:
    hparams['lookahead_alpha'] = config.lookahead.alpha
  return hparams | _schedule_hparams(config, hparams)


def _optimizer_hparams(
  config: config_lib.Config, where: str
) -> dict[str, float]:
  optimizer = getattr(config, where)
  values = {'learning_rate': optimizer.learning_rate, **own_options(optimizer)}
  if optimizer.weight_clip:
    values['weight_clip'] = optimizer.weight_clip
  return {f'{where[0]}_{name}': value for name, value in values.items()}


def _ema_decay(config: config_lib.Config) -> float:
  if config_lib.varies(config, _HALF_LIFE) and not config.ema_half_life:
    return 0.0
  if config.ema_half_life:
    return ema.half_life_decay(config.ema_half_life, config.batch_size)
  return config.ema_decay


def _hparam_name(option: str) -> str:
  """Returns the name in `state.hparams` of an option of a schedule."""
  head, *path = option.split('.')
  if head in ('g_optimizer', 'd_optimizer'):
    return f'{head[0]}_{path[-1]}'
  if head == 'penalties':
    return f'{path[0]}_weight'
  other = {
    'augment': 'augment_strength',
    'instance_noise': 'noise_sigma',
    'lookahead': 'lookahead_alpha',
  }
  return other.get(head, head)


def _schedule_hparams(
  config: config_lib.Config, used: dict[str, float]
) -> dict[str, float]:
  """Returns the arguments of all schedules by name."""
  found = {}
  for schedule in config_lib.parse_schedules(config.schedules):
    for option in schedule.options:
      name = _hparam_name(option)
      _check_used(option, name, used)
      for i, segment in enumerate(schedule.segments):
        for argument in ('start', 'end', 'steps'):
          found[f'{name}_{argument}_{i}'] = getattr(segment, argument)
  return found


def _check_used(option: str, name: str, used: dict[str, float]) -> None:
  if name not in used and name != _HALF_LIFE:
    raise ValueError(
      f'schedules: {option} is not in use; set it, or what it belongs to'
    )


def build_schedules(
  config: config_lib.Config,
) -> dict[str, schedules.Schedule]:
  """Builds the schedules of the hyper-parameters that change over the run.

  Args:
    config: resolved config.

  Returns:
    Schedule by name in `state.hparams`.
  """
  found = {}
  for schedule in config_lib.parse_schedules(config.schedules):
    shapes = [segment.shape for segment in schedule.segments]
    for option in schedule.options:
      name = _hparam_name(option)
      found[name] = schedules.make_schedule(name, shapes)
  if _HALF_LIFE in found:
    half_life = found.pop(_HALF_LIFE)
    decay = _half_life_schedule(half_life, config.batch_size)
    found['ema_decay'] = decay
  return found


def _half_life_schedule(
  half_life: schedules.Schedule, batch_size: int
) -> schedules.Schedule:
  """Returns the schedule of the EMA's decay from that of its half-life."""

  def apply(hparams: Any, step: Any):
    images = half_life.apply(hparams, step)
    decay = 0.5 ** (batch_size / jnp.maximum(images, 1e-9))
    return jnp.where(images > 0, decay, 0.0)

  return half_life._replace(apply=apply)
