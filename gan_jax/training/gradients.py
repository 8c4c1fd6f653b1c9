"""Gradients of the losses of one or both players, for all update rules.

`make_gradient_fn` computes the gradient of one player or of both at the same
point, in micro-batches, averaged over the devices.
"""

from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_jax import collectives, precision
from gan_jax.collectives import pmean_floats
from gan_jax.losses import AdversarialLoss
from gan_jax.training import gan_losses
from gan_jax.training.gan import GAN, Batch, Metrics
from gan_jax.training.state import GANState

Array = jax.Array
PyTree = Any
PLAYERS = ('generator', 'discriminator')


class Gradients(NamedTuple):
  """Output of a gradient function; equal on all devices.

  Attributes:
    grads: player -> gradient of the player's loss with respect to its
      parameters.
    batch_stats: player -> new statistics.
    aux_state: new auxiliary arrays of the terms of these players.
    metrics: scalar metrics.
    values: player -> value of the loss that was differentiated.
  """

  grads: dict[str, PyTree]
  batch_stats: dict[str, PyTree]
  aux_state: dict[str, PyTree]
  metrics: Metrics
  values: dict[str, Array]


def _check_micro_batches(gan: GAN, loss: Any, count: int) -> None:
  """Raises ValueError if a batch is split whose examples must stay together."""
  if count < 1:
    raise ValueError(f'micro_batches={count}: must be at least 1')
  if count == 1:
    return
  terms = {**gan.d_terms, **gan.g_terms}
  coupled = [name for name, term in terms.items() if term.coupled]
  if isinstance(loss, AdversarialLoss) and loss.coupled:
    coupled.append('the loss')
  if gan.consensus:
    coupled.append('consensus regularization')
  if coupled:
    raise ValueError(
      f'micro_batches={count}: must be 1, because {", ".join(coupled)} mixes '
      'the examples of the whole batch of a device'
    )


