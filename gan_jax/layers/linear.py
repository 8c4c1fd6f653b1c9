"""Layers that the architectures share: Flax Linen on gan_jax's convolutions.

Each computes in its `dtype`, to which input and parameters are cast where they
are used. Parameters, spectral norm, and the statistics of normalisation and
of the minibatch are float32 whatever it is.
"""

from typing import Any, Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import networks
from gan_jax.layers import convolution
from gan_jax.layers.spectral_norm import SpectralNorm

Array = jax.Array
Initializer = Callable[..., Array]

NORMS = ('none', 'batch', 'layer', 'spectral')
INITIALIZERS: dict[str, Initializer] = {
  'normal': nn.initializers.normal(0.02),
  'glorot_uniform': nn.initializers.glorot_uniform(),
  'he_normal': nn.initializers.he_normal(),
  'lecun_normal': nn.initializers.lecun_normal(),
  'orthogonal': nn.initializers.orthogonal(),
  'zeros': nn.initializers.zeros,
}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
  'relu': nn.relu,
  'leaky_relu': lambda x: nn.leaky_relu(x, 0.2),
  'silu': nn.silu,
  'tanh': jnp.tanh,
}
_TINY, _FEW = 64, 256  # weights, and examples, that need no matrix product


def choose(table: Any, name: str, what: str) -> Any:
  """Looks a name up in a table (or checks it against a tuple).

  Args:
    table: a dict, or a tuple of allowed names.
    name: what to look up.
    what: what it is, for the message.

  Returns:
    The table's entry, or the name itself for a tuple.

  Raises:
    ValueError: for an unknown name; it lists the allowed ones.
  """
  if name not in table:
    raise ValueError(f'{what}={name!r}: choose one of {sorted(table)}')
  return table[name] if isinstance(table, dict) else name


class _Layer(nn.Module):
  """What the linear layers share: fields and how their kernel is made."""

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
      scaled = SpectralNorm()(matrix_like, train=train)
      kernel = jnp.moveaxis(scaled, -1, output_axis)
    return kernel.astype(self.dtype)

  def biased(self, y: Array) -> Array:
    if not self.use_bias:
      return y
    bias = self.param('bias', self.bias_init, (self.features,))
    return y + bias.astype(self.dtype).reshape((1,) * (y.ndim - 1) + (-1,))


