"""The game played once: both networks on one batch, both players' losses.

Every update rule is built on `player_losses`. It sees one device's part of
the batch; `axis_name` is the only trace of the others.
"""

import zlib
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import augment, collectives, prng
from gan_jax import losses as losses_lib
from gan_jax.networks import DiscriminatorOutput
from gan_jax.training.gan import GAN, GANOutputs, LossAux
from gan_jax.training.packing import pack
from gan_jax.training.state import GANState

Array = jax.Array

# What each key of a step is folded with, by purpose.
_LATENTS, _TERMS, _NETWORKS, _AUGMENT, _NOISE = range(5)
_GENERATOR, _DISCRIMINATOR = range(2)  # and beyond: D is applied in parts
_REAL, _FAKE = range(2)


def _check_outputs(outputs: Any, inputs: Array, wanted: str) -> None:
  """Refuses what the discriminator must not return for this loss."""
  batch = inputs.shape[0]
  if wanted == 'scores':
    if not isinstance(outputs, DiscriminatorOutput):
      raise ValueError(
        'this loss wants features beside the logits: a discriminator that '
        'returns networks.DiscriminatorOutput (return_features=True in the models here)'
      )
    fits = outputs.features.ndim == 2 and len(outputs.features) == batch
    if not fits:
      raise ValueError(
        f'the discriminator returned features of shape '
        f'{outputs.features.shape} for {batch} inputs; must be ({batch}, F)'
      )
  logits = (
    outputs.logits if isinstance(outputs, DiscriminatorOutput) else outputs
  )
  allowed = (1, 2) if wanted == 'features' else (1, 3)
  if logits.shape[:1] != (batch,) or logits.ndim not in allowed:
    shapes = (
      f'({batch},), and ({batch}, F) for features'
      if wanted == 'features'
      else f'({batch},), and ({batch}, h, w) for patches. A last axis of 1 must '
      'be squeezed; features are for a loss that compares features'
    )
    raise ValueError(
      f'the discriminator returned logits of shape {logits.shape} for '
      f'{batch} examples; allowed are {shapes}.'
    )


def _check_fake(fake: Array, real: Array) -> None:
  if fake.shape != real.shape or fake.dtype != real.dtype:
    raise ValueError(
      f'the generator made {fake.dtype}{list(fake.shape)} and the data are '
      f'{real.dtype}{list(real.shape)}; both must be the same'
    )


def _make_inputs(gan: GAN, state: GANState, key, indices):
  """What turns examples into the discriminator's inputs: x, kind -> inputs."""

  def keys_for(purpose, kind):
    folded = jax.random.fold_in(jax.random.fold_in(key, purpose), kind)
    return prng.per_example_keys(folded, indices)

  def inputs(x, kind):
    if gan.augment is not None:
      strength = (
        state.aux_state['augment']['strength']
        if gan.is_adaptive
        else state.hparams['augment_strength']
      )
      x = gan.augment.apply(x, keys_for(_AUGMENT, kind), strength=strength)
    if gan.instance_noise is not None:
      sigma = gan.instance_noise(state.hparams, state.step)
      noise_keys = keys_for(_NOISE, kind)
      x = augment.instance_noise(x, noise_keys, sigma=sigma)
    return pack(x, gan.packing)

  return inputs


class _Forward(NamedTuple):
  """Both networks on one batch; outputs are what the loss reads of D."""

  context: GANOutputs
  outputs: tuple[Any, Any]
  g_batch_stats: Any
  d_batch_stats: Any


def _apply_networks(
  gan, loss, axis_name, g_params, d_params, state, label, key
):
  """(latents -> examples, batch_stats) and (batch_stats, inputs, part -> outputs, batch_stats)."""
  common = dict(train=True, axis_name=axis_name)
  d_label = label if gan.packing == 1 else None  # a pack has no one class

  def generate(latents):
    g_key = jax.random.fold_in(key, _GENERATOR)
    batch_stats = state.generator.batch_stats
    return gan.generator.apply(
      g_params, batch_stats, latents, label, key=g_key, **common
    )

  def discriminate(batch_stats, inputs, part=0):
    d_key = jax.random.fold_in(key, _DISCRIMINATOR + part)
    repeats = 1 if d_label is None else len(inputs) // len(d_label)
    labels = d_label if repeats == 1 else jnp.tile(d_label, repeats)
    outputs, batch_stats = gan.discriminator.apply(
      d_params, batch_stats, inputs, labels, key=d_key, **common
    )
    _check_outputs(outputs, inputs, loss.output)
    return outputs, batch_stats

  return generate, discriminate


