"""StyleGAN2 on CIFAR-10, 32 x 32 in color, as StyleGAN2-ADA's authors tuned it.

  python -m gan_jax.data.prepare cifar10                          (once)
  python train.py --config=configs/stylegan2_cifar10.py
  python train.py --config=configs/stylegan2_cifar10.py:ada
  python train.py --config=configs/stylegan2_cifar10.py:small

Without classes; add --config.conditional=True for them. A mapping network of
two layers, no style mixing, no path length regularization, a plain
discriminator with R1 of weight 0.01 at every 16th step, 100 million images. The
variant :ada adds adaptive augmentation. The variant :small has 128 channels in
place of 512, and 25 million images, for a day of one GPU.

The lazy penalty is part of the loss of every 16th step, in the same step of
Adam. The authors take a step of its own and adjust Adam for it: what they ran is
a generator with a learning rate of 0.002 and b2 = 0.992, as here.

A small one learns on a CPU: of the digits at 8 x 8, 64 channels, batch 32, R1 of
0.5 at every 4th step, both learning rates 0.001 and no mixing, 12,000 steps took
9 minutes on two busy cores; 1-NN two-sample accuracy 0.749 +- 0.008 over two
seeds (real data 0.482 +- 0.014).

Time and score on CIFAR-10: not measured. Published (50,000 samples against the training
images): FID 8.32 without the tuning and ADA, 2.92 with both; conditional 2.42.

References:
  Karras et al., Training Generative Adversarial Networks with Limited Data,
  https://arxiv.org/abs/2006.06676, 2020, table 3.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'ada', 'small', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'ada', 'small', 'test'))
  config.data.name = 'tfds'
  config.data.tfds.update(dataset='cifar10', size=32, channels=3)
  common.stylegan2(config, channel_base=32768, mapping_layers=2, r1=0.01)
  config.generator.stylegan2.mixing = 0.0
  config.discriminator.stylegan2.update(architecture='plain', minibatch_std=32)
  if variant == 'small':
    for part in (config.generator, config.discriminator):
      part.stylegan2.channel_max = 128
  images = 25_000_000 if variant == 'small' else 100_000_000
  config.batch_size = 64
  config.num_steps = images // config.batch_size
  common.adam(config.d_optimizer, 2.5e-3, b1=0.0, b2=0.99)
  common.adam(config.g_optimizer, 2e-3, b1=0.0, b2=0.992)
  config.ema_half_life = 500_000
  config.schedules = 'ema_half_life=linear(1, 5e5, images=1e7)'
  if variant == 'ada':
    config.augment.name = 'ada'
  config.num_samples = 100
  if variant == 'test':
    config.data.tfds.size = 8
    return common.shrink(config)
  return config
