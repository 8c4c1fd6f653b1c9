"""Batch normalization, fast on CPU, and with own gradients on GPU.

A GPU waits for each kernel to start, and those of batch norm are most of a
step's. The gradient that JAX derives from the mean and the variance takes four
passes over the activations, with copies of them in float32. Written out, it is
two sums over the same arrays and one expression, so that XLA makes three
kernels of it. On CPU the sums are products, see `channels`.
"""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.layers import channels, convolution
from gan_jax.layers.initializers import Initializer

Array = jax.Array
_ONE_KERNEL = 8192  # numbers of a channel that XLA sums in one kernel


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum_two(shape: tuple[int, ...], a: Array, b: Array) -> tuple[Array, Array]:
  """Sums two arrays over all axes but the last, in two joint reductions.

  XLA would make one kernel of two separate sums, but it would not let them read
  the product of two arrays, and would split the sums of many numbers in two.
  """
  add = lambda x, y: (x[0] + y[0], x[1] + y[1])
  zero = jnp.zeros((), a.dtype)
  for axes in (tuple(range(1, len(shape) - 1)), (0,)):
    a, b = jax.lax.reduce((a, b), (zero, zero), add, axes)
  return a, b


_sum_two.defvjp(
  lambda shape, a, b: (_sum_two(shape, a, b), None),
  lambda shape, _, dy: tuple(jnp.broadcast_to(d, shape) for d in dy),
)


