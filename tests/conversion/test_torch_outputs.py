"""Outputs of converted networks beside those of PyTorch.

The forward passes in PyTorch take state dicts and are straight from the
equations: one kernel for each example, filters as convolutions, the authors'
names of tensors and their order of axes, NCHW.
"""

import math

import jax
import numpy as np
import pytest

from gan_jax import models
from tests.conversion.test_conversion import CASES, PLAYERS, converted

torch = pytest.importorskip(
  'torch', reason="torch is not there: pip install '.[parity]'"
)
F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings('ignore')  # of torch

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def filtered(x, before, after, gain=1.0):
  """Pads by zeros and convolves both axes with the filter."""
  channels = x.shape[1]
  kernel = gain * torch.outer(TAPS, TAPS)
  x = F.pad(x, (before, after, before, after))
  return F.conv2d(x, kernel.expand(channels, 1, 4, 4), groups=channels)


def upsampled(x):
  count, channels, height, width = x.shape
  stuffed = torch.zeros(count, channels, 2 * height, 2 * width)
  stuffed[:, :, ::2, ::2] = x
  return filtered(stuffed, 2, 1, gain=4.0)


def downsampled(x):
  return filtered(x, 1, 1)[:, :, ::2, ::2]


def activated(x, gain=1.0):
  return F.leaky_relu(x, 0.2) * math.sqrt(2) * gain


def with_bias(x, bias):
  return x + bias.reshape(1, -1, 1, 1)


# ---- StyleGAN2.


def dense(state, name, x, multiplier=1.0):
  weight, bias = state[f'{name}.weight'], state[f'{name}.bias']
  gain = multiplier / math.sqrt(weight.shape[1])
  return x @ (weight * gain).T + bias * multiplier


def normalized(x):
  return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def mapping(state, z, one_hot):
  parts = [] if z is None else [normalized(z)]
  if 'mapping.embed.weight' in state:
    parts.append(normalized(dense(state, 'mapping.embed', one_hot)))
  x, i = torch.cat(parts, dim=1), 0
  while f'mapping.fc{i}.weight' in state:
    x, i = activated(dense(state, f'mapping.fc{i}', x, 0.01)), i + 1
  return x


