"""Converts StyleGAN2 of stylegan2-ada-pytorch and of stylegan3.

Kernels are stored as here, in PyTorch's order of axes: those of transposed
convolutions are not flipped. Not needed are `noise_const`, the noise that the
authors draw samples with (here, keys give it, or there is none), and
`resample_filter`, which is fixed.

Not in a state dict: the size of the groups of the minibatch standard deviation
(the default here, 4), the probability of style mixing, and `conv_clamp`, which
the authors' mixed precision has and these networks have not.

References:
  https://github.com/NVlabs/stylegan2-ada-pytorch, training/networks.py.
"""

from typing import Any, Mapping

import numpy as np

from gan_jax.conversion import state_dict
from gan_jax.conversion.state_dict import Converted, StateDict
from gan_jax.models import stylegan2

Tensors = Mapping[str, np.ndarray]
_UNUSED = r'\.noise_const$', r'(^|\.)resample_filter$'


def is_generator(tensors: Tensors) -> bool:
  """Returns whether a state dict is a generator's, by its names."""
  return any(name.startswith('synthesis.') for name in tensors)


def _channel_options(widths: dict[int, int]) -> dict[str, int]:
  """Returns the options that give the channels at each side.

  Args:
    widths: side of feature maps -> channels.

  Raises:
    ValueError: if there are none.
  """
  most = widths[min(widths)]
  narrow = [side * c for side, c in widths.items() if c < most]
  base = max(narrow, default=max(widths) * most)
  if any(min(base // side, most) != c for side, c in widths.items()):
    raise ValueError(
      f'the channels by the side of the feature maps are {widths}; must be '
      'min(channel_base / side, channel_max) for two numbers'
    )
  return {'channel_base': base, 'channel_max': most}


def _sides(state: StateDict, pattern: str) -> list[int]:
  """Returns the sides of the feature maps, 4, 8, ..., which must be whole."""
  sides = state.numbers(pattern)
  whole = [4 << i for i in range(len(sides))]
  if sides != whole or len(sides) < 2:
    raise ValueError(
      f'the blocks are of the sides {sides}; must be 4, 8, ... up to that of '
      'the images'
    )
  return sides


def _dense(state: StateDict, name: str) -> dict[str, Any]:
  return {
    'kernel': state.dense(f'{name}.weight'),
    'bias': state.take(f'{name}.bias', 1),
  }


def _conv(state: StateDict, name: str) -> dict[str, Any]:
  found = {'kernel': state.convolution(f'{name}.weight')}
  if f'{name}.bias' in state:
    found['bias'] = state.take(f'{name}.bias', 1)
  return found


def _mapping(state: StateDict) -> dict[str, Any]:
  """Returns a mapping network; its layers are those that are there."""
  found = {}
  if 'mapping.embed.weight' in state:
    found['embedding'] = _dense(state, 'mapping.embed')
  for i in state.numbers(r'mapping\.fc(\d+)\.'):
    found[f'layer_{i}'] = _dense(state, f'mapping.fc{i}')
  return found


def _classes(mapping: dict[str, Any]) -> int:
  return len(mapping['embedding']['kernel']) if 'embedding' in mapping else 0


def _modulated(state: StateDict, name: str) -> dict[str, Any]:
  """Returns a modulated convolution with its bias, and noise if it has any."""
  kernel = state.convolution(f'{name}.weight')
  style = _dense(state, f'{name}.affine')
  found = {'conv': {'kernel': kernel, 'style': style}}
  found['bias'] = state.take(f'{name}.bias', 1)
  if f'{name}.noise_strength' in state:
    found['noise'] = {'scale': state.take(f'{name}.noise_strength', 0)}
  return found


def _synthesis(state: StateDict, sides: list[int]) -> dict[str, Any]:
  found: dict[str, Any] = {'constant': state.image('synthesis.b4.const')}
  for side in sides:
    block, prefix = {}, f'synthesis.b{side}'
    if side > 4:
      block['conv_0'] = _modulated(state, f'{prefix}.conv0')
    block['conv_1'] = _modulated(state, f'{prefix}.conv1')
    if f'{prefix}.skip.weight' in state:
      block['shortcut'] = _conv(state, f'{prefix}.skip')
    found[f'block_{side}'] = block
    if f'{prefix}.torgb.weight' in state:
      found[f'to_image_{side}'] = _modulated(state, f'{prefix}.torgb')
  return found


def generator(tensors: Tensors) -> Converted:
  """Converts a generator.

  Args:
    tensors: state dict of the authors' Generator.

  Returns:
    The generator; its running mean of w is in batch_stats.

  Raises:
    ValueError: if a tensor is missing, left over or of another shape; the
      message names it.
  """
  state = StateDict(tensors, *_UNUSED)
  sides = _sides(state, r'synthesis\.b(\d+)\.')
  last = f'synthesis.b{sides[-1]}.torgb.weight'
  style_dim = state.shape('synthesis.b4.conv1.affine.weight', 2)[1]
  latents = state.shape('mapping.fc0.weight', 2)[1]
  shape = (sides[-1], sides[-1], state.shape(last, 4)[0])
  mapping = _mapping(state)
  track = {'track_w': state.take('mapping.w_avg', 1)}
  synthesis = _synthesis(state, sides)
  state.close()
  blocks = {side: synthesis[f'block_{side}'] for side in sides}
  widths = {
    side: len(block['conv_1']['bias']) for side, block in blocks.items()
  }
  classes = _classes(mapping)
  architecture = 'skip' if 'to_image_4' in synthesis else 'plain'
  if 'shortcut' in blocks[sides[-1]]:
    architecture = 'residual'
  fields = _channel_options(widths) | {
    'style_dim': style_dim,
    'mapping_layers': len(mapping) - (classes > 0),
    'architecture': architecture,
    'noise': 'noise' in blocks[4]['conv_1'],
    'classes': classes,
  }
  params = {'mapping_network': mapping, 'synthesis_network': synthesis}
  batch_stats = {'mapping_network': track}
  latent_dim = latents - style_dim * (classes > 0)
  module = stylegan2.Generator(shape=shape, **fields)
  inputs = state_dict.inputs((latent_dim,), classes)
  state_dict.check_shapes(module, params, batch_stats, *inputs)
  return Converted(fields, params, batch_stats, shape, latent_dim, state.unused)


def _last_dense(state: StateDict, side: int) -> dict[str, Any]:
  """Returns the layer after flattening, [C, 4, 4] there and [4, 4, C] here."""
  found = _dense(state, 'b4.fc')
  inputs, outputs = found['kernel'].shape
  if inputs % side**2:
    raise ValueError(f'b4.fc.weight has {inputs} inputs; must be 16 C')
  kernel = found['kernel'].reshape(-1, side, side, outputs)
  found['kernel'] = kernel.transpose(1, 2, 0, 3).reshape(inputs, outputs)
  return found


def discriminator(tensors: Tensors) -> Converted:
  """Converts a discriminator.

  Args:
    tensors: state dict of the authors' Discriminator.

  Returns:
    The discriminator, whose groups of the minibatch standard deviation have the
    default size.

  Raises:
    ValueError: as for `generator`.
  """
  state = StateDict(tensors, *_UNUSED)
  sides = _sides(state, r'b(\d+)\.')
  size, channels = sides[-1], state.shape(f'b{sides[-1]}.fromrgb.weight', 4)[1]
  params: dict[str, Any] = {}
  for side in sides:
    if f'b{side}.fromrgb.weight' in state:
      params[f'from_image_{side}'] = _conv(state, f'b{side}.fromrgb')
    if side == 4:
      continue
    names = {'conv_0': 'conv0', 'conv_1': 'conv1'}
    if f'b{side}.skip.weight' in state:
      names['shortcut'] = 'skip'
    params[f'stage_{side}'] = {
      name: _conv(state, f'b{side}.{theirs}') for name, theirs in names.items()
    }
  params['last_conv'] = _conv(state, 'b4.conv')
  params['last_dense'] = _last_dense(state, 4)
  params['output'] = _dense(state, 'b4.out')
  if mapping := _mapping(state):
    params['label_mapping'] = mapping
  state.close()
  first = {side: params[f'stage_{side}']['conv_0'] for side in sides[1:]}
  first[4] = params['last_conv']
  widths = {side: first[side]['kernel'].shape[3] for side in sides}
  architecture = 'skip' if 'from_image_4' in params else 'plain'
  if 'shortcut' in params[f'stage_{size}']:
    architecture = 'residual'
  inputs = params['last_conv']['kernel'].shape[2]
  fields = _channel_options(widths) | {
    'architecture': architecture,
    'minibatch_std': 4 if inputs > widths[4] else 0,
    'classes': _classes(mapping),
  }
  shape = (size, size, channels)
  module = stylegan2.Discriminator(**fields)
  examples = state_dict.inputs(shape, fields['classes'])
  state_dict.check_shapes(module, params, {}, *examples)
  return Converted(fields, params, {}, shape, 0, state.unused)
