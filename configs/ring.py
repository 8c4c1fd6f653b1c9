"""Eight Gaussians on a ring, in PacGAN's protocol, by the plain GAN.

  python train.py --config=configs/ring.py          400,000 steps
  python train.py --config=configs/ring.py:short     20,000 steps

100,000 points, 400 epochs of batch 100, z ~ N(0, I_2), PacGAN's networks and
Adam. Published with these networks, 10 runs: 6.3 of 8 modes, 98.2 % high
quality, reverse KL 0.45; mode collapse is what one looks for here.

Time on two CPU cores, at 50 steps/s: 7 minutes for :short; 2 hours for all,
not measured. Score of :short, seed 0: 8 of 8 modes, 52 % high quality, reverse
KL 0.027; floor (perfect sampler): 8, 98.9 %, 0.0015.

Reference: https://arxiv.org/abs/1712.04086, table 1.
"""

from configs import common


def mixture(variant: str, data):
  """What ring.py and grid.py share."""
  config = common.base(variant, allowed=('', 'short', 'test'))
  config.data = data
  config.num_steps = 20_000 if variant == 'short' else 400_000
  config.batch_size = 100
  config.latent_dim = 2
  config.generator = common.part(
    name='mlp', features=(400, 400, 400, 400), norm='batch', activation='relu'
  )
  config.discriminator = common.part(
    name='mlp', features=(200, 200, 200), norm='none', activation='maxout'
  )
  config.d_optimizer = common.adam(1e-4, b1=0.8)
  config.g_optimizer = common.adam(1e-4, b1=0.8)
  config.ema_decay = 0.0  # the protocol scores the last iterate
  config.log_every = 500
  config.sample_every = config.checkpoint_every = 10_000
  config.num_samples = config.eval_samples = 2500
  return common.shrink(config) if variant == 'test' else config


def get_config(variant: str = ''):
  data = common.part(
    name='ring', size=100_000, modes=8, radius=1.0, sigma=0.01, seed=0
  )
  return mixture(variant, data)
