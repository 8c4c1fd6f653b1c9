"""25 Gaussians on a grid, in PacGAN's protocol, by the plain GAN.

  python train.py --config=configs/grid.py          400,000 steps
  python train.py --config=configs/grid.py:short     14,000 steps
  python train.py --config=configs/grid.py:rpgan     14,000 steps, RpGAN + R1 + R2

As configs/ring.py, with modes at {-4, -2, 0, 2, 4}^2. Published with these
networks, 10 runs: 17.3 of 25 modes, 94.8 % high quality, reverse KL 0.70.

GRID_SCORES

Reference: https://arxiv.org/abs/1712.04086, table 2.
"""

from configs import common, ring


def get_config(variant: str = ''):
  """The config; its variants are those of configs/ring.py."""
  data = common.part(
    name='grid', size=100_000, side=5, spacing=2.0, sigma=0.05, seed=0
  )
  return ring.mixture(variant, data, weight=0.2, final=0.005)
