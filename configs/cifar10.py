"""DCGAN on CIFAR-10, 32 x 32 in color.

  python -m gan_jax.data.prepare cifar10         (once)
  python train.py --config=configs/cifar10.py

Time: 8 hours on two CPU cores, estimated from 3.4 steps/s; not measured to the
end, nor on a GPU. Score: not measured. The baseline, 10,000 test images against
10,000 training images, is FID 5.218 +- 0.029 (docs/scores.md).
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
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
