"""Hinge losses."""

import jax

from gan_jax.losses.base import AdversarialLoss, check_logits
from gan_jax.losses.wasserstein_loss import wasserstein_generator

Array = jax.Array


def hinge_discriminator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the hinge loss of the discriminator, with a margin of 1.

  max(0, 1 - real_logits) + max(0, 1 + fake_logits)

  The discriminator sign(p - q) minimizes it, with the mean 2 - 2 TV(p, q). TV
  is the total variation distance, in [0, 1].

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Lim and Ye, Geometric GAN, https://arxiv.org/abs/1705.02894, 2017.
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, eq. 16.
  """
  check_logits(real_logits, fake_logits)
  return jax.nn.relu(1 - real_logits) + jax.nn.relu(1 + fake_logits)


hinge = AdversarialLoss(hinge_discriminator, wasserstein_generator)
