"""All penalties by name, as terms of the loss.

`make_term(name, **options)` returns a gan.LossTerm; `PENALTIES` says to which
player it belongs. The weight of a term is `state.hparams[f'{name}_weight']`.
"""

import functools
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import losses, penalties
from gan_jax.augment import ada_pipe
from gan_jax.networks import DiscriminatorOutput
from gan_jax.penalties import consistency
from gan_jax.training.gan import GANOutputs, LossTerm
from gan_jax.training.packing import pack, unpack
from gan_jax.validation import keyword_defaults

Array = jax.Array
# Outputs of the discriminator that are about classes.
_OF_CLASSES = ('class_logits', 'twin_class_logits', 'embedding')


class PenaltySpec(NamedTuple):
  """Entry of PENALTIES.

  Attributes:
    noise_id: integer that is folded into the keys of the penalty's noise: any
      random one for a new penalty. It must never change, since the results of
      a seed would change with it.
    player: player that is penalized, 'discriminator' or 'generator'.
    apply: (outputs, keys, aux_state, *, options) -> (values, aux_state).
    aux_state: initial auxiliary arrays; () for none.
    coupled: whether the penalty mixes the examples of a batch.
    per_example: whether the penalty is a gradient or a difference of each
      example's own logit (or latents), which is undefined if that player uses
      batch norm.
    wants: outputs that the discriminator must return in addition to logits:
      'features', 'reconstructions', or class heads, names in
      layers.conditioning.CLASS_HEADS.
  """

  noise_id: int
  player: str
  apply: Callable[..., Any]
  aux_state: Any = ()
  coupled: bool = False
  per_example: bool = True
  wants: tuple[str, ...] = ()


def _r1(context: GANOutputs, keys, aux_state):
  return penalties.r1(context.real_logits_fn, context.real_inputs), aux_state


def _r2(context: GANOutputs, keys, aux_state):
  return penalties.r2(context.fake_logits_fn, context.fake_inputs), aux_state


def _interpolated(penalty, coupled=False):
  """Wraps a penalty between real and fake, with its own keyword options."""

  def apply(context: GANOutputs, keys, aux_state, **options):
    if coupled:
      options['axis_name'] = context.axis_name
    keys = keys[:: context.packing]  # one per input
    ends = context.real_inputs, context.fake_inputs
    return penalty(context.real_logits_fn, *ends, keys, **options), aux_state

  apply.options = keyword_defaults(penalty)
  apply.options.pop('axis_name', None)
  return apply


def _dragan(
  context: GANOutputs,
  keys,
  aux_state,
  *,
  scale: float = 0.5,
  target: float = 1.0,
):
  values = penalties.dragan(
    context.real_logits_fn,
    context.real_inputs,
    keys[:: context.packing],
    scale=scale,
    target=target,
    axis_name=context.axis_name,
  )
  return values, aux_state


def _lecam(context: GANOutputs, keys, aux_state, *, decay: float = 0.99):
  logits = context.real_logits, context.fake_logits
  anchors = penalties.update_logit_ema(
    penalties.LogitEMA(**aux_state),
    *logits,
    decay=decay,
    axis_name=context.axis_name,
  )
  return penalties.lecam(*logits, anchors), anchors._asdict()


def _bcr(
  context: GANOutputs,
  keys,
  aux_state,
  *,
  policy: tuple[str, ...] = ('flip', 'integer_translation'),
):
  def moved(inputs, fold):
    own = jax.vmap(lambda key: jax.random.fold_in(key, fold))(keys)
    x = jax.lax.stop_gradient(unpack(inputs, context.packing))
    if x.ndim != 4:
      raise ValueError(
        f'the penalty bcr augments images: examples have shape {x.shape[1:]}, '
        'must be (height, width, channels)'
      )
    x = ada_pipe.ada(x, own, strength=1.0, policy=policy)
    return pack(x, context.packing)

  real, fake = moved(context.real_inputs, 0), moved(context.fake_inputs, 1)
  values = (
    consistency(context.real_logits, context.real_logits_fn(real))
    + consistency(context.fake_logits, context.fake_logits_fn(fake))
    + _class_consistency(context.real_outputs, context.real_outputs_fn, real)
    + _class_consistency(context.fake_outputs, context.fake_outputs_fn, fake)
  )
  return values, aux_state


