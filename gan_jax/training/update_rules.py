"""Update rules: how one iteration updates both players.

Each function of `UPDATE_RULES` returns an update, (state, batches, key) ->
(state, metrics), where the batches have leaves `[d_steps, B, ...]` and the key
is that of the step. An update changes parameters, statistics, optimizer states
and the auxiliary arrays of terms. train_step.make_train_step adds the EMA, the
step number and everything else around a rule.
"""

from typing import Any, Callable

import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.training import gan_losses, transforms
from gan_jax.training.gan import GAN, Batch, Metrics
from gan_jax.training.gradients import PLAYERS, Gradients, make_gradient_fn
from gan_jax.training.state import GANState

Array = jax.Array
PyTree = Any
Step = Callable[[GANState, Batch, Array], tuple[GANState, Metrics]]

PAST_GRADIENT = 'past_gradient'  # in state.aux_state, of past_extragradient


def _transform(gan: GAN, player: str, hparams):
  is_generator = player == 'generator'
  return gan.g_transform(hparams) if is_generator else gan.d_transform(hparams)


def _update_player(gan, state, player, grads, value=None):
  """Returns a player's (params, opt_state) after one update."""
  now = getattr(state, player)
  transform = transforms.as_transform(_transform(gan, player, state.hparams))
  return transforms.update_params(
    transform, grads, now.opt_state, now.params, value
  )


def _apply_gradients(gan: GAN, state: GANState, found: Gradients) -> GANState:
  """Returns the state after updating the players that have gradients."""
  moved = {}
  for player, grads in found.grads.items():
    params, opt_state = _update_player(
      gan, state, player, grads, found.values[player]
    )
    moved[player] = getattr(state, player).replace(
      params=params, opt_state=opt_state, batch_stats=found.batch_stats[player]
    )
  return state.replace(
    aux_state={**state.aux_state, **found.aux_state}, **moved
  )


def make_d_step(
  gan: GAN,
  *,
  axis_name: str | None = None,
  micro_batches: int = 1,
  norms: bool = False,
) -> Step:
  """Builds the discriminator's step, which leaves G and its EMA unchanged.

  Args:
    gan: the GAN.
    axis_name: name of the mapped axis of devices; None for a single device.
    micro_batches: number of parts that the batch of a device is split into, as
      in gradients.make_gradient_fn.
    norms: whether the metrics include the norm of the gradient.

  Returns:
    The step. It uses its key as given; train_step folds in the step number.

  Raises:
    ValueError: see gradients.make_gradient_fn.
  """
  return _one_player_step(gan, 'discriminator', axis_name, micro_batches, norms)


def make_g_step(
  gan: GAN,
  *,
  axis_name: str | None = None,
  micro_batches: int = 1,
  norms: bool = False,
) -> Step:
  """Builds the generator's step, which leaves D and the EMA unchanged.

  Args:
    gan: the GAN.
    axis_name: name of the mapped axis of devices; None for a single device.
    micro_batches: number of parts that the batch of a device is split into, as
      in gradients.make_gradient_fn.
    norms: whether the metrics include the norm of the gradient.

  Returns:
    The step. The batch provides its size, the labels, and the real examples for
    losses that compare with them.

  Raises:
    ValueError: see gradients.make_gradient_fn.
  """
  return _one_player_step(gan, 'generator', axis_name, micro_batches, norms)


def _one_player_step(gan, player, axis_name, micro_batches, norms):
  gradient = make_gradient_fn(
    gan,
    (player,),
    axis_name=axis_name,
    micro_batches=micro_batches,
    norms=norms,
  )

  def step(state, batch, key):
    found = gradient(state, batch, key)
    return _apply_gradients(gan, state, found), found.metrics

  step.axis_name = axis_name
  return step


def _last_batch(batches):
  return jax.tree.map(lambda x: x[-1], batches)


