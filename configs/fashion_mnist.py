"""DCGAN on Fashion-MNIST, 32 x 32.

  python -m gan_jax.data.prepare fashion_mnist   (once)
  python train.py --config=configs/fashion_mnist.py

Time: the same as for MNIST. Score after 3 epochs (--config.num_steps=2811),
seed 0: 1-NN two-sample accuracy on pixels 0.736 +- 0.002, baseline (real data)
0.502 +- 0.007.
"""

from configs import mnist


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  return mnist.gray(variant, 'fashion_mnist')
