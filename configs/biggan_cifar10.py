"""BigGAN on CIFAR-10, 32 x 32 in color, conditional.

  python -m gan_jax.data.prepare cifar10          (once)
  python train.py --config=configs/biggan_cifar10.py

The recipe of the CIFAR-10 script of the author's PyTorch code: 64 channels, no
attention, hinge loss, 4 discriminator steps of 50 images each, Adam (0, 0.999)
at 2e-4, all kernels from N(0, 0.02^2), the EMA of G from step 1,000 on.

Time and score: not measured. A rerun of that script: FID 9.59 (10,000 samples
against the test images; Zhao et al., https://arxiv.org/abs/2006.10738, 2020).

Reference:
  Brock et al., Large Scale GAN Training for High Fidelity Natural Image
  Synthesis, https://arxiv.org/abs/1809.11096, 2019.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'tfds'
  config.data.tfds.update(dataset='cifar10', size=32, channels=3)
  config.conditional = True
  config.generator.name = config.discriminator.name = 'biggan'
  config.generator.biggan.update(
    hierarchical=False, shared_dim=0, kernel_init='normal'
  )
  config.discriminator.biggan.kernel_init = 'normal'
  config.loss = 'hinge'
  config.num_steps = 125_000
  config.batch_size = 50
  config.d_steps = 4
  config.latent_dim = 128
  common.adam(config.d_optimizer, 2e-4, b1=0.0)
  common.adam(config.g_optimizer, 2e-4, b1=0.0)
  config.schedules = (
    'ema_decay=linear(0, 0, steps=1000) then linear(0.9999, 0.9999, steps=1)'
  )
  config.num_samples = 100
  if variant == 'test':
    config.data.tfds.size = 8  # one block in place of three
    return common.shrink(config)
  return config
