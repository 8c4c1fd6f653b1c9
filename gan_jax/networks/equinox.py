"""Converts Equinox modules to networks."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from gan_jax.networks import calls, leaves
from gan_jax.networks.network import Network

_EXAMPLES = 'gan_jax_examples'  # axis of the examples of one device
_ARGUMENTS = ('label', 'train', 'key', 'state')


def convert(module: Any) -> Network:
  """Implements networks.from_equinox."""
  seeded = not is_finished(module)
  make = module if seeded else lambda key: module

  def build(key):
    made = make(key)
    pair = made if isinstance(made, tuple) else (made, None)
    if not isinstance(pair[0], eqx.Module):
      raise TypeError(
        f'{module!r} made a {type(made).__name__}; must make an eqx.Module, or '
        '(module, state)'
      )
    return pair

  @functools.cache
  def template():
    """Returns the module without arrays, and what it takes."""
    made, state = eqx.filter_eval_shape(build, jax.random.key(0))
    name = type(made).__name__
    known = calls.accepted_arguments(made.__call__, name, _ARGUMENTS)
    if ('state' in known) != (state is not None):
      raise ValueError(_state_message(name, state is None))
    return made, state, known

  def init(key, x, label=None):
    del x, label
    template()  # refuses what does not fit
    made, state = build(key)
    params, other = eqx.partition(made, _is_parameter)
    constants = eqx.filter(other, _is_array)
    stats = {'constants': _to_dict(constants), 'state': _to_dict(state)}
    return _to_dict(params), {name: x for name, x in stats.items() if x}

  def apply(
    params, batch_stats, x, label=None, *, train, key=None, axis_name=None
  ):
    made, state, known = template()
    like_params, other = eqx.partition(made, _is_parameter)
    like_constants, static = eqx.partition(other, _is_array)
    bound = eqx.combine(
      _from_dict(params, like_params),
      _from_dict(batch_stats.get('constants', {}), like_constants),
      static,
    )
    bound = _with_axis_names(bound, axis_name)
    bound = eqx.nn.inference_mode(bound, value=not train)
    state = _from_dict(batch_stats.get('state', {}), state)
    options = {'label': label, 'train': train, 'key': key, 'state': state}
    y, new = _call_on_batch(bound, x, {n: options[n] for n in known})
    if not train or state is None:
      return y, batch_stats
    return y, {**batch_stats, 'state': _to_dict(new)}

  return Network(init, apply, seeded=seeded)


def _call_on_batch(
  module: eqx.Module, x: jax.Array, options: dict[str, Any]
) -> tuple[Any, Any]:
  """Calls a module on every example; returns the outputs and the new state."""
  by_example = {n: options[n] for n in ('label', 'key') if n in options}
  shared = {n: options[n] for n in ('train', 'state') if n in options}
  if by_example.get('key') is not None:
    fold = functools.partial(jax.random.fold_in, by_example['key'])
    by_example['key'] = jax.vmap(fold)(jnp.arange(x.shape[0]))
  absent = {n: None for n, value in by_example.items() if value is None}
  mapped = {n: v for n, v in by_example.items() if v is not None}

  def one(x, mapped):
    y = module(x, **mapped, **absent, **shared)
    return y if 'state' in shared else (y, None)

  return jax.vmap(one, axis_name=_EXAMPLES, out_axes=(0, None))(x, mapped)


def _with_axis_names(module: eqx.Module, axis_name: str | None) -> eqx.Module:
  """Lets batch norm average over the examples, and over all devices."""
  names = _EXAMPLES if axis_name is None else (_EXAMPLES, axis_name)
  is_norm = lambda node: isinstance(node, eqx.nn.BatchNorm)

  def renamed(node):
    if not is_norm(node):
      return node
    is_name = lambda x: isinstance(x, str | tuple | list)
    return eqx.tree_at(lambda n: n.axis_name, node, names, is_leaf=is_name)

  return jax.tree.map(renamed, module, is_leaf=is_norm)


def _state_message(name: str, is_missing: bool) -> str:
  if is_missing:
    return (
      f'the call of {name} takes a state, but none was made: pass '
      f'eqx.nn.make_with_state({name}), or lambda key: '
      f'eqx.nn.make_with_state({name})(..., key=key)'
    )
  return (
    f'{name} was made with a state, but its call takes none: write '
    'def __call__(self, x, state) and return (y, state)'
  )


def _is_array(x: Any) -> bool:
  """Whether a leaf is an array, or the shape of one."""
  return isinstance(x, jax.Array | jax.ShapeDtypeStruct) or eqx.is_array(x)


def _is_parameter(x: Any) -> bool:
  return _is_array(x) and jnp.issubdtype(x.dtype, jnp.inexact)


def _to_dict(tree: Any) -> dict[str, Any]:
  return leaves.to_dict(jax.tree.leaves(tree), leaves.leaf_paths(tree))


def _from_dict(tree: dict[str, Any], like: Any) -> Any:
  values = leaves.from_dict(tree, leaves.leaf_paths(like))
  return jax.tree.unflatten(jax.tree.structure(like), values)


def is_finished(module: Any) -> bool:
  """Returns whether this is a module, or a module with its state.

  Args:
    module: what a user passed.
  """
  first = module[0] if isinstance(module, tuple) and module else module
  return isinstance(first, eqx.Module)
