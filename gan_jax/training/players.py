"""The two networks in training mode, as a step applies them."""

import functools
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import precision, prng
from gan_jax.networks import DiscriminatorOutput
from gan_jax.training import labels
from gan_jax.training.gan import GAN
from gan_jax.training.state import GANState

Array = jax.Array
PyTree = Any
_GENERATOR, _DISCRIMINATOR = range(2)  # D's further calls: the next integers


class Players(NamedTuple):
  """Functions that apply the generator and the discriminator.

  Outputs of both networks are in at least float32, as losses and penalties
  average them.

  Attributes:
    generate: (latents, label) -> (examples, styles, batch_stats). Styles are
      None for a generator without a mapping.
    synthesize: (styles, every=1) -> examples, for the styles of every n-th
      example; None for a generator without a mapping.
    discriminate: (batch_stats, inputs, label, parts=(0,), apart=False) ->
      (outputs, batch_stats). Each part of the inputs has its own keys, and is a
      batch by itself if they are apart.
  """

  generate: Callable[..., tuple[Array, Array | None, PyTree]]
  synthesize: Callable[..., Array] | None
  discriminate: Callable[..., tuple[Any, PyTree]]


class NetworkKeys(NamedTuple):
  """Keys of the networks' noise in one step.

  Attributes:
    key: key of the networks in the step.
    indices: `[B]`, indices of the examples in the global batch.
  """

  key: Array
  indices: Array

  def per_call(self, call: int) -> Array:
    """Returns the key of a call; every device and micro-batch has its own."""
    return jax.random.fold_in(
      jax.random.fold_in(self.key, self.indices[0]), call
    )

  def per_example(self, call: int) -> Array:
    """Returns one key per example, `[B]`, whatever the number of devices."""
    # Apart from the keys of the calls, which fold in indices of examples.
    key = jax.random.fold_in(jax.random.fold_in(self.key, 2**32 - 1), call)
    return prng.per_example_keys(key, self.indices)


def make_players(
  gan: GAN,
  wanted: str,
  params: tuple[PyTree, PyTree],
  state: GANState,
  keys: NetworkKeys,
  axis_name: str | None,
) -> Players:
  """Builds the functions that apply the generator and the discriminator.

  Args:
    gan: the GAN.
    wanted: output of the discriminator that the loss needs.
    params: parameters of the generator and of the discriminator.
    state: train state, for the batch statistics.
    keys: keys of the networks' noise.
    axis_name: name of the mapped axis of devices, or None.
  """
  common = dict(train=True, axis_name=axis_name)
  g_params, d_params = params
  generator, discriminator = gan.generator, gan.discriminator

  def finish(before, outputs, batch_stats):
    # Statistics keep the types that the network gave them.
    return precision.widen(outputs), precision.cast_like(batch_stats, before)

  def g_options(every=1):
    own = keys.per_example(_GENERATOR) if generator.takes_keys else None
    own = own if own is None else own[::every]
    key = keys.per_call(_GENERATOR)
    return common | dict(key=key) | generator.key_options(own)

  def generate(latents, label):
    before = state.generator.batch_stats
    first = generator.mapping or generator.apply
    call = functools.partial(first, g_params, before, latents, **g_options())
    with labels.explain_missing_labels(
      call, label, len(latents), player='generator'
    ):
      x, batch_stats = call(label)
    styles = x if generator.mapping else None
    if generator.mapping:
      x, batch_stats = generator.synthesis(
        g_params, batch_stats, x, **g_options()
      )
    x, batch_stats = finish(before, x, batch_stats)
    return x, styles, batch_stats

  def synthesize(styles, every=1):
    before = state.generator.batch_stats
    options = g_options(every)
    return precision.widen(
      generator.synthesis(g_params, before, styles, **options)[0]
    )

  def d_options(parts):
    own = None
    if discriminator.takes_keys:
      own = [keys.per_example(_DISCRIMINATOR + part) for part in parts]
      own = jnp.concatenate([k[:: gan.packing] for k in own])
    key = keys.per_call(_DISCRIMINATOR + parts[0])
    return common | dict(key=key) | discriminator.key_options(own)

  def discriminate(before, inputs, label, parts=(0,), apart=False):
    label = label if gan.packing == 1 else None  # a pack has no single class
    options = d_options(parts) | ({'batches': len(parts)} if apart else {})
    call = functools.partial(
      discriminator.apply, d_params, before, inputs, **options
    )
    with labels.explain_missing_labels(
      call, label, len(inputs), player='discriminator'
    ):
      outputs, batch_stats = call(label)
    _check_outputs(outputs, inputs, wanted)
    return finish(before, outputs, batch_stats)

  return Players(
    generate, synthesize if generator.mapping else None, discriminate
  )


def as_output(outputs: Any) -> DiscriminatorOutput:
  """Returns the outputs of a discriminator that returns logits alone, too."""
  if isinstance(outputs, DiscriminatorOutput):
    return outputs
  return DiscriminatorOutput(outputs)


def _check_outputs(outputs: Any, inputs: Array, wanted: str) -> None:
  """Raises ValueError if the discriminator's outputs do not suit the loss."""
  batch = inputs.shape[0]
  if wanted == 'scores':
    if not isinstance(outputs, DiscriminatorOutput):
      raise ValueError(
        'this loss needs features as well as logits: the discriminator must '
        'return networks.DiscriminatorOutput (return_features=True in '
        'gan_jax.models)'
      )
    fits = outputs.features is not None
    if not fits:
      raise ValueError(
        'this loss needs features as well as logits, and the discriminator '
        'returned features=None (return_features=True in gan_jax.models)'
      )
    fits = outputs.features.ndim == 2 and len(outputs.features) == batch
    if not fits:
      raise ValueError(
        f'the discriminator returned features of shape '
        f'{outputs.features.shape} for {batch} inputs; must be ({batch}, F)'
      )
  outputs = as_output(outputs)
  _check_class_outputs(outputs, batch)
  logits = outputs.logits
  allowed = (1, 2) if wanted == 'features' else (1, 3)
  if logits.shape[:1] != (batch,) or logits.ndim not in allowed:
    shapes = (
      f'({batch},), and ({batch}, F) for features'
      if wanted == 'features'
      else f'({batch},), and ({batch}, h, w) for patches. A last axis of size '
      '1 must be squeezed; features need a loss that compares features'
    )
    raise ValueError(
      f'the discriminator returned logits of shape {logits.shape} for '
      f'{batch} examples; allowed are {shapes}.'
    )


def _check_class_outputs(outputs: DiscriminatorOutput, batch: int) -> None:
  """Raises ValueError if a class output is not one vector per input."""
  for name in ('class_logits', 'twin_class_logits', 'embedding', 'proxy'):
    value = getattr(outputs, name)
    if value is not None and (value.ndim != 2 or len(value) != batch):
      raise ValueError(
        f'the discriminator returned {name} of shape {value.shape} for {batch} '
        f'inputs; must be ({batch}, n)'
      )
