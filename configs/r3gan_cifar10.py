"""R3GAN on CIFAR-10, 32 x 32 in color, as its authors train it.

  python -m gan_jax.data.prepare cifar10                          (once)
  python train.py --config=configs/r3gan_cifar10.py
  python train.py --config=configs/r3gan_cifar10.py:small

Class-conditional networks of 21 million parameters each, the relativistic
pairing loss with R1 and R2 at every step, batch 512, 200 million images, on
which ADA's augmentations act with a probability that rises to 0.55. The authors
used 8 GPUs. The variant :small has a quarter of the channels and of the batch,
for a single GPU.

Differences from the authors: R1 and R2 are by the augmented image, the
generator sees the labels of the discriminator's batch, and color augmentations
are as strong as geometric ones (theirs have half the strength); cutout is not
among the augmentations of ADA.

Time and score: not measured. Published: FID 1.96 (50,000 samples against the
training images).

Reference:
  Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
  https://arxiv.org/abs/2501.05441, 2024.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'small', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'small', 'test'))
  small = variant == 'small'
  config.data.name = 'tfds'
  config.data.tfds.update(dataset='cifar10', size=32, channels=3)
  config.conditional = True
  common.r3gan(config, width=192 if small else 768, blocks=2)
  config.batch_size = 128 if small else 512
  config.num_steps = 200_000_000 // config.batch_size
  config.latent_dim = 64
  common.adam(config.d_optimizer, 2e-4, b1=0.0, b2=0.9)
  common.adam(config.g_optimizer, 2e-4, b1=0.0, b2=0.9)
  config.augment.name = 'ada'
  config.augment.ada.target = 0.0  # the schedule sets the strength
  both = lambda name: f'd_optimizer.{name}+g_optimizer.{name}'
  config.schedules = ';'.join(
    f'{names}=cosine({start}, {end}, images=2e7)'
    for names, start, end in (
      (both('learning_rate'), 2e-4, 5e-5),
      (both('adam.b2'), 0.9, 0.99),
      ('penalties.r1.weight+penalties.r2.weight', 0.05, 0.005),
      ('ema_half_life', 1, 5e6),
      ('augment.ada.strength', 0, 0.55),
    )
  )
  config.num_samples = 100
  if variant == 'test':
    config.data.tfds.size = 8
    return common.shrink(config)
  return config
