"""State dicts of PyTorch: each tensor is used once, in the layout of Flax."""

import re
from typing import Any, Mapping, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any
_SHOWN = 5  # names in a message
_FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


class Converted(NamedTuple):
  """A network in the layout of gan_jax.models.

  Attributes:
    fields: fields of the Flax module: the options of the config, and `classes`.
    params: parameters, float32 numpy.
    batch_stats: statistics, likewise; {} for none.
    shape: shape of an example, (side, side, channels).
    latent_dim: length of the latents of a generator; 0 for a discriminator.
    unused: names of the tensors that are not needed.
  """

  fields: dict[str, Any]
  params: PyTree
  batch_stats: PyTree
  shape: tuple[int, ...]
  latent_dim: int
  unused: tuple[str, ...]


class StateDict:
  """Tensors of a network of which each is taken once."""

  def __init__(self, tensors: Mapping[str, np.ndarray], unused: str, fir: str):
    """Initializes the reader.

    Args:
      tensors: name -> array.
      unused: regular expression of the names that are not needed.
      fir: regular expression of the names of low-pass filters, which must be
        [1, 3, 3, 1] along both axes, as those of gan_jax.

    Raises:
      ValueError: if a filter is another; the message names it.
    """
    self._left = dict(tensors)
    self.unused = tuple(n for n in tensors if re.search(f'{unused}|{fir}', n))
    for name in self.unused:
      found = self._left.pop(name)
      if not re.search(fir, name):
        continue
      if found.shape != (4, 4) or not np.allclose(found, _FILTER, atol=1e-6):
        raise ValueError(
          f'{name} of shape {found.shape} is not the filter [1, 3, 3, 1] of '
          'both axes, the only one that the networks here have'
        )

  def __contains__(self, name: str) -> bool:
    return name in self._left

  def numbers(self, pattern: str) -> list[int]:
    """Returns the numbers in names, in increasing order.

    Args:
      pattern: regular expression of the beginning of the names, with one group.
    """
    found = (re.match(pattern, name) for name in self._left)
    return sorted({int(match[1]) for match in found if match})

  def shape(self, name: str, ndim: int) -> tuple[int, ...]:
    """Returns the shape of a tensor.

    Args:
      name: its name.
      ndim: its number of axes.

    Raises:
      ValueError: if it is missing, or has another number of axes.
    """
    if name not in self._left:
      raise ValueError(f'{name} is missing')
    shape = self._left[name].shape
    if len(shape) != ndim:
      raise ValueError(f'{name} has shape {shape}; must have {ndim} axes')
    return shape

  def take(self, name: str, ndim: int) -> np.ndarray:
    """Returns a tensor in float32.

    Args:
      name: its name.
      ndim: its number of axes.

    Raises:
      ValueError: as `shape`, or if it has values that are not finite.
    """
    self.shape(name, ndim)
    found = np.float32(self._left.pop(name))
    if not np.isfinite(found).all():
      raise ValueError(f'{name} has values that are not finite')
    return found

  def convolution(self, name: str) -> np.ndarray:
    """Returns the kernel of a convolution, `[k, k, I, O]` of [O, I, k, k]."""
    return np.ascontiguousarray(self.take(name, 4).transpose(2, 3, 1, 0))

  def dense(self, name: str) -> np.ndarray:
    """Returns the kernel of a dense layer, `[I, O]` of [O, I]."""
    return np.ascontiguousarray(self.take(name, 2).T)

  def image(self, name: str) -> np.ndarray:
    """Returns an image, `[H, W, C]` of [C, H, W]."""
    return np.ascontiguousarray(self.take(name, 3).transpose(1, 2, 0))

  def close(self) -> None:
    """Checks that no tensor is left.

    Raises:
      ValueError: if one is; the message has their names.
    """
    if self._left:
      raise ValueError(
        f'{_listed(self._left)}: not part of the network that the other '
        'tensors are of'
      )


def check_shapes(
  module: Any, params: PyTree, batch_stats: PyTree, *inputs: Any
) -> None:
  """Checks that arrays are all leaves of a Flax module, with its shapes.

  Args:
    module: the Linen module.
    params: parameters.
    batch_stats: statistics.
    *inputs: shapes and types of what the module is called with.

  Raises:
    ValueError: if they are not; the message has the paths of leaves.
  """
  init = lambda *x: module.init(jax.random.key(0), *x, train=False)
  needed = dict(jax.eval_shape(init, *inputs))
  found = {'params': params, 'batch_stats': batch_stats}
  needed = {name: needed.get(name, {}) for name in found}
  if faults := differences(flatten(found), flatten(needed)):
    raise ValueError(faults)


def inputs(
  shape: tuple[int, ...], classes: int
) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct | None]:
  """Returns the shapes and types of two examples and of their labels."""
  label = jax.ShapeDtypeStruct((2,), jnp.int32) if classes else None
  return jax.ShapeDtypeStruct((2, *shape), jnp.float32), label


def path_of(keys: Any) -> str:
  """Returns the keys of a leaf in a tree of dicts as 'a/b/c'."""
  return '/'.join(str(key.key) for key in keys)


def flatten(tree: PyTree) -> dict[str, Any]:
  """Returns path -> leaf of a tree of dicts."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {path_of(keys): leaf for keys, leaf in leaves}


def differences(found: Mapping[str, Any], needed: Mapping[str, Any]) -> str:
  """Returns which leaves differ in shape, '' for none.

  Args:
    found: path -> array.
    needed: path -> array or its shape and type.
  """
  found = {path: np.shape(leaf) for path, leaf in found.items()}
  needed = {path: np.shape(leaf) for path, leaf in needed.items()}
  return _listed(
    f'{path} has shape {found.get(path, "(missing)")}, not '
    f'{needed.get(path, "(absent)")}'
    for path in {**needed, **found}
    if found.get(path) != needed.get(path)
  )


def _listed(names) -> str:
  names = list(names)
  more = f', and {len(names) - _SHOWN} more' * (len(names) > _SHOWN)
  return ', '.join(names[:_SHOWN]) + more
