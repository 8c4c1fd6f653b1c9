"""Sampling and logit functions of a GAN, in evaluation mode."""

from typing import Callable

import jax

from gan_jax import precision
from gan_jax.training import gan as gan_lib
from gan_jax.training import packing

Array = jax.Array


def make_sample_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from latents to examples, in evaluation mode.

  Args:
    gan: the GAN.

  Returns:
    Function (weights, latents `[B, Z]`, label `[B]` or None) -> examples
    `[B, ...]`, in at least float32. The weights are (params, batch_stats): `state.ema`, or
    `(state.generator.params, state.generator.batch_stats)`.
  """

  def sample(weights, latents, label=None):
    params, batch_stats = weights
    x, _ = gan.generator.apply(
      params, batch_stats, latents, label, train=False, key=None, axis_name=None
    )
    return precision.widen(x)

  return sample


def make_logits_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from examples to logits, in evaluation mode.

  Args:
    gan: the GAN. Its loss must not be a loss on features, which do not have a
      logit of their own.

  Returns:
    Function (weights, x `[B, ...]`, label `[B]` or None) -> logits, without
    augmentation or noise. The weights are (params, batch_stats) of the
    discriminator, and gan.packing must divide B.
  """

  def logits(weights, x, label=None):
    params, batch_stats = weights
    label = label if gan.packing == 1 else None
    y, _ = gan.discriminator.apply(
      params,
      batch_stats,
      packing.pack(x, gan.packing),
      label,
      train=False,
      key=None,
      axis_name=None,
    )
    return precision.widen(getattr(y, 'logits', y))

  return logits
