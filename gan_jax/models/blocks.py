"""Layers that the architectures share: Flax Linen on gan_jax's convolutions.

A spectrally normalised layer keeps its power-iteration vectors among the
statistics, and what it last divided by: one iteration per application in
training, none at evaluation.
"""

from typing import Any, Callable, Mapping

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

from gan_jax import networks
from gan_jax.models import conv

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


class SpectralScale(nn.Module):
  """Divides a kernel by an estimate of its largest singular value.

  The kernel, output channels last, is taken as a matrix of [all else, output].
  The estimate v' W u is the PyTorch one: one power iteration per application
  in training, which stores the estimate, and no gradient through u and v.
  Evaluation computes it anew, from u, v and the kernel it is given.

  References:
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, algorithm 1.
  """

  @nn.compact
  def __call__(self, kernel: Array, *, train: bool) -> Array:
    matrix = kernel.reshape(-1, kernel.shape[-1])
    unit = lambda x: x / (jnp.linalg.norm(x) + 1e-12)
    draw = lambda: jax.random.normal(self.make_rng('params'), matrix.shape[1:])
    # 'power_': a moving average of the network copies these, see ema.py.
    u = self.variable('batch_stats', 'power_u', lambda: unit(draw()))
    v = self.variable('batch_stats', 'power_v', lambda: unit(matrix @ u.value))
    estimate = lambda: jnp.maximum(v.value @ matrix @ u.value, 1e-12)
    last = self.variable('batch_stats', 'power_sigma', estimate)
    if train:
      fixed = jax.lax.stop_gradient(matrix)
      v.value = unit(fixed @ u.value)
      u.value = unit(v.value @ fixed)
    sigma = estimate()
    if train:
      last.value = jax.lax.stop_gradient(sigma)
    return kernel / sigma


def spectral_norms(stats: Mapping[str, Any]) -> dict[str, Array]:
  """What each spectrally normalised layer last divided its kernel by.

  That is the estimate of its largest singular value, from below. In BigGAN
  some of the generator's grow throughout training and explode at collapse.

  Args:
    stats: statistics of a network.

  Returns:
    Path of the layer, joined with '/', to a scalar above 0 (`[N]` for the
    stacked statistics of N networks). Empty without spectral normalisation.

  References:
    Brock et al., BigGAN, https://arxiv.org/abs/1809.11096, 2019, section 4.1.
  """
  flat = traverse_util.flatten_dict(stats)
  found = {k[:-2]: v for k, v in flat.items() if k[-1] == 'power_sigma'}
  return {'/'.join(path): sigma for path, sigma in found.items()}


class _Layer(nn.Module):
  """What the linear layers share: fields and how their kernel is made."""

  features: int
  use_bias: bool = True
  spectral: bool = False
  kernel_init: Initializer = INITIALIZERS['normal']
  bias_init: Initializer = INITIALIZERS['zeros']

  def kernel(
    self, shape: tuple[int, ...], train: bool, output_axis: int = -1
  ) -> Array:
    name = 'kernel' if output_axis == -1 else 'dual_kernel'  # [.., out, in]
    kernel = self.param(name, self.kernel_init, shape)
    if not self.spectral:
      return kernel
    matrix_like = jnp.moveaxis(kernel, output_axis, -1)
    scaled = SpectralScale()(matrix_like, train=train)
    return jnp.moveaxis(scaled, -1, output_axis)

  def biased(self, y: Array) -> Array:
    if not self.use_bias:
      return y
    return y + self.param('bias', self.bias_init, (self.features,)).reshape(
      (1,) * (y.ndim - 1) + (-1,)
    )


class Dense(_Layer):
  """Affine map of the last axis: `[B, I]` to `[B, features]`."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    return self.biased(x @ self.kernel((x.shape[-1], self.features), train))


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
    return self.biased(conv.convolve(x, kernel, **options))


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
    return self.biased(conv.convolve_transpose(x, kernel, **options))


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

  @nn.compact
  def __call__(self, label: Array, *, train: bool = False) -> Array:
    chex.assert_rank(label, 1)
    chex.assert_type(label, int)
    shape = (self.num_embeddings, self.features)
    table = self.param('embedding', self.embedding_init, shape)
    if self.spectral:
      table = SpectralScale()(table, train=train)
    outside = dict(mode='fill', fill_value=jnp.nan, wrap_negative_indices=False)
    return table.at[label].get(**outside)


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

  References:
    Karras et al., Progressive Growing of GANs,
    https://arxiv.org/abs/1710.10196, 2018, section 3.
  """

  group_size: int
  axis_name: str | None = None

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
    groups = x.reshape(batch // size, size, *x.shape[1:])
    mean = over_devices(groups.mean(axis=1, keepdims=True))
    variance = over_devices(jnp.square(groups - mean).mean(axis=1))
    # The root has no derivative at 0, where the generator has collapsed.
    deviation = jnp.sqrt(variance + 1e-8).reshape(batch // size, -1)
    column = jnp.repeat(deviation.mean(axis=1), size).reshape(
      batch, *[1] * (x.ndim - 1)
    )
    column = jnp.broadcast_to(column, (*x.shape[:-1], 1))
    return jnp.concatenate([x, column], axis=-1)


def scores(
  last: Dense, x: Array, features: Array | None, *, train: bool
) -> Array | networks.Scores:
  """Applies the last layer of a discriminator and shapes what it returns.

  Args:
    last: the layer; its features are the discriminator's `outputs`.
    x: what it is applied to, `[B, ...]`, flattened here.
    features: `[B, ...]`, to return beside the logits, or None.
    train: whether spectral norm iterates.

  Returns:
    Logits `[B]` for one output, else `[B, outputs]`; with features,
    networks.Scores of these and the features as `[B, F]`.

  Raises:
    ValueError: for outputs below 1.
  """
  if last.features < 1:
    raise ValueError(f'outputs={last.features}: must be at least 1')
  flat = lambda y: y.reshape(y.shape[0], -1)
  y = last(flat(x), train=train)
  logits = y[:, 0] if last.features == 1 else y
  return logits if features is None else networks.Scores(logits, flat(features))


class Norm(nn.Module):
  """Normalisation of activations by name; nothing for 'none', 'spectral'.

  'batch' is over the batch of all devices when axis_name is set; 'layer' is
  over everything but the batch, with scale and bias per channel.

  Attributes:
    kind: one of NORMS.
    axis_name: the mapped axis of devices, or None.
  """

  kind: str
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    choose(NORMS, self.kind, 'norm')
    if self.kind == 'batch':
      return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=self.axis_name,
      )(x)
    if self.kind == 'layer':
      return nn.LayerNorm(reduction_axes=tuple(range(1, x.ndim)))(x)
    return x
