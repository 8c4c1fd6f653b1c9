"""Builds the latents, loss, penalties and augmentation from a config."""

import dataclasses
import functools
import math
from typing import Any, Callable

from gan_jax import augment, losses, prng, training
from gan_jax import config as config_lib
from gan_jax.training.gan import Hparams

LATENT_FNS = {
  'normal': prng.sample_normal,
  'truncated_normal': prng.sample_truncated_normal,
  'uniform': prng.sample_uniform,
}


def build_latent_fn(config: config_lib.Config) -> Callable[[Any, int], Any]:
  """Builds the function (keys `[B]`, Z) -> latents `[B, Z]`.

  Args:
    config: resolved config.
  """
  draw, options = LATENT_FNS[config.latents.name], config.latents.options
  if options is None:
    return draw
  return functools.partial(draw, **dataclasses.asdict(options))


def build_loss(config: config_lib.Config, own: Any = None) -> Any:
  """Builds the adversarial loss, with label smoothing and top-k training.

  Args:
    config: resolved config.
    own: loss in place of the config's, or the function (hparams, step) -> loss.

  Returns:
    A losses.AdversarialLoss, or the function (hparams, step) -> loss.
  """
  loss = losses.LOSSES[config.loss] if own is None else own
  options = getattr(config.loss_options, config.loss, None)
  if options is not None:
    loss = losses.FACTORIES[config.loss](**dataclasses.asdict(options))
  count = _top_k_count(config)
  smooths = config.label_smoothing or config_lib.varies(
    config, 'label_smoothing'
  )
  if not smooths and count is None:
    return loss

  def wrapped(hparams: Hparams, step):
    is_loss = isinstance(loss, losses.AdversarialLoss)
    wrapped_loss = loss if is_loss else loss(hparams, step)
    if smooths:
      wrapped_loss = losses.smooth_labels(
        wrapped_loss, hparams['label_smoothing']
      )
    if count is not None:
      wrapped_loss = losses.top_k(wrapped_loss, count(step))
    return wrapped_loss

  return wrapped


def _top_k_count(config: config_lib.Config) -> Callable[[Any], Any] | None:
  """Returns the function step -> k, or None if all examples count."""
  top_k = config.top_k
  inputs = config.batch_size // config.packing
  if top_k.gamma < 1:
    options = dataclasses.asdict(top_k)
    return functools.partial(losses.top_k_count, batch_size=inputs, **options)
  k = max(1, math.ceil(top_k.fraction * inputs - 1e-4))
  return None if k >= inputs else lambda step: k


def build_penalties(
  config: config_lib.Config, player: str
) -> dict[str, training.LossTerm]:
  """Builds the penalties of a player, those of weight 0 left out.

  Args:
    config: resolved config.
    player: 'generator' or 'discriminator'.

  Returns:
    Terms by name.
  """
  terms = {}
  for name in config_lib.used_penalties(config):
    if config_lib.PENALTIES[name].player != player:
      continue
    options = dataclasses.asdict(getattr(config.penalties, name))
    del options['weight']  # it is in state.hparams
    terms[name] = training.make_term(name, **options)
  return terms


def build_augment(config: config_lib.Config) -> training.Augmentation | None:
  """Builds the augmentation of what the discriminator sees, if there is one.

  Args:
    config: resolved config.
  """
  options = config.augment.options
  if options is None:
    return None
  function = augment.AUGMENTS[config.augment.name]
  apply = functools.partial(function, policy=options.policy)
  if not options.target:
    return training.Augmentation(apply)
  packing = config.packing
  update = functools.partial(
    augment.update_ada,
    target=options.target,
    # In logits, of which there is one per pack.
    speed=options.speed / packing,
    interval_examples=options.interval * (config.batch_size // packing),
  )
  return training.Augmentation(
    apply, update, augment.init_ada(options.strength)
  )


def build_instance_noise(
  config: config_lib.Config,
) -> Callable[[Hparams, Any], Any] | None:
  """Builds the function (hparams, step) -> sigma, or None without noise.

  Args:
    config: resolved config.
  """
  noise = config.instance_noise
  if not noise.sigma and not config_lib.varies(config, 'instance_noise.sigma'):
    return None
  return lambda hparams, step: hparams['noise_sigma']
