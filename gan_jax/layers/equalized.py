"""Layers with an equalized learning rate (StyleGAN).

Kernels are stored with standard deviation 1 and scaled on use by He's constant,
so that an optimizer that normalizes gradients, such as Adam, moves all of them
at the same relative speed.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution, linear, resample

Array = jax.Array


def scaled_leaky_relu(x: Array, gain: float = 1.0) -> Array:
  """Computes sqrt(2) leaky_relu(x), slope 0.2, which keeps the variance.

  Args:
    x: activations, float.
    gain: further factor.

  Returns:
    Array of the shape of x.
  """
  return nn.leaky_relu(x, 0.2) * (math.sqrt(2) * gain)


def normalize_second_moment(x: Array) -> Array:
  """Scales vectors to a mean square of 1.

  Args:
    x: vectors, `[..., F]`, float.

  Returns:
    Vectors of the same shape; those of zeros stay.
  """
  square = jnp.square(x).mean(axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(square + 1e-8)


class _Equalized(nn.Module):
  """Base class of the layers: their fields, kernel and bias."""

  features: int
  use_bias: bool = True
  bias: float = 0.0
  lr_multiplier: float = 1.0
  dtype: Any = jnp.float32

  def kernel(self, shape: tuple[int, ...]) -> Array:
    init = nn.initializers.normal(1 / self.lr_multiplier)
    scale = self.lr_multiplier / math.sqrt(math.prod(shape[:-1]))
    return (self.param('kernel', init, shape) * scale).astype(self.dtype)

  def add_bias(self, y: Array) -> Array:
    if not self.use_bias:
      return y
    init = nn.initializers.constant(self.bias / self.lr_multiplier)
    bias = self.param('bias', init, (self.features,))
    return linear.add_bias(y, bias * self.lr_multiplier)


class EqualizedDense(_Equalized):
  """Affine map of the last axis, `[B, I]` to `[B, features]`.

  Attributes:
    features: length of the output.
    use_bias: whether there is a bias.
    bias: initial value of the bias.
    lr_multiplier: learning rate of kernel and bias, relative to that of the
      optimizer; the initial function does not depend on it.
    dtype: dtype of the arithmetic.

  References:
    Karras et al., Progressive Growing of GANs,
    https://arxiv.org/abs/1710.10196, 2018, section 4.1.
  """

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    kernel = self.kernel((x.shape[-1], self.features))
    return self.add_bias(x.astype(self.dtype) @ kernel)


class EqualizedConv(_Equalized):
  """Convolution that keeps the size or halves it, after StyleGAN2's filter.

  Attributes:
    features: channels of the output.
    use_bias: whether there is a bias.
    bias: initial value of the bias.
    lr_multiplier: as for EqualizedDense.
    dtype: dtype of the arithmetic.
    size: side of the kernel, odd.
    downsample: whether the output has half the sides of the input.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """

  size: int = 3
  downsample: bool = False

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, I]` to `[B, H, W, features]`, or `[B, H / 2, ...]`."""
    x = x.astype(self.dtype)
    kernel = self.kernel((self.size, self.size, x.shape[-1], self.features))
    half = self.size // 2
    if not self.downsample:
      return self.add_bias(convolution.convolve(x, kernel, padding=half))
    if self.size == 1:  # filtering the pixels that are kept is enough
      x = resample.filter_downsample(x)
      return self.add_bias(convolution.convolve(x, kernel))
    x = resample.blur(x, (half + 1, half + 1))
    return self.add_bias(convolution.convolve(x, kernel, stride=2))
