"""Keeps sums and averages in float32, whatever the type of the user's arrays.

In bfloat16, 1 + 0.002 is 1: an average that moves by a hundredth of a
difference stands still. What is summed or averaged is widened first, and cast
back where the user's networks take it.
"""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def is_narrow(leaf: Any) -> bool:
  """Returns whether an array is floating point with less than 32 bits."""
  dtype = jnp.result_type(leaf)
  return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32


def widen(tree: PyTree) -> PyTree:
  """Casts floats of less than 32 bits to float32; other leaves stay."""
  cast = lambda x: jnp.asarray(x, jnp.float32) if is_narrow(x) else x
  return jax.tree.map(cast, tree)


def cast_like(tree: PyTree, like: PyTree) -> PyTree:
  """Casts the leaves of a tree to the types of those of another."""
  return jax.tree.map(lambda x, y: x.astype(jnp.result_type(y)), tree, like)
