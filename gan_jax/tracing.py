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

  Operations that run one by one are compiled one by one: the parameters of a
  network take longer than as one program.

  Args:
    function: function of trees of arrays.

  Returns:
    The function as one program, optimized little, since compiling it takes
    longer than running it. If an argument is traced, or the call is inside
    jax.jit, it is the function itself, whose operations are traced.
  """

  @functools.cache
  def compiled():
    # On CPU, LLVM spends seconds on each random draw that is used just once.
    on_cpu = jax.default_backend() == 'cpu'
    is_quick = not on_cpu or jax.config.values['jax_disable_most_optimizations']
    options = None if is_quick else {'xla_backend_optimization_level': 1}
    return jax.jit(function, compiler_options=options)

  def call(*args):
    # Inside jit, what is made of known numbers is traced, too.
    if is_traced(args, jnp.zeros(())):
      return function(*args)
    return compiled()(*args)

  return call
