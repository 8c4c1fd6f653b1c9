"""Batch normalization, with own gradients on GPU.

A GPU waits for each kernel to start, and those of batch norm are most of a
step's. The gradient that JAX derives from the mean and the variance takes four
passes over the activations, with copies of them in float32. Written out, it is
two sums over the same arrays and one expression, so that XLA makes three
kernels of it. Elsewhere the layer is Flax's.
"""

import functools
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import collectives
from gan_jax.layers import convolution

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
  x, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
  count = x.size // x.shape[-1]
  if count > _ONE_KERNEL:
    sums = _sum_two(x.shape, x, x * x)
  else:
    sums = x.sum(axes), (x * x).sum(axes)
  means = tuple(total / count for total in sums)
  mean, square = collectives.pmean(means, axis_name)
  return mean, jnp.maximum(square - mean * mean, 0)


def _per_channel(vector: Array, x: Array) -> Array:
  """Returns a vector `[F]` in the rank of x, `[..., F]`."""
  return vector.reshape((1,) * (x.ndim - 1) + (-1,))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _normalize(options, x, scale, bias):
  epsilon, axis_name, dtype = options
  mean, variance = moments(x, axis_name)
  factor = jax.lax.rsqrt(variance + epsilon) * scale
  mean, factor, bias = (_per_channel(v, x) for v in (mean, factor, bias))
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
    _per_channel(v, x) for v in (mean, shift, factor, slope)
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


class BatchNorm(nn.BatchNorm):
  """Flax's batch norm over all axes but the last, with these gradients on GPU.

  Parameters and statistics are those of Flax.

  Attributes:
    batches: number of batches that x consists of. In training, each of them is
      normalized by itself, and they update the statistics one after the other.
  """

  batches: int = 1

  @nn.compact
  def __call__(self, x: Array) -> Array:
    is_flax = self.batches == 1 and not convolution.traces_for_gpu()
    if is_flax or self.use_running_average or self.is_initializing():
      return super().__call__(x)
    shape = (x.shape[-1],)
    scale, bias = jnp.ones(shape), jnp.zeros(shape)
    if self.use_scale:
      scale = self.param('scale', self.scale_init, shape)
    if self.use_bias:
      bias = self.param('bias', self.bias_init, shape)
    parts = x.reshape(self.batches, -1, *x.shape[1:])
    self._update_statistics(parts)
    options = dict(epsilon=self.epsilon, axis_name=self.axis_name)
    y = jax.vmap(
      lambda x: batch_normalize(x, scale, bias, dtype=self.dtype, **options)
    )(parts)
    return y.reshape(x.shape)

  def _update_statistics(self, parts: Array) -> None:
    """Updates the running statistics by each batch, `[batches, B, ..., F]`."""
    found = jax.vmap(lambda x: moments(x, self.axis_name))(
      jax.lax.stop_gradient(parts)
    )
    for name, values in zip(('mean', 'var'), found):
      running = self.variable('batch_stats', name, jnp.zeros, values.shape[1:])
      for value in values:
        keep = self.momentum * running.value
        running.value = keep + (1 - self.momentum) * value
