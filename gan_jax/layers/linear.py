"""Linear layers in Flax Linen, on the convolutions of gan_jax.

Each layer computes in its `dtype`, to which input and parameters are cast on
use. Parameters, spectral norm, and the statistics of normalization and of the
minibatch are always float32.
"""

from typing import Any, Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import networks, validation
from gan_jax.layers import channels, convolution, resample, temporal
from gan_jax.layers.initializers import INITIALIZERS, Initializer
from gan_jax.layers.spectral_norm import SpectralNorm

Array = jax.Array
POOLINGS = ('sum', 'mean')
_TINY, _FEW = 64, 256  # weights and examples below which Dense sums products


def add_bias(x: Array, bias: Array) -> Array:
  """Adds a number to each channel.

  Args:
    x: activations, `[..., F]`, float.
    bias: `[F]`, float; cast to the dtype of x.

  Returns:
    Array of the shape and dtype of x.
  """
  return x + channels.spread(bias.astype(x.dtype), x.shape)


class _Layer(nn.Module):
  """Base class of the linear layers: their fields, kernel and bias."""

  features: int
  use_bias: bool = True
  spectral: bool = False
  kernel_init: Initializer = INITIALIZERS['normal']
  bias_init: Initializer = INITIALIZERS['zeros']
  dtype: Any = jnp.float32

  def kernel(
    self, shape: tuple[int, ...], train: bool, output_axis: int = -1
  ) -> Array:
    name = 'kernel' if output_axis == -1 else 'dual_kernel'  # [.., out, in]
    kernel = self.param(name, self.kernel_init, shape)
    if self.spectral:
      matrix_like = jnp.moveaxis(kernel, output_axis, -1)
      scaled = SpectralNorm(name='SpectralScale_0')(matrix_like, train=train)
      kernel = jnp.moveaxis(scaled, -1, output_axis)
    return kernel.astype(self.dtype)

  def add_bias(self, y: Array) -> Array:
    if not self.use_bias:
      return y
    return add_bias(y, self.param('bias', self.bias_init, (self.features,)))


