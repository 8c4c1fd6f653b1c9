"""A game from settings: names looked up, options checked and filled in."""

import dataclasses
import warnings
from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp

from gan_jax import config as config_lib
from gan_jax import networks, training, validation
from gan_jax.experiment import build_networks, build_objective
from gan_jax.training import ema, update_rules


def _warn_about_batch_norm(names, spec, player) -> None:
  per_example = [name for name in names if training.PENALTIES[name].per_example]
  if per_example and spec.get('norm') == 'batch':
    made = 'a logit' if player == 'discriminator' else 'an example'
    warnings.warn(
      f'the penalty {", ".join(per_example)} is defined for each example, and '
      f"with {player}.norm='batch' {made} depends on its whole batch; "
      "use norm='none', 'layer' or 'spectral'",
      stacklevel=3,
    )


def _build_discriminator(config, output, d_terms_and_g_terms):
  """The discriminator's module, returning what loss and terms want."""
  whole_batch = config.discriminator.get('minibatch_std') == -1
  if whole_batch and config.micro_batches > 1:
    raise ValueError(
      f'micro_batches={config.micro_batches} cuts the batch into parts, and '
      'discriminator.minibatch_std=-1 is over the whole batch; must be 1, or '
      'a group size'
    )
  wants = [
    n for n in d_terms_and_g_terms if training.PENALTIES[n].wants_features
  ]
  if output == 'features' and wants:
    raise ValueError(
      f'the penalty {", ".join(wants)} wants features beside logits, and with '
      f'loss={config.loss!r} the discriminator returns features alone'
    )
  fixed = {'return_features': True} if wants or output == 'scores' else {}
  fixed['dtype'] = jnp.dtype(config.compute_dtype)
  return build_networks.build_network(
    config.discriminator, 'discriminator', **fixed
  )


def build_gan(
  config: config_lib.Config, shape: tuple[int, ...]
) -> tuple[training.GAN, dict[str, float], config_lib.Config]:
  """Makes the game of some settings, without any data.

  Args:
    config: the settings, from config_lib.from_mapping.
    shape: of one example.

  Returns:
    The game, starting values of `state.hparams`, and the settings with every
    part's options filled in.

  Raises:
    ValueError: for an unknown name (with the nearest), an option that a part
      does not have, or a value out of range.
  """
  loss, loss_hparams, loss_options, top_k, output = build_objective.build_loss(
    config
  )
  d_terms, g_terms, weights, penalty_specs = build_objective.build_penalties(
    config
  )
  augmentation, augment_hparams, augment_spec = build_objective.build_augment(
    config.augment, config.batch_size, config.packing
  )
  noise, noise_hparams, noise_spec = build_objective.build_instance_noise(
    config.instance_noise
  )
  lookahead_hparams, lookahead_spec = build_objective.build_lookahead(
    config.lookahead
  )
  generator, g_spec = build_networks.build_network(
    config.generator,
    'generator',
    shape=shape,
    dtype=jnp.dtype(config.compute_dtype),
  )
  discriminator, d_spec = _build_discriminator(
    config, output, [*d_terms, *g_terms]
  )
  g_optimizer, g_hparams, g_opt_spec = build_networks.build_optimizer(
    config.g_optimizer, 'g', config.num_steps
  )
  d_optimizer, d_hparams, d_opt_spec = build_networks.build_optimizer(
    config.d_optimizer, 'd', config.num_steps * config.d_steps
  )
  _warn_about_batch_norm(d_terms, d_spec, 'discriminator')
  _warn_about_batch_norm(g_terms, g_spec, 'generator')
  summed = config.loss_reduction == 'sum'
  gan = training.GAN(
    generator=networks.from_linen(generator),
    discriminator=networks.from_linen(discriminator),
    loss=loss,
    latent_dim=config.latent_dim,
    g_optimizer=g_optimizer,
    d_optimizer=d_optimizer,
    d_terms=d_terms,
    g_terms=g_terms,
    augment=augmentation,
    instance_noise=noise,
    packing=config.packing,
    consensus=config.consensus_weight > 0,
    joint_batch=config.joint_batch,
    d_loss_scale=config.d_loss_scale,
    g_loss_scale=config.g_loss_scale,
    gradient_scale=float(config.batch_size) if summed else 1.0,
  )
  hparams = {
    **g_hparams,
    **d_hparams,
    **weights,
    **loss_hparams,
    **augment_hparams,
    **noise_hparams,
    **lookahead_hparams,
    **_ema_hparams(config),
  }
  if gan.consensus:
    hparams['consensus_weight'] = config.consensus_weight
  filled = dataclasses.replace(
    config,
    generator=g_spec,
    discriminator=d_spec,
    g_optimizer=g_opt_spec,
    d_optimizer=d_opt_spec,
    penalties=penalty_specs,
    loss_options=loss_options,
    top_k=top_k,
    augment=augment_spec,
    instance_noise=noise_spec,
    lookahead=lookahead_spec,
  )
  return gan, hparams, filled


