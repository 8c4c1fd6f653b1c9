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
from gan_jax.penalties import consistency
from gan_jax.training.gan import GANOutputs, LossTerm
from gan_jax.training.packing import pack, unpack
from gan_jax.validation import keyword_defaults

Array = jax.Array


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
    wants_features: whether the discriminator must return features.
  """

  noise_id: int
  player: str
  apply: Callable[..., Any]
  aux_state: Any = ()
  coupled: bool = False
  per_example: bool = True
  wants_features: bool = False


def _r1(context: GANOutputs, keys, aux_state):
  return penalties.r1(context.logits_fn, context.real_inputs), aux_state


def _r2(context: GANOutputs, keys, aux_state):
  return penalties.r2(context.logits_fn, context.fake_inputs), aux_state


def _interpolated(penalty, coupled=False):
  """Wraps a penalty between real and fake, with its own keyword options."""

  def apply(context: GANOutputs, keys, aux_state, **options):
    if coupled:
      options['axis_name'] = context.axis_name
    keys = keys[:: context.packing]  # one per input
    ends = context.real_inputs, context.fake_inputs
    return penalty(context.logits_fn, *ends, keys, **options), aux_state

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
    context.logits_fn,
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
  def change(inputs, logits, fold):
    own = jax.vmap(lambda key: jax.random.fold_in(key, fold))(keys)
    x = jax.lax.stop_gradient(unpack(inputs, context.packing))
    if x.ndim != 4:
      raise ValueError(
        f'the penalty bcr augments images: examples have shape {x.shape[1:]}, '
        'must be (height, width, channels)'
      )
    x = ada_pipe.ada(x, own, strength=1.0, policy=policy)
    moved = context.logits_fn(pack(x, context.packing))
    return consistency(logits, moved)

  real = change(context.real_inputs, context.real_logits, 0)
  return real + change(context.fake_inputs, context.fake_logits, 1), aux_state


def _perturbed_fake(context: GANOutputs, keys, sigma):
  """Generates the examples of slightly perturbed latents."""
  moved = context.latents + sigma * penalties.normal_like(keys, context.latents)
  return context.generate_fn(moved)


def _zcr(context: GANOutputs, keys, aux_state, *, sigma: float = 0.03):
  # Without augmentation on either side: only the latents differ.
  logits = lambda x: context.logits_fn(
    pack(jax.lax.stop_gradient(x), context.packing)
  )
  near = _perturbed_fake(context, keys, sigma)
  return consistency(logits(context.fake), logits(near)), aux_state


def _zcr_generator(
  context: GANOutputs, keys, aux_state, *, sigma: float = 0.03
):
  near = _perturbed_fake(context, keys, sigma)
  return penalties.zcr_generator(context.fake, near), aux_state


def _path_length(context: GANOutputs, keys, aux_state, *, decay: float = 0.99):
  lengths = penalties.path_lengths(context.generate_fn, context.latents, keys)
  mean = penalties.update_path_length_mean(
    aux_state, lengths, decay=decay, axis_name=context.axis_name
  )
  return penalties.path_length(lengths, mean), mean


def _mode_seeking(
  context: GANOutputs, keys, aux_state, *, epsilon: float = 1e-5
):
  other = penalties.normal_like(keys, context.latents)
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


_D, _G = 'discriminator', 'generator'
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
    wants_features=True,
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
