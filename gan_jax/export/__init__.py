"""Exports of generators: StableHLO, ONNX, and a page that runs in a browser.

An export is a function of latents (and a class, and a truncation of styles),
traced without the hand-written gradients that this library uses on CPU. It
needs no part of gan_jax to run. docs/export.md compares the formats.
"""

from gan_jax.export.generator import Generator, make_generator
from gan_jax.export.graph import (
  Graph,
  Operation,
  UnsupportedOperationError,
  count_flops,
  trace_graph,
)
from gan_jax.export.graph_replay import replay
from gan_jax.export.page import make_page, trace_page
from gan_jax.export.stablehlo import make_stablehlo

__all__ = [
  'Generator',
  'Graph',
  'Operation',
  'UnsupportedOperationError',
  'count_flops',
  'make_generator',
  'make_page',
  'make_stablehlo',
  'replay',
  'trace_graph',
  'trace_page',
]
