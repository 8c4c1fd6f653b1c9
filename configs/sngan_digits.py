"""A conditional SNGAN on the handwritten digits of scikit-learn.

python train.py --config=configs/sngan_digits.py

"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'digits'
  config.data.digits.update(size=8, channels=1, test_fraction=0.2)
  config.conditional = True
  config.generator.name = config.discriminator.name = 'sngan'
  config.generator.sngan.width = config.discriminator.sngan.width = 16
  config.loss = 'hinge'
  config.num_steps = 1000
  config.batch_size = 64
  config.d_steps = 2
  config.latent_dim = 32
  common.adam(config.d_optimizer, 1e-3, b1=0.0, b2=0.9)
  common.adam(config.g_optimizer, 1e-3, b1=0.0, b2=0.9)
  config.ema_decay = 0.99
  config.log_every = 100
  config.sample_every = config.checkpoint_every = 500
  config.num_samples = 100
  config.eval.update(metrics='nn,class_accuracy', num_samples=359)
  return common.shrink(config) if variant == 'test' else config
