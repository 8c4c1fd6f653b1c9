"""ReACGAN on MNIST, 32 x 32: images are drawn to their class as unit vectors.

  python -m gan_jax.data.prepare mnist           (once)
  python train.py --config=configs/reacgan_mnist.py

configs/acgan_mnist.py with the data-to-data cross-entropy in place of the
classifier's, at the weight, margin and temperature of the paper's CIFAR-10 runs.

Time and score: not measured.

Reference:
  Kang et al., Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training,
  https://arxiv.org/abs/2111.01118, 2021.
"""

from configs import acgan_mnist


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  return acgan_mnist.classified(variant, 'reacgan', 0.5)
