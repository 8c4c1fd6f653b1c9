"""Losses of both players, from one forward pass.

Every update rule is built on `make_gan_losses`. Losses see one device's part
of the batch; `axis_name` is the only trace of the other devices.
"""

import zlib
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import augment, collectives, prng
from gan_jax import losses as losses_lib
from gan_jax.networks import DiscriminatorOutput
from gan_jax.training import players as players_lib
from gan_jax.training.gan import GAN, GANOutputs, LossAux
from gan_jax.training.packing import pack
from gan_jax.training.state import GANState

Array = jax.Array

# Integers folded into the key of a step, by purpose.
_LATENTS, _TERMS, _NETWORKS, _AUGMENT, _NOISE, _LABELS = range(6)
_REAL, _FAKE = range(2)


def _check_labels(gan: GAN, label: Any) -> None:
  """Raises ValueError if a GAN of classes gets no classes."""
  if not gan.classes:
    return
  is_class = hasattr(label, 'ndim') and label.ndim == 1
  if not is_class or not jnp.issubdtype(label.dtype, jnp.integer):
    found = jax.tree.map(lambda x: f'{x.dtype}{list(x.shape)}', label)
    raise ValueError(
      f"batch['label'] is {found}; must be int32 [B] in 0 .. {gan.classes - 1} "
      f'for classes={gan.classes}'
    )


def _check_fake(fake: Array, real: Array) -> None:
  if fake.shape != real.shape or fake.dtype != real.dtype:
    raise ValueError(
      f'the generator returned {fake.dtype}{list(fake.shape)}, the data are '
      f'{real.dtype}{list(real.shape)}: shapes and dtypes must be equal'
    )


def _make_inputs(gan: GAN, state: GANState, key, indices):
  """Returns the function (x, kind) -> inputs of the discriminator."""

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


def sample_latents(gan: GAN, key: Array, indices: Array) -> Array:
  """Samples the latents of a step's examples.

  Args:
    gan: the GAN.
    key: key of the step.
    indices: `[B]`, indices of the examples in the global batch.

  Returns:
    `[B, latent_dim]` float32.
  """
  key = jax.random.fold_in(prng.typed_keys(key), _LATENTS)
  keys = prng.per_example_keys(key, indices)
  return gan.latent_fn(keys, gan.latent_dim)


def sample_labels(gan: GAN, key: Array, indices: Array, real_label: Any) -> Any:
  """Samples the labels of a step's generated examples.

  Args:
    gan: the GAN, whose `fake_labels` is the rule.
    key: key of the step.
    indices: `[B]`, indices of the examples in the global batch.
    real_label: labels of the real examples.

  Returns:
    `[B]` int32; the labels of the real examples for the rule 'batch'.
  """
  if gan.fake_labels == 'batch':
    return real_label
  key = jax.random.fold_in(prng.typed_keys(key), _LABELS)
  keys = prng.per_example_keys(key, indices)
  if gan.fake_labels == 'uniform':
    draw = lambda key: jax.random.randint(key, (), 0, gan.classes, jnp.int32)
    return jax.vmap(draw)(keys)
  cumulative = np.cumsum(gan.class_share)
  # The share of the last class is what the others leave, whatever rounding.
  edges = jnp.asarray(cumulative[:-1] / cumulative[-1], jnp.float32)
  uniform = jax.vmap(jax.random.uniform)(keys)
  return (uniform[:, None] >= edges[None]).sum(axis=1).astype(jnp.int32)


def _sample_inputs(gan: GAN, batch, key, indices):
  """Returns latents and labels of generated examples, the batch's if given."""
  latents, fake_label = batch.get('latents'), batch.get('fake_label')
  if latents is None:
    latents = sample_latents(gan, key, indices)
  if fake_label is None:
    fake_label = sample_labels(gan, key, indices, batch.get('label'))
  return latents, fake_label


def _discriminate_both(
  gan: GAN, discriminate, before, inputs, label, one_call: bool
):
  """Applies the discriminator to real and fake, as one batch or as two.

  Args:
    gan: the GAN.
    discriminate: function of players.Players.
    before: statistics of the discriminator.
    inputs: real and fake inputs.
    label: real and fake labels.
    one_call: whether two batches go through one call.

  Returns:
    The outputs for real and for fake, and the new statistics.
  """
  if gan.joint_batch or one_call:
    both = _concatenate(*zip(inputs, label))
    apart = not gan.joint_batch
    outputs, batch_stats = discriminate(
      before, *both, parts=(0, 1), apart=apart
    )
    return _split_halves(outputs), batch_stats
  real, now = discriminate(before, inputs[0], label[0], parts=(0,))
  fake, now = discriminate(now, inputs[1], label[1], parts=(1,))
  return (real, fake), now


