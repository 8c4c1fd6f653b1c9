"""Runs a graph in JAX, and makes ONNX of it in an environment of its own.

As a program this file needs jax, jax2onnx, onnx and onnxruntime, and nothing of
gan_jax: it runs where they are installed, which is not where gan_jax trains.

  python graph_replay.py DIR      reads graph.json and arrays.npz, writes model.onnx
"""

import importlib.metadata
import json
import pathlib
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_IMAGES = {3: ('NHC', 'HIO', 'NHC'), 4: ('NHWC', 'HWIO', 'NHWC')}
_ELEMENTWISE = {
  **{'abs': jnp.abs, 'ceil': jnp.ceil, 'cos': jnp.cos, 'erf': lax.erf},
  **{'exp': jnp.exp, 'expm1': jnp.expm1, 'floor': jnp.floor, 'log': jnp.log},
  **{'is_finite': jnp.isfinite, 'log1p': jnp.log1p, 'neg': jnp.negative},
  **{'logistic': jax.nn.sigmoid, 'not': jnp.logical_not, 'round': lax.round},
  **{'rsqrt': lax.rsqrt, 'sign': jnp.sign, 'sin': jnp.sin, 'sqrt': jnp.sqrt},
  **{
    'square': jnp.square,
    'tanh': jnp.tanh,
    'add': jnp.add,
    'sub': jnp.subtract,
  },
  **{'and': jnp.logical_and, 'or': jnp.logical_or, 'div': lax.div},
  **{'eq': lax.eq, 'ne': lax.ne, 'ge': lax.ge, 'gt': lax.gt, 'le': lax.le},
  **{'lt': lax.lt, 'max': lax.max, 'min': lax.min, 'mul': jnp.multiply},
  **{'pow': jnp.power, 'rem': lax.rem},
}


def replay(graph, constants, inputs):
  """Computes the output of a graph.

  Args:
    graph: export.Graph, or a dict of its fields as JSON has them.
    constants: its arrays, numpy or JAX.
    inputs: arrays in the order of its inputs. The batch size is the first size
      of the first.

  Returns:
    The output.
  """
  batch = inputs[0].shape[0]
  values = dict(enumerate(inputs))

  def read(name):
    return (
      constants[name['constant']] if isinstance(name, dict) else values[name]
    )

  for name, taken, output, shape, dtype, parameters in graph['operations']:
    shape = _sizes(shape, batch)
    taken = [jnp.asarray(read(x)) for x in taken]
    values[output] = _apply(name, taken, shape, dtype, parameters, batch)
  return read(graph['output'])


def _sizes(sizes, batch):
  """Returns a shape, or a part of one, for a batch size."""
  return tuple(n['b'] * batch if isinstance(n, dict) else n for n in sizes)


def _apply(name, x, shape, dtype, parameters, batch):
  """Applies one operation to arrays."""
  if name in _ELEMENTWISE:
    return _ELEMENTWISE[name](*x)
  if name in _LAYOUT:
    return _LAYOUT[name](x, shape, parameters)
  if name == 'convert_element_type':
    return x[0].astype(dtype)
  if name == 'iota':
    return lax.broadcasted_iota(dtype, shape, parameters['dimension'])
  if name == 'gather':
    return _gather(*x, parameters, batch)
  return _ARITHMETIC[name](x, parameters)


_LAYOUT = {
  'broadcast_in_dim': lambda x, shape, p: lax.broadcast_in_dim(
    x[0], shape, p['broadcast_dimensions']
  ),
  'concatenate': lambda x, shape, p: lax.concatenate(x, p['dimension']),
  'pad': lambda x, shape, p: _pad(*x, p['padding_config']),
  'reshape': lambda x, shape, p: jnp.reshape(x[0], shape),
  'rev': lambda x, shape, p: lax.rev(x[0], p['dimensions']),
  'slice': lambda x, shape, p: _slice(x[0], shape, p['start'], p['stride']),
  'transpose': lambda x, shape, p: jnp.transpose(x[0], p['permutation']),
}
_ARITHMETIC = {
  'dot_general': lambda x, p: lax.dot_general(*x, p['dimension_numbers']),
  'integer_pow': lambda x, p: lax.integer_pow(x[0], p['y']),
  'reduce_max': lambda x, p: jnp.max(x[0], tuple(p['axes'])),
  'reduce_min': lambda x, p: jnp.min(x[0], tuple(p['axes'])),
  'reduce_sum': lambda x, p: jnp.sum(x[0], tuple(p['axes'])),
  'select_n': lambda x, p: jnp.where(x[0], x[2], x[1]),
  'conv_general_dilated': lambda x, p: lax.conv_general_dilated(
    *x,
    p['stride'],
    list(map(tuple, p['padding'])),
    lhs_dilation=p['lhs_dilation'],
    rhs_dilation=p['rhs_dilation'],
    dimension_numbers=_IMAGES[x[0].ndim],
    feature_group_count=p['groups'],
  ),
}


