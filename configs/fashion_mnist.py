"""DCGAN on Fashion-MNIST, 32 x 32.

  python -m gan_jax.data.prepare fashion_mnist   (once)
  python train.py --config=configs/fashion_mnist.py

Time: the same as for MNIST. Score after 3 epochs (--config.num_steps=2811),
seed 0: 1-NN two-sample accuracy on pixels 0.736 +- 0.002, baseline (real data)
0.502 +- 0.007.

With classes (--config.conditional), 9,370 steps, 12 minutes, seed 0, 10,000
samples: class accuracy 0.904 +- 0.003 (baseline 0.889 +- 0.003), the lowest that
of shirts, 0.692; diversity within a class 0.953 +- 0.003 of the real one (0.997
+- 0.003). 1,000 samples: 1-NN 0.617 +- 0.004 (0.506 +- 0.012).
"""

from configs import mnist


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  return mnist.gray(variant, 'fashion_mnist')
