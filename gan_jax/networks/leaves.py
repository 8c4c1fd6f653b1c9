"""Names the leaves of other libraries' trees, and puts them back."""

from typing import Any, Sequence

import flax.traverse_util
import jax
import jax.numpy as jnp

PyTree = Any


def leaf_paths(tree: PyTree) -> list[tuple[str, ...]]:
  """Returns the path of every leaf as strings, in the order of the leaves.

  Args:
    tree: a tree of any node types.
  """
  return [
    tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path)
    or ('',)
    for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]
  ]


def to_dict(
  leaves: Sequence[Any], paths: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
  """Returns leaves as nested dicts with string keys, which checkpoints keep.

  Args:
    leaves: arrays.
    paths: their paths.

  Returns:
    The dicts, with strongly typed arrays.
  """
  strong = [jnp.asarray(leaf, jnp.result_type(leaf)) for leaf in leaves]
  return flax.traverse_util.unflatten_dict(dict(zip(paths, strong)))


def from_dict(
  tree: dict[str, Any], paths: Sequence[tuple[str, ...]]
) -> list[Any]:
  """Returns the leaves of `to_dict`, in the order of the paths.

  Args:
    tree: nested dicts.
    paths: paths of the leaves.
  """
  flat = flax.traverse_util.flatten_dict(tree)
  return [flat[path] for path in paths]