class Dense(_Layer):
  """Affine map of the last axis: `[B, I]` to `[B, features]`."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    kernel = self.kernel((x.shape[-1], self.features), train)
    x = x.astype(self.dtype)
    if x.ndim == 2 and kernel.size <= _TINY and x.shape[0] <= _FEW:
      # Sums of products instead of a matrix product: XLA:CPU fuses them, and
      # makes one kernel of a whole training loop of such layers.
      return self.biased((x[:, :, None] * kernel[None]).sum(axis=1))
    return self.biased(x @ kernel)


class Conv(_Layer):
  """Convolution, `[B, H, W, I]` to `[B, H', W', features]`; see models.conv."""

  size: int = 4
  stride: int = 1
  padding: int = 0

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.kernel(shape, train)
    options = dict(stride=self.stride, padding=self.padding)
    return self.biased(
      convolution.convolve(x.astype(self.dtype), kernel, **options)
    )


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
    return self.biased(
      convolution.convolve_transpose(x.astype(self.dtype), kernel, **options)
    )


class Embed(nn.Module):
  """A learnt vector for each class: labels `[B]` to `[B, features]`.

  A label outside 0 .. num_embeddings - 1 gives NaN, so that it is noticed:
  clipping would train another class. With `spectral` the whole table, not the
  rows looked up, is divided by its largest singular value.
  """

  num_embeddings: int
  features: int
  spectral: bool = False
  embedding_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, label: Array, *, train: bool = False) -> Array:
    chex.assert_rank(label, 1)
    chex.assert_type(label, int)
    shape = (self.num_embeddings, self.features)
    table = self.param('embedding', self.embedding_init, shape)
    if self.spectral:
      table = SpectralNorm()(table, train=train)
    outside = dict(mode='fill', fill_value=jnp.nan, wrap_negative_indices=False)
    return table.at[label].get(**outside).astype(self.dtype)


class MinibatchStd(nn.Module):
  """Appends one feature: how much the examples of a group differ.

  The standard deviation of each feature over the group, averaged over all
  features: 1e-4, the root of 1e-8, for equal examples, by which D knows a
  generator that makes only one. Groups are contiguous and must divide a
  device's part of the batch, so n devices compute what one would, without
  communication. At init, where shapes alone matter, any batch will do.

  Attributes:
    group_size: examples in a group, at least 2; -1, as in the paper, for the
      whole batch, of all devices where axis_name is set.
    axis_name: the mapped axis of devices, or None.
    dtype: of what it returns.

  References:
    Karras et al., Progressive Growing of GANs,
    https://arxiv.org/abs/1710.10196, 2018, section 3.
  """

  group_size: int
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, ..., F]`, float, to `[B, ..., F + 1]`."""
    batch, whole = x.shape[0], self.group_size == -1
    if self.group_size < 2 and not whole:
      raise ValueError(f'group_size={self.group_size}: must be -1 or above 1')
    size = batch if whole or self.is_initializing() else self.group_size
    if batch % size:
      raise ValueError(f'group_size={size} does not divide a batch of {batch}')
    over = self.axis_name if whole else None
    over_devices = lambda y: y if over is None else jax.lax.pmean(y, over)
    groups = x.reshape(batch // size, size, *x.shape[1:]).astype(jnp.float32)
    mean = over_devices(groups.mean(axis=1, keepdims=True))
    variance = over_devices(jnp.square(groups - mean).mean(axis=1))
    # The root has no derivative at 0, where the generator has collapsed.
    deviation = jnp.sqrt(variance + 1e-8).reshape(batch // size, -1)
    column = jnp.repeat(deviation.mean(axis=1), size).reshape(
      batch, *[1] * (x.ndim - 1)
    )
    column = jnp.broadcast_to(column, (*x.shape[:-1], 1))
    parts = [x.astype(self.dtype), column.astype(self.dtype)]
    return jnp.concatenate(parts, axis=-1)


def discriminator_head(
  last: Dense, x: Array, features: Array | None, *, train: bool
) -> Array | networks.DiscriminatorOutput:
  """Applies the last layer of a discriminator and shapes what it returns.

  Args:
    last: the layer; its features are the discriminator's `outputs`.
    x: what it is applied to, `[B, ...]`, flattened here.
    features: `[B, ...]`, to return beside the logits, or None.
    train: whether spectral norm iterates.

  Returns:
    Logits `[B]` for one output, else `[B, outputs]`; with features,
    networks.DiscriminatorOutput of these and the features as `[B, F]`. All are float32.

  Raises:
    ValueError: for outputs below 1.
  """
  if last.features < 1:
    raise ValueError(f'outputs={last.features}: must be at least 1')
  flat = lambda y: y.reshape(y.shape[0], -1)
  y = last(flat(x), train=train).astype(jnp.float32)
  logits = y[:, 0] if last.features == 1 else y
  if features is None:
    return logits
  return networks.DiscriminatorOutput(
    logits, flat(features).astype(jnp.float32)
  )


class Norm(nn.Module):
  """Normalisation of activations by name; nothing for 'none', 'spectral'.

  'batch' is over the batch of all devices when axis_name is set; 'layer' is
  over everything but the batch, with scale and bias per channel.

  Attributes:
    kind: one of NORMS.
    axis_name: the mapped axis of devices, or None.
    dtype: of what it returns.
  """

  kind: str
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    choose(NORMS, self.kind, 'norm')
    if self.kind == 'batch':
      return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=self.axis_name,
        dtype=self.dtype,
      )(x)
    if self.kind == 'layer':
      axes = tuple(range(1, x.ndim))
      return nn.LayerNorm(reduction_axes=axes, dtype=self.dtype)(x)
    return x
