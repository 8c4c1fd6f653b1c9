"""Checks of values inside jit, vmap and grad, and compilation outside of them.

A traced array has no values, so checks of it are skipped. Arrays that a traced
function closes over have values, but operations on them are traced all the
same, unless they run under `jax.ensure_compile_time_eval()`.
"""

import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp

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


def compile_for_one_call(function: Callable[..., Any]) -> Callable[..., Any]:
  """Compiles a function that is called once, such as the init of a network.

  Without jax.jit, each operation is a program, and each shape another one.

  Args:
    function: function of trees of arrays.

  Returns:
    The function as one program, optimized little: compiling it takes longer
    than running it. If an argument is traced, or the call is inside jax.jit,
    the operations of the function are traced.
  """

  @functools.cache
  def compiled():
    return jax.jit(function, compiler_options=_quick_options())

  def call(*args):
    # Inside jax.jit, zeros are traced, too.
    if is_traced(args, jnp.zeros(())):
      return function(*args)
    return compiled()(*args)

  return call


def _quick_options() -> dict[str, int] | None:
  """Returns options of XLA for a program that runs once."""
  is_quick = jax.config.values.get('jax_disable_most_optimizations')
  if is_quick or jax.default_backend() != 'cpu':
    return None
  # LLVM spends seconds on each random draw that is used just once.
  return {'xla_backend_optimization_level': 1}
