"""Layers of R3GAN: residual blocks with convolutions in groups, and its ends.

Kernels are normal with a standard deviation of gain / sqrt(fan_in), where
fan_in counts the inputs of a group. No convolution has a bias.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution, linear

Array = jax.Array
# Of leaky ReLU with slope 0.2, which keeps the variance of activations.
LEAKY_RELU_GAIN = math.sqrt(2 / (1 + 0.2**2))


def fan_in_normal(gain: float):
  """Returns the initializer N(0, gain^2 / fan_in); zeros for a gain of 0."""
  if not gain:
    return nn.initializers.zeros
  return nn.initializers.variance_scaling(gain**2, 'fan_in', 'normal')


class GroupedConv(nn.Module):
  """Convolution in groups of channels, without a bias.

  Attributes:
    features: channels of the output.
    size: side of the kernel, odd.
    groups: number of groups, which divides the channels.
    gain: gain of the initial kernel; 0 for zeros.
    dtype: dtype of the arithmetic.
  """

  features: int
  size: int = 1
  groups: int = 1
  gain: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, I]` to `[B, H, W, features]`."""
    channels = x.shape[-1]
    if channels % self.groups:
      raise ValueError(
        f'groups={self.groups}: must divide the {channels} channels of the '
        'input'
      )
    shape = (self.size, self.size, channels // self.groups, self.features)
    kernel = self.param('kernel', fan_in_normal(self.gain), shape)
    return convolution.convolve(
      x.astype(self.dtype),
      kernel.astype(self.dtype),
      padding=self.size // 2,
      groups=self.groups,
    )


class GroupedBottleneck(nn.Module):
  """Residual block of R3GAN, without normalization.

  1 x 1 convolution to `expansion` times the channels, 3 x 3 in groups, and 1 x
  1 back, with biases and leaky ReLU after the first two. The last kernel is
  zero at first: the block is the identity.

  Attributes:
    groups: number of groups of the 3 x 3 convolution.
    blocks: number of such blocks of the whole network, for the gain of the
      kernels, blocks^(-1/4) times that of leaky ReLU (Fix-up).
    expansion: channels of the 3 x 3 convolution, in those of the input.
    dtype: dtype of the arithmetic.

  References:
    Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
    https://arxiv.org/abs/2501.05441, 2024, section 3. Zhang et al., Fixup
    Initialization, https://arxiv.org/abs/1901.09321, 2019.
  """

  groups: int
  blocks: int
  expansion: int = 2
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, C]` to images of the same shape."""
    channels, gain = x.shape[-1], LEAKY_RELU_GAIN * self.blocks**-0.25
    wide = channels * self.expansion

    def activate(y, name):
      bias = self.param(name, nn.initializers.zeros, (wide,))
      return nn.leaky_relu(linear.add_bias(y, bias), 0.2)

    common = dict(dtype=self.dtype)
    y = GroupedConv(wide, gain=gain, name='conv_0', **common)(x)
    y = activate(y, 'bias_0')
    groups = dict(size=3, groups=self.groups)
    y = GroupedConv(wide, gain=gain, name='conv_1', **groups, **common)(y)
    y = activate(y, 'bias_1')
    y = GroupedConv(channels, gain=0.0, name='conv_2', **common)(y)
    return x.astype(self.dtype) + y


class BasisInput(nn.Module):
  """Learned image of 4 x 4 pixels whose channels are scaled by the latents.

  Attributes:
    features: channels of the image.
    side: side of the image.
  """

  features: int
  side: int = 4

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps latents `[B, Z]` to `[B, side, side, features]`."""
    shape = (self.side, self.side, self.features)
    basis = self.param('basis', nn.initializers.normal(1.0), shape)
    kernel_shape = (x.shape[-1], self.features)
    kernel = self.param('kernel', fan_in_normal(1.0), kernel_shape)
    return basis[None] * (x @ kernel)[:, None, None, :]


class DepthwisePool(nn.Module):
  """Learned weighted sum over all pixels of each channel."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, C]` to `[B, C]`, float32."""
    x = x.astype(jnp.float32)
    _, height, width, channels = x.shape
    init = nn.initializers.normal((height * width) ** -0.5)
    weights = self.param('weights', init, (height, width, channels))
    return (x * weights[None]).sum(axis=(1, 2))
