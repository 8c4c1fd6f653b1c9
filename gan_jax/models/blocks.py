"""Layers that the architectures share: Flax Linen on gan_jax's convolutions.

A spectrally normalised layer keeps its power-iteration vectors among the
statistics: one iteration per application in training, none at evaluation.
"""

from typing import Any, Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

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

  The kernel, output channels last, is taken as a matrix of [all else, output]. The
  estimate v' W u is the PyTorch one: one power iteration per application in
  training, no gradient through u and v.

  References:
    Miyato et al., Spectral Normalization for Generative Adversarial
    Networks, https://arxiv.org/abs/1802.05957, 2018, algorithm 1.
  """

  @nn.compact
  def __call__(self, kernel: Array, *, train: bool) -> Array:
    matrix = kernel.reshape(-1, kernel.shape[-1])
    unit = lambda x: x / (jnp.linalg.norm(x) + 1e-12)
    draw = lambda: unit(
      jax.random.normal(self.make_rng('params'), matrix.shape[1:])
    )
    # 'power_': a moving average of the network copies these, see ema.py.
    u = self.variable('batch_stats', 'power_u', draw)
    v = self.variable('batch_stats', 'power_v', lambda: unit(matrix @ u.value))
    if train:
      fixed = jax.lax.stop_gradient(matrix)
      v.value = unit(fixed @ u.value)
      u.value = unit(v.value @ fixed)
    return kernel / jnp.maximum(v.value @ matrix @ u.value, 1e-12)


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
    kernel = self.param('kernel', self.kernel_init, shape)
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
