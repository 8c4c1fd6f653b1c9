"""The toy of Dive into Deep Learning: a linear G, a small D, a 2-D Gaussian.

  python train.py --config=configs/d2l_gaussian.py
  python train.py --config=configs/d2l_gaussian.py:stable

Reproduces the book's semantics: losses are summed over the batch, D's loss is
halved, both players use the same latents, all parameters start from N(0,
0.02^2), and 20 epochs of batch 8 run over 1,000 points. Both losses end near
0.693 = log 2: D cannot tell real from generated.

Time: 10 seconds on two CPU cores. Score, mean and standard error over 10 seeds:
loss_D 0.6932 +- 0.0001, loss_G 0.6934 +- 0.0001, KL divergence of the fitted
Gaussian from the true one 0.27 +- 0.09, baseline 0.0030 +- 0.0003. The same
loop in PyTorch, 10 seeds: 0.17 +- 0.06. D stops learning before G has learned
the covariance.

The variant :stable has the same data and G, and comes near the floor: KL 0.0035
+- 0.0002 over 64 seeds (0.307 +- 0.038 for the book's recipe; baseline 0.0024
+- 0.0004). It is a relativistic GAN with R1, batch 64, a D of two layers of 16
with an initialization of usual size, learning rates that fall to 0, Adam
without momentum, and the EMA of G.

What mattered, by the exact KL of G, 16 seeds: 0.0016 +- 0.0001 as it is; with
the book's D 1.2 +- 0.2; with the book's initialization of this D 0.10 +- 0.09
(one seed 1.5, median 0.008); with batch 8 0.0055 +- 0.0011; at constant
learning rates 0.0023 +- 0.0002; without the EMA, or with the non-saturating
loss, 0.0019 +- 0.0002; without R1, or with b1 0.5, 0.0017 +- 0.0001.

Reference: https://d2l.ai/chapter_generative-adversarial-networks/gan.html
"""

from configs import common


def _stable(config):
  """Sets loss, penalty, D and optimizers of the ':stable' variant."""
  config.loss = 'rpgan'
  config.penalties.r1.weight = 0.1
  config.loss_reduction = 'mean'
  config.d_loss_scale = 1.0
  config.batch_size = 64
  config.num_steps = 5000
  config.discriminator.mlp.update(
    features=(16, 16), kernel_init='he_normal', bias_init='zeros'
  )
  common.adam(config.d_optimizer, 0.01, b1=0.0)
  common.adam(config.g_optimizer, 0.005, b1=0.0)
  config.schedules = (
    'd_optimizer.learning_rate=linear(0.01, 0); '
    'g_optimizer.learning_rate=linear(0.005, 0)'
  )
  config.ema_decay = 0.998


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'stable', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'stable', 'test'))
  config.data.name = 'gaussian'
  config.data.gaussian.update(size=1000, seed=0)
  config.num_steps = 2500  # 20 epochs of 125 batches
  config.batch_size = 8
  config.latent_dim = 2
  config.same_latents = True
  config.loss_reduction = 'sum'
  config.d_loss_scale = 0.5
  config.generator.name = 'linear'
  config.generator.linear.update(kernel_init='normal', bias_init='normal')
  config.discriminator.name = 'mlp'
  config.discriminator.mlp.update(
    features=(5, 3),
    activation='tanh',
    kernel_init='normal',
    bias_init='normal',
  )
  common.adam(config.d_optimizer, 0.05, b1=0.9)
  common.adam(config.g_optimizer, 0.005, b1=0.9)
  config.ema_decay = 0.0  # D2L has no EMA: the last iterate is scored
  config.log_every = 125  # once an epoch, as D2L plots it
  config.sample_every = 1250
  config.checkpoint_every = 1250
  config.num_samples = 500
  config.eval.num_samples = 1000
  if variant == 'stable':
    _stable(config)
  return common.shrink(config) if variant == 'test' else config
