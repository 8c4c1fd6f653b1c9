"""Reductions over the mapped device axis, if there is one.

Each function takes `axis_name`, the name of the mapped axis. None stands for a
single device and leaves the input unchanged.
"""

from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import precision

Array = jax.Array
PyTree = Any


def axis_index(axis_name: str | None = None) -> Array | int:
  """Returns the index of this device along the mapped axis.

  Args:
    axis_name: name of the mapped axis; None for a single device.

  Returns:
    int32 scalar; the Python integer 0 for a single device, so that XLA knows
    that the index is constant and fuses a small loop into one kernel.
  """
  if axis_name is None or jax.lax.axis_size(axis_name) == 1:
    return 0
  return jax.lax.axis_index(axis_name)


def global_example_indices(
  local_size: int, axis_name: str | None = None
) -> Array:
  """Returns the indices of this device's examples in the global batch.

  Args:
    local_size: number of examples on this device.
    axis_name: name of the mapped axis; None for a single device.

  Returns:
    `[local_size]` int32.
  """
  return axis_index(axis_name) * local_size + jnp.arange(
    local_size, dtype=jnp.int32
  )


def pmean(tree: PyTree, axis_name: str | None) -> PyTree:
  """Averages every leaf of a tree over devices."""
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def psum(tree: PyTree, axis_name: str | None) -> PyTree:
  """Sums every leaf of a tree over devices."""
  return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def pmean_floats(tree: PyTree, axis_name: str | None) -> PyTree:
  """Averages the floating-point leaves of a tree over devices.

  Args:
    tree: tree of arrays; integer leaves are left unchanged. Floats of less than
      32 bits are averaged in float32.
    axis_name: name of the mapped axis. With None, or an axis of one device,
      the tree is returned unchanged.

  Returns:
    The tree, the same on all devices.
  """
  if axis_name is None or jax.lax.axis_size(axis_name) == 1:
    return tree
  leaves, structure = jax.tree.flatten(tree)
  floats = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
  means = iter(
    jax.lax.pmean(
      precision.widen([x for x, f in zip(leaves, floats) if f]), axis_name
    )
  )
  averaged = [next(means) if f else x for x, f in zip(leaves, floats)]
  return jax.tree.unflatten(structure, precision.cast_like(averaged, leaves))


def global_mean(x: Array, axis_name: str | None) -> Array:
  """Returns the mean of all elements of x on all devices, a scalar.

  Raises:
    ValueError: if x has no elements.
  """
  if not x.size:
    raise ValueError(f'array of shape {x.shape}: must not be empty')
  mean = pmean(precision.widen(x).mean(), axis_name)
  return precision.cast_like(mean, x)


def all_gather(x: Array, axis_name: str | None) -> Array:
  """Concatenates the parts `[B, ...]` of all devices to `[n B, ...]`."""
  if axis_name is None:
    return x
  return jax.lax.all_gather(x, axis_name, axis=0, tiled=True)
