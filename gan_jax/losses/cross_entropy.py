"""The losses of the original GAN: cross-entropy, minimax, non-saturating.

All are written with softplus, log(1 + exp(x)), finite for logits of any size:

  -log sigmoid(x) = softplus(-x)        -log(1 - sigmoid(x)) = softplus(x)
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss
from gan_jax.losses.base import check_logits as _check

Array = jax.Array


def cross_entropy_discriminator(
  real_logits: Array, fake_logits: Array, *, smoothing: Array | float = 0.0
) -> Array:
  """Computes the cross-entropy of classifying examples as real or generated.

  -log sigmoid(real_logits) - log(1 - sigmoid(fake_logits))

  The discriminator log p / q minimizes it, with the mean 2 log 2 - 2 JS(p, q).
  Dive into Deep Learning takes half of it. With one-sided label smoothing the
  target of real examples is 1 - smoothing.

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    smoothing: amount of label smoothing, scalar in [0, 1); 0.1 is common.

  Returns:
    Losses with the shape of the logits, in nats.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 1.
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.4 (smoothing).
  """
  _check(real_logits, fake_logits)
  chex.assert_rank(smoothing, 0)
  # (1 - s) softplus(-x) + s softplus(x) = softplus(-x) + s x.
  dtype = jnp.result_type(real_logits)
  smoothed = real_logits * jnp.asarray(smoothing, dtype)
  real_loss = jax.nn.softplus(-real_logits) + smoothed
  return real_loss + jax.nn.softplus(fake_logits)


def minimax_value(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the value of the minimax game: D maximizes it, G minimizes it.

  log sigmoid(real_logits) + log(1 - sigmoid(fake_logits))

  Its mean at the optimal discriminator is 2 JS(p, q) - log 4.

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Values with the shape of the logits, in nats, at most 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 1.
  """
  return -cross_entropy_discriminator(real_logits, fake_logits)


def minimax_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the generator's part of the minimax value (saturating loss).

  log(1 - sigmoid(fake_logits))

  The gradient vanishes as the discriminator wins (fake_logits -> -inf).

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits, in nats, at most 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, algorithm 1.
  """
  _check(real_logits, fake_logits)
  return -jax.nn.softplus(fake_logits)


def non_saturating_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the cross-entropy of fakes labeled real (non-saturating loss).

  -log sigmoid(fake_logits)

  The gradient tends to -1 as the discriminator wins (fake_logits -> -inf).

  Args:
    real_logits: ignored except for its shape, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits, in nats, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, section 3.
  """
  _check(real_logits, fake_logits)
  return jax.nn.softplus(-fake_logits)


minimax = AdversarialLoss(cross_entropy_discriminator, minimax_generator)
non_saturating = AdversarialLoss(
  cross_entropy_discriminator, non_saturating_generator
)