def modulated(state, name, x, w, up=False):
  """A convolution with a kernel of its own for each example, normalized."""
  kernel = state[f'{name}.weight']
  styles = dense(state, f'{name}.affine', w)
  outputs = []
  for image, style in zip(x, styles):
    own = kernel * style.reshape(1, -1, 1, 1)
    own = own / torch.sqrt(own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
    if up:
      y = F.conv_transpose2d(image[None], own.transpose(0, 1), stride=2)
      outputs.append(filtered(y, 1, 1, gain=4.0))
    else:
      outputs.append(F.conv2d(image[None], own, padding=1))
  return with_bias(torch.cat(outputs), state[f'{name}.bias'])


def to_image(state, name, x, w):
  kernel = state[f'{name}.weight']
  styles = dense(state, f'{name}.affine', w) / math.sqrt(kernel.shape[1])
  y = F.conv2d(x * styles[:, :, None, None], kernel)
  return with_bias(y, state[f'{name}.bias'])


def stylegan2_generator(state, z, one_hot):
  """Images, without noise; all layers take the same style."""
  w = mapping(state, z, one_hot)
  x = state['synthesis.b4.const'].expand(len(w), -1, -1, -1)
  image, side = None, 4
  while f'synthesis.b{side}.conv1.weight' in state:
    name, before = f'synthesis.b{side}', x
    residual = f'{name}.skip.weight' in state
    if side > 4:
      x = activated(modulated(state, f'{name}.conv0', x, w, up=True))
    gain = math.sqrt(0.5) if residual else 1.0
    x = activated(modulated(state, f'{name}.conv1', x, w), gain)
    if residual:
      kernel = state[f'{name}.skip.weight']
      kernel = kernel / math.sqrt(kernel.shape[1])
      x = x + upsampled(F.conv2d(before, kernel)) * gain
    image = image if image is None else upsampled(image)
    if f'{name}.torgb.weight' in state:
      y = to_image(state, f'{name}.torgb', x, w)
      image = y if image is None else image + y
    side *= 2
  return image


def conv(state, name, x, down=False):
  kernel = state[f'{name}.weight']
  size = kernel.shape[2]
  kernel = kernel / math.sqrt(kernel.shape[1] * size**2)
  if down:  # padding as that of the convolution, and of the filter
    pad = (size - 1) // 2 + 1
    return F.conv2d(filtered(x, pad, pad), kernel, stride=2)
  return F.conv2d(x, kernel, padding=size // 2)


def minibatch_std(x, group):
  """Appends the standard deviation over groups of every (B / group)-th."""
  count = len(x)
  split = x.reshape(group, count // group, *x.shape[1:])
  spread = torch.sqrt(split.var(dim=0, unbiased=False) + 1e-8)
  number = spread.mean(dim=(1, 2, 3)).repeat(group)
  layer = number.reshape(count, 1, 1, 1).expand(count, 1, *x.shape[2:])
  return torch.cat([x, layer], dim=1)


def stylegan2_discriminator(state, image, one_hot, group):
  """Logits."""
  x, side = 0, image.shape[2]
  layer = lambda name, x, gain=1.0, **options: activated(
    with_bias(conv(state, name, x, **options), state[f'{name}.bias']), gain
  )
  while True:
    if f'b{side}.fromrgb.weight' in state:
      x = x + layer(f'b{side}.fromrgb', image)
    if side == 4:
      break
    y = layer(f'b{side}.conv0', x)
    if f'b{side}.skip.weight' in state:
      y = layer(f'b{side}.conv1', y, math.sqrt(0.5), down=True)
      skip = conv(state, f'b{side}.skip', x, down=True)
      x = y + skip * math.sqrt(0.5)
    else:
      x = layer(f'b{side}.conv1', y, down=True)
    image, side = downsampled(image), side // 2
  x = layer('b4.conv', minibatch_std(x, group)).flatten(1)
  x = dense(state, 'b4.out', activated(dense(state, 'b4.fc', x)))
  if one_hot is None:
    return x[:, 0]
  return (x * mapping(state, None, one_hot)).sum(dim=1) / math.sqrt(x.shape[1])


# ---- R3GAN.


def residual_block(state, name, x):
  y = x
  for i in (1, 2):
    kernel = state[f'{name}.LinearLayer{i}.Layer.weight']
    groups = y.shape[1] // kernel.shape[1]
    y = F.conv2d(y, kernel, padding=kernel.shape[2] // 2, groups=groups)
    bias = state[f'{name}.NonLinearity{i}.Bias']
    y = F.leaky_relu(with_bias(y, bias), 0.2)
  return x + F.conv2d(y, state[f'{name}.LinearLayer3.Layer.weight'])


def change_width(state, name, x):
  kernel = state.get(f'{name}.LinearLayer.Layer.weight')
  return x if kernel is None else F.conv2d(x, kernel)


def layers(state, stage):
  """Names of the layers of a stage, in order; the last name is of none."""
  name = f'Model.MainLayers.{stage}.Layers'
  count = sum(
    f'{name}.{i}.LinearLayer1.Layer.weight' in state for i in range(99)
  )
  return [f'{name}.{i}' for i in range(count + 1)]


def r3gan_generator(state, z, one_hot):
  """Images."""
  if one_hot is not None:
    z = torch.cat([z, one_hot @ state['Model.EmbeddingLayer.weight'].T], dim=1)
  first, stage = 'Model.MainLayers.0.Layers.0', 0
  scale = z @ state[f'{first}.LinearLayer.weight'].T
  x = state[f'{first}.Basis'] * scale[:, :, None, None]
  while len(names := layers(state, stage)) > 1:
    if stage:
      x = upsampled(change_width(state, names[0], x))
    for name in names[1:]:
      x = residual_block(state, name, x)
    stage += 1
  return F.conv2d(x, state['Model.AggregationLayer.Layer.weight'])


def r3gan_discriminator(state, image, one_hot, group):
  """Logits."""
  del group
  x, stage = F.conv2d(image, state['Model.ExtractionLayer.Layer.weight']), 0
  while len(names := layers(state, stage)) > 1:
    for name in names[:-1]:
      x = residual_block(state, name, x)
    if f'{names[-1]}.Basis.weight' not in state:
      x = change_width(state, names[-1], downsampled(x))
    stage, last = stage + 1, names[-1]
  kernel = state[f'{last}.Basis.weight']
  x = F.conv2d(x, kernel, groups=len(kernel)).flatten(1)
  x = x @ state[f'{last}.LinearLayer.weight'].T
  if one_hot is None:
    return x[:, 0]
  return (x * (one_hot @ state['Model.EmbeddingLayer.weight'].T)).sum(dim=1)


# ---- Ours beside them.

FORWARD = {
  ('stylegan2', 'generator'): stylegan2_generator,
  ('stylegan2', 'discriminator'): stylegan2_discriminator,
  ('r3gan', 'generator'): r3gan_generator,
  ('r3gan', 'discriminator'): r3gan_discriminator,
}


def ours(network, player, found, x, label):
  """Outputs of our network, without noise."""
  fields = {'shape': found.shape} if player == 'generator' else {}
  cls = getattr(getattr(models, network), player.capitalize())
  module = cls(**fields, **found.fields)
  variables = {'params': found.params, 'batch_stats': found.batch_stats}
  apply = jax.jit(lambda v, x, y: module.apply(v, x, y, train=False))
  return apply(variables, x, label)


@pytest.mark.parametrize('network, options', CASES)
def test_outputs_are_those_of_torch(network, options):
  rng, classes = np.random.default_rng(0), options['classes']
  label = rng.integers(0, classes, 4) if classes else None
  one_hot = torch.eye(classes)[label] if classes else None
  for player in PLAYERS:
    state, found = converted(network, player, **options)
    state = {name: torch.from_numpy(np.asarray(x)) for name, x in state.items()}
    forward = FORWARD[network, player]
    if player == 'generator':
      x = rng.normal(size=(4, found.latent_dim)).astype(np.float32)
      expected = forward(state, torch.from_numpy(x), one_hot)
      expected = expected.permute(0, 2, 3, 1)
    else:
      x = rng.normal(size=(4, *found.shape)).astype(np.float32)
      image = torch.from_numpy(x).permute(0, 3, 1, 2)
      expected = forward(state, image, one_hot, group=4)
    expected = np.asarray(expected)
    difference = np.abs(ours(network, player, found, x, label) - expected)
    assert difference.max() < 1e-4 * expected.std()
