"""Many runs as one program: members that share shapes, data and code.

A member is a run with a seed and hyper-parameters (`state.hparams`) of its own.
The states of all members are stacked along a first axis, and the program of
one run (fused.fuse_steps) becomes that of all.
"""

from typing import Any, Sequence

import jax
import jax.numpy as jnp

from gan_jax.training.fused import FusedSteps, RandomStreams
from gan_jax.training.state import GANState

PyTree = Any
BACKENDS = ('vmap', 'map')


def stack_members(trees: Sequence[PyTree]) -> PyTree:
  """Members' trees as one, along a new first axis."""
  return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def take_member(tree: PyTree, index: int) -> PyTree:
  """One member of a stacked tree."""
  return jax.tree.map(lambda leaf: leaf[index], tree)


def stacked_member_shapes(one: PyTree, count: int) -> PyTree:
  """Shapes of `count` trees stacked, from those of one."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), one
  )


def vectorize_members(run: FusedSteps, way: str = '') -> FusedSteps:
  """The program of many members, of the program of one.

  Args:
    run: (state, feed, draws, count) -> (state, metrics), of fused.fuse_steps.
    way: 'vmap' computes each operation for all members at once: for GPU and
      TPU, which one small network leaves idle. 'map' computes one member
      after the other, for the whole call; each is then what it would be
      alone, to the bit or nearly. '' takes 'map' on CPU, where neither is
      faster but for toys, which 'map' makes one kernel of, and 'vmap' elsewhere.

  Returns:
    (states, feed, draws, count) -> (states, metrics `[M, limit]`), where the
    leaves of states and draws have a first axis of M members, and feed and
    count are shared.

  Raises:
    ValueError: for another way.
  """
  way = way or ('map' if jax.default_backend() == 'cpu' else 'vmap')
  if way not in BACKENDS:
    raise ValueError(f'way={way!r}: choose one of {BACKENDS}')
  if way == 'vmap':
    return jax.vmap(run, in_axes=(0, None, 0, None))

  def one_by_one(states: GANState, feed, draws: RandomStreams, count):
    member = lambda x: run(x[0], feed, x[1], count)
    return jax.lax.map(member, (states, draws))

  return one_by_one
