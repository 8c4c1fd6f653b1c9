"""R3GAN on the 8 x 8 handwritten digits of scikit-learn.

  python train.py --config=configs/r3gan_digits.py
  python train.py --config=configs/r3gan_digits.py:conditional

The data need no download: 1,438 digits to train on, 359 held out. Narrow
residual networks without normalization, the relativistic pairing loss with R1
and R2, whose weights fall as the second moments of Adam get longer. The variant
:conditional has classes in both networks.

Time: 14 minutes on two busy CPU cores (3.6 steps/s). 1-NN two-sample accuracy on
pixels, 359 samples, mean and standard error over 3 seeds: 0.773 +- 0.007,
baseline (real data) 0.482 +- 0.014. :conditional was not run.

Reference:
  Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
  https://arxiv.org/abs/2501.05441, 2024.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'conditional', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'conditional', 'test'))
  config.data.name = 'digits'
  config.data.digits.update(size=8, channels=1, test_fraction=0.2)
  config.conditional = variant == 'conditional'
  common.r3gan(config, width=64, blocks=1)
  config.num_steps = 3000
  config.batch_size = 64
  config.latent_dim = 32
  common.adam(config.d_optimizer, 1e-3, b1=0.0, b2=0.9)
  common.adam(config.g_optimizer, 1e-3, b1=0.0, b2=0.9)
  config.schedules = (
    'd_optimizer.adam.b2+g_optimizer.adam.b2=cosine(0.9, 0.99);'
    'penalties.r1.weight+penalties.r2.weight=cosine(0.1, 0.01)'
  )
  config.ema_decay = 0.99
  config.log_every = 100
  config.sample_every = config.checkpoint_every = 1000
  config.num_samples = 100
  config.eval.num_samples = 359  # as many as are held out
  return common.shrink(config) if variant == 'test' else config
