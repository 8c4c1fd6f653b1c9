"""Helpers that the configs share: the defaults, and changes to a section."""

import ml_collections

from gan_jax import config as config_lib


def base(variant: str, allowed: tuple[str, ...] = ('', 'test')):
  """Returns every option at its default, as a ConfigDict.

  Args:
    variant: The part after the colon in `--config=configs/x.py:variant`.
    allowed: Variants that the config has.

  Raises:
    ValueError: For a variant that it does not have.
  """
  if variant not in allowed:
    named = ', '.join(repr(f':{name}') for name in allowed if name)
    raise ValueError(f'unknown variant {variant!r}; there are: {named}')
  return ml_collections.ConfigDict(config_lib.defaults())


def adam(optimizer, learning_rate: float, b1: float = 0.5, b2: float = 0.999):
  """Sets an optimizer to Adam."""
  optimizer.name = 'adam'
  optimizer.learning_rate = learning_rate
  optimizer.adam.update(b1=b1, b2=b2)


def dcgan(config, *, width: int, d_norm: str, r1: float):
  """Sets both networks to DCGAN, and the weight of R1."""
  config.generator.name = config.discriminator.name = 'dcgan'
  config.generator.dcgan.update(width=width, norm='batch')
  config.discriminator.dcgan.update(width=width, norm=d_norm)
  config.penalties.r1.weight = r1


def shrink(config):
  """Makes the ':test' variant: two steps of tiny networks, for a look."""
  config.num_steps = config.log_every = 2
  config.batch_size = 8
  config.num_samples = 4
  config.eval.num_samples = 16
  for player in (config.generator, config.discriminator):
    player.dcgan.width = 4
    player.mlp.features = tuple(8 for _ in player.mlp.features)
  return config
