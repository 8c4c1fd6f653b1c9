"""StyleGAN2 with adaptive augmentation on own pictures, 64 x 64 or larger.

  python train.py --config=configs/stylegan2_folder.py \\
    --config.data.folder.path=PATH
  python train.py --config=configs/stylegan2_folder.py:128 \\
    --config.data.folder.path=PATH

PATH is a directory or a zip of pictures, 1,000 or more (below that, look at
configs/fastgan_folder.py). Any size that is a power of two from 8 to 1024 works:
--config.data.folder.size=256. R1 must be weighted by size and batch: the rule of
thumb of StyleGAN2-ADA's authors, 0.0002 size^2 / batch_size, is 0.0256 at 64 and
0.1024 at 128 pixels, and ten times more where the discriminator's loss falls
to 0 and stays there.

Needs a GPU. Time and score: not measured.

Reference:
  Karras et al., Training Generative Adversarial Networks with Limited Data,
  https://arxiv.org/abs/2006.06676, 2020.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', '128', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant, allowed=('', '128', 'test'))
  size = 128 if variant == '128' else 64
  config.data.name = 'folder'
  config.data.folder.update(size=size, channels=3, test_fraction=0.1)
  config.batch_size = 32
  r1 = 0.0002 * size**2 / config.batch_size
  common.stylegan2(config, channel_base=16384, mapping_layers=2, r1=r1)
  config.penalties.path_length.update(weight=2.0, every=4, batch_stride=2)
  config.num_steps = 5_000_000 // config.batch_size
  common.adam(config.d_optimizer, 2.5e-3, b1=0.0, b2=0.99)
  common.adam(config.g_optimizer, 2.5e-3, b1=0.0, b2=0.99)
  config.ema_half_life = 10_000
  config.augment.name = 'ada'
  config.compute_dtype = 'bfloat16'
  config.num_samples = 64
  if variant == 'test':
    config.data.folder.size = 8
    return common.shrink(config)
  return config
