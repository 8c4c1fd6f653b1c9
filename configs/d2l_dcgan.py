"""The DCGAN of Dive into Deep Learning, 64 x 64 in color.

  python train.py --config=configs/d2l_dcgan.py --config.data.folder.path=DIR
  python train.py --config=configs/d2l_dcgan.py:balanced ...

The book trains it on 40,597 pictures of Pokemon for 20 epochs of batch 256: a
DIR of any other pictures will do. Its semantics: losses are summed over the
batch, D's loss is halved, both players use the same latents, all kernels start
from N(0, 0.02^2), Adam (0.5, 0.999) at 0.005 for both. The only difference:
D's first layer has no batch norm. The book's run ends with loss_D 0.023 and
loss_G 7.359: D has won.

The variant :balanced keeps the networks' widths and the data, and lets D not
win: no batch norm in D, R1, means, own latents for each player, Adam (0, 0.999)
at 2e-4, and the EMA of G.

Time and score of both: not measured.

Reference: https://d2l.ai/chapter_generative-adversarial-networks/dcgan.html
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', 'balanced', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', 'balanced', 'test'))
  config.data.name = 'folder'
  config.data.folder.update(size=64, channels=3, test_fraction=0.1)
  config.num_steps = 3_160  # 20 epochs of the book's pictures
  config.batch_size = 256
  config.latent_dim = 100
  if variant == 'balanced':
    common.dcgan(config, width=64, d_norm='none', r1=1.0)
    common.adam(config.d_optimizer, 2e-4, b1=0.0)
    common.adam(config.g_optimizer, 2e-4, b1=0.0)
    config.ema_decay = 0.999
    return config
  common.dcgan(config, width=64, d_norm='batch', r1=0.0)
  config.same_latents = True
  config.loss_reduction = 'sum'
  config.d_loss_scale = 0.5
  common.adam(config.d_optimizer, 0.005)
  common.adam(config.g_optimizer, 0.005)
  config.ema_decay = 0.0  # the book has no EMA
  return common.shrink(config) if variant == 'test' else config
