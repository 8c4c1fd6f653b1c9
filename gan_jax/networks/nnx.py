"""Converts Flax NNX modules to networks."""

import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp
from flax import nnx

from gan_jax.networks import calls, leaves
from gan_jax.networks.network import Network


def convert(module: nnx.Module | Callable[[nnx.Rngs], nnx.Module]) -> Network:
  """Implements networks.from_nnx."""
  seeded = not isinstance(module, nnx.Module)
  make = module if seeded else lambda rngs: module

  @functools.cache
  def template():
    made = (
      make(nnx.Rngs(0))
      if not seeded
      else nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    )
    if not isinstance(made, nnx.Module):
      raise TypeError(
        f'{module!r} made a {type(made).__name__}; must make an nnx.Module'
      )
    graph, *states = nnx.split(made, nnx.Param, nnx.RngState, ...)
    name = type(made).__name__
    known = calls.accepted_arguments(made.__call__, name, ('label', 'train'))
    paths = [leaves.leaf_paths(_plain(state)) for state in states]
    return graph, states, paths, known

  def init(key, x, label=None):
    del x, label
    _, _, (param_paths, _, stat_paths), _ = template()
    _, params, _, stats = nnx.split(
      make(nnx.Rngs(key)), nnx.Param, nnx.RngState, ...
    )
    return (
      leaves.to_dict(jax.tree.leaves(params), param_paths),
      leaves.to_dict(jax.tree.leaves(stats), stat_paths),
    )

  def apply(
    params, batch_stats, x, label=None, *, train, key=None, axis_name=None
  ):
    graph, (p, rngs, s), (param_paths, _, stat_paths), known = template()
    key = jax.random.key(0) if key is None else key
    bound = nnx.merge(
      graph,
      _filled(p, leaves.from_dict(params, param_paths)),
      _reseeded(rngs, key),
      _filled(s, leaves.from_dict(batch_stats, stat_paths)),
    )
    bound.train() if train else bound.eval()
    if axis_name is not None and jax.lax.axis_size(axis_name) > 1:
      _set_axis_name(bound, axis_name)
    options = {'label': label, 'train': train}
    y = bound(x, **{name: options[name] for name in known})
    if not train:
      return y, batch_stats
    _, _, _, new = nnx.split(bound, nnx.Param, nnx.RngState, ...)
    flat = dict(zip(leaves.leaf_paths(_plain(new)), jax.tree.leaves(new)))
    # Only what was there before: sown values are left out.
    return y, leaves.to_dict([flat[path] for path in stat_paths], stat_paths)

  return Network(init, apply, seeded=seeded)


def _plain(state: nnx.State) -> Any:
  return nnx.to_pure_dict(state)


def _filled(state: nnx.State, values: list[Any]) -> nnx.State:
  """Returns a state with other values, in the order of its leaves."""
  return jax.tree.unflatten(jax.tree.structure(state), values)


def _reseeded(rngs: nnx.State, key: jax.Array) -> nnx.State:
  """Returns random streams that begin at a key, with their counts at 0."""
  fresh = []
  for i, leaf in enumerate(jax.tree.leaves(rngs)):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    value = jax.random.fold_in(key, i) if is_key else jnp.zeros((), leaf.dtype)
    fresh.append(jnp.broadcast_to(value, leaf.shape))
  return _filled(rngs, fresh)


def _set_axis_name(module: nnx.Module, axis_name: str) -> None:
  for _, part in nnx.iter_modules(module):
    if isinstance(part, nnx.BatchNorm) and part.axis_name is None:
      part.axis_name = axis_name
  if hasattr(module, 'axis_name'):
    module.axis_name = axis_name
