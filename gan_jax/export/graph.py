"""A function as a list of primitive operations, for other interpreters.

`trace_graph` walks the jaxpr of a function. Nested calls are inlined, and what
does not depend on the inputs, such as flipped kernels or the factors of batch
norm, is computed once and kept as a constant. What is left are operations with
few parameters, which `replay` runs in JAX, interpreter.js in a browser, and
jax2onnx turns into ONNX. An operation that none of them knows is refused by its
name.

A size of a shape is an integer, or `{'b': k}` for k times the batch size.
"""

import math
import re
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

Shape = tuple[Any, ...]  # of integers, or {'b': k}
# Operations of one value and of two, without parameters.
UNARY = (
  'abs ceil cos erf exp expm1 floor is_finite log log1p logistic neg not round '
  'rsqrt sign sin sqrt square tanh'
).split()
BINARY = 'add and div eq ge gt le lt max min mul ne or pow rem sub'.split()
_NAMES = {
  'add_any': 'add',
  'reduce_and': 'reduce_min',
  'reduce_or': 'reduce_max',
}
# Entries above which a broadcast is an operation, not a constant.
_LARGE = 4096
_SAME = (
  'copy copy_p optimization_barrier reduce_precision stop_gradient'
).split()
# Primitives that call a function -> their parameter that holds it.
_CALLS = {
  'checkpoint': 'jaxpr',
  'closed_call': 'call_jaxpr',
  'core_call': 'call_jaxpr',
  'custom_jvp_call': 'call_jaxpr',
  'custom_vjp_call': 'call_jaxpr',
  'custom_vjp_call_jaxpr': 'fun_jaxpr',
  'custom_vmap_call': 'call',
  'jit': 'jaxpr',
  'pjit': 'jaxpr',
  'remat2': 'jaxpr',
}


class UnsupportedOperationError(ValueError):
  """A primitive that graphs do not have."""


class Operation(NamedTuple):
  """One operation of a graph.

  Attributes:
    name: name of the JAX primitive.
    inputs: values that it takes: numbers of inputs and results, or
      `{'constant': index}`.
    output: number of its result.
    shape: shape of the result.
    dtype: 'float32', 'int32' or 'bool'.
    parameters: what else the operation needs, as JSON has it.
  """

  name: str
  inputs: tuple[Any, ...]
  output: int
  shape: Shape
  dtype: str
  parameters: dict[str, Any]


class Graph(NamedTuple):
  """Operations from inputs to one output.

  Attributes:
    inputs: name, shape and dtype of each input, whose numbers are 0, 1, 2, ...
    operations: in the order in which they run.
    output: the value that is returned, as Operation.inputs.
    constants: arrays that the operations take.
  """

  inputs: tuple[tuple[str, Shape, str], ...]
  operations: tuple[Operation, ...]
  output: Any
  constants: tuple[np.ndarray, ...]


def trace_graph(
  function: Callable[..., jax.Array],
  weights: Any,
  inputs: Mapping[str, Any],
) -> Graph:
  """Traces a function of weights and inputs to a graph.

  Args:
    function: function (weights, *inputs) -> array.
    weights: tree of arrays, which become constants.
    inputs: name -> jax.ShapeDtypeStruct, whose first size may be a symbolic
      one of jax.export.symbolic_shape('b').

  Returns:
    The graph.

  Raises:
    UnsupportedOperationError: for a primitive that graphs do not have.
  """
  closed, shape = jax.make_jaxpr(function, return_shape=True)(
    weights, *inputs.values()
  )
  if not isinstance(shape, jax.ShapeDtypeStruct):
    raise ValueError(f'the function returns {shape!r}; must be one array')
  leaves = jax.tree.leaves(weights)
  tracer = _Tracer(len(inputs))
  known = [tracer.keep(lambda values, i=i: values[i]) for i in _range(leaves)]
  (output,) = tracer.walk(
    closed.jaxpr, closed.consts, [*known, *range(len(inputs))]
  )
  output = tracer.read(output)
  constants = jax.jit(tracer.constants)(leaves)
  described = tuple(
    (name, _shape(x.shape), _dtype(x.dtype)) for name, x in inputs.items()
  )
  arrays = tuple(np.asarray(x, _dtype(x.dtype)) for x in constants)
  return Graph(described, tuple(tracer.operations), output, arrays)


