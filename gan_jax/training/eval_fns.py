"""Sampling and logit functions of a GAN, in evaluation mode."""

import functools
from typing import Any, Callable

import jax

from gan_jax import precision
from gan_jax.training import gan as gan_lib
from gan_jax.training import labels, packing, transforms
from gan_jax.training.state import NetState

Array = jax.Array
PyTree = Any


def player_weights(player: NetState) -> tuple[PyTree, PyTree]:
  """Returns the weights of a player to sample from or to evaluate.

  Args:
    player: `state.generator` or `state.discriminator`.

  Returns:
    (params, batch_stats). The params are those that the optimizer means for
    evaluation, such as the average of optax.contrib.schedule_free.
  """
  params = transforms.evaluation_params(player.opt_state, player.params)
  return params, player.batch_stats


def make_sample_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from latents to examples, in evaluation mode.

  Args:
    gan: the GAN.

  Returns:
    Function (weights, latents `[B, Z]`, label `[B]` or None, keys=None) ->
    examples `[B, ...]`, in at least float32. The weights are (params,
    batch_stats): `state.ema`, or `player_weights(state.generator)`. The keys
    `[B]` are those of the noise of a generator that takes them; None for none.
  """

  def sample(weights, latents, label=None, keys=None):
    params, batch_stats = weights
    options = dict(train=False, key=None, axis_name=None)
    options |= gan.generator.key_options(keys)
    call = functools.partial(
      gan.generator.apply, params, batch_stats, latents, **options
    )
    with labels.explain_missing_labels(
      call, label, latents.shape[0], player='generator'
    ):
      x, _ = call(label)
    return precision.widen(x)

  return sample


def make_mapping_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from latents to styles, in evaluation mode.

  Args:
    gan: the GAN, whose generator has a mapping.

  Returns:
    Function (weights, latents `[B, Z]`, label `[B]` or None) -> styles
    `[B, L, W]`. The weights are as for make_sample_fn.

  Raises:
    ValueError: if the generator has no mapping.
  """
  _check_styles(gan)

  def mapping(weights, latents, label=None):
    options = dict(train=False, key=None, axis_name=None)
    options |= gan.generator.key_options(None)
    call = functools.partial(
      gan.generator.mapping, *weights, latents, **options
    )
    with labels.explain_missing_labels(
      call, label, latents.shape[0], player='generator'
    ):
      return precision.widen(call(label)[0])

  return mapping


def make_synthesis_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from styles to examples, in evaluation mode.

  Args:
    gan: the GAN, whose generator has a synthesis.

  Returns:
    Function (weights, styles `[B, L, W]`, keys=None) -> examples `[B, ...]`.
    The weights and keys are as for make_sample_fn.

  Raises:
    ValueError: if the generator has no synthesis.
  """
  _check_styles(gan)

  def synthesis(weights, styles, keys=None):
    options = dict(train=False, key=None, axis_name=None)
    options |= gan.generator.key_options(keys)
    return precision.widen(
      gan.generator.synthesis(*weights, styles, **options)[0]
    )

  return synthesis


def _check_styles(gan: gan_lib.GAN) -> None:
  if gan.generator.mapping is None:
    raise ValueError(
      'the generator has no styles: it must have the methods mapping and '
      'synthesis, as stylegan2 has'
    )


def make_logits_fn(gan: gan_lib.GAN) -> Callable[..., Array]:
  """Builds the function from examples to logits, in evaluation mode.

  Args:
    gan: the GAN. Its loss must not be a loss on features, which do not have a
      logit of their own.

  Returns:
    Function (weights, x `[B, ...]`, label `[B]` or None) -> logits, without
    augmentation or noise. The weights are
    `player_weights(state.discriminator)`, and gan.packing must divide B.
  """

  def logits(weights, x, label=None):
    params, batch_stats = weights
    inputs = packing.pack(x, gan.packing)
    options = dict(train=False, key=None, axis_name=None)
    options |= gan.discriminator.key_options(None)
    label = label if gan.packing == 1 else None
    call = functools.partial(
      gan.discriminator.apply, params, batch_stats, inputs, **options
    )
    with labels.explain_missing_labels(
      call, label, len(inputs), player='discriminator'
    ):
      y, _ = call(label)
    return precision.widen(getattr(y, 'logits', y))

  return logits
