"""Dual contrastive loss: compares each example with the other batch."""

import chex
import jax

from gan_jax.collectives import all_gather
from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def dual_contrastive_discriminator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Tells each real example from all fakes, and each fake from all reals.

  log(1 + sum_j exp(fake_j - real_i)) + log(1 + sum_j exp(fake_i - real_j))

  where the sums go over the batch of all devices.

  Args:
    real_logits: the discriminator on real examples, `[B]`, float.
    fake_logits: the same on generated examples, of the same shape.
    axis_name: the mapped axis of devices.

  Returns:
    The losses, `[B]`, in nats, at least 0.

  Raises:
    AssertionError: for logits of different shapes, of patches, or not
      floating point.

  References:
    Yu et al., Dual Contrastive Loss and Attention for GANs,
    https://arxiv.org/abs/2103.16748, 2021.
  """
  check_logits(real_logits, fake_logits)
  chex.assert_rank([real_logits, fake_logits], 1)
  all_real = all_gather(real_logits, axis_name)
  all_fake = all_gather(fake_logits, axis_name)
  # log(1 + e^a) with a = logsumexp(fake) - real.
  real_loss = jax.nn.softplus(jax.nn.logsumexp(all_fake) - real_logits)
  fake_loss = jax.nn.softplus(jax.nn.logsumexp(-all_real) + fake_logits)
  return real_loss + fake_loss


def dual_contrastive_generator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """What the discriminator minimises, negated: the game is zero-sum.

  Args, errors and source: as dual_contrastive_discriminator's.

  Returns:
    The losses, `[B]`, in nats, at most 0.
  """
  return -dual_contrastive_discriminator(
    real_logits, fake_logits, axis_name=axis_name
  )


dual_contrastive = AdversarialLoss(
  dual_contrastive_discriminator,
  dual_contrastive_generator,
  coupled=True,
  decision_threshold=None,
)