def _concatenate(*trees: Any) -> Any:
  """Concatenates trees of arrays along their first axes."""
  return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def _make_logit_reader(loss, outputs, axis_name):
  """Returns the function that reads logits from D's outputs."""

  def to_logits(out, own='none'):
    """Returns one logit per input for every kind of output of D."""
    if loss.output == 'features':
      return loss.witness(out, *outputs, own=own, axis_name=axis_name)
    return out.logits if isinstance(out, DiscriminatorOutput) else out

  return to_logits


def _split_halves(outputs):
  """Splits outputs for real and fake inputs in one batch."""
  half = lambda i: jax.tree.map(lambda x: jnp.split(x, 2)[i], outputs)
  return half(0), half(1)


def _add_terms(loss, terms, context, state: GANState, step_key):
  """Returns the loss plus weighted terms, their metrics and aux_state."""
  key, indices = step_key
  metrics, aux_state = {}, {}
  for name, term in sorted(terms.items()):
    # The noise of a term does not depend on the other terms.
    noise_id = zlib.crc32(name.encode())
    if term.noise_id is not None:
      noise_id = term.noise_id
    keys = prng.per_example_keys(jax.random.fold_in(key, noise_id), indices)
    before = state.aux_state[name]
    if term.every == 1:
      values, aux_state[name] = term.apply(context, keys, before)
      metrics[name] = _mean_value(name, values, keys, context)
    else:
      metrics[name], aux_state[name] = _lazy_value(
        name, term, context, keys, before, state.step
      )
    loss = loss + state.hparams[f'{name}_weight'] * metrics[name]
  return loss, metrics, aux_state


def _lazy_value(name, term, context, keys, aux_state, step):
  """Computes a term, scaled by n, at every n-th step; 0 in between."""

  def compute():
    values, new = term.apply(context, keys, aux_state)
    return _mean_value(name, values, keys, context) * term.every, new

  skip = lambda: (jnp.float32(0), aux_state)
  return jax.lax.cond(step % term.every == 0, compute, skip)


