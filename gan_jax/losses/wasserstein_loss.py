"""Wasserstein losses, linear in the logits."""

import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def wasserstein_discriminator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the negated difference of the critic's real and fake outputs.

  fake_logits - real_logits

  Its minimum over 1-Lipschitz critics is minus the Wasserstein-1 distance.
  Without a constraint (a penalty, spectral norm, clipping) it is unbounded
  below. Adding a constant to all logits does not change it.

  Args:
    real_logits: critic outputs for real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Arjovsky et al., Wasserstein GAN, https://arxiv.org/abs/1701.07875, 2017,
    eq. 2 and algorithm 1.
  """
  check_logits(real_logits, fake_logits)
  return jnp.subtract(fake_logits, real_logits)


def wasserstein_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Negates the fake logits: the generator of hinge and Wasserstein GANs.

  -fake_logits

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Arjovsky et al., Wasserstein GAN, https://arxiv.org/abs/1701.07875, 2017,
    algorithm 1.
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, eq. 17.
  """
  check_logits(real_logits, fake_logits)
  return jnp.negative(fake_logits)


wasserstein = AdversarialLoss(
  wasserstein_discriminator, wasserstein_generator, decision_threshold=None
)
