"""Hinge losses."""

import jax

from gan_jax.losses.base import AdversarialLoss, check_logits
from gan_jax.losses.wasserstein_loss import wasserstein_generator

Array = jax.Array


def hinge_discriminator(real_logits: Array, fake_logits: Array) -> Array:
  """Hinge loss of the discriminator, with a margin of 1.

  max(0, 1 - real_logits) + max(0, 1 + fake_logits)

  Its minimum over all discriminators is sign(p - q), where its mean is
  2 - 2 TV(p, q), TV the total variation distance in [0, 1].

  Args:
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape, at least 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Lim and Ye, Geometric GAN, https://arxiv.org/abs/1705.02894, 2017.
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, eq. 16.
  """
  check_logits(real_logits, fake_logits)
  return jax.nn.relu(1 - real_logits) + jax.nn.relu(1 + fake_logits)


hinge = AdversarialLoss(hinge_discriminator, wasserstein_generator)
