"""Exponential moving averages of trees of arrays."""

from typing import Any

import chex
import jax
import jax.numpy as jnp

PyTree = Any


def update(average: PyTree, new: PyTree, decay: jax.Array | float) -> PyTree:
  """Moves an average towards new values: decay * average + (1 - decay) * new.

  Leaves that are not floating point (counters) take the new value, and so do
  those whose name begins with 'power_': the directions that spectral norm
  iterates, whose mean is no direction. Averaging over n steps means about
  decay = 1 - 1 / n.

  Args:
    average: tree of arrays.
    new: tree of the same structure and shapes.
    decay: scalar in [0, 1]; 0 copies.

  Returns:
    The new average, of average's dtypes.

  Raises:
    AssertionError: where the trees differ in structure or shapes.
  """
  chex.assert_trees_all_equal_shapes_and_dtypes(average, new)

  def leaf(path, old, value):
    name = getattr(path[-1], 'key', '') if path else ''
    is_float = jnp.issubdtype(jnp.result_type(old), jnp.floating)
    if not is_float or str(name).startswith('power_'):
      return value
    return (decay * old + (1 - decay) * value).astype(old.dtype)

  return jax.tree_util.tree_map_with_path(leaf, average, new)