def _micro_batched(gradient, count: int, axis_name):
  """Averages gradient(state, batch, key, indices) over parts of the batch.

  Args:
    gradient: function of one part of the batch that returns (new state, tree to
      average). The new state carries statistics and auxiliary arrays from part
      to part.
    count: number of parts.
    axis_name: name of the mapped axis of devices; None for a single device.

  Returns:
    Function (state, batch, key) -> (new state, mean tree).
  """

  if count == 1:
    return gradient  # no wrapper and no scan

  def run(state, batch, key):
    size = batch['x'].shape[0]
    indices = collectives.global_example_indices(size, axis_name)
    if size % count:
      raise ValueError(
        f'micro_batches={count} does not divide the batch of a device, '
        f'{size} examples'
      )
    split = lambda x: x.reshape(count, size // count, *x.shape[1:])
    parts = jax.tree.map(split, (dict(batch), indices))

    def body(carry, part):
      state, total = carry
      state, new = gradient(state, part[0], key, part[1])
      return (state, jax.tree.map(lambda a, b: a + b / count, total, new)), None

    first = jax.tree.map(lambda x: x[0], parts)
    shapes = jax.eval_shape(gradient, state, first[0], key, first[1])[1]
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    start = state, precision.widen(zeros)
    (state, total), _ = jax.lax.scan(body, start, parts)
    return state, precision.cast_like(total, shapes)

  return run


def _consensus(losses, axis_name, players, params, *rest):
  """Computes half the squared norm of the joint gradient, and its gradient.

  References:
    Mescheder et al., The Numerics of GANs, https://arxiv.org/abs/1705.10461,
    2017, algorithm 2 (consensus optimization).
  """

  def half_norm(own):
    both = {**params, **own}
    g, d = both['generator'], both['discriminator']
    field = (
      jax.grad(lambda g: losses(g, d, *rest)[1])(g),
      jax.grad(lambda d: losses(g, d, *rest)[0])(d),
    )
    field = pmean_floats(field, axis_name)
    leaves = jax.tree.leaves(precision.widen(field))
    return sum(jnp.square(x).sum() for x in leaves) / 2

  return jax.value_and_grad(half_norm)({p: params[p] for p in players})


def _aux_state_names(gan: GAN, players: tuple[str, ...]) -> list[str]:
  """Returns the names in `state.aux_state` that these players update."""
  names = []
  if 'generator' in players:
    names += gan.g_terms
  if 'discriminator' in players:
    names += gan.d_terms
    if gan.is_adaptive:
      names.append('augment')
  return names


def discriminates_in_one_call(gan: GAN) -> bool:
  """Returns whether D's step has one call of D for the real and fake batch.

  A GPU takes fewer and larger kernels. Penalties apply D to one of them again,
  which XLA does not repeat if it had a call of its own.
  """
  is_alone = not (gan.d_terms or gan.consensus)
  is_gpu = jax.default_backend() == 'gpu'
  return is_gpu and is_alone and gan.discriminator.takes_batches


def make_gradient_fn(
  gan: GAN,
  players: tuple[str, ...] = PLAYERS,
  *,
  axis_name: str | None = None,
  micro_batches: int = 1,
  norms: bool = False,
) -> Callable[[GANState, Batch, Array], Gradients]:
  """Builds the function that computes the gradients at one point.

  Args:
    gan: the GAN.
    players: players whose gradients are computed, a subset of PLAYERS.
    axis_name: name of the mapped axis of devices; None for a single device.
    micro_batches: number of parts that the batch of a device is split into.
      They are computed one after the other to save memory. Latents and
      gradients are those of the whole batch; batch norm sees each part
      separately.
    norms: whether the metrics include the norms of the gradients.

  Returns:
    Function (state, batch, key) -> Gradients. Each player's gradient is that of
    its own loss with respect to its own parameters, at the parameters of the
    state.

  Raises:
    ValueError: if micro_batches is below 1, or above 1 with a loss or a term
      that mixes the examples of a batch.
  """
  _check_micro_batches(gan, gan.loss, micro_batches)
  losses = gan_losses.make_gan_losses(gan, axis_name)
  d_losses = losses
  if discriminates_in_one_call(gan):
    d_losses = gan_losses.make_gan_losses(gan, axis_name, one_call=True)

  def gradient(state, batch, key, indices=None):
    _check_micro_batches(
      gan, gan.resolve_loss(state.hparams, state.step), micro_batches
    )
    params = {
      'generator': state.generator.params,
      'discriminator': state.discriminator.params,
    }

    def objective(own, player):
      both = {**params, player: own}
      of_player = losses if player == 'generator' else d_losses
      d_loss, g_loss, aux = of_player(
        both['generator'], both['discriminator'], state, batch, key, indices
      )
      loss = g_loss if player == 'generator' else d_loss
      return gan.gradient_scale * loss, aux

    grads, values, metrics, aux_state, changed = {}, {}, {}, {}, {}
    for player in players:
      by_own = jax.value_and_grad(objective, has_aux=True)
      (values[player], aux), grads[player] = by_own(params[player], player)
      is_generator = player == 'generator'
      metrics |= aux.g_metrics if is_generator else aux.d_metrics
      aux_state |= aux.g_aux_state if is_generator else aux.d_aux_state
      batch_stats = aux.g_batch_stats if is_generator else aux.d_batch_stats
      changed[player] = getattr(state, player).replace(batch_stats=batch_stats)
    if gan.consensus:
      half_norm, more = _consensus(
        losses, axis_name, players, params, state, batch, key, indices
      )
      # The joint gradient scales with gradient_scale, its square with the
      # square of it.
      weight = state.hparams['consensus_weight'] * gan.gradient_scale**2
      add = lambda a, b: (a + weight * b).astype(a.dtype)
      grads = {p: jax.tree.map(add, grads[p], more[p]) for p in players}
      values = {p: add(values[p], half_norm) for p in players}
    state = state.replace(aux_state={**state.aux_state, **aux_state}, **changed)
    return state, (grads, metrics, values)

  run = _micro_batched(gradient, micro_batches, axis_name)
  names = _aux_state_names(gan, players)

  def gradients(state, batch, key):
    new, (grads, metrics, values) = run(state, batch, key)
    batch_stats = {
      player: getattr(new, player).batch_stats for player in players
    }
    aux_state = {name: new.aux_state[name] for name in names}
    found = Gradients(
      *pmean_floats((grads, batch_stats, aux_state, metrics, values), axis_name)
    )
    if not norms:
      return found
    sizes = {
      f'{player[0]}_grad_norm': optax.tree.norm(precision.widen(grads))
      for player, grads in found.grads.items()
    }
    return found._replace(metrics={**found.metrics, **sizes})

  return gradients
