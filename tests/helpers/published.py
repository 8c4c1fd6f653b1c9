"""State dicts with the names and shapes of the authors' PyTorch code.

Values are random and not zero, also biases and strengths of noise.
"""

import numpy as np

FILTER = (np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64).astype(np.float32)


class State(dict):
  """A state dict that draws its arrays."""

  def __init__(self, seed, scale=1.0):
    super().__init__()
    self._rng, self._scale = np.random.default_rng(seed), scale

  def draw(self, name, *shape, scale=1.0):
    values = scale * self._scale * self._rng.normal(size=shape)
    self[name] = np.asarray(values, np.float32)

  def dense(self, name, inputs, outputs):
    self.draw(f'{name}.weight', outputs, inputs)
    self.draw(f'{name}.bias', outputs)


# ---- stylegan2-ada-pytorch, training/networks.py.


def style_channels(side, base, most):
  return min(base // side, most)


def _sides(size):
  return [4 << i for i in range(size.bit_length() - 2)]


def _modulated(state, name, inputs, outputs, kernel, style, side=0):
  """A layer of the synthesis; of a side if it has noise."""
  state.dense(f'{name}.affine', style, inputs)
  state.draw(f'{name}.weight', outputs, inputs, kernel, kernel)
  state.draw(f'{name}.bias', outputs)
  if side:
    state[f'{name}.resample_filter'] = FILTER
    state.draw(f'{name}.noise_const', side, side)
    state.draw(f'{name}.noise_strength')


def _conv2d(state, name, inputs, outputs, kernel, bias=True):
  state.draw(f'{name}.weight', outputs, inputs, kernel, kernel)
  state[f'{name}.resample_filter'] = FILTER
  if bias:
    state.draw(f'{name}.bias', outputs)


def _mapping(state, latent_dim, width, layers, classes):
  if classes:
    state.dense('mapping.embed', classes, width)
  inputs = latent_dim + width * (classes > 0)
  for i in range(layers):
    # Of the size at the start, 100 times that of other layers.
    state.draw(f'mapping.fc{i}.weight', width, inputs, scale=100)
    state.draw(f'mapping.fc{i}.bias', width, scale=10)
    inputs = width


def stylegan2_generator(
  size=16, base=64, most=6, style=5, latents=4, layers=2, classes=0,
  architecture='skip', channels=3,
):  # fmt: skip
  """A Generator; architectures have the authors' names."""
  state = State(1)
  widths = {side: style_channels(side, base, most) for side in _sides(size)}
  for side, width in widths.items():
    name, inputs = f'synthesis.b{side}', widths.get(side // 2)
    state[f'{name}.resample_filter'] = FILTER
    if inputs:
      _modulated(state, f'{name}.conv0', inputs, width, 3, style, side)
    else:
      state.draw(f'{name}.const', width, 4, 4)
    _modulated(state, f'{name}.conv1', width, width, 3, style, side)
    if architecture == 'skip' or side == size:
      _modulated(state, f'{name}.torgb', width, channels, 1, style)
    if inputs and architecture == 'resnet':
      _conv2d(state, f'{name}.skip', inputs, width, 1, bias=False)
  _mapping(state, latents, style, layers, classes)
  state.draw('mapping.w_avg', style)
  return state


def stylegan2_discriminator(
  size=16, base=64, most=6, classes=0, architecture='resnet', channels=3
):
  """A Discriminator; architectures have the authors' names."""
  state = State(2)
  widths = {side: style_channels(side, base, most) for side in _sides(size)}
  for side in reversed(_sides(size)):
    name, width = f'b{side}', widths[side]
    if side == size or architecture == 'skip':
      _conv2d(state, f'{name}.fromrgb', channels, width, 1)
    if side == 4:
      break
    state[f'{name}.resample_filter'] = FILTER
    _conv2d(state, f'{name}.conv0', width, width, 3)
    _conv2d(state, f'{name}.conv1', width, widths[side // 2], 3)
    if architecture == 'resnet':
      _conv2d(state, f'{name}.skip', width, widths[side // 2], 1, bias=False)
  if classes:
    _mapping(state, 0, widths[4], 8, classes)
  _conv2d(state, 'b4.conv', widths[4] + 1, widths[4], 3)
  state.dense('b4.fc', widths[4] * 16, widths[4])
  state.dense('b4.out', widths[4], widths[4] if classes else 1)
  return state


# ---- R3GAN, R3GAN/Networks.py, with the prefix of training/networks.py.


def _residual(state, name, width, group):
  wide = 2 * width
  state.draw(f'{name}.LinearLayer1.Layer.weight', wide, width, 1, 1)
  state.draw(f'{name}.LinearLayer2.Layer.weight', wide, group, 3, 3)
  state.draw(f'{name}.LinearLayer3.Layer.weight', width, wide, 1, 1)
  state.draw(f'{name}.NonLinearity1.Bias', wide)
  state.draw(f'{name}.NonLinearity2.Bias', wide)


def _transition(state, name, inputs, outputs):
  state[f'{name}.Resampler.Kernel'] = FILTER
  if inputs != outputs:
    state.draw(f'{name}.LinearLayer.Layer.weight', outputs, inputs, 1, 1)


def r3gan_generator(
  widths=(8, 8, 8), group=4, blocks=2, latents=3, embedding=2, classes=0
):
  """A Generator; widths are from 4 x 4 pixels up."""
  state = State(3, scale=0.3)
  inputs = latents + embedding * (classes > 0)
  for k, width in enumerate(widths):
    name = f'Model.MainLayers.{k}.Layers'
    if k:
      _transition(state, f'{name}.0', widths[k - 1], width)
    else:
      state.draw(f'{name}.0.Basis', width, 4, 4)
      state.draw(f'{name}.0.LinearLayer.weight', width, inputs)
    for i in range(blocks):
      _residual(state, f'{name}.{i + 1}', width, group)
  state.draw('Model.AggregationLayer.Layer.weight', 3, widths[-1], 1, 1)
  if classes:
    state.draw('Model.EmbeddingLayer.weight', embedding, classes)
  return state


def r3gan_discriminator(widths=(8, 8, 8), group=4, blocks=2, classes=0):
  """A Discriminator; widths are from 4 x 4 pixels up, as the generator's."""
  state, widths = State(4, scale=0.3), widths[::-1]
  outputs = widths[-1] if classes else 1
  state.draw('Model.ExtractionLayer.Layer.weight', widths[0], 3, 1, 1)
  for k, width in enumerate(widths):
    name = f'Model.MainLayers.{k}.Layers'
    for i in range(blocks):
      _residual(state, f'{name}.{i}', width, group)
    if k < len(widths) - 1:
      _transition(state, f'{name}.{blocks}', width, widths[k + 1])
    else:
      state.draw(f'{name}.{blocks}.Basis.weight', width, 1, 4, 4)
      state.draw(f'{name}.{blocks}.LinearLayer.weight', outputs, width)
  if classes:
    state.draw('Model.EmbeddingLayer.weight', outputs, classes)
  return state
