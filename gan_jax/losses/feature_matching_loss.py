"""Losses that compare whole batches: dual contrastive, feature matching."""

import chex
import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, all_gather, check_logits
from gan_jax.losses.cross_entropy import cross_entropy_discriminator

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


def feature_matching_generator(
  real_features: Array, fake_features: Array, *, axis_name: str | None = None
) -> Array:
  """Squared distance of the mean features of real and generated examples.

  |mean f(x) - mean f(G(z))|^2, the means over the batch of all devices

  Args:
    real_features: of a layer of the discriminator, `[B, F]`, float.
    fake_features: the same on generated examples, of the same shape.
    axis_name: the mapped axis of devices.

  Returns:
    The same value for each example, `[B]`, at least 0.

  Raises:
    AssertionError: for features of different shapes or ranks, or not
      floating point.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.1.
  """
  check_logits(real_features, fake_features)
  chex.assert_rank([real_features, fake_features], 2)
  difference = (real_features - fake_features).mean(axis=0)
  if axis_name is not None:
    difference = jax.lax.pmean(difference, axis_name)
  value = jnp.square(difference).sum()
  return jnp.broadcast_to(value, real_features.shape[:1])


dual_contrastive = AdversarialLoss(
  dual_contrastive_discriminator,
  dual_contrastive_generator,
  coupled=True,
  boundary=None,
)
feature_matching = AdversarialLoss(
  lambda real, fake, *, axis_name=None, smoothing=0.0: (
    cross_entropy_discriminator(real.logits, fake.logits, smoothing=smoothing)
  ),
  lambda real, fake, *, axis_name=None: feature_matching_generator(
    real.features, fake.features, axis_name=axis_name
  ),
  coupled=True,
  output='scores',
)
