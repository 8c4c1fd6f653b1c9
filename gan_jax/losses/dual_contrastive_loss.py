"""Dual contrastive loss: contrasts each example with the other batch."""

import chex
import jax

from gan_jax.collectives import all_gather
from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def dual_contrastive_discriminator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Contrasts each real example with all fakes and each fake with all reals.

  log(1 + sum_j exp(fake_j - real_i)) + log(1 + sum_j exp(fake_i - real_j))

  The sums run over the batch of all devices.

  Args:
    real_logits: discriminator logits of real examples, `[B]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    axis_name: name of the mapped device axis, or None.

  Returns:
    Losses, `[B]`, in nats, at least 0.

  Raises:
    AssertionError: if the logits differ in shape, are patch maps, or are not
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
  """Negates the discriminator's loss: the game is zero-sum.

  Arguments, errors and reference as for dual_contrastive_discriminator.

  Returns:
    Losses, `[B]`, in nats, at most 0.
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
