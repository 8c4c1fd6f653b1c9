"""DCGAN on your own pictures, 64 x 64 in colour.

  python train.py --config=configs/folder.py --config.data.path=DIR

DIR holds png, jpg, webp or bmp files, in sub-directories or not. Time and score
were not measured.
"""

from configs import common


def get_config(variant: str = ''):
  """The config; its variants are ':test', for a look, and none."""
  config = common.base(variant)
  config.data = common.part(
    name='folder',
    path='',
    size=64,
    channels=3,
    test_fraction=0.1,
    skip_broken=False,
    memory_mb=2048,
    threads=0,
    follow_symlinks=False,
  )
  common.dcgan(config, width=64, d_norm='spectral', r1=0.0)
  config.num_steps = 50_000
  config.batch_size = 64
  config.latent_dim = 128
  config.d_optimizer = common.adam(2e-4)
  config.g_optimizer = common.adam(2e-4)
  config.ema_decay = 0.999
  return common.shrink(config) if variant == 'test' else config
