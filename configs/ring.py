"""Eight Gaussians on a ring, in PacGAN's protocol, by the plain GAN.

  python train.py --config=configs/ring.py          400,000 steps
  python train.py --config=configs/ring.py:short     14,000 steps
  python train.py --config=configs/ring.py:rpgan     14,000 steps, RpGAN + R1 + R2

100,000 points, 400 epochs of batch 100, z ~ N(0, I_2), PacGAN's networks and
Adam. Published with these networks, 10 runs: 6.3 of 8 modes, 98.2 % high
quality, reverse KL 0.45; mode collapse is what one looks for here.

The variant :rpgan is the relativistic loss with both zero-centred penalties,
whose weights fall over the run, no norm in G, and Adam without momentum at 5
times the learning rate, falling to 0.

14,000 steps, mean +- standard error over 3 seeds, 2,500 samples: :short 8.0
modes, 40.5 +- 8.5 % high quality, reverse KL 0.067 +- 0.022; :rpgan 7.7 +- 0.3
modes, 95.7 +- 0.6 %, 0.063 +- 0.046 (one seed of three lost a mode); floor
(perfect sampler): 8, 98.9 %, 0.0015. Six to eight minutes a run on one core of
an AMD EPYC, two at a time. The 400,000 steps were not measured.

Reference: https://arxiv.org/abs/1712.04086, table 1.
"""

from configs import common


def _relativistic(config, weight: float, final: float):
  """The loss, penalties and optimizers of the ':rpgan' variants."""
  config.loss = 'rpgan'
  config.generator.norm = 'none'
  for name in ('r1', 'r2'):
    config.penalties[name].update(weight=weight, final=final)
  for player in ('d_optimizer', 'g_optimizer'):
    config[player] = common.adam(5e-4, b1=0.0)
    config[player].schedule = 'linear'
  config.ema_decay = 0.999


def mixture(variant: str, data, weight: float, final: float):
  """What ring.py and grid.py share; the penalties' weight and its fall."""
  config = common.base(variant, allowed=('', 'short', 'rpgan', 'test'))
  config.data = data
  config.num_steps = 400_000 if variant == '' else 14_000
  config.batch_size = 100
  config.latent_dim = 2
  config.generator = common.part(
    name='mlp', features=(400, 400, 400, 400), norm='batch', activation='relu'
  )
  config.discriminator = common.part(
    name='mlp',
    features=(200, 200, 200),
    norm='none',
    activation='maxout',
    outputs=1,
    minibatch_std=0,
  )
  config.d_optimizer = common.adam(1e-4, b1=0.8)
  config.g_optimizer = common.adam(1e-4, b1=0.8)
  config.ema_decay = 0.0  # the protocol scores the last iterate
  if variant == 'rpgan':
    _relativistic(config, weight, final)
  config.log_every = 500
  config.sample_every = config.checkpoint_every = 7_000
  config.num_samples = config.eval.num_samples = 2500
  return common.shrink(config) if variant == 'test' else config


def get_config(variant: str = ''):
  """The config; see above for its variants."""
  data = common.part(
    name='ring', size=100_000, modes=8, radius=1.0, sigma=0.01, seed=0
  )
  return mixture(variant, data, weight=0.015, final=0.001)
