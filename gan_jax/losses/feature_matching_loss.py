"""Feature matching: compares the mean features of real and fake batches."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives, precision
from gan_jax.losses.base import AdversarialLoss, check_logits
from gan_jax.losses.cross_entropy import cross_entropy_discriminator

Array = jax.Array


def feature_matching_generator(
  real_features: Array, fake_features: Array, *, axis_name: str | None = None
) -> Array:
  """Computes the squared distance between mean real and mean fake features.

  |mean f(x) - mean f(G(z))|^2, the means over the batch of all devices

  Args:
    real_features: activations of a discriminator layer for real examples,
      `[B, F]`, float.
    fake_features: the same for generated examples, same shape.
    axis_name: name of the mapped device axis, or None.

  Returns:
    The same value for each example, `[B]`, at least 0.

  Raises:
    AssertionError: if the features differ in shape, are not of rank 2, or are
      not floating point.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.1.
  """
  check_logits(real_features, fake_features)
  chex.assert_rank([real_features, fake_features], 2)
  real, fake = precision.widen((real_features, fake_features))
  difference = (real - fake).mean(axis=0)
  difference = collectives.pmean(difference, axis_name)
  value = precision.cast_like(jnp.square(difference).sum(), real_features)
  return jnp.broadcast_to(value, real_features.shape[:1])


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
