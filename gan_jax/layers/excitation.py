"""Layers of FastGAN: gated units, skip-layer excitation, decoders.

References:
  Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity
  Few-shot Image Synthesis, https://arxiv.org/abs/2101.04775, 2021, section 3.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.layers import resample
from gan_jax.layers.initializers import INITIALIZERS, Initializer, near_one
from gan_jax.layers.linear import Conv, UpsampleConv

Array = jax.Array
_POOLED = 4  # side of the map that excites another one


def gated_linear_unit(x: Array) -> Array:
  """Multiplies the first half of the channels by gates of the second half.

  x[..., :C] * sigmoid(x[..., C:])

  Args:
    x: activations, `[..., 2 C]`, float.

  Returns:
    `[..., C]`.

  Raises:
    ValueError: if the number of channels is odd.

  References:
    Dauphin et al., Language Modeling with Gated Convolutional Networks,
    https://arxiv.org/abs/1612.08083, 2017, section 2.
  """
  if x.shape[-1] % 2:
    raise ValueError(f'{x.shape[-1]} channels: must be even')
  values, gates = jnp.split(x, 2, axis=-1)
  return values * jax.nn.sigmoid(gates)


class SkipLayerExcitation(nn.Module):
  """Scales the channels of a map by a function of a map of another size.

  y = high * sigmoid(W_2 swish(W_1 pool(low)))

  The pooled map has 4 x 4 pixels, all of which W_1, a 4 x 4 convolution, takes;
  W_2 is a 1 x 1 convolution. Both have as many channels as `high`, and no bias.

  Attributes:
    spectral: whether the kernels are spectrally normalized.
    kernel_init: initializer of the kernels.
    dtype: dtype of the arithmetic.

  References:
    Liu et al., https://arxiv.org/abs/2101.04775, 2021, section 3.1, equation 1.
  """

  spectral: bool = True
  kernel_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, low: Array, high: Array, *, train: bool = False) -> Array:
    """Maps `[B, H, W, I]` and `[B, H', W', C]` to `[B, H', W', C]`.

    Args:
      low: map that the gates are a function of; its sides are multiples of 4.
      high: map whose channels are scaled.
      train: whether spectral norm updates its power iteration.

    Returns:
      The scaled map.

    Raises:
      ValueError: if a side of `low` is not a multiple of 4.
    """
    common = dict(
      use_bias=False,
      spectral=self.spectral,
      kernel_init=self.kernel_init,
      dtype=self.dtype,
    )
    features = high.shape[-1]
    x = resample.pool_to(low, _POOLED)
    x = nn.silu(Conv(features, size=_POOLED, **common)(x, train=train))
    gates = jax.nn.sigmoid(Conv(features, size=1, **common)(x, train=train))
    return high.astype(self.dtype) * gates


class ReconstructionDecoder(nn.Module):
  """Decodes a map of a discriminator to an image in [-1, 1].

  Each step is nearest upsampling, a 3 x 3 convolution, batch norm and a gated
  linear unit; a 3 x 3 convolution and tanh follow. No convolution has a bias.

  A decoder is of use in training alone, on real examples. Its batch norm keeps
  no running statistics, so that no state depends on what it makes of generated
  examples, and XLA removes it from their forward pass.

  Attributes:
    features: channels after each step, which doubles the sides.
    channels: channels of the image.
    spectral: whether the kernels are spectrally normalized.
    kernel_init: initializer of the kernels.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; the image is float32.

  References:
    Liu et al., https://arxiv.org/abs/2101.04775, 2021, section 3.2.
  """

  features: tuple[int, ...]
  channels: int
  spectral: bool = True
  kernel_init: Initializer = INITIALIZERS['normal']
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    """Maps `[B, H, W, I]` to `[B, 2^n H, 2^n W, channels]`, for n steps."""
    common = dict(
      use_bias=False,
      spectral=self.spectral,
      kernel_init=self.kernel_init,
      dtype=self.dtype,
    )
    for i, features in enumerate(self.features):
      x = UpsampleConv(2 * features, **common)(x, train=train)
      norm = _BatchStatisticsNorm(self.axis_name, self.dtype, name=f'norm_{i}')
      x = norm(x)
      x = gated_linear_unit(x)
    last = Conv(self.channels, size=3, padding=1, **common)
    return jnp.tanh(last(x, train=train).astype(jnp.float32))


class _BatchStatisticsNorm(nn.Module):
  """Batch norm by the statistics of the batch alone, which it does not keep.

  Attributes:
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output; statistics are float32.
    epsilon: added to the variance.
  """

  axis_name: str | None = None
  dtype: Any = jnp.float32
  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, C]` to the same shape."""
    shape = (1, 1, 1, x.shape[-1])
    scale = self.param('scale', near_one, shape[3:])
    bias = self.param('bias', nn.initializers.zeros, shape[3:])
    x = x.astype(jnp.float32)
    mean, squares = collectives.pmean(
      [y.mean(axis=(0, 1, 2)) for y in (x, jnp.square(x))], self.axis_name
    )
    variance = jnp.maximum(squares - jnp.square(mean), 0)
    scale = scale * jax.lax.rsqrt(variance + self.epsilon)
    y = (x - mean.reshape(shape)) * scale.reshape(shape) + bias.reshape(shape)
    return y.astype(self.dtype)
