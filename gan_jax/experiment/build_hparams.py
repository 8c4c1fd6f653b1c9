"""Starting values of `state.hparams` from a config."""

from typing import Any

from gan_jax import config as config_lib
from gan_jax.experiment.build_networks import own_options
from gan_jax.training import ema


def build_hparams(config: config_lib.Config) -> dict[str, float]:
  """Returns the hyper-parameters that live in the train state.

  Only those that the program reads are there: of penalties the weights of
  those in use, no weight clipping at 0, and so on.

  Args:
    config: resolved config.

  Returns:
    Value by name.
  """
  hparams = {
    **_optimizer_hparams(config.g_optimizer, 'g'),
    **_optimizer_hparams(config.d_optimizer, 'd'),
    **{
      f'{name}_weight': getattr(config.penalties, name).weight
      for name in config_lib.used_penalties(config)
    },
    **_ema_hparams(config),
  }
  if config.label_smoothing:
    hparams['label_smoothing'] = config.label_smoothing
  augment = config.augment.options
  if augment is not None and not augment.target:
    hparams['augment_strength'] = augment.strength
  if config.instance_noise.sigma:
    hparams['noise_sigma'] = config.instance_noise.sigma
  if config.lookahead.every:
    hparams['lookahead_alpha'] = config.lookahead.alpha
  if config.consensus_weight:
    hparams['consensus_weight'] = config.consensus_weight
  return hparams


def _optimizer_hparams(optimizer: Any, prefix: str) -> dict[str, float]:
  values = {'learning_rate': optimizer.learning_rate, **own_options(optimizer)}
  if optimizer.weight_clip:
    values['weight_clip'] = optimizer.weight_clip
  return {f'{prefix}_{name}': value for name, value in values.items()}


def _ema_hparams(config: config_lib.Config) -> dict[str, float]:
  decay = config.ema_decay
  if config.ema_half_life:
    decay = ema.half_life_decay(config.ema_half_life, config.batch_size)
  hparams = {'ema_decay': decay}
  if config.ema_rampup:
    hparams['ema_rampup'] = config.ema_rampup
  return hparams