def _class_outputs(outputs: DiscriminatorOutput) -> list[str]:
  """Returns the names of the outputs of D that are about classes."""
  return [name for name in _OF_CLASSES if getattr(outputs, name) is not None]


def _class_consistency(outputs: DiscriminatorOutput, outputs_fn, moved):
  """Computes the squared change of what D returns of classes, 0 for nothing."""
  found = _class_outputs(outputs)
  if not found:
    return 0
  after = outputs_fn(moved)
  return sum(consistency(getattr(outputs, n), getattr(after, n)) for n in found)


def _perturbed_fake(context: GANOutputs, keys, sigma):
  """Generates the examples of slightly perturbed latents."""
  moved = context.latents + sigma * penalties.normal_like(keys, context.latents)
  return context.generate_fn(moved)


def _zcr(context: GANOutputs, keys, aux_state, *, sigma: float = 0.03):
  # Without augmentation on either side: only the latents differ.
  inputs = lambda x: pack(jax.lax.stop_gradient(x), context.packing)
  fake, near = map(
    inputs, (context.fake, _perturbed_fake(context, keys, sigma))
  )
  logits_fn, outputs_fn = context.fake_logits_fn, context.fake_outputs_fn
  values = consistency(logits_fn(fake), logits_fn(near))
  if _class_outputs(
    context.fake_outputs
  ):  # D is not applied once more for none
    values += _class_consistency(outputs_fn(fake), outputs_fn, near)
  return values, aux_state


def _zcr_generator(
  context: GANOutputs, keys, aux_state, *, sigma: float = 0.03
):
  near = _perturbed_fake(context, keys, sigma)
  return penalties.zcr_generator(context.fake, near), aux_state


def _path_length(
  context: GANOutputs,
  keys,
  aux_state,
  *,
  decay: float = 0.99,
  batch_stride: int = 1,
):
  points, function = context.latents, context.generate_fn
  if context.synthesis_fn is not None:  # a gradient by styles, as in the paper
    # Those of the batch, which gradients of the mapping network pass through.
    points = context.styles[::batch_stride]
    function = functools.partial(context.synthesis_fn, every=batch_stride)
  elif batch_stride > 1:
    raise ValueError(
      f'batch_stride={batch_stride} of the penalty path_length: must be 1 for a '
      'generator without styles'
    )
  lengths = penalties.path_lengths(function, points, keys[::batch_stride])
  mean = penalties.update_path_length_mean(
    aux_state, lengths, decay=decay, axis_name=context.axis_name
  )
  values = penalties.path_length(lengths, mean)
  if batch_stride > 1:  # one value per example, of the same mean
    values = jnp.broadcast_to(values.mean(), keys.shape)
  return values, mean


def _mode_seeking(
  context: GANOutputs, keys, aux_state, *, epsilon: float = 1e-5
):
  other = context.sample_latents_fn(keys)
  values = penalties.mode_seeking(
    context.fake,
    context.generate_fn(other),
    context.latents,
    other,
    epsilon=epsilon,
  )
  return values, aux_state


def _orthogonal(params_of):
  def apply(context: GANOutputs, keys, aux_state):
    value = penalties.orthogonal(params_of(context))
    return jnp.broadcast_to(value, keys.shape), aux_state

  return apply


def _feature_matching(context: GANOutputs, keys, aux_state):
  if context.real_features is None:
    raise ValueError(
      'the penalty feature_matching needs a discriminator that returns '
      'networks.DiscriminatorOutput (return_features=True in gan_jax.models)'
    )
  values = losses.feature_matching_generator(
    context.real_features, context.fake_features, axis_name=context.axis_name
  )
  return values, aux_state


def _reconstruction(context: GANOutputs, keys, aux_state):
  pairs = context.real_outputs.reconstructions
  if pairs is None:
    raise ValueError(
      'the penalty reconstruction needs a discriminator that returns '
      'networks.DiscriminatorOutput with reconstructions '
      '(return_reconstructions=True in gan_jax.models.fastgan)'
    )
  return sum(penalties.reconstruction(*pair) for pair in pairs), aux_state


