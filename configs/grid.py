"""A GAN on 25 Gaussians on a grid: a relativistic GAN with R1 and R2.

  python train.py --config=configs/grid.py                 40,000 steps
  python train.py --config=configs/grid.py --config.ensemble.seeds=10
  python train.py --config=configs/grid.py:pacgan         400,000 steps
  python train.py --config=configs/grid.py:pacgan_short    14,000 steps

The same as configs/ring.py, with modes at {-4, -2, 0, 2, 4}^2, batches of 1,024,
and penalties that fall to a tenth of those of the ring.

10 seeds as one program, mean +- standard error, 2,500 samples: 25 +- 0 modes,
98.41 +- 0.26 % high quality (seed 7: 96.2), reverse KL 0.0074 +- 0.0009. Baseline
(perfect sampler): 25, 98.84 %, 0.0055. Time: 14 minutes on two cores of an AMD
EPYC, start and scores included. Batches of 256 with the ring's penalties took less
than half of that: 24.98 +- 0.02, 97.82 +- 0.11 %, 0.0136 +- 0.0036. With these, four
seeds gained no quality from three times as many steps, networks of twice the width,
two steps of D for one of G, or penalties that begin at 0.5.

:pacgan, published with these networks, 10 runs: 17.3 of 25 modes, 94.8 % high
quality, reverse KL 0.70. The 400,000 steps were not measured.

:pacgan_short, 14,000 steps, 3 seeds: 17.3 +- 1.5 modes, 8.6 +- 1.9 % high
quality, reverse KL 0.336 +- 0.037, measured as that of ring.py.

Reference: https://arxiv.org/abs/1712.04086, table 2.
"""

from configs import ring


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: One of the variants of configs/ring.py.
  """
  config = ring.mixture(
    variant,
    num_steps=40_000,
    ema_decay=0.999,
    batch_size=1024,
    last_penalty=5e-5,
  )
  config.data.name = 'grid'
  config.data.grid.update(size=100_000, side=5, spacing=2.0, sigma=0.05, seed=0)
  return config
