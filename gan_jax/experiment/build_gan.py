"""Builds the GAN, its train step and its first state from a config.

The config is resolved: every name is known and every option checked.
"""

from typing import Any, Callable, Mapping

import jax
import jax.numpy as jnp

from gan_jax import config as config_lib
from gan_jax import losses, tracing, training
from gan_jax.experiment import (
  build_hparams,
  build_networks,
  build_objective,
  freezing,
)
from gan_jax.experiment.own_parts import OwnParts, check_parts

CLASS = jax.ShapeDtypeStruct((), jnp.int32)  # a label that is a class
InitFn = Callable[[jax.Array], training.GANState]


def build_gan(
  config: config_lib.Config,
  shape: tuple[int, ...],
  parts: OwnParts = OwnParts(),  # noqa: B008  (a tuple)
  class_share: tuple[float, ...] = (),
  label: Any = CLASS,
) -> training.GAN:
  """Builds the GAN of a config, without any data.

  Args:
    config: resolved config.
    shape: shape of one example.
    parts: networks and loss in place of the config's.
    class_share: share of each class among the training examples, for a
      conditional config.
    label: shapes and types of the labels of one example; None for none.

  Raises:
    ValueError: if a part that the config names 'own' is missing, or as many
      layers are to be frozen as there are.
  """
  check_parts(config, parts)
  dtype = config.compute_dtype
  own = {'classes': len(class_share)} if config.conditional else {}
  fields = dict(own)
  if own:
    fields['class_heads'] = config_lib.class_heads(config)
  if _wants_features(config, parts.loss):
    fields['return_features'] = True
  if config_lib.wants_reconstructions(config):
    fields['return_reconstructions'] = True
  generator = parts.generator or build_networks.build_network(
    config.generator, 'generator', compute_dtype=dtype, shape=shape, **own
  )
  discriminator = parts.discriminator or build_networks.build_network(
    config.discriminator, 'discriminator', compute_dtype=dtype, **fields
  )
  optimizer = lambda role, network: _build_optimizer(
    role, network, config, shape, label
  )
  summed = config.loss_reduction == 'sum'
  return training.GAN(
    generator=generator,
    discriminator=discriminator,
    loss=build_objective.build_loss(config, parts.loss),
    latent_dim=config.latent_dim,
    latent_fn=build_objective.build_latent_fn(config),
    g_optimizer=optimizer('generator', generator),
    d_optimizer=optimizer('discriminator', discriminator),
    d_terms=build_objective.build_penalties(config, 'discriminator'),
    g_terms=build_objective.build_penalties(config, 'generator'),
    augment=build_objective.build_augment(config),
    instance_noise=build_objective.build_instance_noise(config),
    packing=config.packing,
    consensus=config.consensus_weight > 0
    or config_lib.varies(config, 'consensus_weight'),
    joint_batch=config.joint_batch,
    d_loss_scale=config.d_loss_scale,
    g_loss_scale=config.g_loss_scale,
    gradient_scale=float(config.batch_size) if summed else 1.0,
    fake_labels=config_lib.fake_label_rule(config),
    class_share=class_share if own else (),
    **own,
  )


def _build_optimizer(role, network, config, shape, label) -> Any:
  """Builds the optimizer of a player, some of whose layers may be frozen."""
  prefix = role[0]
  part, frozen = getattr(config, f'{prefix}_optimizer'), None
  if part.freeze_layers:
    frozen = freezing.frozen_parameters(
      network,
      part.freeze_layers,
      *freezing.inputs_of(role, config, shape, label),
      where=f'{prefix}_optimizer.freeze_layers',
    )
  return build_networks.build_optimizer(part, prefix, frozen)


def _wants_features(config: config_lib.Config, loss: Any) -> bool:
  """Returns whether the discriminator must return features beside logits."""
  if loss is not None and not isinstance(loss, losses.AdversarialLoss):
    loss = loss(build_hparams.build_hparams(config), 0)
  if loss is not None and loss.output == 'scores':
    return True
  return config_lib.wants_features(config)


def build_train_step(
  gan: training.GAN, config: config_lib.Config, axis_name: str | None
) -> training.Step:
  """Builds the train step of a config.

  Args:
    gan: the config's GAN.
    config: resolved config.
    axis_name: name of the mapped axis of devices, or None.
  """
  return training.make_train_step(
    gan,
    d_steps=config.d_steps,
    same_latents=config.same_latents,
    **_aux_state_options(config),
    schedules=build_hparams.build_schedules(config),
    axis_name=axis_name,
    micro_batches=config.micro_batches,
  )


def _aux_state_options(config: config_lib.Config) -> dict[str, Any]:
  """Returns the options that a train step and init_aux_state share."""
  return {
    'rule': config.update_rule,
    'lookahead_every': config.lookahead.every,
    'diagnostics': config.diagnostics,
  }


def build_init(
  gan: training.GAN,
  config: config_lib.Config,
  shape: tuple[int, ...],
  hparams: Mapping[str, float],
  label: Any = CLASS,
) -> InitFn:
  """Builds the function from a key to the state at step 0.

  Args:
    gan: the config's GAN.
    config: resolved config.
    shape: shape of one example.
    hparams: starting values of the hyper-parameters.
    label: shapes and types of the labels of one example; None for none.
  """
  batch = {'x': jnp.zeros((2, *shape))}
  if label is not None:
    zeros = lambda x: jnp.zeros((2, *x.shape), x.dtype)
    batch['label'] = jax.tree.map(zeros, label)
  options = _aux_state_options(config)

  def init(key):
    state = training.init_state(gan, key, batch, hparams)
    return training.init_aux_state(state, **options)

  return init


def start_from_weights(
  gan: training.GAN,
  config: config_lib.Config,
  state: training.GANState,
  trained: training.GANState,
) -> training.GANState:
  """Starts a new run from the weights of another one.

  Args:
    gan: the config's GAN.
    config: resolved config.
    state: state of the new run at step 0.
    trained: state of the other run, of the same networks.

  Returns:
    The state with the other run's weights; whatever else starts from the
    weights (optimizers, slow weights) starts from these.
  """
  state = training.replace_weights(gan, state, trained)
  return training.init_aux_state(state, **_aux_state_options(config))


def compile_init(init: InitFn) -> Callable[[int], training.GANState]:
  """Compiles the function from a run's seed to its state at step 0.

  Args:
    init: function from a key to the state, of build_init.

  Returns:
    Function from a seed to the state, on the default device.
  """
  compiled = tracing.compile_for_one_call(init)
  return lambda seed: compiled(init_key(seed))


def init_key(seed: int | jax.Array) -> jax.Array:
  """Returns the key of the state at step 0.

  Args:
    seed: seed of the run, at least 0.
  """
  # Apart from the keys of the steps, which fold in 0, 1, 2, ...
  return jax.random.fold_in(jax.random.key(seed), 2**32 - 1)


def abstract_state(init: InitFn) -> training.GANState:
  """Returns the shapes and types of a state, without computing it.

  Args:
    init: function from a key to the state, of build_init.

  Returns:
    The state with jax.ShapeDtypeStruct in place of arrays.
  """
  return jax.eval_shape(init, jax.random.key(0))
