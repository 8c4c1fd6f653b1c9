"""AC-GAN on MNIST, 32 x 32: a classifier of the digits beside the logit.

  python -m gan_jax.data.prepare mnist           (once)
  python train.py --config=configs/acgan_mnist.py

configs/mnist.py with classes: the discriminator also classifies real images,
and the generator is trained to be classified as it was asked. Unlike in the
paper, the discriminator's class loss leaves generated images out
(`penalties.acgan.fakes`).

Time and score: not measured.

Reference:
  Odena et al., Conditional Image Synthesis With Auxiliary Classifier GANs,
  https://arxiv.org/abs/1610.09585, 2017.
"""

from configs import common, mnist


def classified(variant: str, loss: str, weight: float):
  """Returns configs/mnist.py with the class loss of both players.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
    loss: name of the discriminator's class loss in `penalties`.
    weight: weight of the class losses.
  """
  config = mnist.gray(variant, 'mnist')
  config.conditional = True
  config.penalties[loss].weight = weight
  config.penalties[f'{loss}_generator'].weight = weight
  config.eval.metrics = 'nn,class_accuracy'
  return common.shrink(config) if variant == 'test' else config


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  return classified(variant, 'acgan', 1.0)
