"""Exponential moving averages of trees of arrays."""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import precision, tracing

PyTree = Any


def is_averaged_leaf(path: tuple[Any, ...], leaf: Any) -> bool:
  """Returns whether the EMA averages a leaf, or copies it.

  Args:
    path: path of the leaf in its tree, as given by jax.tree_util.
    leaf: an array.

  Returns:
    True for floats whose name begins with neither 'power_' nor 'track_'.
  """
  name = _leaf_name(path)
  return is_batch_average(path, leaf) and not name.startswith('track_')


def is_batch_average(path: tuple[Any, ...], leaf: Any) -> bool:
  """Returns whether a statistic is a running average over batches.

  Args:
    path: path of the leaf in its tree, as given by jax.tree_util.
    leaf: an array of the batch statistics.

  Returns:
    False for counters and for the power-iteration directions of spectral
    normalization, named 'power_...'.
  """
  is_float = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
  return bool(is_float) and not _leaf_name(path).startswith('power_')


def _leaf_name(path: tuple[Any, ...]) -> str:
  return str(getattr(path[-1], 'key', '')) if path else ''


def ema_update(
  average: PyTree, new: PyTree, decay: jax.Array | float
) -> PyTree:
  """Moves an average towards new values: decay * average + (1 - decay) * new.

  Leaves that are not floating point (counters) take the new value. So do leaves
  whose name begins with 'power_': these are the directions that spectral
  normalization iterates, and a mean of directions is not a direction. And so do
  those that begin with 'track_', which are running averages already. Averaging
  over about n steps takes decay = 1 - 1 / n. Steps of less than half a unit in
  the last place are lost: an average of bfloat16 weights must be in float32.

  Args:
    average: tree of arrays.
    new: tree of the same structure and shapes, of the same or other types.
    decay: scalar in [0, 1]; 0 copies.

  Returns:
    The new average, with the dtypes of `average`.

  Raises:
    AssertionError: if the trees differ in structure or shapes, or the decay is
      not a scalar.
    ValueError: if the decay is not traced and outside [0, 1].
  """
  chex.assert_trees_all_equal_shapes(average, new)
  chex.assert_rank(decay, 0)
  if tracing.fails(lambda decay: 0 <= decay <= 1, decay):
    raise ValueError(f'decay={decay}: must be between 0 and 1')

  def leaf(path, old, value):
    if not is_averaged_leaf(path, old):
      return jnp.copy(value)  # outside jit, the two would share a buffer
    old_wide, value = precision.widen((old, value))
    return (decay * old_wide + (1 - decay) * value).astype(old.dtype)

  return jax.tree_util.tree_map_with_path(leaf, average, new)


def narrow_averages(average: PyTree) -> list[jax.Array]:
  """Returns the leaves that need a copy in float32, in float32.

  Args:
    average: tree of arrays.

  Returns:
    The averaged leaves of less than 32 bits, for ema_update_precise.
  """
  leaves = jax.tree.leaves_with_path(average)
  return [
    precision.widen(leaf) for path, leaf in leaves if _is_kept(path, leaf)
  ]


def _is_kept(path, leaf):
  return is_averaged_leaf(path, leaf) and precision.is_narrow(leaf)


def ema_update_precise(
  average: PyTree,
  narrow: list[jax.Array],
  new: PyTree,
  decay: jax.Array | float,
) -> tuple[PyTree, list[jax.Array]]:
  """Applies ema_update with float32 copies of narrow leaves.

  Args:
    average: tree of arrays.
    narrow: its narrow leaves in float32, from narrow_averages.
    new: tree of the same structure and shapes.
    decay: scalar in [0, 1].

  Returns:
    The new average, with the dtypes of `average`, and its narrow leaves in
    float32.
  """
  copies = iter(narrow)
  wide = jax.tree_util.tree_map_with_path(
    lambda path, x: next(copies) if _is_kept(path, x) else x, average
  )
  wide = ema_update(wide, new, decay)
  kept = jax.tree.leaves(
    jax.tree_util.tree_map_with_path(
      lambda path, old, x: x if _is_kept(path, old) else None, average, wide
    )
  )
  return precision.cast_like(wide, average), kept


def half_life_decay(half_life: float, batch_size: int) -> float:
  """Computes the decay per step from a half-life in examples.

  decay = 0.5^(batch_size / half_life)

  Args:
    half_life: number of examples after which an old value counts half, above 0.
    batch_size: examples per step.

  Returns:
    The decay, in (0, 1).

  Raises:
    ValueError: if an argument is not finite or not above 0.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020 (half-life of 10,000 images).
  """
  positive = lambda x: 0 < x < math.inf
  if any(tracing.fails(positive, x) for x in (half_life, batch_size)):
    raise ValueError(
      f'half_life={half_life}, batch_size={batch_size}: must be finite and '
      'above 0'
    )
  return 0.5 ** (batch_size / half_life)