def _mean_value(name, values, keys, context):
  sizes = {len(keys), len(keys) // context.packing}
  if values.ndim != 1 or len(values) not in sizes:
    raise ValueError(
      f'the term {name!r} returned values of shape {values.shape}; must be '
      f'one value per example, ({len(keys)},)'
    )
  return values.astype(jnp.float32).mean()


def _accuracy(loss, real_logits, fake_logits):
  if loss.decision_threshold is None:  # only differences are meaningful
    return (real_logits > fake_logits).mean()
  right = (real_logits > loss.decision_threshold).mean()
  return (right + (fake_logits < loss.decision_threshold).mean()) / 2


def _update_augment(gan: GAN, loss, state: GANState, logits, axis_name):
  """Returns the aux_state of an adaptive augmentation after this batch."""
  # If only differences are meaningful, each fake logit is the threshold.
  threshold = loss.decision_threshold
  if threshold is None:
    threshold = logits[1]
  return gan.augment.update(
    state.aux_state['augment'], logits[0] - threshold, axis_name=axis_name
  )


def _sum_losses(gan: GAN, loss, pair, context, state: GANState, step_key):
  """Sums the adversarial losses and the penalties of both players.

  Args:
    gan: the GAN.
    loss: adversarial loss of this step.
    pair: outputs of the discriminator, for real and fake, that the loss takes.
    context: outputs of both networks.
    state: train state.
    step_key: key of the penalties, and indices of the examples.

  Returns:
    d_loss, g_loss, and a LossAux without the networks' statistics.
  """
  logits = context.real_logits, context.fake_logits
  value = lambda player: losses_lib.player_loss(
    loss, player, *pair, context.axis_name
  ).mean()
  d_loss = gan.d_loss_scale * value('discriminator')
  g_loss = gan.g_loss_scale * value('generator')
  d_metrics = {
    'd_loss': d_loss,
    'd_real': logits[0].mean(),
    'd_fake': logits[1].mean(),
    'd_accuracy': _accuracy(loss, *logits),
  }
  g_metrics = {'g_loss': g_loss}
  terms = context, state, step_key
  d_loss, d_terms, d_aux_state = _add_terms(d_loss, gan.d_terms, *terms)
  g_loss, g_terms, g_aux_state = _add_terms(g_loss, gan.g_terms, *terms)
  if gan.is_adaptive:
    ada = _update_augment(gan, loss, state, logits, context.axis_name)
    d_aux_state['augment'] = ada
    d_metrics['augment_strength'] = ada['strength']
  aux = LossAux(
    g_batch_stats=None,
    d_batch_stats=None,
    g_aux_state=g_aux_state,
    d_aux_state=d_aux_state,
    g_metrics=g_metrics | g_terms,
    d_metrics=d_metrics | d_terms,
  )
  return d_loss, g_loss, aux


def make_gan_losses(
  gan: GAN, axis_name: str | None = None, *, one_call: bool = False
) -> Callable[..., tuple[Array, Array, LossAux]]:
  """Builds the function that computes both players' losses.

  The losses are means over this device's examples. Differentiate the first with
  respect to d_params and the second with respect to g_params; XLA removes what
  neither needs.

  Args:
    gan: the GAN.
    axis_name: name of the mapped axis of devices; None for a single device.
    one_call: whether the real and the generated batch go through one call of
      the discriminator, which takes batches. The losses are the same.

  Returns:
    Function (g_params, d_params, state, batch, key, indices=None) -> (d_loss,
    g_loss, aux). Parameters are taken from the arguments, statistics and
    hyper-parameters from the state. The batch is
    `{'x': [B, ...], 'label'?, 'latents'?, 'fake_label'?}`; latents `[B, Z]`
    and labels of generated examples `[B]` replace those sampled with the key.
    Indices `[B]` are those of the examples in the global
    batch, None for consecutive ones.

  Raises:
    ValueError: when traced, if the generated examples do not match the data or
      the discriminator does not return one logit per input.
  """

  def losses(g_params, d_params, state: GANState, batch, key, indices=None):
    real, real_label = batch['x'], batch.get('label')
    _check_labels(gan, real_label)
    key = prng.typed_keys(key)
    if indices is None:
      indices = collectives.global_example_indices(len(real), axis_name)
    loss = gan.resolve_loss(state.hparams, state.step)
    network_keys = players_lib.NetworkKeys(
      jax.random.fold_in(key, _NETWORKS), indices
    )
    players = players_lib.make_players(
      gan, loss.output, (g_params, d_params), state, network_keys, axis_name
    )

    # ---- The generator and the inputs of the discriminator.
    latents, fake_label = _sample_inputs(gan, batch, key, indices)
    fake, styles, g_batch_stats = players.generate(latents, fake_label)
    _check_fake(fake, real)
    make_inputs = _make_inputs(gan, state, key, indices)
    inputs = make_inputs(real, _REAL), make_inputs(fake, _FAKE)

    # ---- The discriminator.
    before, discriminate = state.discriminator.batch_stats, players.discriminate
    outputs, d_batch_stats = _discriminate_both(
      gan, discriminate, before, inputs, (real_label, fake_label), one_call
    )
    to_logits = _make_logit_reader(loss, outputs, axis_name)
    outputs_fn = lambda label: (
      lambda x: discriminate(before, x, label, parts=(2,))[0]
    )
    logits_fn = lambda label: lambda x: to_logits(outputs_fn(label)(x))
    output = tuple(map(players_lib.as_output, outputs))
    logits = to_logits(outputs[0], 'real'), to_logits(outputs[1], 'fake')
    context = GANOutputs(
      real=real,
      fake=fake,
      latents=latents,
      real_label=real_label,
      fake_label=fake_label,
      real_inputs=inputs[0],
      fake_inputs=inputs[1],
      real_logits=logits[0],
      fake_logits=logits[1],
      real_features=output[0].features,
      fake_features=output[1].features,
      real_outputs=output[0],
      fake_outputs=output[1],
      real_logits_fn=logits_fn(real_label),
      fake_logits_fn=logits_fn(fake_label),
      real_outputs_fn=lambda x: players_lib.as_output(
        outputs_fn(real_label)(x)
      ),
      fake_outputs_fn=lambda x: players_lib.as_output(
        outputs_fn(fake_label)(x)
      ),
      generate_fn=lambda z: players.generate(z, fake_label)[0],
      sample_latents_fn=lambda keys: gan.latent_fn(keys, gan.latent_dim),
      g_params=g_params,
      d_params=d_params,
      packing=gan.packing,
      axis_name=axis_name,
      styles=styles,
      synthesis_fn=players.synthesize,
    )

    pair = logits if loss.output == 'logits' else outputs
    step_key = jax.random.fold_in(key, _TERMS), indices
    d_loss, g_loss, aux = _sum_losses(gan, loss, pair, context, state, step_key)
    return (
      d_loss,
      g_loss,
      aux._replace(g_batch_stats=g_batch_stats, d_batch_stats=d_batch_stats),
    )

  return losses
