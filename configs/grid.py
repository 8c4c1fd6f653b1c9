"""25 Gaussians on a grid, in PacGAN's protocol, by the plain GAN.

  python train.py --config=configs/grid.py          400,000 steps
  python train.py --config=configs/grid.py:short     14,000 steps
  python train.py --config=configs/grid.py:rpgan     14,000 steps, RpGAN + R1 + R2

As configs/ring.py, with modes at {-4, -2, 0, 2, 4}^2. Published with these
networks, 10 runs: 17.3 of 25 modes, 94.8 % high quality, reverse KL 0.70.

14,000 steps, mean +- standard error over 3 seeds, 2,500 samples: :short 17.3
+- 1.5 modes, 8.6 +- 1.9 % high quality, reverse KL 0.336 +- 0.037; :rpgan 24.7
+- 0.3 modes, 62.9 +- 6.1 %, 0.070 +- 0.021; floor (perfect sampler): 25,
98.9 %, 0.0049. Time as for the ring. The 400,000 steps were not measured.

Reference: https://arxiv.org/abs/1712.04086, table 2.
"""

from configs import common, ring


def get_config(variant: str = ''):
  """The config; its variants are those of configs/ring.py."""
  data = common.part(
    name='grid', size=100_000, side=5, spacing=2.0, sigma=0.05, seed=0
  )
  return ring.mixture(variant, data, weight=0.2, final=0.005)
