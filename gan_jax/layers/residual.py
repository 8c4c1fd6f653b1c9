"""Residual blocks of generators and discriminators: SNGAN, SAGAN, BigGAN.

A block adds a shortcut to a chain of normalization, ReLU and convolutions. 1 x
1 convolutions of shortcuts commute with resampling, and are taken at the
smaller size: of the same numbers, in a quarter of the time.

`train` can be positional in all of them, for `nn.remat(..., static_argnums=3)`.

References:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  https://arxiv.org/abs/1802.05957, 2018, appendix B. Brock et al., BigGAN,
  https://arxiv.org/abs/1809.11096, 2019, appendix B.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers import conditioning, resample
from gan_jax.layers.initializers import INITIALIZERS, Initializer
from gan_jax.layers.linear import Conv, DownsampleConv, UpsampleConv

Array = jax.Array


class _Block(nn.Module):
  """Base class of the blocks: their fields, and how they convolve.

  Attributes:
    features: channels of the output.
    spectral: whether the convolutions are spectrally normalized.
    kernel_init: initializer of the convolutions.
    shortcut_init: initializer of the shortcut's convolution.
    dtype: dtype of the arithmetic.
  """

  features: int
  spectral: bool = False
  kernel_init: Initializer = INITIALIZERS['glorot_uniform_sqrt2']
  shortcut_init: Initializer = INITIALIZERS['glorot_uniform']
  dtype: Any = jnp.float32

  def layer(self, cls: type[nn.Module], features: int, name: str) -> nn.Module:
    """Returns a convolution of 3 x 3 pixels that keeps the size."""
    options = {'padding': 1} if cls is Conv else {}
    return cls(
      features,
      size=3,
      spectral=self.spectral,
      kernel_init=self.kernel_init,
      dtype=self.dtype,
      name=name,
      **options,
    )

  def pointwise(self, features: int, name: str) -> nn.Module:
    """Returns a convolution of 1 x 1 pixels."""
    init = self.shortcut_init if name == 'shortcut' else self.kernel_init
    return Conv(
      features,
      size=1,
      spectral=self.spectral,
      kernel_init=init,
      dtype=self.dtype,
      name=name,
    )


class _GeneratorBlock(_Block):
  """Base class of the generator's blocks: their other fields, and the norm.

  Attributes:
    upsample: whether the output has twice the sides of the input.
    spectral_norms: whether the kernels of conditional batch norm are
      spectrally normalized.
    norm_init: initializer of the kernels of conditional batch norm.
    axis_name: name of the mapped device axis, or None.
  """

  upsample: bool = True
  spectral_norms: bool = False
  norm_init: Initializer = INITIALIZERS['zeros']
  axis_name: str | None = None

  def activate(self, x: Array, vector: Array | None, train: bool) -> Array:
    """Normalizes, by the vector if there is one, and applies ReLU."""
    y = conditioning.batch_norm(
      x,
      vector,
      train=train,
      axis_name=self.axis_name,
      dtype=self.dtype,
      spectral=self.spectral_norms,
      kernel_init=self.norm_init,
    )
    return nn.relu(y)


class GeneratorBlock(_GeneratorBlock):
  """Block of the generator of SNGAN and BigGAN.

  Norm, ReLU, nearest upsampling, convolution, norm, ReLU, convolution; the
  shortcut is upsampled, and convolved by 1 x 1 pixels if it is upsampled or its
  channels change.
  """

  @nn.compact
  def __call__(
    self, x: Array, vector: Array | None = None, train: bool = False
  ) -> Array:
    """Maps `[B, H, W, I]` and vectors `[B, V]`, or None, to the output.

    Args:
      x: images.
      vector: input of conditional batch norm; None for plain batch norm.
      train: whether statistics are those of the batch, and are updated.

    Returns:
      Images, `[B, 2 H, 2 W, features]`, or `[B, H, W, features]`.
    """
    first = UpsampleConv if self.upsample else Conv
    y = self.activate(x, vector, train)
    y = self.layer(first, self.features, 'conv_0')(y, train=train)
    y = self.activate(y, vector, train)
    y = self.layer(Conv, self.features, 'conv_1')(y, train=train)
    shortcut = x.astype(self.dtype)
    if self.upsample or x.shape[-1] != self.features:
      shortcut = self.pointwise(self.features, 'shortcut')(x, train=train)
    if self.upsample:
      shortcut = resample.upsample_nearest(shortcut)
    return y + shortcut


class GeneratorBottleneck(_GeneratorBlock):
  """Block of the generator of BigGAN-deep.

  1 x 1, 3 x 3 (after upsampling), 3 x 3 and 1 x 1 convolutions, each after norm
  and ReLU, with a quarter of the input's channels between them. The shortcut
  keeps the first `features` channels, and has no parameters.
  """

  @nn.compact
  def __call__(
    self, x: Array, vector: Array | None = None, train: bool = False
  ) -> Array:
    """Maps images as GeneratorBlock does; with at most as many channels."""
    if self.features > x.shape[-1]:
      raise ValueError(
        f'features={self.features}: must be at most the {x.shape[-1]} channels '
        'of the input, the first of which are kept'
      )
    hidden, shortcut = max(x.shape[-1] // 4, 1), x[..., : self.features]
    second = UpsampleConv if self.upsample else Conv
    for convolve in (
      self.pointwise(hidden, 'conv_0'),
      self.layer(second, hidden, 'conv_1'),
      self.layer(Conv, hidden, 'conv_2'),
      self.pointwise(self.features, 'conv_3'),
    ):
      x = convolve(self.activate(x, vector, train), train=train)
    if self.upsample:
      shortcut = resample.upsample_nearest(shortcut)
    return x + shortcut.astype(self.dtype)


class DiscriminatorBlock(_Block):
  """Block of the discriminator of SNGAN and BigGAN.

  ReLU, convolution, ReLU, convolution, average pooling; the shortcut is pooled,
  and convolved by 1 x 1 pixels if it is pooled or its channels change.

  Attributes:
    downsample: whether the output has half the sides of the input.
    first: whether the input is an image: without the first ReLU, which would
      cut off half of its values, and with `features` channels in between.
    hidden: channels between the two convolutions: 'in' for those of the input
      (SNGAN), 'out' for those of the output (SAGAN, BigGAN).
  """

  spectral: bool = True
  downsample: bool = True
  first: bool = False
  hidden: str = 'in'

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    """Maps `[B, H, W, I]` to `[B, H / 2, W / 2, features]`, or `[B, H, ...]`."""
    if self.hidden not in ('in', 'out'):
      raise ValueError(f"hidden={self.hidden!r}: must be 'in' or 'out'")
    wide = self.first or self.hidden == 'out'
    hidden = self.features if wide else x.shape[-1]
    last = DownsampleConv if self.downsample else Conv
    y = x if self.first else nn.relu(x)
    y = nn.relu(self.layer(Conv, hidden, 'conv_0')(y, train=train))
    y = self.layer(last, self.features, 'conv_1')(y, train=train)
    shortcut = resample.downsample_mean(x) if self.downsample else x
    if self.first or self.downsample or x.shape[-1] != self.features:
      convolve = self.pointwise(self.features, 'shortcut')
      shortcut = convolve(shortcut, train=train)
    return y + shortcut.astype(self.dtype)


class DiscriminatorBottleneck(_Block):
  """Block of the discriminator of BigGAN-deep.

  1 x 1, 3 x 3, 3 x 3 and (after pooling) 1 x 1 convolutions, each after ReLU,
  with a quarter of the output's channels between them. To the channels of the
  shortcut, pooled, those that it lacks are appended by a 1 x 1 convolution.

  Attributes:
    downsample: whether the output has half the sides of the input.
  """

  spectral: bool = True
  downsample: bool = True

  @nn.compact
  def __call__(self, x: Array, train: bool = False) -> Array:
    """Maps images as DiscriminatorBlock does; with at least as many channels."""
    missing = self.features - x.shape[-1]
    if missing < 0:
      raise ValueError(
        f'features={self.features}: must be at least the {x.shape[-1]} '
        'channels of the input'
      )
    hidden = max(self.features // 4, 1)
    y = self.pointwise(hidden, 'conv_0')(nn.relu(x), train=train)
    y = self.layer(Conv, hidden, 'conv_1')(nn.relu(y), train=train)
    y = self.layer(Conv, hidden, 'conv_2')(nn.relu(y), train=train)
    y, shortcut = nn.relu(y), x.astype(self.dtype)
    if self.downsample:
      y, shortcut = map(resample.downsample_mean, (y, shortcut))
    y = self.pointwise(self.features, 'conv_3')(y, train=train)
    if missing:
      more = self.pointwise(missing, 'shortcut')(shortcut, train=train)
      shortcut = jnp.concatenate([shortcut, more], axis=-1)
    return y + shortcut