class Dense(_Layer):
  """Affine map of the last axis, `[B, I]` to `[B, features]`."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    kernel = self.kernel((x.shape[-1], self.features), train)
    x = x.astype(self.dtype)
    is_small = x.ndim == 2 and kernel.size <= _TINY
    # Plain programs may have a batch of any size, which compares with nothing.
    if is_small and not convolution.is_plain() and x.shape[0] <= _FEW:
      # Sums of products instead of a matrix product: XLA:CPU fuses them, and
      # compiles a whole training loop of such layers to one kernel.
      return self.add_bias((x[:, :, None] * kernel[None]).sum(axis=1))
    return self.add_bias(x @ kernel)


class Conv(_Layer):
  """Convolution, `[B, H, W, I]` to `[B, H', W', features]`."""

  size: int = 4
  stride: int = 1
  padding: int = 0

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.kernel(shape, train)
    options = dict(stride=self.stride, padding=self.padding)
    return self.add_bias(
      convolution.convolve(x.astype(self.dtype), kernel, **options)
    )


class _ResamplingConv(_Layer):
  """Base class of convolutions that change the size by a factor of 2."""

  size: int = 3

  def convolve(self, function: Callable[..., Array], x: Array, train: bool):
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.kernel(shape, train)
    return self.add_bias(function(x.astype(self.dtype), kernel))


class UpsampleConv(_ResamplingConv):
  """Convolution after nearest upsampling, `[B, H, W, I]` to `[B, 2 H, ...]`.

  The kernel's side is odd, and the padding half of it. See
  resample.upsample_convolve.
  """

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    return self.convolve(resample.upsample_convolve, x, train)


class DownsampleConv(_ResamplingConv):
  """Convolution before average pooling, `[B, H, W, I]` to `[B, H / 2, ...]`.

  The kernel's side is odd, and the padding half of it. See
  resample.convolve_downsample.
  """

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    return self.convolve(resample.convolve_downsample, x, train)


class ConvTranspose(_Layer):
  """Transposed convolution, `[B, H, W, I]` to `[B, H', W', features]`."""

  size: int = 4
  stride: int = 1
  padding: int = 0

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    shape = (self.size, self.size, self.features, x.shape[-1])
    kernel = self.kernel(shape, train, output_axis=2)
    options = dict(stride=self.stride, padding=self.padding)
    return self.add_bias(
      convolution.convolve_transpose(x.astype(self.dtype), kernel, **options)
    )


class Conv1D(_Layer):
  """Convolution over time, `[B, T, I]` to `[B, T / stride, features]`.

  The padding is 'same', see temporal.convolve_time.

  Attributes:
    size: length of the kernel, at least the stride.
    stride: step between windows in samples, which divides T.
  """

  size: int = 25
  stride: int = 1

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    kernel = self.kernel((self.size, x.shape[-1], self.features), train)
    return self.add_bias(
      temporal.convolve_time(x.astype(self.dtype), kernel, self.stride)
    )


class ConvTranspose1D(_Layer):
  """Transpose of Conv1D, `[B, T, I]` to `[B, stride T, features]`.

  Attributes:
    size: length of the kernel, at least the stride.
    stride: factor by which the length grows.
  """

  size: int = 25
  stride: int = 1

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    shape = (self.size, self.features, x.shape[-1])
    kernel = self.kernel(shape, train, output_axis=1)
    return self.add_bias(
      temporal.convolve_time_transpose(
        x.astype(self.dtype), kernel, self.stride
      )
    )


def pool(x: Array, pooling: str) -> Array:
  """Sums or averages each channel over all pixels, in float32.

  Args:
    x: images, `[B, H, W, C]` float.
    pooling: 'sum' or 'mean'.

  Returns:
    `[B, C]` float32.

  Raises:
    ValueError: if the name is unknown.
  """
  validation.lookup(POOLINGS, pooling, 'pooling')
  x = x.astype(jnp.float32)
  return x.sum(axis=(1, 2)) if pooling == 'sum' else x.mean(axis=(1, 2))


def discriminator_head(
  last: Dense,
  x: Array,
  features: Array | None,
  *,
  train: bool,
  class_outputs: Callable[[Array], dict[str, Array]] | None = None,
) -> Array | networks.DiscriminatorOutput:
  """Applies the last layer of a discriminator and shapes its output.

  Args:
    last: last layer; its `features` is the discriminator's `outputs`.
    x: input of the layer, `[B, ...]`; flattened here.
    features: features to return with the logits, `[B, ...]`, or None.
    train: whether spectral norm updates its power iteration.
    class_outputs: function of the flattened input, such as a
      conditioning.ClassHeads bound to its labels; None for no classes. The
      'projection' that it returns is added to the logits; with a 'product',
      `[B, outputs]`, the logit is the inner product of both.

  Returns:
    Logits `[B]` for one output, else `[B, outputs]`, float32. If features are
    given, or there are class outputs other than the projection, a
    networks.DiscriminatorOutput of these logits, of the features as `[B, F]`,
    and of the class outputs, float32.

  Raises:
    ValueError: if the layer has less than 1 output, or more than 1 with a
      projection.
  """
  if last.features < 1:
    raise ValueError(f'outputs={last.features}: must be at least 1')
  flat = lambda y: y.reshape(y.shape[0], -1)
  y = last(flat(x), train=train).astype(jnp.float32)
  logits = y[:, 0] if last.features == 1 else y
  outputs = class_outputs(flat(x)) if class_outputs else {}
  if 'product' in outputs:
    logits = (y * outputs.pop('product')).sum(axis=-1)
  if 'projection' in outputs:
    if last.features != 1:
      raise ValueError(
        f'outputs={last.features}: must be 1 with a projection of the label'
      )
    logits = logits + outputs.pop('projection')
  if features is None and not outputs:
    return logits
  if features is not None:
    outputs['features'] = flat(features).astype(jnp.float32)
  return networks.DiscriminatorOutput(logits, **outputs)
