"""DCGAN on CIFAR-10, 32 x 32 in colour.

python -m gan_jax.data.prepare cifar10         (once)
python train.py --config=configs/cifar10.py

Time on two CPU cores, at 3.4 steps/s: 8 hours, not measured to the end, nor on
a GPU. The score was not measured; the floor, 10,000 test against 10,000 training
images, is FID 5.218 +- 0.029 (docs/scores.md).
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config; its variants are ':test', for a look, and none."""
  config = common.base(variant)
  config.data.name = 'tfds'
  config.data.tfds.update(dataset='cifar10', size=32, channels=3)
  common.dcgan(config, width=64, d_norm='spectral', r1=0.0)
  config.num_steps = 100_000
  config.batch_size = 64
  config.latent_dim = 128
  common.adam(config.d_optimizer, 2e-4)
  common.adam(config.g_optimizer, 2e-4)
  config.ema_decay = 0.999
  return common.shrink(config) if variant == 'test' else config
