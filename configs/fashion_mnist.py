"""DCGAN on Fashion-MNIST, 32 x 32.

python -m gan_jax.data.prepare fashion_mnist   (once)
python train.py --config=configs/fashion_mnist.py
"""

from configs import mnist


def get_config(variant: str = ''):
  return mnist.grey(variant, 'fashion_mnist')
