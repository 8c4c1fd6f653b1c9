"""DCGAN on the 8 x 8 handwritten digits of scikit-learn, at 16 x 16.

  python train.py --config=configs/digits.py     (or: make train)

The data need no download: 1,438 digits to train on, 359 held out.

Time: 33 seconds on two CPU cores (203 steps/s). Score, seed 0: 1-NN two-sample
accuracy on pixels 0.697 +- 0.020, baseline (real data) 0.472 +- 0.012.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'digits'
  config.data.digits.update(size=16, channels=1, test_fraction=0.2)
  common.dcgan(config, width=32, d_norm='none', r1=0.05)
  config.num_steps = 6000
  config.batch_size = 64
  config.latent_dim = 64
  common.adam(config.d_optimizer, 1e-3, b1=0.0)
  common.adam(config.g_optimizer, 1e-3, b1=0.0)
  config.ema_decay = 0.999
  config.log_every = 200
  config.sample_every = config.checkpoint_every = 1000
  config.num_samples = 100
  config.eval.num_samples = 359  # as many as are held out
  return common.shrink(config) if variant == 'test' else config