def _range(values: Sequence[Any]) -> range:
  return range(len(values))


class _Known(NamedTuple):
  """A value that does not depend on the inputs: its place among them."""

  index: int


class _Tracer:
  """Sorts the equations of a jaxpr into constants and operations."""

  def __init__(self, count: int):
    self.operations: list[Operation] = []
    self._next = count  # number of the next result
    # What computes each known value from the weights and those before it.
    self._known: list[Callable[[Any], Any]] = []
    self._used: dict[int, int] = {}  # known value -> its constant

  def keep(self, compute: Callable[[Any], Any]) -> _Known:
    """Adds a known value."""
    self._known.append(compute)
    return _Known(len(self._known) - 1)

  def constants(self, leaves: Sequence[Any]) -> list[Any]:
    """Computes the known values that operations take."""
    values: list[Any] = []
    for index, compute in enumerate(self._known):
      # The first are the weights.
      values.append(compute(leaves if index < len(leaves) else values))
    return [values[index] for index in self._used]

  def read(self, value: Any) -> Any:
    """Returns a value as an operation names it."""
    if not isinstance(value, _Known):
      return value
    place = self._used.setdefault(value.index, len(self._used))
    return {'constant': place}

  def emit(self, name: str, inputs: Sequence[Any], aval: Any, **parameters):
    """Adds an operation; returns the number of its result."""
    taken = tuple(map(self.read, inputs))
    shape, dtype = _shape(aval.shape), _dtype(aval.dtype)
    self.operations.append(
      Operation(name, taken, self._next, shape, dtype, parameters)
    )
    self._next += 1
    return self._next - 1

  def walk(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]):
    """Walks a jaxpr; returns its outputs."""
    values = dict(zip(jaxpr.invars, inputs))
    for variable, value in zip(jaxpr.constvars, consts):
      values[variable] = self.keep(lambda _, value=value: value)

    def read(atom):
      if not isinstance(atom, core.Literal):
        return values[atom]
      return self.keep(lambda _: np.asarray(atom.val, atom.aval.dtype))

    for equation in jaxpr.eqns:
      found = self._equation(equation, [read(x) for x in equation.invars])
      values.update(zip(equation.outvars, found))
    return [read(x) for x in jaxpr.outvars]

  def _equation(self, equation: Any, inputs: list[Any]) -> list[Any]:
    name = _NAMES.get(equation.primitive.name, equation.primitive.name)
    if name in _CALLS:
      return self._call(equation.params[_CALLS[name]], inputs)
    outputs = [x.aval for x in equation.outvars]
    is_known = all(isinstance(x, _Known) for x in inputs)
    if is_known and all(map(_is_concrete, outputs)):
      if name != 'broadcast_in_dim' or outputs[0].size <= _LARGE:
        return self._compute(equation, inputs)
    if name in _SAME:
      return inputs
    if name == 'split':
      return _split(self, equation, inputs[0])
    emit = _EMITTERS.get(name)
    if emit is None:
      raise UnsupportedOperationError(
        f'the generator uses the primitive {name!r}, which exports of graphs do '
        f'not have; they have {", ".join(sorted(_EMITTERS))}'
      )
    return [emit(self, name, equation, inputs)]

  def _call(self, called: Any, inputs: list[Any]) -> list[Any]:
    jaxpr = getattr(called, 'jaxpr', called)
    consts = getattr(called, 'consts', ())
    return self.walk(jaxpr, consts, inputs[: len(jaxpr.invars)])

  def _compute(self, equation: Any, inputs: list[_Known]) -> list[_Known]:
    """Keeps the results of an equation of known values."""
    primitive, params = equation.primitive, equation.params

    def compute(values):
      results = primitive.bind(*(values[x.index] for x in inputs), **params)
      return results if primitive.multiple_results else [results]

    whole = self.keep(compute)
    pick = lambda i: self.keep(lambda values: values[whole.index][i])
    return [pick(i) for i in range(len(equation.outvars))]


