"""Helpers that the configs share: defaults, and changes to a section."""

import ml_collections

from gan_jax import config as config_lib


def base(variant: str, allowed: tuple[str, ...] = ('', 'test')):
  """Returns every option at its default, as a ConfigDict.

  Args:
    variant: The part after the colon in `--config=configs/x.py:variant`.
    allowed: Variants of the config.

  Raises:
    ValueError: If the config has no such variant.
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
  """Sets both networks to DCGAN, and the weight of the R1 penalty."""
  config.generator.name = config.discriminator.name = 'dcgan'
  config.generator.dcgan.update(width=width, norm='batch')
  config.discriminator.dcgan.update(width=width, norm=d_norm)
  config.penalties.r1.weight = r1


def r3gan(config, *, width: int, blocks: int):
  """Sets both networks to R3GAN, its loss, and R1 and R2 with weight 0.1."""
  config.generator.name = config.discriminator.name = 'r3gan'
  for part in (config.generator, config.discriminator):
    part.r3gan.update(width=width, blocks=blocks, group_size=16)
  config.loss = 'rpgan'
  config.penalties.r1.weight = config.penalties.r2.weight = 0.1


def stylegan2(config, *, channel_base: int, mapping_layers: int, r1: float):
  """Sets both networks to StyleGAN2, and R1 at every 16th step."""
  config.generator.name = config.discriminator.name = 'stylegan2'
  config.generator.stylegan2.mapping_layers = mapping_layers
  for part in (config.generator, config.discriminator):
    part.stylegan2.channel_base = channel_base
  config.latent_dim = 512
  config.loss = 'non_saturating'
  config.penalties.r1.update(weight=r1, every=16)


def wavegan(config, *, width: int):
  """Sets both networks to a conditional WaveGAN with R1 at every 4th step."""
  config.conditional = True
  config.generator.name = config.discriminator.name = 'wavegan'
  config.generator.wavegan.width = config.discriminator.wavegan.width = width
  config.discriminator.wavegan.phase_shuffle = 1
  config.latents.name = 'uniform'
  config.latent_dim = 100
  config.loss = 'non_saturating'
  config.generator.wavegan.norm = 'batch'  # learns 10 times faster
  config.penalties.r1.update(weight=1.0, every=4)
  adam(config.d_optimizer, 1e-3, b1=0.0, b2=0.99)
  adam(config.g_optimizer, 1e-3, b1=0.0, b2=0.99)
  config.ema_decay = 0.995


def shrink(config):
  """Shrinks a config to its ':test' variant: two steps of tiny networks."""
  config.num_steps = config.log_every = 2
  config.batch_size = 8
  config.num_samples = 4
  config.eval.num_samples = 16
  for player in (config.generator, config.discriminator):
    for options in player.values():
      if hasattr(options, 'width'):
        options.width = 4
      if hasattr(options, 'features'):
        options.features = tuple(8 for _ in options.features)
      for name in ('group_size', 'channel_max', 'style_dim'):
        if hasattr(options, name):
          options[name] = 4
      for name in ('blocks', 'mapping_layers'):
        if hasattr(options, name):
          options[name] = 1
      if hasattr(options, 'minibatch_std'):  # it divides a device's batch
        options.minibatch_std = min(options.minibatch_std, 2)
  return config
