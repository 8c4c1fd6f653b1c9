"""What the configs share: a start from the defaults, and their variants."""

import ml_collections

from gan_jax import config as config_lib


def base(variant: str, allowed: tuple[str, ...] = ('', 'test')):
  """All settings at their defaults, as a ConfigDict.

  Args:
    variant: what follows the colon in `--config=configs/x.py:variant`.
    allowed: the variants that the config has.

  Raises:
    ValueError: for a variant that it does not have.
  """
  if variant not in allowed:
    named = ', '.join(repr(f':{name}') for name in allowed if name)
    raise ValueError(f'unknown variant {variant!r}; there are: {named}')
  return ml_collections.ConfigDict(config_lib.defaults())


def part(**options):
  """One part of a config: its name and its options."""
  return ml_collections.ConfigDict(options)


def adam(learning_rate: float, b1: float = 0.5, b2: float = 0.999):
  """An Adam optimizer with every option spelt out, for overrides."""
  return part(
    name='adam',
    learning_rate=learning_rate,
    b1=b1,
    b2=b2,
    eps=1e-8,
    schedule='constant',
    schedule_steps=0,
    warmup_steps=0,
    weight_clip=0.0,
  )


def dcgan(config, *, width: int, d_norm: str, r1: float):
  """DCGAN for both players, with the options that one may override."""
  config.generator = part(name='dcgan', width=width, norm='batch')
  config.discriminator = part(
    name='dcgan', width=width, norm=d_norm, outputs=1, minibatch_std=0
  )
  config.penalties.r1.weight = r1


def shrink(config):
  """The ':test' variant: two steps of tiny networks, to see that all works."""
  config.num_steps = config.log_every = 2
  config.batch_size = 8
  config.num_samples = 4
  config.eval.num_samples = 16
  for player in (config.generator, config.discriminator):
    if 'width' in player:
      player.width = 4
    if 'features' in player:
      player.features = tuple(8 for _ in player.features)
  return config
