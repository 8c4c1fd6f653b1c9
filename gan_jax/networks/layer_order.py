"""Finds the order in which a network uses its layers.

Trees of parameters are sorted by name, which says nothing about depth: the
order is read from the traced program of the network.
"""

from typing import Any, Iterator

import jax
from jax.extend import core

from gan_jax.networks import leaves
from gan_jax.networks.network import Network

PyTree = Any
Path = tuple[str, ...]


def layers_in_order(
  network: Network, params: PyTree, batch_stats: PyTree, x: Any, label: Any
) -> list[tuple[str, list[Path]]]:
  """Returns the layers of a network, that nearest to its input first.

  A layer is a module below the root (or below the only module there, and so
  on), such as a convolution or a residual block. One without any matrix or
  kernel, such as a normalization, belongs to the layer before it.

  Args:
    network: the network.
    params: parameters; arrays, or their shapes and types.
    batch_stats: statistics, likewise.
    x: input, likewise.
    label: labels, likewise, or None.

  Returns:
    Name and paths of the parameters of each layer; parameters that are not
    used come last.
  """
  paths = leaves.leaf_paths(params)
  depth = _common_depth(paths)
  groups: dict[str, list[int]] = {}
  for index in _use_order(network, params, batch_stats, x, label):
    name = '/'.join(paths[index][: depth + 1])
    groups.setdefault(name, []).append(index)
  sizes = [len(leaf.shape) for leaf in jax.tree.leaves(params)]
  found: list[tuple[str, list[Path]]] = []
  for name, indices in groups.items():
    own = [paths[index] for index in sorted(indices)]
    if found and max(sizes[index] for index in indices) < 2:
      found[-1][1].extend(own)
    else:
      found.append((name, own))
  return found


def _common_depth(paths: list[Path]) -> int:
  """Returns the number of names that all paths begin with."""
  depth = 0
  while len({path[: depth + 1] for path in paths}) == 1 and all(
    len(path) > depth + 1 for path in paths
  ):
    depth += 1
  return depth


def _use_order(network, params, batch_stats, x, label) -> list[int]:
  """Returns the indices of the leaves of params in the order of first use."""
  options = network.key_options(None)

  def call(params, batch_stats, x, label):
    return network.apply(
      params,
      batch_stats,
      x,
      label,
      train=False,
      key=None,
      axis_name=None,
      **options,
    )

  traced = jax.make_jaxpr(call)(params, batch_stats, x, label).jaxpr
  count = len(jax.tree.leaves(params))
  used = _first_uses(traced, dict(zip(traced.invars[:count], range(count))))
  return list(dict.fromkeys([*used, *range(count)]))


def _first_uses(jaxpr: core.Jaxpr, names: dict[Any, int]) -> Iterator[int]:
  """Yields the names of variables as equations use them, also within calls."""
  for equation in jaxpr.eqns:
    given = [
      None if isinstance(x, core.Literal) else names.get(x)
      for x in equation.invars
    ]
    touched = [name for name in given if name is not None]
    if not touched:
      continue
    # A cast of all parameters, before the first layer, is no use of them.
    if equation.primitive.name == 'convert_element_type':
      names[equation.outvars[0]] = touched[0]
      continue
    inner = _called(equation)
    if inner is not None:
      pairs = zip(inner.invars, given)
      yield from _first_uses(inner, {x: n for x, n in pairs if n is not None})
    yield from touched


def _called(equation: core.JaxprEqn) -> core.Jaxpr | None:
  """Returns the program that an equation calls with its own arguments."""
  for value in equation.params.values():
    value = value.jaxpr if isinstance(value, core.ClosedJaxpr) else value
    if isinstance(value, core.Jaxpr):
      if len(value.invars) == len(equation.invars):
        return value
  return None