def _is_concrete(aval: Any) -> bool:
  return all(isinstance(n, int) for n in aval.shape)


def _size(size: Any) -> Any:
  """Returns a size as an integer or {'b': k}; refuses other expressions."""
  if isinstance(size, int):
    return size
  match = re.fullmatch(r'(?:(\d+)\*)?b', str(size))
  if not match:
    raise UnsupportedOperationError(
      f'a size of the generator is {size}; must be a multiple of the batch size'
    )
  return {'b': int(match[1] or 1)}


def _shape(sizes: Sequence[Any]) -> Shape:
  return tuple(map(_size, sizes))


def _dtype(dtype: Any) -> str:
  """Returns the type in which graphs compute values of a type."""
  if dtype == jnp.bool_:
    return 'bool'
  if jnp.issubdtype(dtype, jnp.floating):
    return 'float32'
  if jnp.issubdtype(dtype, jnp.integer):
    return 'int32'
  raise UnsupportedOperationError(
    f'the generator computes with {dtype}; graphs have float, int and bool'
  )


# ---- Primitives with parameters: functions (tracer, name, equation, inputs).


def _plain(tracer: _Tracer, name: str, equation: Any, inputs: list[Any]) -> int:
  return tracer.emit(name, inputs, equation.outvars[0].aval)


def _reshape(tracer, name, equation, inputs):
  x, aval = inputs[0], equation.invars[0].aval
  order = equation.params.get('dimensions')
  if name == 'reshape' and order is not None:
    x = _transposed(tracer, x, aval, order)
  return tracer.emit('reshape', [x], equation.outvars[0].aval)


def _with(*names: str) -> Callable[..., int]:
  """Returns the function that emits a primitive with some parameters."""

  def emit(tracer, name, equation, inputs):
    kept = {key: _list(equation.params[key]) for key in names}
    return tracer.emit(name, inputs, equation.outvars[0].aval, **kept)

  return emit


def _list(value: Any) -> Any:
  """Returns a parameter as JSON has it."""
  if isinstance(value, tuple | list):
    return [_list(x) for x in value]
  return _size(value) if hasattr(value, '_to_var') else int(value)


def _slice(tracer, name, equation, inputs):
  params = equation.params
  starts = list(map(int, params['start_indices']))
  strides = list(map(int, params['strides'] or [1] * len(starts)))
  aval = equation.outvars[0].aval
  return tracer.emit('slice', inputs, aval, start=starts, stride=strides)


def _split(tracer: _Tracer, equation: Any, x: Any) -> list[int]:
  """Emits a slice for each part."""
  axis, start, parts = equation.params['axis'], 0, []
  for variable, size in zip(equation.outvars, equation.params['sizes']):
    starts = [0] * variable.aval.ndim
    starts[axis] = start
    options = dict(start=starts, stride=[1] * len(starts))
    parts.append(tracer.emit('slice', [x], variable.aval, **options))
    start += int(size)
  return parts


def _stack(tracer, name, equation, inputs):
  axis, aval = equation.params['axis'], equation.outvars[0].aval
  shape = (*aval.shape[:axis], 1, *aval.shape[axis + 1 :])
  part = jax.ShapeDtypeStruct(shape, aval.dtype)
  parts = [tracer.emit('reshape', [x], part) for x in inputs]
  return tracer.emit('concatenate', parts, aval, dimension=axis)


def _clamp(tracer, name, equation, inputs):
  low, x, high = inputs
  aval = equation.outvars[0].aval
  return tracer.emit('min', [tracer.emit('max', [x, low], aval), high], aval)


def _erfc(tracer, name, equation, inputs):
  aval = equation.outvars[0].aval
  one = tracer.keep(lambda _: jnp.ones((), aval.dtype))
  return tracer.emit('sub', [one, tracer.emit('erf', inputs, aval)], aval)


