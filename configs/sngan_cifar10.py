"""SNGAN on CIFAR-10, 32 x 32 in color, in mimicry's protocol.

  python -m gan_jax.data.prepare cifar10                          (once)
  python train.py --config=configs/sngan_cifar10.py
  python train.py --config=configs/sngan_cifar10.py:conditional

The residual networks of SNGAN, hinge loss, 100,000 generator steps with 5
discriminator steps of 64 images each, Adam (0, 0.9) at 2e-4 that falls to 0.
The variant :conditional has conditional batch norm in G and a projection
discriminator (cGAN-PD).

Time and score: not measured. Published in this protocol (50,000 samples against
the training images, mean of 3 seeds): FID 16.77, conditional 10.84.

References:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  https://arxiv.org/abs/1802.05957, 2018.
  Miyato and Koyama, cGANs with Projection Discriminator,
  https://arxiv.org/abs/1802.05637, 2018.
  Lee and Town, Mimicry, https://arxiv.org/abs/2005.02494, 2020.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'conditional', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'conditional', 'test'))
  config.data.name = 'tfds'
  config.data.tfds.update(dataset='cifar10', size=32, channels=3)
  config.conditional = variant == 'conditional'
  config.generator.name = config.discriminator.name = 'sngan'
  config.loss = 'hinge'
  config.num_steps = 100_000
  config.batch_size = 64
  config.d_steps = 5
  config.latent_dim = 128
  common.adam(config.d_optimizer, 2e-4, b1=0.0, b2=0.9)
  common.adam(config.g_optimizer, 2e-4, b1=0.0, b2=0.9)
  config.schedules = (
    'd_optimizer.learning_rate+g_optimizer.learning_rate=linear(2e-4, 0)'
  )
  config.ema_decay = 0.0  # the protocol scores the last iterate
  config.num_samples = 100
  if variant == 'test':
    config.data.tfds.size = 8  # one block in place of three
    return common.shrink(config)
  return config