def moments(x: Array, axis_name: str | None = None) -> tuple[Array, Array]:
  """Computes the mean and the variance of each channel.

  Args:
    x: activations, `[B, ..., F]`, float.
    axis_name: name of the mapped axis of devices, over which they are taken,
      too; None for a single device.

  Returns:
    Mean and biased variance, `[F]` float32 each; the variance is at least 0.
  """
  x = x.astype(jnp.float32)
  count = x.size // x.shape[-1]
  if count > _ONE_KERNEL and convolution.traces_for_gpu():
    sums = _sum_two(x.shape, x, x * x)
  else:
    sums = tuple(map(channels.sum_channels, (x, x * x)))
  means = tuple(total / count for total in sums)
  mean, square = collectives.pmean(means, axis_name)
  return mean, jnp.maximum(square - mean * mean, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalize(options, x, scale, bias):
  epsilon, axis_name, dtype = options
  mean, variance = moments(x, axis_name)
  factor = jax.lax.rsqrt(variance + epsilon) * scale
  mean, factor, bias = (
    channels.spread(v, x.shape) for v in (mean, factor, bias)
  )
  return ((x.astype(jnp.float32) - mean) * factor + bias).astype(dtype)


def _gradients(options, saved, dy):
  """Returns the gradients by x, scale and bias.

  The moments are computed again, from the same array, so that second
  derivatives see how they depend on it; XLA computes them once.
  """
  epsilon, axis_name, _ = options
  x, scale = saved
  mean, variance = moments(x, axis_name)
  inverse = jax.lax.rsqrt(variance + epsilon)
  dy, wide = dy.astype(jnp.float32), x.astype(jnp.float32)
  d_bias, product = _sum_two(x.shape, dy, dy * wide)
  d_scale = (product - mean * d_bias) * inverse
  means = tuple(d * (x.shape[-1] / x.size) for d in (d_bias, d_scale))
  shift, slope = collectives.pmean(means, axis_name)
  # dx = scale inverse (dy - shift - slope (x - mean) inverse)
  factor, slope = scale * inverse, slope * inverse
  mean, shift, factor, slope = (
    channels.spread(v, x.shape) for v in (mean, shift, factor, slope)
  )
  dx = factor * (dy - shift - slope * (wide - mean))
  return dx.astype(x.dtype), d_scale, d_bias


_normalize.defvjp(
  lambda options, x, scale, bias: (
    _normalize(options, x, scale, bias),
    (x, scale),
  ),
  _gradients,
)


def batch_normalize(
  x: Array,
  scale: Array,
  bias: Array,
  *,
  epsilon: float = 1e-5,
  axis_name: str | None = None,
  dtype: Any = jnp.float32,
) -> Array:
  """Normalizes each channel over the batch: zero mean and unit variance.

  y = scale (x - mean) / sqrt(variance + epsilon) + bias

  Args:
    x: activations, `[..., F]`, float.
    scale: `[F]` float32.
    bias: `[F]` float32.
    epsilon: added to the variance, above 0.
    axis_name: name of the mapped axis of devices, over whose batches it
      normalizes; None for a single device.
    dtype: dtype of the output.

  Returns:
    `[..., F]`. Gradients flow through mean and variance, in any order of
    differentiation in reverse mode; there is no forward mode.

  References:
    Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167,
    2015.
  """
  chex.assert_type([x, scale, bias], float)
  chex.assert_shape([scale, bias], (x.shape[-1],))
  return _normalize((epsilon, axis_name, dtype), x, scale, bias)


def _scale_and_shift(x: Array, mean: Array, scale: Array, bias: Array) -> Array:
  """Computes (x - mean) * scale + bias, whose gradient takes two sums."""
  # Written so, mean is not spread over x, whose gradient would be a third sum.
  fixed = jax.lax.stop_gradient(mean)
  shift = bias - (mean - fixed) * scale
  spread = lambda values: channels.spread(values, x.shape)
  return (x - spread(fixed)) * spread(scale) + spread(shift)


class BatchNorm(nn.Module):
  """Batch norm: normalizes each channel over all other axes.

  The statistics, in float32, are those of the batch, of all devices if
  axis_name is set, or the running ones, which training updates. Parameters and
  statistics are those of flax.linen.BatchNorm.

  Attributes:
    momentum: share of the old running statistics at each update.
    epsilon: added to the variance.
    use_scale: whether there is a scale per channel.
    use_bias: whether there is a bias per channel.
    scale_init: initializer of the scale.
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output.
    batches: number of batches that x consists of. In training, each of them is
      normalized by itself, and they update the statistics one after the other.

  References:
    Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167,
    2015.
  """

  momentum: float = 0.9
  epsilon: float = 1e-5
  use_scale: bool = True
  use_bias: bool = True
  scale_init: Initializer = nn.initializers.ones
  axis_name: str | None = None
  dtype: Any = jnp.float32
  batches: int = 1

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """Maps `[B, ..., C]` to `[B, ..., C]`."""
    size = x.shape[-1:]
    running = [
      self.variable('batch_stats', name, init, size, jnp.float32)
      for name, init in (('mean', jnp.zeros), ('var', jnp.ones))
    ]
    scale, bias = jnp.ones(size), jnp.zeros(size)
    if self.use_scale:
      scale = self.param('scale', self.scale_init, size)
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, size)
    starts = self.is_initializing()
    in_parts = self.batches > 1 or convolution.traces_for_gpu()
    if train and in_parts and not starts:
      return self._normalize_parts(x, scale, bias, running)
    if train:
      found = moments(x, None if starts else self.axis_name)
      if not starts:
        self._update(running, found)
    else:
      found = tuple(statistic.value for statistic in running)
    mean, variance = found
    scale = scale * jax.lax.rsqrt(variance + self.epsilon)
    return _scale_and_shift(x, mean, scale, bias).astype(self.dtype)

  def _normalize_parts(self, x, scale, bias, running):
    """Normalizes each batch, with own gradients."""
    parts = x.reshape(self.batches, -1, *x.shape[1:])
    means, variances = jax.vmap(lambda x: moments(x, self.axis_name))(
      jax.lax.stop_gradient(parts)
    )
    for found in zip(means, variances):
      self._update(running, found)
    options = dict(epsilon=self.epsilon, axis_name=self.axis_name)
    y = jax.vmap(
      lambda x: batch_normalize(x, scale, bias, dtype=self.dtype, **options)
    )(parts)
    return y.reshape(x.shape)

  def _update(self, running, found):
    for statistic, new in zip(running, found):
      old = self.momentum * statistic.value
      statistic.value = old + (1 - self.momentum) * new
