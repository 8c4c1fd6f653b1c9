"""Training steps: pure functions (state, batch, key) -> (state, metrics).

Each is written for one device. With `axis_name` it runs under pmap, shard_map
or an emulating vmap and takes one mean over that axis of everything that the
devices must agree on; without, it is the whole of training on one device.
"""

from typing import Any, Callable

import jax
import jax.numpy as jnp
import optax

from gan_jax import ema, game
from gan_jax import latents as latents_lib
from gan_jax.state import GANState

Array = jax.Array
PyTree = Any
Step = Callable[[GANState, game.Batch, Array], tuple[GANState, game.Metrics]]


def mean_over(axis_name: str | None, tree: PyTree) -> PyTree:
  """Mean over devices of the floating-point leaves of a tree.

  Args:
    axis_name: the mapped axis of devices; None returns the tree.
    tree: arrays; those of integers are left alone.

  Returns:
    The tree, the same on all devices.
  """
  if axis_name is None:
    return tree
  leaves, structure = jax.tree.flatten(tree)
  floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
  means = iter(
    jax.lax.pmean([x for x, f in zip(leaves, floats) if f], axis_name)
  )
  leaves = [next(means) if f else x for x, f in zip(leaves, floats)]
  return jax.tree.unflatten(structure, leaves)


def to_float(x: Array) -> Array:
  """Pixels 0..255 to float32 in [-1, 1]; anything else to float32 as it is.

  Args:
    x: `[...]`, uint8 or floating point.

  Returns:
    `[...]` float32.

  Raises:
    ValueError: for other types, whose range is anybody's guess.
  """
  if x.dtype == jnp.uint8:
    return x.astype(jnp.float32) / 127.5 - 1
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise ValueError(
      f'examples of type {x.dtype}: must be uint8 (0 to 255) or floating point '
      '(images in [-1, 1])'
    )
  return x.astype(jnp.float32)


