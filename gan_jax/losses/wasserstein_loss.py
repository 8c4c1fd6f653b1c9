"""Wasserstein losses, linear in the logits."""

import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def wasserstein_discriminator(real_logits: Array, fake_logits: Array) -> Array:
  """Difference of the critic's means, negated.

  fake_logits - real_logits

  Its minimum over 1-Lipschitz critics is minus the Wasserstein-1 distance;
  without a constraint (a penalty, spectral norm, clipping) it has none. A
  constant added to all logits changes nothing.

  Args:
    real_logits: the critic on real examples, `[...]`, float.
    fake_logits: the same on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Arjovsky et al., Wasserstein GAN, https://arxiv.org/abs/1701.07875, 2017,
    eq. 2 and algorithm 1.
  """
  check_logits(real_logits, fake_logits)
  return jnp.subtract(fake_logits, real_logits)


def wasserstein_generator(real_logits: Array, fake_logits: Array) -> Array:
  """The fake logit, negated: the generator of hinge and Wasserstein GANs.

  -fake_logits

  Args:
    real_logits: ignored but for its shape, `[...]`, float.
    fake_logits: the discriminator on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

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
