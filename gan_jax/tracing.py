"""Checks of values inside jit, vmap and grad.

A traced array has no values, so checks of it are skipped. Arrays that a traced
function closes over have values, but operations on them are traced all the
same, unless they run under `jax.ensure_compile_time_eval()`.
"""

from typing import Any, Callable

import jax

PyTree = Any


def is_traced(*trees: PyTree) -> bool:
  """Returns whether any leaf is traced, without values, as under jax.jit."""
  return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(trees))


def fails(check: Callable[..., Any], *values: Any) -> bool:
  """Returns whether a check of known values fails.

  Args:
    check: function of the values that returns a bool; not called if one of
      them is traced.
    *values: numbers, or trees of arrays.

  Returns:
    Whether all values are known and the check is false.
  """
  if is_traced(*values):
    return False
  with jax.ensure_compile_time_eval():
    return not check(*values)


def check_known(what: str, advice: str = '', **trees: PyTree) -> None:
  """Checks that the arguments of a function on the host are not traced.

  Args:
    what: name of the function, for the message.
    advice: sentence on what to call instead; '' for none.
    **trees: trees of arrays, by the names of the arguments.

  Raises:
    TypeError: if one is traced; the message has its name.
  """
  traced = [name for name, tree in trees.items() if is_traced(tree)]
  if traced:
    raise TypeError(
      f'{what} computes on the host and needs the values of '
      f'{", ".join(traced)}, which jax.jit, vmap or grad traces: call it '
      f'outside of them. {advice}'.rstrip()
    )
