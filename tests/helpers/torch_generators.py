"""Generators in PyTorch, with the weights of an exported folder.

The layouts are those of the table in docs/export.md.
"""

import torch
from torch import nn
from torch.nn import functional


def kernel(x):
  """A kernel HWIO, or [kh, kw, out, in] of a transposed convolution."""
  return torch.tensor(x).permute(3, 2, 0, 1).contiguous()


def norm(weights, path):
  """The arguments of functional.batch_norm after its input."""
  own = f'{path}/BatchNorm_0'
  names = ('batch_stats', 'mean'), ('batch_stats', 'var')
  names += ('params', 'scale'), ('params', 'bias')
  return [torch.tensor(weights[f'{kind}/{own}/{name}']) for kind, name in names]


class DCGAN(nn.Module):
  """DCGAN of 8 x 8 pixels."""

  def __init__(self, weights):
    super().__init__()
    dense = torch.tensor(weights['params/Dense_0/kernel'])
    self.dense = nn.Linear(*dense.shape, bias=False)
    channels = dense.shape[1] // 16
    last = kernel(weights['params/ConvTranspose_0/dual_kernel'])
    self.norm = nn.BatchNorm2d(channels, eps=1e-5)
    self.last = nn.ConvTranspose2d(*last.shape[:2], 4, stride=2, padding=1)
    mean, var, scale, bias = norm(weights, 'Norm_0')
    self.load_state_dict(
      {
        'dense.weight': dense.T,
        'norm.weight': scale,
        'norm.bias': bias,
        'norm.running_mean': mean,
        'norm.running_var': var,
        'norm.num_batches_tracked': torch.tensor(0),
        'last.weight': last,
        'last.bias': torch.tensor(weights['params/ConvTranspose_0/bias']),
      }
    )

  def forward(self, z):
    x = self.dense(z).view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
    return torch.tanh(self.last(torch.relu(self.norm(x))))


class SNGAN(nn.Module):
  """SNGAN of 8 x 8 pixels: one block, by functions of the same names."""

  def __init__(self, weights):
    super().__init__()
    self.weights = weights

  def convolve(self, x, name):
    k, bias = (self.weights[f'params/{name}/{n}'] for n in ('kernel', 'bias'))
    padding = k.shape[0] // 2
    return functional.conv2d(x, kernel(k), torch.tensor(bias), 1, padding)

  def activate(self, x, name):
    return torch.relu(functional.batch_norm(x, *norm(self.weights, name)))

  def forward(self, z):
    weight = torch.tensor(self.weights['params/Dense_0/kernel']).T
    bias = torch.tensor(self.weights['params/Dense_0/bias'])
    x = functional.linear(z, weight, bias)
    x = x.view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
    grow = lambda x: functional.interpolate(x, scale_factor=2, mode='nearest')
    y = self.convolve(
      grow(self.activate(x, 'block_0/Norm_0')), 'block_0/conv_0'
    )
    y = self.convolve(self.activate(y, 'block_0/Norm_1'), 'block_0/conv_1')
    x = y + grow(self.convolve(x, 'block_0/shortcut'))
    return torch.tanh(self.convolve(self.activate(x, 'Norm_0'), 'Conv_0'))


GENERATORS = {'dcgan': DCGAN, 'sngan': SNGAN}


def generate(name, weights, z):
  """Images NHWC of latents."""
  module = GENERATORS[name](weights).eval()
  with torch.no_grad():
    return module(torch.tensor(z)).permute(0, 2, 3, 1).numpy()