def _class_output(outputs: DiscriminatorOutput, field: str, name: str):
  """Returns an output of the discriminator that a class loss needs."""
  value = getattr(outputs, field)
  if value is None:
    raise ValueError(
      f'the penalty {name} needs a discriminator that returns '
      f'networks.DiscriminatorOutput with {field} (class_heads='
      f'{PENALTIES[name].wants} in gan_jax.models)'
    )
  return value


def _acgan(context: GANOutputs, keys, aux_state, *, fakes: bool = False):
  logits = _class_output(context.real_outputs, 'class_logits', 'acgan')
  values = losses.class_cross_entropy(logits, context.real_label)
  if fakes:
    logits = _class_output(context.fake_outputs, 'class_logits', 'acgan')
    values += losses.class_cross_entropy(logits, context.fake_label)
  return values, aux_state


def _acgan_generator(context: GANOutputs, keys, aux_state):
  logits = _class_output(
    context.fake_outputs, 'class_logits', 'acgan_generator'
  )
  return losses.class_cross_entropy(logits, context.fake_label), aux_state


def _embedding_loss(loss, name: str, *, is_real: bool):
  """Wraps a loss of embeddings, with its own keyword options."""

  def apply(context: GANOutputs, keys, aux_state, **options):
    outputs = context.real_outputs if is_real else context.fake_outputs
    label = context.real_label if is_real else context.fake_label
    vectors = [_class_output(outputs, f, name) for f in ('embedding', 'proxy')]
    values = loss(*vectors, label, axis_name=context.axis_name, **options)
    return values, aux_state

  apply.options = keyword_defaults(loss)
  apply.options.pop('axis_name')
  return apply


def _tacgan(context: GANOutputs, keys, aux_state):
  values = losses.twin_classifier_discriminator(
    _class_output(context.real_outputs, 'class_logits', 'tacgan'),
    _class_output(context.fake_outputs, 'twin_class_logits', 'tacgan'),
    context.real_label,
    context.fake_label,
  )
  return values, aux_state


def _tacgan_generator(context: GANOutputs, keys, aux_state):
  read = lambda field: _class_output(
    context.fake_outputs, field, 'tacgan_generator'
  )
  values = losses.twin_classifier_generator(
    read('class_logits'), read('twin_class_logits'), context.fake_label
  )
  return values, aux_state


def _adcgan(context: GANOutputs, keys, aux_state):
  values = losses.real_fake_class_discriminator(
    _class_output(context.real_outputs, 'class_logits', 'adcgan'),
    _class_output(context.fake_outputs, 'class_logits', 'adcgan'),
    context.real_label,
    context.fake_label,
  )
  return values, aux_state


def _adcgan_generator(context: GANOutputs, keys, aux_state):
  logits = _class_output(
    context.fake_outputs, 'class_logits', 'adcgan_generator'
  )
  values = losses.real_fake_class_generator(logits, context.fake_label)
  return values, aux_state


_D, _G = 'discriminator', 'generator'


def _of_classes(noise_id, player, apply, *heads, coupled=False) -> PenaltySpec:
  """Returns the entry of a class loss that reads these class heads."""
  return PenaltySpec(
    noise_id, player, apply, coupled=coupled, per_example=False, wants=heads
  )


def _of_embeddings(noise_id, player, loss, name: str) -> PenaltySpec:
  """Returns the entry of a loss of embeddings."""
  apply = _embedding_loss(loss, name, is_real=player == _D)
  return _of_classes(noise_id, player, apply, 'embedding', coupled=True)