def alternating(gan: GAN, *, d_steps=1, same_latents=False, **options) -> Step:
  """Updates D d_steps times, each on its own batch and latents, then G once.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, algorithm 1.
  """
  d_step, g_step = make_d_step(gan, **options), make_g_step(gan, **options)

  def update(state, batches, key):
    def body(state, part):
      index, batch = part
      return d_step(state, batch, jax.random.fold_in(key, index))

    last = _last_batch(batches)
    if d_steps == 1:
      if same_latents:  # sampled once, so that XLA sees one generator pass
        size, axis_name = len(last['x']), options.get('axis_name')
        indices = collectives.global_example_indices(size, axis_name)
        step_key = jax.random.fold_in(key, 0)
        last['latents'] = gan_losses.sample_latents(gan, step_key, indices)
        if gan.fake_labels != 'batch':
          last['fake_label'] = gan_losses.sample_labels(
            gan, step_key, indices, None
          )
      step_key = jax.random.fold_in(key, 0)
      state, d_metrics = d_step(state, last, step_key)
    else:
      xs = (jnp.arange(d_steps), batches)
      state, stacked = jax.lax.scan(body, state, xs)
      d_metrics = jax.tree.map(lambda x: x.mean(axis=0), stacked)
    g_index = d_steps - 1 if same_latents else d_steps
    state, g_metrics = g_step(state, last, jax.random.fold_in(key, g_index))
    return state, {**d_metrics, **g_metrics}

  return update


def _make_joint_gradient(name, gan, d_steps, same_latents, options):
  """Builds the gradient function of rules that update both players at once."""
  if d_steps != 1 or same_latents:
    raise ValueError(
      f'd_steps={d_steps}, same_latents={same_latents}: must be 1 and False, '
      f'because the {name} rule updates both players at once, from one batch '
      'and one set of latents. Increase the learning rate of D instead of '
      'd_steps.'
    )
  gradient = make_gradient_fn(gan, PLAYERS, **options)
  return lambda state, batches, key: gradient(
    state, _last_batch(batches), jax.random.fold_in(key, 0)
  )


def simultaneous(gan: GAN, *, d_steps=1, same_latents=False, **options) -> Step:
  """Updates both players at once, from their gradients at the same point.

  References:
    Mescheder et al., The Numerics of GANs, https://arxiv.org/abs/1705.10461,
    2017, algorithm 1.
  """
  gradient = _make_joint_gradient(
    'simultaneous', gan, d_steps, same_latents, options
  )

  def update(state, batches, key):
    found = gradient(state, batches, key)
    return _apply_gradients(gan, state, found), found.metrics

  return update


def _extrapolate(gan: GAN, state: GANState, grads, values=None) -> GANState:
  """Returns the state with parameters one update ahead, the rest unchanged."""
  moved = {}
  for player in PLAYERS:
    value = None if values is None else values[player]
    params, _ = _update_player(gan, state, player, grads[player], value)
    moved[player] = getattr(state, player).replace(params=params)
  return state.replace(**moved)


def extragradient(
  gan: GAN, *, d_steps=1, same_latents=False, **options
) -> Step:
  """Extrapolates by one update, then updates with the gradients found there.

  Both gradients use the same batch and latents. The optimizers' moments, the
  statistics and the auxiliary arrays of terms change only in the second half,
  the update.

  References:
    Gidel et al., A Variational Inequality Perspective on Generative Adversarial
    Networks, https://arxiv.org/abs/1802.10551, 2019, algorithm 4 (ExtraAdam,
    where both halves update the moments).
  """
  gradient = _make_joint_gradient(
    'extragradient', gan, d_steps, same_latents, options
  )

  def update(state, batches, key):
    here = gradient(state, batches, key)
    ahead = _extrapolate(gan, state, here.grads, here.values)
    found = gradient(ahead, batches, key)
    return _apply_gradients(gan, state, found), found.metrics

  return update


def past_extragradient(
  gan: GAN, *, d_steps=1, same_latents=False, **options
) -> Step:
  """Extrapolates with the previous gradient: extragradient at half the cost.

  The previous gradient is kept in `state.aux_state['past_gradient']` and starts
  as zeros.

  References:
    Popov, A Modification of the Arrow-Hurwicz Method for Search of Saddle
    Points, 1980. Gidel et al., https://arxiv.org/abs/1802.10551, 2019
    (extrapolation from the past).
  """
  gradient = _make_joint_gradient(
    'past_extragradient', gan, d_steps, same_latents, options
  )

  def update(state, batches, key):
    ahead = _extrapolate(gan, state, state.aux_state[PAST_GRADIENT])
    found = gradient(ahead, batches, key)
    state = _apply_gradients(gan, state, found)
    return (
      state.replace(aux_state={**state.aux_state, PAST_GRADIENT: found.grads}),
      found.metrics,
    )

  return update


UPDATE_RULES: dict[str, Callable[..., Step]] = {
  'alternating': alternating,
  'simultaneous': simultaneous,
  'extragradient': extragradient,
  'past_extragradient': past_extragradient,
}