def _convolution(tracer, name, equation, inputs):
  """Emits a convolution of images NHWC by a kernel HWIO."""
  params, aval = equation.params, equation.outvars[0].aval
  numbers = params['dimension_numbers']
  if params['batch_group_count'] != 1 or aval.ndim not in (3, 4):
    raise UnsupportedOperationError(
      f'conv_general_dilated with {aval.ndim - 2} spatial axes and '
      f'batch_group_count={params["batch_group_count"]} is not supported'
    )
  last = lambda spec: (
    spec[0],
    *spec[2:],
    spec[1],
  )  # [N, C, ...] to [N, ..., C]
  kernel = lambda spec: (*spec[2:], spec[1], spec[0])
  orders = last(numbers.lhs_spec), kernel(numbers.rhs_spec)
  avals = [v.aval for v in equation.invars]
  x, w = [
    _transposed(tracer, value, aval, order)
    for value, aval, order in zip(inputs, avals, orders)
  ]
  options = dict(
    stride=_list(params['window_strides']),
    padding=_list(params['padding']),
    lhs_dilation=_list(params['lhs_dilation']),
    rhs_dilation=_list(params['rhs_dilation']),
    groups=int(params['feature_group_count']),
  )
  out = last(numbers.out_spec)
  found = jax.ShapeDtypeStruct([aval.shape[i] for i in out], aval.dtype)
  y = tracer.emit(name, [x, w], found, **options)
  back = [out.index(i) for i in range(aval.ndim)]
  return _transposed(tracer, y, found, back)


def _transposed(tracer: _Tracer, x: Any, aval: Any, order: Sequence[int]):
  if list(order) == list(range(aval.ndim)):
    return x
  shape = [aval.shape[i] for i in order]
  found = jax.ShapeDtypeStruct(shape, aval.dtype)
  return tracer.emit('transpose', [x], found, permutation=list(order))


def _gather(tracer, name, equation, inputs):
  params, numbers = equation.params, equation.params['dimension_numbers']
  kept = {field: _list(getattr(numbers, field)) for field in _GATHER}
  sizes = _list(params['slice_sizes'])
  mode = jax.lax.GatherScatterMode.from_any(params['mode'])
  fills = mode == jax.lax.GatherScatterMode.FILL_OR_DROP
  aval = equation.outvars[0].aval
  return tracer.emit(
    'gather', inputs, aval, slice_sizes=sizes, fill=fills, **kept
  )


_GATHER = (
  'offset_dims collapsed_slice_dims start_index_map operand_batching_dims '
  'start_indices_batching_dims'
).split()
_EMITTERS = {
  **dict.fromkeys(
    [*UNARY, *BINARY, 'select_n', 'convert_element_type'], _plain
  ),
  'broadcast_in_dim': _with('broadcast_dimensions'),
  'clamp': _clamp,
  'concatenate': _with('dimension'),
  'conv_general_dilated': _convolution,
  'dot_general': _with('dimension_numbers'),
  'erfc': _erfc,
  'expand_dims': _reshape,
  'gather': _gather,
  'integer_pow': _with('y'),
  'iota': _with('dimension'),
  'pad': _with('padding_config'),
  'reduce_max': _with('axes'),
  'reduce_min': _with('axes'),
  'reduce_sum': _with('axes'),
  'reshape': _reshape,
  'rev': _with('dimensions'),
  'slice': _slice,
  'squeeze': _reshape,
  'stack': _stack,
  'transpose': _with('permutation'),
}


def count_flops(graph: Graph) -> float:
  """Returns the floating-point operations of products, for one example.

  Args:
    graph: a graph.
  """
  shapes = {i: shape for i, (_, shape, _) in enumerate(graph.inputs)}
  shapes |= {op.output: op.shape for op in graph.operations}
  total = 0.0
  for op in graph.operations:
    if op.name not in ('dot_general', 'conv_general_dilated'):
      continue
    first, second = (
      graph.constants[x['constant']].shape if isinstance(x, dict) else shapes[x]
      for x in op.inputs
    )
    if op.name == 'dot_general':
      (summed, _), _ = op.parameters['dimension_numbers']
      terms = _count(first[axis] for axis in summed)
    else:
      terms = _count(second[:-1]) / _count(op.parameters['lhs_dilation'])
    total += 2 * terms * _count(op.shape)
  return total


def _count(sizes: Any) -> int:
  """Returns the product of sizes, for a batch size of 1."""
  return math.prod(n['b'] if isinstance(n, dict) else n for n in sizes)
