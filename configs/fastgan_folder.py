"""FastGAN on 100 to 1,000 images of your own, 256 x 256 in color.

  python train.py --config=configs/fastgan_folder.py --config.data.folder.path=DIR

DIR holds png, jpg, webp, bmp, gif or tiff files, with or without
subdirectories; --check_data reads all of them. --config.data.folder.size takes
16, 32, 64, 128, 256, 512 or 1024; up to 64 pixels the networks are small.

The recipe of the authors: hinge loss, batches of 8, one step of each player on
the same generated images, Adam (0.5, 0.999) at 2e-4, 50,000 steps, DiffAugment
of color and translation, decoders on real images. These compare images by the
mean squared error, in place of LPIPS; the margins of the hinge loss are 1, in
place of numbers drawn from 0.8 to 1.

With few images a low Frechet distance may be copies: compare samples with their
nearest training images.

Time and score: not measured at 256 pixels. At 32, on 400 sprites of the npm
package pokesprite-images 2.7.0 and 400 held out (pokemon-gen8/regular), with

  --config.data.folder.size=32 --config.data.folder.test_fraction=0.5
  --config.latent_dim=64 --config.batch_size=16 --config.num_steps=6000
  --config.ema_decay=0.998

7 minutes on two CPU cores (14 steps/s). Scores on pixels of 400 samples, seed 0
(DCGAN of configs/folder.py with the same DiffAugment; DCGAN without; baseline:
real data), the DCGANs after 1,600 steps of 64 images: sliced Wasserstein
distance 0.089 +- 0.002 (0.143 +- 0.003; 0.184 +- 0.005; 0.048 +- 0.001), recall
0.13 +- 0.02 (0; 0; 0.88 +- 0.02), 1-NN two-sample accuracy 0.818 +- 0.011
(0.835 +- 0.011; 0.843 +- 0.002; 0.526 +- 0.021). FastGAN's have the shapes and
colors of the sprites, the DCGANs' are gray. FID of 400 samples v the 400 training
images, seed 0: 47.4 +- 0.8 (116 +- 3; 187 +- 3, both after 4,000 steps; 33.0 +-
0.6).

Reference:
  Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity
  Few-shot Image Synthesis, https://arxiv.org/abs/2101.04775, 2021.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'folder'
  config.data.folder.update(size=256, channels=3, test_fraction=0.1)
  config.generator.name = config.discriminator.name = 'fastgan'
  config.loss = 'hinge'
  config.penalties.reconstruction.weight = 1.0
  config.augment.name = 'diff_augment'
  config.augment.diff_augment.policy = ('color', 'translation')
  config.num_steps = 50_000
  config.batch_size = 8
  config.same_latents = True
  config.latent_dim = 256
  common.adam(config.d_optimizer, 2e-4)
  common.adam(config.g_optimizer, 2e-4)
  config.ema_decay = 0.999
  if variant == 'test':
    config.data.folder.size = 16  # two blocks in place of six
    return common.shrink(config)
  return config
