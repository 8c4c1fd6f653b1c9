"""Relativistic losses: is a real example more real than a generated one?

The paired losses compare the logits of one real and one fake example. The
averaged losses compare each logit with the mean logit of the other kind, over
the batch of all devices.
"""

import jax
import jax.numpy as jnp

from gan_jax.collectives import global_mean
from gan_jax.losses.base import AdversarialLoss, check_logits

Array = jax.Array


def relativistic_discriminator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the cross-entropy of finding the real one of a pair (RpGAN).

  -log sigmoid(real_logits - fake_logits)

  The discriminators log p / q plus any constant minimize it.

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape; each
      is paired with the real logit at the same position.

  Returns:
    Losses with the shape of the logits, in nats, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Jolicoeur-Martineau, The Relativistic Discriminator,
    https://arxiv.org/abs/1807.00734, 2018.
    Huang et al., The GAN is Dead; Long Live the GAN! (R3GAN),
    https://arxiv.org/abs/2501.05441, 2024.
  """
  check_logits(real_logits, fake_logits)
  return jax.nn.softplus(fake_logits - real_logits)


def relativistic_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Computes the cross-entropy of the fake passing as the real one (RpGAN).

  -log sigmoid(fake_logits - real_logits)

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.

  Returns:
    Losses with the shape of the logits, in nats, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Jolicoeur-Martineau, The Relativistic Discriminator,
    https://arxiv.org/abs/1807.00734, 2018.
  """
  check_logits(real_logits, fake_logits)
  return jax.nn.softplus(real_logits - fake_logits)


def relativistic_average_discriminator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes cross-entropy against mean logits of the other kind (RaGAN).

  -log sigmoid(real - mean(fake)) - log(1 - sigmoid(fake - mean(real)))

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    axis_name: name of the mapped device axis for the means, or None.

  Returns:
    Losses with the shape of the logits, in nats, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Jolicoeur-Martineau, The Relativistic Discriminator,
    https://arxiv.org/abs/1807.00734, 2018.
  """
  real, fake = _relative(real_logits, fake_logits, axis_name)
  return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def relativistic_average_generator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes the averaged loss with real and fake exchanged (RaGAN).

  -log sigmoid(fake - mean(real)) - log(1 - sigmoid(real - mean(fake)))

  Arguments, returns, errors and reference as for
  relativistic_average_discriminator.
  """
  return relativistic_average_discriminator(
    fake_logits, real_logits, axis_name=axis_name
  )


def relativistic_average_least_squares_discriminator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes least squares against mean logits of the other kind (RaLSGAN).

  (real - mean(fake) - 1)^2 + (fake - mean(real) + 1)^2

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    axis_name: name of the mapped device axis for the means, or None.

  Returns:
    Losses with the shape of the logits, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Jolicoeur-Martineau, The Relativistic Discriminator,
    https://arxiv.org/abs/1807.00734, 2018 (RaLSGAN).
  """
  real, fake = _relative(real_logits, fake_logits, axis_name)
  return jnp.square(real - 1) + jnp.square(fake + 1)


def relativistic_average_least_squares_generator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes the least squares loss with real and fake exchanged (RaLSGAN).

  (fake - mean(real) - 1)^2 + (real - mean(fake) + 1)^2

  Arguments, returns, errors and reference as for
  relativistic_average_least_squares_discriminator.
  """
  return relativistic_average_least_squares_discriminator(
    fake_logits, real_logits, axis_name=axis_name
  )


def relativistic_average_hinge_discriminator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes the hinge loss against mean logits (RaHingeGAN).

  max(0, 1 - (real - mean(fake))) + max(0, 1 + (fake - mean(real)))

  Args:
    real_logits: discriminator logits of real examples, `[...]`, float.
    fake_logits: discriminator logits of generated examples, same shape.
    axis_name: name of the mapped device axis for the means, or None.

  Returns:
    Losses with the shape of the logits, at least 0.

  Raises:
    AssertionError: if the logits differ in shape or are not floating point.

  References:
    Jolicoeur-Martineau, The Relativistic Discriminator,
    https://arxiv.org/abs/1807.00734, 2018 (RaHingeGAN).
  """
  real, fake = _relative(real_logits, fake_logits, axis_name)
  return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)


def relativistic_average_hinge_generator(
  real_logits: Array, fake_logits: Array, *, axis_name: str | None = None
) -> Array:
  """Computes the hinge loss with real and fake exchanged (RaHingeGAN).

  max(0, 1 - (fake - mean(real))) + max(0, 1 + (real - mean(fake)))

  Arguments, returns, errors and reference as for
  relativistic_average_hinge_discriminator.
  """
  return relativistic_average_hinge_discriminator(
    fake_logits, real_logits, axis_name=axis_name
  )


def _relative(real_logits, fake_logits, axis_name):
  check_logits(real_logits, fake_logits)
  return (
    real_logits - global_mean(fake_logits, axis_name),
    fake_logits - global_mean(real_logits, axis_name),
  )


relativistic = AdversarialLoss(
  relativistic_discriminator, relativistic_generator, decision_threshold=None
)
relativistic_average = AdversarialLoss(
  relativistic_average_discriminator,
  relativistic_average_generator,
  coupled=True,
  decision_threshold=None,
)
relativistic_average_least_squares = AdversarialLoss(
  relativistic_average_least_squares_discriminator,
  relativistic_average_least_squares_generator,
  coupled=True,
  decision_threshold=None,
)
relativistic_average_hinge = AdversarialLoss(
  relativistic_average_hinge_discriminator,
  relativistic_average_hinge_generator,
  coupled=True,
  decision_threshold=None,
)
