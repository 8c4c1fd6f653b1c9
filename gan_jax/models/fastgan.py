"""FastGAN for square images of 16 to 1,024 pixels, NHWC in [-1, 1].

Networks for 100 to 1,000 images. The generator has gated linear units, noise,
and maps of 4 to 32 pixels that excite the channels of large ones. The
discriminator returns logits of patches, 5 x 5 from the image, and from 256
pixels on as many from the image at 128 pixels; on request, decoders rebuild the
image from its hidden layers (penalties.reconstruction).

From 256 pixels on these are the networks of the authors' code, with these
differences:

* Their generator also returns an image of 128 pixels, of a 1 x 1 convolution
  (3 x 64 parameters), as the small input of the discriminator for generated
  images. Here a generator returns one image, and the discriminator averages
  what it gets, real or generated, down to 128 pixels; theirs takes every n-th
  pixel of the real ones.
* The image is tanh of the last layer at all sizes; in theirs, only at 1,024.
* A quadrant for the third decoder is drawn for each example, not for a batch.

Below 256 pixels there is one branch with one decoder, and below 128 no
excitation in the discriminator: the tables are this library's.

References:
  Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity
  Few-shot Image Synthesis, https://arxiv.org/abs/2101.04775, 2021.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, networks, validation
from gan_jax.layers import resample
from gan_jax.layers.batch_norm import BatchNorm
from gan_jax.layers.initializers import near_one

Array = jax.Array
_SMALL = 128  # side of the image that the second branch sees, and of targets
_WIDTH = 64  # of the channels in these tables
# Image size -> channels of the generator's maps of 4, 8, 16, ... pixels.
_GENERATORS = {
  16: (64, 32, 16),
  32: (128, 64, 32, 16),
  64: (256, 128, 64, 64, 32),
  128: (512, 256, 128, 128, 64, 32),
  256: (1024, 512, 256, 128, 128, 64, 32),
  512: (1024, 512, 256, 128, 128, 64, 32, 16),
  1024: (1024, 512, 256, 128, 128, 64, 32, 16, 8),
}
# Image size -> how many times larger the excited map is, where it is not 16.
_FACTORS = {16: 4, 32: 4, 64: 8}
_LARGEST_EXCITED = 512
_BIG = (32, 64, 128, 256, 512)
# Image size -> channels of the discriminator's maps of size / 2, ..., 8 pixels,
# the first layers (channels, kernel, stride) before them, and the channels of a
# decoder's maps of 16, 32, ... pixels.
_DISCRIMINATORS = {
  16: ((32,), ((16, 3, 1),), (16,)),
  32: ((32, 64), ((16, 3, 1),), (32, 16)),
  64: ((64, 128, 256), ((32, 3, 1),), (128, 64, 32)),
  128: ((64, 128, 256, 512), ((32, 3, 1),), (128, 64, 64, 32)),
  256: (_BIG, ((16, 3, 1),), (128, 64, 64, 32)),
  512: (_BIG, ((16, 4, 2),), (128, 64, 64, 32)),
  1024: (_BIG, ((8, 4, 2), (16, 4, 2)), (128, 64, 64, 32)),
}
_BRANCH = (32, 64, 128, 256)  # of the second branch, of 64, ..., 8 pixels


def _scale(channels: tuple[int, ...], width: int) -> tuple[int, ...]:
  return tuple(max(c * width // _WIDTH, 1) for c in channels)


class _Block(nn.Module):
  """Base class of the blocks: their fields, convolutions and batch norm."""

  features: int
  spectral: bool = True
  axis_name: str | None = None
  dtype: Any = jnp.float32

  def convolve(
    self, cls: type[nn.Module], features: int, x: Array, train: bool, **options
  ) -> Array:
    layer = cls(
      features,
      use_bias=False,
      spectral=self.spectral,
      dtype=self.dtype,
      **options,
    )
    return layer(x, train=train)

  def normalize(self, x: Array, train: bool) -> Array:
    norm = BatchNorm(
      scale_init=near_one, axis_name=self.axis_name, dtype=self.dtype
    )
    return norm(x, train=train)


class StartBlock(_Block):
  """Maps latents `[B, Z]` to a map `[B, 4, 4, features]`."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    x = x.reshape(x.shape[0], 1, 1, -1)
    x = self.convolve(layers.ConvTranspose, 2 * self.features, x, train, size=4)
    return layers.gated_linear_unit(self.normalize(x, train))