def _pad(x, value, config):
  if any(low < 0 or high < 0 or inner for low, high, inner in config):
    return lax.pad(x, value, list(map(tuple, config)))
  # By concatenation, since jax2onnx pads only arrays of a known batch size.
  for axis, (low, high, _) in enumerate(config):
    side = lambda size: lax.broadcast_in_dim(
      value, (*x.shape[:axis], size, *x.shape[axis + 1 :]), ()
    )
    parts = [side(low)] * (low > 0) + [x] + [side(high)] * (high > 0)
    x = lax.concatenate(parts, axis) if len(parts) > 1 else x
  return x


def _slice(x, shape, start, stride):
  for axis, (first, step) in enumerate(zip(start, stride)):
    if (first, step) != (0, 1) or shape[axis] is not x.shape[axis]:
      end = first + (shape[axis] - 1) * step + 1
      x = lax.slice_in_dim(x, first, end, step, axis)
  return x


def _gather(x, indices, parameters, batch):
  fields = (
    *('offset_dims', 'collapsed_slice_dims', 'start_index_map'),
    *('operand_batching_dims', 'start_indices_batching_dims'),
  )
  numbers = lax.GatherDimensionNumbers(
    **{name: tuple(parameters[name]) for name in fields}
  )
  mode = 'fill' if parameters['fill'] else 'clip'
  sizes = _sizes(parameters['slice_sizes'], batch)
  return lax.gather(x, indices, numbers, sizes, mode=mode)


def _write_onnx(directory):
  """Converts a graph to ONNX, and runs it in onnxruntime.

  Args:
    directory: directory with graph.json, whose constants are 'constant_0',
      'constant_1', ... in arrays.npz; 'input_0', ... and 'output' there are a
      batch and what it should give. model.onnx is written to it.

  Returns:
    Versions, and the largest difference of the batch and of its first example,
    in standard deviations of the output.
  """
  import jax2onnx
  import onnx
  import onnxruntime

  graph = json.loads((directory / 'graph.json').read_text())
  arrays = dict(np.load(directory / 'arrays.npz'))
  constants = [arrays[f'constant_{i}'] for i in range(graph['constants'])]
  names = [name for name, _, _ in graph['inputs']]
  sizes = lambda shape: ['B' if isinstance(n, dict) else n for n in shape]
  model = jax2onnx.to_onnx(
    lambda *inputs: replay(graph, constants, inputs),
    [
      types.SimpleNamespace(shape=tuple(sizes(shape)), dtype=np.dtype(dtype))
      for _, shape, dtype in graph['inputs']
    ],
    input_names=names,
    output_names=['x'],
    model_name='generator',
  )
  # Shapes of hidden values are wrong for other batches, and onnxruntime-web
  # refuses them; it infers them by itself.
  del model.graph.value_info[:]
  onnx.checker.check_model(model, full_check=True)
  onnx.save(model, directory / 'model.onnx')
  session = onnxruntime.InferenceSession(model.SerializeToString())
  expected = arrays['output']
  differences = []
  for count in (1, len(expected)):
    feed = {}
    for i, (name, shape, _) in enumerate(graph['inputs']):
      feed[name] = (
        arrays[f'input_{i}'][:count] if shape else arrays[f'input_{i}']
      )
    (found,) = session.run(None, feed)
    differences.append(np.abs(found - expected[:count]).max())
  return {
    'jax2onnx': importlib.metadata.version('jax2onnx'),
    'onnx': onnx.__version__,
    'onnxruntime': onnxruntime.__version__,
    'opset': model.opset_import[0].version,
    'nodes': len(model.graph.node),
    'difference': float(max(differences) / expected.std()),
  }


if __name__ == '__main__':
  print(json.dumps(_write_onnx(pathlib.Path(sys.argv[1]))))
