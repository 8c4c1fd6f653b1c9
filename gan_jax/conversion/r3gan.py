"""Converts R3GAN of the authors' code.

Not needed are the `Kernel`s of the resamplers, which are fixed.

References:
  https://github.com/brownvc/R3GAN, R3GAN/Networks.py.
"""

from typing import Any, Mapping

import numpy as np

from gan_jax.conversion import state_dict
from gan_jax.conversion.state_dict import Converted, StateDict
from gan_jax.models import r3gan

Tensors = Mapping[str, np.ndarray]
_UNUSED = r'(?!)', r'\.Resampler\.Kernel$'  # nothing but the filters
_SIZES = {i: 2 << i for i in range(2, 8)}  # stages -> side of the images


def is_generator(tensors: Tensors) -> bool:
  """Returns whether a state dict is a generator's, by its names."""
  return any('AggregationLayer.' in name for name in tensors)


def _without_wrapper(tensors: Tensors) -> dict[str, np.ndarray]:
  """Removes the prefix of the class that training wraps networks in."""
  return {name.removeprefix('Model.'): x for name, x in tensors.items()}


def _layers(state: StateDict, stage: int) -> list[int]:
  """Returns the numbers of the layers of a stage, 0, 1, ..."""
  return state.numbers(rf'MainLayers\.{stage}\.Layers\.(\d+)\.')


def _conv(state: StateDict, name: str) -> dict[str, np.ndarray]:
  return {'kernel': state.convolution(f'{name}.Layer.weight')}


def _linear(state: StateDict, name: str) -> dict[str, np.ndarray]:
  return {'kernel': state.dense(f'{name}.weight')}


def _block(state: StateDict, name: str) -> dict[str, Any]:
  found = {
    f'conv_{i}': _conv(state, f'{name}.LinearLayer{i + 1}') for i in range(3)
  }
  for i in range(2):
    found[f'bias_{i}'] = state.take(f'{name}.NonLinearity{i + 1}.Bias', 1)
  return found


def _stages(state: StateDict, *, first: int) -> list[dict[str, Any]]:
  """Returns the residual blocks of each stage, in the order of the file.

  Args:
    state: the state dict.
    first: number of the first residual block in a stage: 1 after a transition,
      0 before it.
  """
  stages = []
  for k in state.numbers(r'MainLayers\.(\d+)\.'):
    prefix = f'MainLayers.{k}.Layers'
    layers = [
      i
      for i in _layers(state, k)
      if f'{prefix}.{i}.LinearLayer1.Layer.weight' in state
    ]
    if layers != list(range(first, first + len(layers))) or not layers:
      raise ValueError(
        f'{prefix} has residual blocks at {layers}; must be {first}, '
        f'{first + 1}, ...'
      )
    stages.append(
      {
        f'block_{i}': _block(state, f'{prefix}.{layer}')
        for i, layer in enumerate(layers)
      }
    )
  if len(stages) not in _SIZES:
    raise ValueError(
      f'it has {len(stages)} stages; must be one of {sorted(_SIZES)}'
    )
  return stages


def _options(stages: list[dict[str, Any]]) -> dict[str, Any]:
  """Returns the options of both networks, of stages from 4 x 4 pixels up."""
  blocks = [stage['block_0'] for stage in stages]
  widths = [block['conv_0']['kernel'].shape[2] for block in blocks]
  return {
    'width': widths[0],
    'taper': len(set(widths)) > 1 or len(widths) < 5,
    'group_size': blocks[0]['conv_1']['kernel'].shape[2],
    'blocks': len(stages[0]),
  }


def generator(tensors: Tensors) -> Converted:
  """Converts a generator.

  Args:
    tensors: state dict of the authors' Generator.

  Returns:
    The generator.

  Raises:
    ValueError: if a tensor is missing, left over or of another shape; the
      message names it.
  """
  state = StateDict(_without_wrapper(tensors), *_UNUSED)
  stages = _stages(state, first=1)
  head = 'MainLayers.0.Layers.0'
  params: dict[str, Any] = {f'stage_{4 << i}': s for i, s in enumerate(stages)}
  params['basis'] = {'basis': state.image(f'{head}.Basis')}
  params['basis'] |= _linear(state, f'{head}.LinearLayer')
  for i in range(1, len(stages)):
    name = f'MainLayers.{i}.Layers.0.LinearLayer'
    if f'{name}.Layer.weight' in state:
      params[f'widen_{2 << i}'] = _conv(state, name)
  params['to_image'] = _conv(state, 'AggregationLayer')
  classes, fields = 0, _options(stages)
  latent_dim = len(params['basis']['kernel'])
  if 'EmbeddingLayer.weight' in state:
    params['embedding'] = _linear(state, 'EmbeddingLayer')
    classes, fields['embedding_dim'] = params['embedding']['kernel'].shape
    latent_dim -= fields['embedding_dim']
  state.close()
  fields['classes'], size = classes, _SIZES[len(stages)]
  shape = (size, size, params['to_image']['kernel'].shape[3])
  module = r3gan.Generator(shape=shape, **fields)
  inputs = state_dict.inputs((latent_dim,), classes)
  state_dict.check_shapes(module, params, {}, *inputs)
  return Converted(fields, params, {}, shape, latent_dim, state.unused)


def discriminator(tensors: Tensors) -> Converted:
  """Converts a discriminator.

  Args:
    tensors: state dict of the authors' Discriminator.

  Returns:
    The discriminator.

  Raises:
    ValueError: as for `generator`.
  """
  state = StateDict(_without_wrapper(tensors), *_UNUSED)
  stages = _stages(state, first=0)
  count = len(stages)
  params: dict[str, Any] = {'from_image': _conv(state, 'ExtractionLayer')}
  for i, stage in enumerate(stages):
    side = 2 << (count - i)
    params[f'stage_{side}'] = stage
    name = f'MainLayers.{i}.Layers.{len(stage)}.LinearLayer'
    if i < count - 1 and f'{name}.Layer.weight' in state:
      params[f'widen_{side // 2}'] = _conv(state, name)
  head = f'MainLayers.{count - 1}.Layers.{len(stages[-1])}'
  # One filter for each channel, [C, 1, 4, 4].
  weights = state.convolution(f'{head}.Basis.weight')
  params['pool'] = {'weights': weights[:, :, 0]}
  params['output'] = _linear(state, f'{head}.LinearLayer')
  fields = _options(stages[::-1]) | {'classes': 0}
  if 'EmbeddingLayer.weight' in state:
    params['projection'] = _linear(state, 'EmbeddingLayer')
    fields['classes'] = len(params['projection']['kernel'])
  state.close()
  size = _SIZES[count]
  shape = (size, size, params['from_image']['kernel'].shape[2])
  module = r3gan.Discriminator(**fields)
  examples = state_dict.inputs(shape, fields['classes'])
  state_dict.check_shapes(module, params, {}, *examples)
  return Converted(fields, params, {}, shape, 0, state.unused)
