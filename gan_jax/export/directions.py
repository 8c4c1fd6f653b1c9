"""Finds the first affine maps of a generator in its graph, for SeFa."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.export import graph_replay
from gan_jax.export.graph import Graph

# Operations that keep an affine function of the input affine.
_SHAPES = (
  'reshape transpose slice broadcast_in_dim concatenate pad rev gather '
  'reduce_sum neg convert_element_type'
).split()
_PRODUCTS = ('dot_general', 'conv_general_dilated')


def first_affine_maps(graph: Graph, name: str) -> np.ndarray:
  """Returns the maps that first meet an input of a generator, side by side.

  Args:
    graph: graph of a generator, for one example.
    name: name of the input, `[1, D]`.

  Returns:
    `[D, N]`; N is 0 if there is no such map.
  """
  names = [own for own, _, _ in graph.inputs]
  index = names.index(name)
  affine, products = {index}, []
  for op in graph.operations:
    reached = [x for x in op.inputs if isinstance(x, int) and x in affine]
    fixed = all(isinstance(x, dict) for x in op.inputs if x not in reached)
    if not reached:
      continue
    if op.name in _SHAPES or op.name in ('add', 'sub'):
      affine.add(op.output)
    elif op.name in ('mul', 'div') and fixed and len(reached) == 1:
      affine.add(op.output)
    elif op.name in _PRODUCTS and fixed and len(reached) == 1:
      products.append(op.output)
  inputs = [jnp.zeros(shape, dtype) for _, shape, dtype in graph.inputs]
  width = inputs[index].shape[-1]

  def apply(x):
    given = [*inputs[:index], x[None], *inputs[index + 1 :]]
    ends = [graph._replace(output=output)._asdict() for output in products]
    found = [graph_replay.replay(g, graph.constants, given) for g in ends]
    return jnp.concatenate([jnp.zeros(0), *(y.reshape(-1) for y in found)])

  jacobian = jax.jit(jax.jacfwd(apply))(jnp.zeros(width))
  return np.asarray(jacobian).T