def _discriminate(gan, discriminate, d_batch_stats, real_inputs, fake_inputs):
  """D on both kinds of input, as one batch or as two: outputs, batch_stats."""
  if gan.joint_batch:
    both, d_batch_stats = discriminate(
      d_batch_stats, jnp.concatenate([real_inputs, fake_inputs])
    )
    half = lambda i: jax.tree.map(lambda x: jnp.split(x, 2)[i], both)
    return (half(0), half(1)), d_batch_stats
  real, d_batch_stats = discriminate(d_batch_stats, real_inputs)
  fake, d_batch_stats = discriminate(d_batch_stats, fake_inputs, 1)
  return (real, fake), d_batch_stats


def sample_latents(gan: GAN, key: Array, indices: Array) -> Array:
  """The latents of a step's examples.

  Args:
    gan: the game.
    key: of the step.
    indices: `[B]`, the examples' places in the global batch.

  Returns:
    `[B, latent_dim]` float32.
  """
  keys = prng.per_example_keys(jax.random.fold_in(key, _LATENTS), indices)
  return prng.sample_normal(keys, gan.latent_dim)


def _forward(
  gan, loss, axis_name, g_params, d_params, state, batch, key, indices
) -> _Forward:
  """Both networks on one batch."""
  real, label = batch['x'], batch.get('label')
  # Another key for each device and each micro-batch.
  network_key = jax.random.fold_in(
    jax.random.fold_in(key, _NETWORKS), indices[0]
  )
  generate, discriminate = _apply_networks(
    gan, loss, axis_name, g_params, d_params, state, label, network_key
  )
  latents = batch.get('latents')
  if latents is None:
    latents = sample_latents(gan, key, indices)
  fake, g_batch_stats = generate(latents)
  _check_fake(fake, real)
  make_inputs = _make_inputs(gan, state, key, indices)
  inputs = make_inputs(real, _REAL), make_inputs(fake, _FAKE)
  before = state.discriminator.batch_stats
  outputs, d_batch_stats = _discriminate(gan, discriminate, before, *inputs)

  def to_logits(out, own='none'):
    """One score per input, whatever D returns."""
    if loss.output == 'features':
      return loss.witness(out, *outputs, own=own, axis_name=axis_name)
    return out.logits if isinstance(out, DiscriminatorOutput) else out

  to_features = lambda out: (
    out.features if isinstance(out, DiscriminatorOutput) else None
  )
  context = GANOutputs(
    real=real,
    fake=fake,
    latents=latents,
    label=label,
    real_inputs=inputs[0],
    fake_inputs=inputs[1],
    real_logits=to_logits(outputs[0], 'real'),
    fake_logits=to_logits(outputs[1], 'fake'),
    real_features=to_features(outputs[0]),
    fake_features=to_features(outputs[1]),
    logits_fn=lambda x: to_logits(discriminate(before, x, 2)[0]),
    generate_fn=lambda z: generate(z)[0],
    g_params=g_params,
    d_params=d_params,
    packing=gan.packing,
    axis_name=axis_name,
  )
  # A loss on logits does not know of features.
  if loss.output == 'logits':
    outputs = context.real_logits, context.fake_logits
  return _Forward(context, outputs, g_batch_stats, d_batch_stats)


