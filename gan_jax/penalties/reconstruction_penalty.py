"""Reconstruction of real examples by the discriminator."""

import chex
import jax
import jax.numpy as jnp

from gan_jax import precision
from gan_jax.penalties.interpolation import check_batch

Array = jax.Array


def reconstruction(images: Array, targets: Array) -> Array:
  """Computes the mean squared error of decoded images.

  (decode(h(x)) - x)^2

  The discriminator of FastGAN learns to decode real examples from its hidden
  layers h, so that these describe the whole image. The authors compare the
  images by LPIPS, whose weights are not part of this library.

  Args:
    images: decoded images, `[B, ...]`, float.
    targets: the images that they should equal, same shape; no gradient reaches
      them.

  Returns:
    Penalty per example, `[B]`, at least 0: the mean over its elements.

  Raises:
    AssertionError: if shapes differ, or inputs are scalars or integers.
    ValueError: if the batch is empty.

  References:
    Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity
    Few-shot Image Synthesis, https://arxiv.org/abs/2101.04775, 2021, section
    3.2, equation 2.
  """
  chex.assert_equal_shape([images, targets])
  chex.assert_type([images, targets], float)
  check_batch(images)
  images, targets = precision.widen((images, targets))
  error = images - jax.lax.stop_gradient(targets)
  return jnp.square(error).reshape(len(error), -1).mean(axis=1)