def _ema_hparams(config: config_lib.Config) -> dict[str, float]:
  decay = config.ema_decay
  if config.ema_half_life:
    decay = ema.half_life_decay(config.ema_half_life, config.batch_size)
  hparams = {'ema_decay': decay}
  if config.ema_rampup:
    hparams['ema_rampup'] = config.ema_rampup
  return hparams


def build_train_step(
  gan: training.GAN, config: config_lib.Config, axis_name: str | None
) -> update_rules.Step:
  """The train step of some settings.

  Args:
    gan: the game, of build_gan.
    config: the settings.
    axis_name: the mapped axis of devices, or None.

  Raises:
    ValueError: for an unknown update rule, or combinations that it does not
      have.
  """
  validation.lookup(training.UPDATE_RULES, config.update_rule, 'update_rule')
  return training.make_train_step(
    gan,
    d_steps=config.d_steps,
    same_latents=config.same_latents,
    **aux_state_options(config),
    axis_name=axis_name,
    micro_batches=config.micro_batches,
  )


def _make_initial_state(gan, hparams, shape, memory):
  batch = {'x': jnp.zeros((2, *shape)), 'label': jnp.zeros(2, jnp.int32)}

  def init(key):
    start = training.init_state(gan, key, batch, hparams)
    return training.init_aux_state(start, **memory)

  return init


def aux_state_options(config: config_lib.Config) -> dict[str, Any]:
  """What training.make_train_step and training.init_aux_state both take."""
  return {
    'rule': config.update_rule,
    'lookahead_every': config.lookahead['every'],
    'diagnostics': config.diagnostics,
  }


def make_init_fn(
  gan: training.GAN,
  hparams: Mapping[str, float],
  shape: tuple[int, ...],
  memory: Mapping[str, Any],
) -> Callable[[int], training.GANState]:
  """Makes the function from a run's seed to its state at step 0, compiled.

  Args:
    gan: the game.
    hparams: values of the hyper-parameters.
    shape: of one example.
    memory: options of training.init_aux_state.

  Returns:
    seed -> the state, on the default device.
  """
  # On CPU, LLVM spends seconds on each random draw that is used just once.
  on_cpu = jax.default_backend() == 'cpu'
  options = {'xla_backend_optimization_level': 1} if on_cpu else None
  init = jax.jit(
    _make_initial_state(gan, hparams, shape, memory), compiler_options=options
  )
  # Folded apart from the keys of the steps, which fold in 0, 1, 2, ...
  return lambda seed: init(jax.random.fold_in(jax.random.key(seed), 2**32 - 1))


def abstract_state(
  gan: training.GAN,
  hparams: Mapping[str, float],
  shape: tuple[int, ...],
  memory: Mapping[str, Any],
) -> training.GANState:
  """Shapes and types of the state, computing nothing.

  Args:
    gan: the game.
    hparams: values of the hyper-parameters.
    shape: of one example.
    memory: options of training.init_aux_state.

  Returns:
    The state with jax.ShapeDtypeStruct for arrays.
  """
  return jax.eval_shape(
    _make_initial_state(gan, hparams, shape, memory), jax.random.key(0)
  )
