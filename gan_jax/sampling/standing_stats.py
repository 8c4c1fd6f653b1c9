"""Standing statistics: batch-norm statistics recomputed for given weights.

The running averages left by training belong to weights that have changed since
then, and do not belong to any average of weights. Standing statistics belong to
the parameters they are computed for. Compute them once, for evaluation, when
the weights no longer change.
"""

import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import precision, prng, training
from gan_jax.training import ema
from gan_jax.training.labels import explain_missing_labels

Array = jax.Array
PyTree = Any


def standing_statistics(
  gan: training.GAN,
  weights: tuple[PyTree, PyTree],
  key: Array,
  *,
  batches: int = 16,
  batch_size: int = 256,
  label: PyTree | None = None,
) -> tuple[PyTree, PyTree]:
  """Recomputes the statistics of a generator for given parameters.

  Each batch of fresh latents contributes its own statistics, without the
  running averages, and the result is their mean. For batch norm these are the
  mean and the variance of the batch. In a dense layer the latter is on average
  1 - 1 / batch_size of the true variance: use the batch size of training, or a
  larger one.

  The method assumes a property of batch norm: in training mode the new
  statistics are momentum * old + (1 - momentum) * those of the batch, for any
  momentum, and the old ones are not used otherwise. Leaves that do not move
  towards the batch (a momentum of 1, counters) stay unchanged, and so do leaves
  that are not floating point and leaves whose name begins with 'power_'. A
  training pass iterates the latter once, evaluation does not: the statistics
  are as accurate as spectral normalization has converged. Statistics of less
  than 32 bits are passed to the network in float32, if it takes them. The mean
  style of a generator with a mapping, a leaf named 'track_...', is recomputed
  likewise.

  Args:
    gan: the GAN.
    weights: (params, batch_stats) of its generator, usually `state.ema`. Of the
      batch_stats, only the structure, the shapes and the unchanged leaves are
      used.
    key: typed key of the latents; the i-th latent depends only on the key and
      i.
    batches: number of training passes, at least 1.
    batch_size: number of latents per pass, at least 2.
    label: labels for a conditional generator, `[batches * batch_size, ...]`, in
      the proportions of later sampling; or None.

  Returns:
    (params, batch_stats) of the same structure, with unchanged params;
    `weights` itself if there are no statistics to recompute.

  Raises:
    ValueError: if batches is below 1, batch_size is below 2, or the label has
      another shape.

  References:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, https://arxiv.org/abs/1809.11096, 2019 (standing statistics).
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, https://arxiv.org/abs/1803.05407, 2018, section 3.2.
  """
  if batches < 1 or batch_size < 2:
    raise ValueError(
      f'batches={batches}, batch_size={batch_size}: must be at least 1 and 2'
    )
  if label is not None:
    for leaf in jax.tree.leaves(label):
      if np.shape(leaf)[:1] != (batches * batch_size,):
        raise ValueError(
          f'label has shape {np.shape(leaf)}; must begin with '
          f'{batches * batch_size}'
        )
    split = lambda x: jnp.reshape(x, (batches, batch_size, *np.shape(x)[1:]))
    label = jax.tree.map(split, label)
  params, batch_stats = weights
  if not any(jax.tree.leaves(_moving(batch_stats))):
    return weights
  static = gan.generator, gan.latent_fn, gan.latent_dim, batches, batch_size
  key = prng.typed_keys(key)
  return params, _recompute(static, weights, key, label)


def evaluation_weights(
  gan: training.GAN,
  weights: tuple[PyTree, PyTree],
  seed: int = 0,
  labels: Callable[[np.ndarray], Any] = lambda indices: None,
) -> tuple[PyTree, PyTree]:
  """Returns the weights that train.py and run_dir.load_sampler sample from.

  The statistics are standing statistics of 8 batches of 128 latents. If the
  generator has no statistics, the weights are returned unchanged.

  Args:
    gan: the GAN.
    weights: (params, batch_stats) of its generator.
    seed: seed of the latents.
    labels: function that returns the labels of the latents by index.

  Returns:
    (params, batch_stats).
  """
  return standing_statistics(
    gan,
    weights,
    jax.random.key(seed),
    batches=8,
    batch_size=128,
    label=labels(np.arange(8 * 128)),
  )


def _moving(batch_stats: PyTree) -> PyTree:
  """Returns which leaves are averages over batches, as a tree of bool."""

  return jax.tree_util.tree_map_with_path(ema.is_batch_average, batch_stats)


@functools.partial(jax.jit, static_argnums=0)
def _recompute(static, weights, key, label):
  """Computes the new statistics."""
  generator, latent_fn, latent_dim, batches, batch_size = static
  params, batch_stats = weights
  latent_key, network_key, noise_key = (
    jax.random.fold_in(key, i) for i in range(3)
  )

  def updated(given, index):
    """Returns the statistics after the batch with an index, from given ones."""
    places = index * batch_size + jnp.arange(batch_size)
    z = latent_fn(prng.per_example_keys(latent_key, places), latent_dim)
    options = dict(
      train=True, key=jax.random.fold_in(network_key, index), axis_name=None
    ) | generator.key_options(prng.per_example_keys(noise_key, places))
    own = jax.tree.map(lambda x: x[index], label)
    call = functools.partial(generator.apply, params, given, z, **options)
    with explain_missing_labels(call, own, batch_size, player='generator'):
      new = call(own)[1]
    return moving(precision.widen, new)

  def moving(function, *trees):
    """Maps a function over averages; other leaves are as in batch_stats."""
    pick = lambda move, old, *x: function(*x) if move else old
    return jax.tree.map(pick, _moving(batch_stats), batch_stats, *trees)

  # Starting from zeros gives (1 - momentum) times the statistics of the batch.
  # Starting from other values, for the same batch, then gives the momentum.
  # They are as large as the result, so that rounding does not drown them.
  zeros = moving(jnp.zeros_like, batch_stats)
  wide = moving(precision.widen, zeros)
  narrow = any(map(precision.is_narrow, jax.tree.leaves(zeros)))
  zeros = wide if narrow and _takes(updated, wide) else zeros
  from_zeros = updated(zeros, 0)
  others = moving(
    lambda x, zero: jnp.maximum(jnp.abs(x), 1).astype(zero.dtype),
    from_zeros,
    zeros,
  )
  share = moving(
    lambda new, zero, old: 1 - (new - zero) / old,
    updated(others, 0),
    from_zeros,
    others,
  )

  def add(total, index):
    new = updated(zeros, index)
    return moving(lambda a, b: a + b / batches, total, new), None

  total, _ = jax.lax.scan(add, wide, jnp.arange(batches))

  def whole(total, share, old):
    moves = share > 1e-6
    return jnp.where(moves, total / jnp.where(moves, share, 1), old)

  return precision.cast_like(
    moving(whole, total, share, batch_stats), batch_stats
  )


def _takes(updated, batch_stats) -> bool:
  """Returns whether a network can be applied to statistics in float32."""
  try:
    jax.eval_shape(updated, batch_stats, 0)
  except (AssertionError, TypeError, ValueError):
    return False  # it insists on its own type
  return True