def _micro_batched(gradient, count: int, axis_name):
  """Runs gradient(state, batch, key, indices) over parts and averages.

  Args:
    gradient: -> (new state, averaged), of one part of the batch. The new
      state carries statistics and terms' memory from part to part.
    count: number of parts.
    axis_name: the mapped axis of devices.

  Returns:
    (state, batch, key) -> (new state, mean of averaged).
  """

  def run(state, batch, key):
    size = batch['x'].shape[0]
    indices = latents_lib.global_indices(size, axis_name)
    if count == 1:
      return gradient(state, batch, key, indices)
    if size % count:
      raise ValueError(
        f'micro_batches={count} does not divide the {size} examples of a device'
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
    return jax.lax.scan(body, (state, zeros), parts)[0]

  return run


def make_d_step(
  gan: game.GAN, *, axis_name: str | None = None, micro_batches: int = 1
) -> Step:
  """Makes the discriminator's step: one update of it, G and EMA untouched.

  Args:
    gan: the game.
    axis_name: the mapped axis of devices; None for one device.
    micro_batches: parts that a device's batch is computed in, one after the
      other, to save memory. Latents and gradients are those of the whole
      batch; what couples examples (batch norm, a loss that is not one of each
      logit pair by itself) sees each part by itself.

  Returns:
    The step; its key is used as it is (train_step folds in the step number).
  """
  losses = game.player_losses(gan, axis_name)

  def gradient(state, batch, key, indices):
    def objective(d_params):
      d_loss, _, aux = losses(
        state.generator.params, d_params, state, batch, key, indices
      )
      return gan.batch_scale * d_loss, aux

    grads, aux = jax.grad(objective, has_aux=True)(state.discriminator.params)
    discriminator = state.discriminator.replace(stats=aux.d_stats)
    extra = {name: aux.extra[name] for name in gan.d_terms}
    state = state.replace(
      discriminator=discriminator, extra={**state.extra, **extra}
    )
    return state, (grads, aux.d_metrics)

  run = _micro_batched(gradient, micro_batches, axis_name)

  def d_step(state, batch, key):
    new, (grads, metrics) = run(state, batch, key)
    grads, stats, extra, metrics = mean_over(
      axis_name, (grads, new.discriminator.stats, new.extra, metrics)
    )
    player = _update(
      gan.d_transform(state.hyper), state.discriminator, grads, stats
    )
    return state.replace(discriminator=player, extra=extra), metrics

  return d_step


def make_g_step(
  gan: game.GAN, *, axis_name: str | None = None, micro_batches: int = 1
) -> Step:
  """Makes the generator's step: one update of it, D and EMA untouched.

  Args:
    gan: the game.
    axis_name: the mapped axis of devices; None for one device.
    micro_batches: as in make_d_step.

  Returns:
    The step. The batch gives its size, labels, and the real examples to
    losses that compare with them.
  """
  losses = game.player_losses(gan, axis_name)

  def gradient(state, batch, key, indices):
    def objective(g_params):
      _, g_loss, aux = losses(
        g_params, state.discriminator.params, state, batch, key, indices
      )
      return gan.batch_scale * g_loss, aux

    grads, aux = jax.grad(objective, has_aux=True)(state.generator.params)
    generator = state.generator.replace(stats=aux.g_stats)
    extra = {name: aux.extra[name] for name in gan.g_terms}
    state = state.replace(generator=generator, extra={**state.extra, **extra})
    return state, (grads, aux.g_metrics)

  run = _micro_batched(gradient, micro_batches, axis_name)

  def g_step(state, batch, key):
    new, (grads, metrics) = run(state, batch, key)
    grads, stats, extra, metrics = mean_over(
      axis_name, (grads, new.generator.stats, new.extra, metrics)
    )
    player = _update(
      gan.g_transform(state.hyper), state.generator, grads, stats
    )
    return state.replace(generator=player, extra=extra), metrics

  return g_step


def _update(transform, player, grads, stats):
  updates, opt_state = transform.update(grads, player.opt_state, player.params)
  params = optax.apply_updates(player.params, updates)
  return player.replace(params=params, stats=stats, opt_state=opt_state)


def make_train_step(
  gan: game.GAN,
  *,
  d_steps: int = 1,
  same_latents: bool = False,
  axis_name: str | None = None,
  micro_batches: int = 1,
) -> Step:
  """Makes one iteration: d_steps of D, one of G, one of the average of G.

  The key is the run's constant base key: the step number is folded in here,
  and nowhere else.

  Args:
    gan: the game. `state.hyper['ema_decay']` is the average's decay.
    d_steps: discriminator steps per generator step, each on its own batch
      and latents.
    same_latents: whether G's step takes the latents of D's last step, as in
      Dive into Deep Learning, rather than its own.
    axis_name: the mapped axis of devices; None for one device.
    micro_batches: as in make_d_step.

  Returns:
    The step; its batch has leaves `[d_steps, B, ...]`, uint8 images or floats
    (`to_float` is applied). The G step reads the last of the d_steps batches.
    Metrics are means over d_steps.

  Raises:
    ValueError: for d_steps or micro_batches below 1; when traced, for a batch
      whose first axis is not d_steps.
  """
  for name, value in (('d_steps', d_steps), ('micro_batches', micro_batches)):
    if value < 1:
      raise ValueError(f'{name}={value}: must be at least 1')
  options = dict(axis_name=axis_name, micro_batches=micro_batches)
  d_step = make_d_step(gan, **options)
  g_step = make_g_step(gan, **options)

  def train_step(state, batch, key):
    found = batch['x'].shape[0]
    if found != d_steps:
      raise ValueError(
        f'the batch holds {found} discriminator batches on its first axis '
        f'(shape {batch["x"].shape}); d_steps={d_steps}'
      )
    batch = {**batch, 'x': to_float(batch['x'])}
    key = jax.random.fold_in(key, state.step)

    def body(state, part):
      index, d_batch = part
      return d_step(state, d_batch, jax.random.fold_in(key, index))

    last = {name: x[-1] for name, x in batch.items()}
    if d_steps == 1:
      state, d_metrics = body(state, (0, last))
    else:
      state, stacked = jax.lax.scan(body, state, (jnp.arange(d_steps), batch))
      d_metrics = jax.tree.map(lambda x: x.mean(axis=0), stacked)
    g_index = d_steps - 1 if same_latents else d_steps
    state, g_metrics = g_step(state, last, jax.random.fold_in(key, g_index))
    generator = (state.generator.params, state.generator.stats)
    average = ema.update(state.ema, generator, state.hyper['ema_decay'])
    state = state.replace(step=state.step + 1, ema=average)
    return state, {**d_metrics, **g_metrics}

  return train_step


def make_sample_fn(gan: game.GAN) -> Callable[..., Array]:
  """Makes the function from latents to examples, in evaluation mode.

  Args:
    gan: the game.

  Returns:
    (weights, latents `[B, Z]`, label `[B]` or None) -> examples `[B, ...]`,
    where weights is (params, stats): `state.ema`, or
    `(state.generator.params, state.generator.stats)`.
  """

  def sample(weights, latents, label=None):
    params, stats = weights
    x, _ = gan.generator.apply(
      params, stats, latents, label, train=False, key=None, axis_name=None
    )
    return x

  return sample