def _term_value(name, term, context, keys, aux_state, step):
  """A term's mean value, n times as large at each n-th step, and memory."""

  def pay():
    values, new = term.apply(context, keys, aux_state)
    sizes = {len(keys), len(keys) // context.packing}
    if values.ndim != 1 or len(values) not in sizes:
      raise ValueError(
        f'the term {name!r} returned values of shape {values.shape}; must be '
        f'one per example, ({len(keys)},)'
      )
    return values.astype(jnp.float32).mean() * term.every, new

  if term.every == 1:
    return pay()
  skip = lambda: (jnp.float32(0), aux_state)
  return jax.lax.cond(step % term.every == 0, pay, skip)


def _add_terms(loss, terms, context, state, key, indices):
  """The loss with the weighted terms, their metrics, their new memory."""
  metrics, aux_state = {}, {}
  for name, term in sorted(terms.items()):
    # A term's noise is its own, whatever other terms there are.
    name_key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    term_keys = prng.per_example_keys(name_key, indices)
    metrics[name], aux_state[name] = _term_value(
      name, term, context, term_keys, state.aux_state[name], state.step
    )
    weight = state.hparams[f'{name}_weight']
    if term.factor is not None:
      weight = weight * term.factor(state.step)
    loss = loss + weight * metrics[name]
  return loss, metrics, aux_state


def _accuracy(loss, real_logits, fake_logits):
  if loss.decision_threshold is None:  # only differences mean something
    return (real_logits > fake_logits).mean()
  right = (real_logits > loss.decision_threshold).mean()
  return (right + (fake_logits < loss.decision_threshold).mean()) / 2


def make_gan_losses(
  gan: GAN, axis_name: str | None = None
) -> Callable[..., tuple[Array, Array, LossAux]]:
  """Makes the function that is the game.

  The losses are means over this device's examples. Differentiate the first by
  d_params and the second by g_params; XLA drops what neither needs.

  Args:
    gan: the game.
    axis_name: the mapped axis of devices; None for one device.

  Returns:
    (g_params, d_params, state, batch, key, indices=None) -> (d_loss, g_loss,
    aux). Parameters come from the arguments, statistics and hyper-parameters
    from the state. The batch is `{'x': [B, ...], 'label'?, 'latents'?}`, the
    latents `[B, Z]` for those of the key; indices `[B]` are the examples'
    places in the global batch, None for the natural ones.

  Raises:
    ValueError: when traced, where generated examples do not match the data
      or logits are not one per example.
  """

  def losses(g_params, d_params, state: GANState, batch, key, indices=None):
    if indices is None:
      indices = collectives.global_example_indices(
        batch['x'].shape[0], axis_name
      )
    loss = gan.resolve_loss(state.hparams, state.step)
    context, outputs, g_batch_stats, d_batch_stats = _forward(
      gan, loss, axis_name, g_params, d_params, state, batch, key, indices
    )
    value = lambda player: losses_lib.player_loss(
      loss, player, *outputs, axis_name
    )
    d_loss = gan.d_loss_scale * value('discriminator').mean()
    g_loss = gan.g_loss_scale * value('generator').mean()
    logits = context.real_logits, context.fake_logits
    d_metrics = {
      'd_loss': d_loss,
      'd_real': logits[0].mean(),
      'd_fake': logits[1].mean(),
      'd_accuracy': _accuracy(loss, *logits),
    }
    g_metrics = {'g_loss': g_loss}
    rest = context, state, jax.random.fold_in(key, _TERMS), indices
    d_loss, d_terms, d_aux_state = _add_terms(d_loss, gan.d_terms, *rest)
    g_loss, g_terms, g_aux_state = _add_terms(g_loss, gan.g_terms, *rest)
    if gan.is_adaptive:
      # Where only differences mean something, each fake is the decision_threshold.
      decision_threshold = (
        logits[1]
        if loss.decision_threshold is None
        else loss.decision_threshold
      )
      memory = gan.augment.update(
        state.aux_state['augment'],
        logits[0] - decision_threshold,
        axis_name=axis_name,
      )
      d_aux_state['augment'] = memory
      d_metrics['augment_strength'] = memory['strength']
    return (
      d_loss,
      g_loss,
      LossAux(
        g_batch_stats=g_batch_stats,
        d_batch_stats=d_batch_stats,
        g_aux_state=g_aux_state,
        d_aux_state=d_aux_state,
        g_metrics=g_metrics | g_terms,
        d_metrics=d_metrics | d_terms,
      ),
    )

  return losses
