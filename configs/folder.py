"""DCGAN on your own images, 64 x 64 in color.

  python train.py --config=configs/folder.py --config.data.folder.path=DIR

DIR holds png, jpg, webp, bmp, gif or tiff files, with or without
subdirectories; --check_data reads all of them. Time and score were not
measured.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'folder'
  config.data.folder.update(size=64, channels=3, test_fraction=0.1)
  common.dcgan(config, width=64, d_norm='spectral', r1=0.0)
  config.num_steps = 50_000
  config.batch_size = 64
  config.latent_dim = 128
  common.adam(config.d_optimizer, 2e-4)
  common.adam(config.g_optimizer, 2e-4)
  config.ema_decay = 0.999
  return common.shrink(config) if variant == 'test' else config
