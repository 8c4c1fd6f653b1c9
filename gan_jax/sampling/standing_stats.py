"""Standing statistics: those of batch norm, recomputed for given weights.

The running averages that training leaves belong to weights that have changed
since, and to no average of weights at all. These belong to the parameters
they come with: for evaluation, once, of weights that no longer change.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import prng, training
from gan_jax.training import ema

Array = jax.Array
PyTree = Any


def standing_statistics(
  gan: training.GAN,
  weights: tuple[PyTree, PyTree],
  key: Array,
  *,
  batches: int = 16,
  batch_size: int = 256,
  label: np.ndarray | Array | None = None,
) -> tuple[PyTree, PyTree]:
  """Recomputes a generator's statistics under given parameters.

  The mean over some batches of fresh latents of what each batch alone would
  put into the running averages. For batch norm these are the batch's mean and
  its variance, which in a dense layer is 1 - 1 / batch_size of the true one on
  average: take the batch size of training, or a larger one.

  It assumes of the network what is true of batch norm: in training mode new
  statistics are momentum * old + (1 - momentum) * the batch's, for any
  momentum, and the old are not read besides. What does not move towards the
  batch (momentum of 1, counters) stays as it was, and so do leaves that are
  not floating point and those whose name begins with 'power_'. A training
  pass iterates the latter once, evaluation does not: the statistics fit as
  well as spectral norm has converged.

  Args:
    gan: the game.
    weights: (params, batch_stats) of its generator, `state.ema` as a rule. Of the
      batch_stats only structure, shapes, and what stays are read.
    key: typed key of the latents; the i-th of all depends on it and i alone.
    batches: how many training passes, at least 1.
    batch_size: latents in each, at least 2.
    label: `[batches * batch_size]` integer classes for a conditional
      generator, in the proportions that it will be sampled in; or None.

  Returns:
    (params, batch_stats) of the same structure, params as they came; weights itself
    where there is nothing to recompute.

  Raises:
    ValueError: for batches below 1, batch_size below 2, or a label of another
      shape.

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
    if np.shape(label) != (batches * batch_size,):
      raise ValueError(
        f'label has shape {np.shape(label)}; must be ({batches * batch_size},)'
      )
    label = jnp.asarray(label).reshape(batches, batch_size)
  params, batch_stats = weights
  if not any(jax.tree.leaves(_moving(batch_stats))):
    return weights
  sizes = (gan.latent_dim, batches, batch_size)
  return params, _recompute(gan.generator, sizes, weights, key, label)


def evaluation_weights(
  gan: training.GAN, weights: tuple[PyTree, PyTree], seed: int = 0
) -> tuple[PyTree, PyTree]:
  """What train.py and run_dir.load_sampler sample from: standing statistics.

  Of 8 batches of 128 latents; the weights themselves where the generator
  keeps no statistics.

  Args:
    gan: the game.
    weights: (params, batch_stats) of its generator.
    seed: of the latents.

  Returns:
    (params, batch_stats).
  """
  return standing_statistics(
    gan, weights, jax.random.key(seed), batches=8, batch_size=128
  )


def _moving(batch_stats: PyTree) -> PyTree:
  """Which leaves are averages over batches, as a tree of bool."""

  return jax.tree_util.tree_map_with_path(ema.is_averaged_leaf, batch_stats)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _recompute(generator, sizes, weights, key, label):
  """The new statistics; sizes is (latent_dim, batches, batch_size)."""
  latent_dim, batches, batch_size = sizes
  params, batch_stats = weights
  latent_key, network_key = (jax.random.fold_in(key, i) for i in (0, 1))

  def updated(given, index):
    """Statistics after the batch of an index, from given ones."""
    places = index * batch_size + jnp.arange(batch_size)
    z = prng.sample_normal(
      prng.per_example_keys(latent_key, places), latent_dim
    )
    return generator.apply(
      params,
      given,
      z,
      None if label is None else label[index],
      train=True,
      key=jax.random.fold_in(network_key, index),
      axis_name=None,
    )[1]

  def moving(function, *trees):
    """Function of the leaves that are averages, the others as in batch_stats."""
    pick = lambda move, old, *x: function(*x) if move else old
    return jax.tree.map(pick, _moving(batch_stats), batch_stats, *trees)

  # From zeros we get (1 - momentum) times the batch's own. From others of the
  # same batch, as large as the result lest rounding drown them, the momentum.
  zeros = moving(jnp.zeros_like, batch_stats)
  from_zeros = updated(zeros, 0)
  others = moving(lambda x: jnp.maximum(jnp.abs(x), 1), from_zeros)
  share = moving(
    lambda new, zero, old: 1 - (new - zero) / old,
    updated(others, 0),
    from_zeros,
    others,
  )

  def add(total, index):
    new = updated(zeros, index)
    return moving(lambda a, b: a + b / batches, total, new), None

  total, _ = jax.lax.scan(add, zeros, jnp.arange(batches))

  def whole(total, share, old):
    moves = share > 1e-6
    return jnp.where(moves, total / jnp.where(moves, share, 1), old)

  return moving(whole, total, share, batch_stats)