class UpBlock(_Block):
  """Doubles the sides; a deep block convolves twice, and adds noise twice."""

  stage: int = 0
  deep: bool = False

  @nn.compact
  def __call__(self, x: Array, keys: Array | None, *, train: bool) -> Array:
    convolutions = [functools.partial(self.convolve, layers.UpsampleConv)]
    if self.deep:
      options = dict(size=3, padding=1)
      convolutions.append(
        functools.partial(self.convolve, layers.Conv, **options)
      )
    for i, convolve in enumerate(convolutions):
      x = convolve(2 * self.features, x, train)
      if self.deep:
        x = layers.NoiseInput(2 * self.stage + i)(x, keys)
      x = layers.gated_linear_unit(self.normalize(x, train))
    return x


class Generator(nn.Module):
  """Generator of gated convolutions: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: factor on all channels, in 1 / 64 of those of the tables.
    spectral: whether all kernels are spectrally normalized.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  spectral: bool = True
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool,
    keys: Array | None = None,
  ):
    """Generates images.

    Args:
      x: latents, `[B, Z]`.
      label: not used.
      train: whether statistics are those of the batch, and are updated.
      keys: typed keys of the noise, `[B]`; None for no noise.

    Returns:
      Images, `[B, *shape]` float32, in [-1, 1].
    """
    size = validation.square_side(self.shape, _GENERATORS, 'FastGAN')
    first, *others = _scale(_GENERATORS[size], self.width)
    plain = dict(spectral=self.spectral, dtype=self.dtype)
    common = dict(plain, axis_name=self.axis_name)
    x = StartBlock(first, **common)(x, train=train)
    maps = {4: x}
    for stage, features in enumerate(others):
      block = UpBlock(features, stage=stage, deep=stage % 2 == 0, **common)
      x = block(x, keys, train=train)
      side = x.shape[1]
      low = maps.get(side // _FACTORS.get(size, 16))
      if low is not None and side <= _LARGEST_EXCITED:
        x = layers.SkipLayerExcitation(**plain)(low, x, train=train)
      maps[side] = x
    last = layers.Conv(
      self.shape[2], size=3, padding=1, use_bias=False, **plain
    )
    return jnp.tanh(last(x, train=train).astype(jnp.float32))


class ConvBlock(_Block):
  """Convolution, batch norm (or none), and leaky ReLU.

  Attributes:
    size: side of the kernel; 3 keeps the size, as does 1.
    stride: stride of the convolution.
    norm: whether there is batch norm.
  """

  size: int = 4
  stride: int = 1
  norm: bool = True

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    padding = (self.size - 1) // 2
    options = dict(size=self.size, stride=self.stride, padding=padding)
    x = self.convolve(layers.Conv, self.features, x, train, **options)
    if self.norm:
      x = self.normalize(x, train)
    return nn.leaky_relu(x, 0.2)


class DownBlock(_Block):
  """Halves the sides: the mean of a strided and of a pooled path."""

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    layer = functools.partial(
      ConvBlock,
      self.features,
      spectral=self.spectral,
      axis_name=self.axis_name,
      dtype=self.dtype,
    )
    y = layer(size=4, stride=2)(x, train=train)
    y = layer(size=3)(y, train=train)
    pooled = layers.downsample_mean(x)
    return (y + layer(size=1)(pooled, train=train)) / 2


class Discriminator(nn.Module):
  """Discriminator of patches: images to logits `[B, 5, 5]` or `[B, 2, 25]`.

  From 256 pixels on it has two branches of 25 logits each. The mean over all
  logits is that over both.

  Attributes:
    width: factor on all channels, in 1 / 64 of those of the tables.
    spectral: whether all kernels are spectrally normalized.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the last map of 8 x 8 pixels in addition to the logits.
    return_reconstructions: whether to return a networks.DiscriminatorOutput,
      which has images that decoders make of hidden layers, each with its
      target: the input, or a quadrant of it, of at most 128 pixels.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the convolutions; the last layers, parameters and outputs
      are float32.
  """

  width: int = 64
  spectral: bool = True
  return_features: bool = False
  return_reconstructions: bool = False
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool,
    keys: Array | None = None,
  ):
    """Computes logits of patches.

    Args:
      x: images, `[B, size, size, C]`.
      label: not used.
      train: whether statistics are those of the batch, and are updated.
      keys: typed keys of the quadrants that a decoder rebuilds, `[B]`; None for
        the upper left ones.

    Returns:
      Logits, float32, or a networks.DiscriminatorOutput.
    """
    size = validation.square_side(x.shape[1:], _DISCRIMINATORS, 'FastGAN')
    maps = self._main_branch(x, size, train)
    hidden = self._block(ConvBlock, 2 * maps[-1].shape[-1], size=1)
    logits = self._patches(hidden(maps[-1], train=train), train)
    second = None
    if size > _SMALL:
      second = self._second_branch(x, train)
      both = [
        y.reshape(len(x), -1) for y in (logits, self._patches(second, train))
      ]
      logits = jnp.stack(both, axis=1)
    outputs = {}
    if self.return_features:
      outputs['features'] = maps[-1].reshape(len(x), -1).astype(jnp.float32)
    if self.return_reconstructions:
      outputs['reconstructions'] = self._reconstruct(
        x, (maps[-1], second, maps[-2]), keys, train
      )
    if not outputs:
      return logits
    return networks.DiscriminatorOutput(logits, **outputs)

  def _block(self, cls: type[_Block], features: int, **options) -> _Block:
    return cls(
      features,
      spectral=self.spectral,
      axis_name=self.axis_name,
      dtype=self.dtype,
      **options,
    )

  def _patches(self, x: Array, train: bool) -> Array:
    """Maps a map of 8 x 8 pixels to logits `[B, 5, 5]`, in float32."""
    last = layers.Conv(1, size=4, use_bias=False, spectral=self.spectral)
    return last(x.astype(jnp.float32), train=train)[..., 0]

  def _main_branch(self, x: Array, size: int, train: bool) -> list[Array]:
    """Returns the maps of the image, the last one of 8 x 8 pixels."""
    channels, stem, _ = _DISCRIMINATORS[size]
    for i, (features, side, stride) in enumerate(stem):
      (features,) = _scale((features,), self.width)
      options = dict(size=side, stride=stride, norm=i > 0)
      x = self._block(ConvBlock, features, **options)(x, train=train)
    maps = [x]
    for i, features in enumerate(_scale(channels, self.width)):
      x = self._block(DownBlock, features)(x, train=train)
      if size >= _SMALL and i >= 2:  # by the map of 8 times the side
        excite = layers.SkipLayerExcitation(self.spectral, dtype=self.dtype)
        x = excite(maps[i - 2], x, train=train)
      maps.append(x)
    return maps

  def _second_branch(self, x: Array, train: bool) -> Array:
    """Returns the map of 8 x 8 pixels of the small image."""
    x = resample.pool_to(x, _SMALL)
    for i, features in enumerate(_scale(_BRANCH, self.width)):
      options = dict(size=4, stride=2, norm=i > 0)
      x = self._block(ConvBlock, features, **options)(x, train=train)
    return x

  def _reconstruct(
    self,
    image: Array,
    maps: tuple[Array, Array | None, Array],
    keys: Array | None,
    train: bool,
  ) -> tuple[tuple[Array, Array], ...]:
    """Returns decoded images and their targets.

    Args:
      image: input of the discriminator.
      maps: last map, that of the second branch (or None), map of 16 x 16.
      keys: typed keys of the quadrants, `[B]`, or None.
      train: whether spectral norm updates its power iteration.
    """
    size = image.shape[1]
    features = _scale(_DISCRIMINATORS[size][2], self.width)
    side = min(size, _SMALL)
    image = image.astype(jnp.float32)

    def pair(x, target):
      decoder = layers.ReconstructionDecoder(
        features,
        image.shape[-1],
        spectral=self.spectral,
        axis_name=self.axis_name,
        dtype=self.dtype,
      )
      return decoder(x, train=train), resample.pool_to(target, side)

    last, second, quartered = maps
    if second is None:
      return (pair(last, image),)
    corner = _draw_corners(keys, len(image))
    parts = [resample.select_quadrant(y, corner) for y in (quartered, image)]
    return pair(last, image), pair(second, image), pair(*parts)


def _draw_corners(keys: Array | None, count: int) -> Array:
  """Returns a number in 0 .. 3 for each key, `[B]`; zeros without keys."""
  if keys is None:
    return jnp.zeros(count, jnp.int32)
  draw = lambda key: jax.random.randint(jax.random.fold_in(key, 0), (), 0, 4)
  return jax.vmap(draw)(keys)
