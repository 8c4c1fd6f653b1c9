"""Ensembles: many runs with the same shapes, data and code in one program.

A member is a run with its own seed and hyper-parameters (`state.hparams`). The
states of all members are stacked along a first axis, and the program of a
single run (fused.fuse_steps) is vectorized over it.
"""

from typing import Any, Callable, Sequence

import jax
import jax.numpy as jnp

from gan_jax.training.fused import FusedSteps, RandomStreams
from gan_jax.training.state import GANState

PyTree = Any
BACKENDS = ('vmap', 'map')


def stack_members(trees: Sequence[PyTree]) -> PyTree:
  """Stacks the trees of members along a new first axis."""
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def take_member(tree: PyTree, index: int) -> PyTree:
  """Returns one member of a stacked tree."""
  return jax.tree.map(lambda leaf: leaf[index], tree)


def stacked_member_shapes(one: PyTree, count: int) -> PyTree:
  """Returns the shapes of `count` stacked trees, given one of them."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one
  )


def choose_backend(backend: str = '') -> str:
  """Returns how members are computed, see `vectorize_members`.

  Args:
    backend: 'vmap' or 'map'; '' for 'map' on CPU and 'vmap' elsewhere.

  Raises:
    ValueError: if `backend` is none of these.
  """
  backend = backend or ('map' if jax.default_backend() == 'cpu' else 'vmap')
  if backend not in BACKENDS:
    raise ValueError(f'backend={backend!r}: choose one of {BACKENDS}')
  return backend


def map_members(
  function: Callable[..., PyTree], backend: str = ''
) -> Callable[..., PyTree]:
  """Vectorizes a function of one member over the first axis of its arguments.

  Args:
    function: function of trees of arrays.
    backend: as for vectorize_members.

  Returns:
    The function of stacked trees, whose results are stacked.

  Raises:
    ValueError: if `backend` is none of these.
  """
  if choose_backend(backend) == 'vmap':
    return jax.vmap(function)
  return lambda *stacked: jax.lax.map(lambda member: function(*member), stacked)


def vectorize_members(run: FusedSteps, backend: str = '') -> FusedSteps:
  """Vectorizes a single-run program over ensemble members.

  Args:
    run: function (state, feed, streams, count) -> (state, metrics), built by
      fused.fuse_steps.
    backend: 'vmap', 'map' or ''. 'vmap' computes each operation for all members at
      once; it suits GPU and TPU, which one small network leaves idle. 'map'
      computes one member after the other, each for the whole call; the results
      of a member are those of its single run, bit for bit or nearly. '' selects
      'map' on CPU and 'vmap' elsewhere. On CPU neither is faster, except for
      toy networks, which XLA fuses into one kernel under 'map'.

  Returns:
    Function (states, feed, streams, count) -> (states, metrics
    `[M, max_steps]`). The leaves of states and streams have a first axis of M
    members; feed and count are shared.

  Raises:
    ValueError: if `backend` is none of these.
  """
  choose_backend(backend)  # or raises, before anything is traced

  def run_all(states: GANState, feed, streams: RandomStreams, count):
    member = lambda state, own: run(state, feed, own, count)
    return map_members(member, backend)(states, streams)

  return run_all