PENALTIES: dict[str, PenaltySpec] = {
  'r1': PenaltySpec(219023793, _D, _r1),
  'r2': PenaltySpec(2483509259, _D, _r2),
  'zero_centered': PenaltySpec(
    1280565201, _D, _interpolated(penalties.zero_centered)
  ),
  'wgan_gp': PenaltySpec(3282056485, _D, _interpolated(penalties.wgan_gp)),
  'wgan_lp': PenaltySpec(3066414197, _D, _interpolated(penalties.wgan_lp)),
  'max_gp': PenaltySpec(
    3202387494, _D, _interpolated(penalties.max_gp, coupled=True), coupled=True
  ),
  'dragan': PenaltySpec(3109749818, _D, _dragan, coupled=True),
  'lecam': PenaltySpec(
    2473351194,
    _D,
    _lecam,
    aux_state={'real': 0.0, 'fake': 0.0},
    coupled=True,
    per_example=False,
  ),
  'bcr': PenaltySpec(1154084392, _D, _bcr),
  'zcr': PenaltySpec(1459363040, _D, _zcr),
  'zcr_generator': PenaltySpec(
    317045745, _G, _zcr_generator, per_example=False
  ),
  'path_length': PenaltySpec(
    1625490377, _G, _path_length, aux_state=0.0, coupled=True
  ),
  'mode_seeking': PenaltySpec(454612705, _G, _mode_seeking, per_example=False),
  'orthogonal': PenaltySpec(
    1177428232, _D, _orthogonal(lambda c: c.d_params), per_example=False
  ),
  'orthogonal_generator': PenaltySpec(
    3393731678, _G, _orthogonal(lambda c: c.g_params), per_example=False
  ),
  'feature_matching': PenaltySpec(
    2784845238,
    _G,
    _feature_matching,
    coupled=True,
    per_example=False,
    wants=('features',),
  ),
  'reconstruction': PenaltySpec(
    1709254883,
    _D,
    _reconstruction,
    per_example=False,
    wants=('reconstructions',),
  ),
  'acgan': _of_classes(2241903809, _D, _acgan, 'class_logits'),
  'acgan_generator': _of_classes(
    3464710496, _G, _acgan_generator, 'class_logits'
  ),
  'reacgan': _of_embeddings(
    4125293655, _D, losses.data_to_data_cross_entropy, 'reacgan'
  ),
  'reacgan_generator': _of_embeddings(
    1243931546, _G, losses.data_to_data_cross_entropy, 'reacgan_generator'
  ),
  'contragan': _of_embeddings(
    2840618605, _D, losses.contrastive_2c, 'contragan'
  ),
  'contragan_generator': _of_embeddings(
    115692582, _G, losses.contrastive_2c, 'contragan_generator'
  ),
  'tacgan': _of_classes(
    3205742961, _D, _tacgan, 'class_logits', 'twin_class_logits'
  ),
  'tacgan_generator': _of_classes(
    1724819962, _G, _tacgan_generator, 'class_logits', 'twin_class_logits'
  ),
  'adcgan': _of_classes(267116024, _D, _adcgan, 'real_fake_class_logits'),
  'adcgan_generator': _of_classes(
    3759455744, _G, _adcgan_generator, 'real_fake_class_logits'
  ),
}


def penalty_options(name: str) -> dict[str, Any]:
  """Returns the options of a penalty except its weight, with their defaults.

  Args:
    name: a key of PENALTIES.

  Returns:
    option -> default.
  """
  apply = PENALTIES[name].apply
  if hasattr(apply, 'options'):
    return dict(apply.options)
  return keyword_defaults(apply)


def make_term(
  name: str,
  *,
  every: int = 1,
  **options,
) -> LossTerm:
  """Builds the loss term of a penalty.

  Args:
    name: a key of PENALTIES.
    every: interval in steps. The term is computed at every n-th step and scaled
      by n.
    **options: options of the penalty, see penalty_options(name).

  Returns:
    The term, for GAN.d_terms or GAN.g_terms according to PENALTIES.

  Raises:
    ValueError: if the name or an option is unknown.
  """
  if name not in PENALTIES:
    raise ValueError(f'unknown penalty {name!r}; there are {sorted(PENALTIES)}')
  wrong = sorted(set(options) - set(penalty_options(name)))
  if wrong:
    raise ValueError(
      f'penalty {name} has no options {wrong}; it has '
      f'{sorted(penalty_options(name))}'
    )
  entry = PENALTIES[name]
  return LossTerm(
    functools.partial(entry.apply, **options),
    aux_state=entry.aux_state,
    coupled=entry.coupled,
    every=every,
    player=entry.player,
    noise_id=entry.noise_id,
  )
