"""Generators as StableHLO, the portable programs of JAX."""

import jax
from jax import export

from gan_jax.export import generator as generator_lib

PLATFORMS = ('cpu', 'cuda', 'tpu')


def make_stablehlo(
  generator: generator_lib.Generator, *, separate_weights: bool = False
) -> bytes:
  """Exports a generator as a program for CPU, GPU and TPU, of any batch size.

  jax.export.deserialize reads it: `.call(z)`, or, with separate weights,
  `.call(weights, z)`. It can be differentiated once.

  Args:
    generator: function and weights.
    separate_weights: whether the weights are an argument, (params,
      batch_stats), and no part of the program.

  Returns:
    The serialized program.

  References:
    https://docs.jax.dev/en/latest/export/export.html
  """
  specs = generator.specs(generator_lib.symbolic_batch()).values()
  function = jax.jit(generator.function)
  arguments = (jax.tree.map(_spec, generator.weights), *specs)
  if not separate_weights:
    function = jax.jit(
      lambda *inputs: generator.function(generator.weights, *inputs)
    )
    arguments = arguments[1:]
  exported = export.export(function, platforms=PLATFORMS)(*arguments)
  return bytes(exported.serialize(vjp_order=1))


def _spec(x: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(x.shape, x.dtype)
