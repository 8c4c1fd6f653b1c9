"""StyleGAN2 for square images of 8 pixels or more, NHWC.

A mapping network maps latents to styles, one for each of 2 log2(size) - 2
layers, and a synthesis network maps styles to images: `Generator.mapping` and
`Generator.synthesis`. Channels at a side of r pixels are
min(channel_base / r, channel_max). Images of the generator are in about
[-1, 1]; there is no tanh.

Configurations of the papers:

* 1024 pixels (config F): the defaults.
* CIFAR-10: G with mapping_layers=2 and mixing=0; D with architecture='plain'
  and minibatch_std=32.
* StyleGAN2-ADA's "auto" and paper256: channel_base=16384, with
  mapping_layers=2 for "auto".

In bfloat16, styles, demodulation, images, the last layers of the discriminator
and all layers at 4 x 4 pixels are float32.

References:
  Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
  https://arxiv.org/abs/1912.04958, 2020. Karras et al., Training Generative
  Adversarial Networks with Limited Data, https://arxiv.org/abs/2006.06676, 2020.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear, modulation, resample
from gan_jax.layers.equalized import (
  EqualizedConv,
  EqualizedDense,
  scaled_leaky_relu,
)

Array = jax.Array
SIZES = tuple(2**i for i in range(3, 11))
ARCHITECTURES = ('skip', 'residual', 'plain')
_FIRST = 4  # side of the smallest feature maps
# Integers folded into the keys of an example; the noise of layer i takes i.
_MIXING_LATENT, _MIXING_CUT, _MIXING_CHANCE = 1000, 1001, 1002


def _sides(size: int) -> list[int]:
  """Returns the sides of the feature maps: 4, 8, ..., size."""
  return [_FIRST << i for i in range(int(math.log2(size)) - 1)]


def _channels(side: int, base: int, most: int) -> int:
  return min(base // side, most)


def _block_dtype(side: int, dtype: Any) -> Any:
  return jnp.float32 if side == _FIRST else dtype


class SynthesisBlock(nn.Module):
  """Layers of the generator at one size of feature maps.

  Attributes:
    features: channels of the feature maps.
    upsample: whether the first layer doubles the size; without it the block
      has the second layer only.
    index: number of the first layer, for the keys of the noise.
    residual: whether the block is residual.
    noise: whether layers have noise.
    dtype: dtype of the convolutions.
  """

  features: int
  upsample: bool
  index: int
  residual: bool = False
  noise: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, styles: Array, keys: Array | None) -> Array:
    """Maps images and styles `[B, 2, W]` (`[B, 1, W]` without upsampling)."""
    names = ('conv_0', 'conv_1') if self.upsample else ('conv_1',)
    residual = self.residual and self.upsample
    y = x
    for i, name in enumerate(names):
      last = name == 'conv_1'
      convolve = modulation.StyledConv(
        self.features,
        upsample=not last,
        noise=self.index + i if self.noise else None,
        gain=math.sqrt(0.5) if last and residual else 1.0,
        dtype=self.dtype,
        name=name,
      )
      y = convolve(y, styles[:, i], keys)
    if not residual:
      return y
    skip = EqualizedConv(
      self.features, size=1, use_bias=False, dtype=self.dtype, name='shortcut'
    )
    return y + resample.filter_upsample(skip(x)) * math.sqrt(0.5)


class Synthesis(nn.Module):
  """Maps styles to images.

  Attributes: as those of Generator.
  """

  shape: tuple[int, ...]
  channel_base: int
  channel_max: int
  architecture: str
  noise: bool
  remat: bool
  dtype: Any

  @nn.compact
  def __call__(self, styles: Array, keys: Array | None) -> Array:
    """Maps styles `[B, L, W]` and keys `[B]` (or None) to `[B, *shape]`."""
    sides = _sides(self.shape[0])
    features = [
      _channels(s, self.channel_base, self.channel_max) for s in sides
    ]
    init = nn.initializers.normal(1.0)
    constant = self.param('constant', init, (_FIRST, _FIRST, features[0]))
    x = jnp.broadcast_to(constant, (styles.shape[0], *constant.shape))
    cls = nn.remat(SynthesisBlock) if self.remat else SynthesisBlock
    image, layer = None, 0
    for side, width in zip(sides, features):
      block = cls(
        width,
        upsample=side > _FIRST,
        index=layer,
        residual=self.architecture == 'residual',
        noise=self.noise,
        dtype=_block_dtype(side, self.dtype),
        name=f'block_{side}',
      )
      count = 2 if side > _FIRST else 1
      x = block(x, styles[:, layer : layer + count], keys)
      layer += count
      if self.architecture != 'skip' and side != sides[-1]:
        continue
      # The image takes the style of the next layer.
      to_image = modulation.ToImage(
        self.shape[2], _block_dtype(side, self.dtype), name=f'to_image_{side}'
      )
      y = to_image(x, styles[:, layer])
      image = y if image is None else resample.filter_upsample(image) + y
    return image


class Generator(nn.Module):
  """Style-based generator: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    channel_base: channels times the side of the feature maps, at most.
    channel_max: largest number of channels.
    style_dim: length of a style w.
    mapping_layers: layers of the mapping network.
    architecture: 'skip' sums images of all sizes, 'residual' has residual
      blocks, 'plain' neither.
    mixing: probability that the layers after a random one take the style of
      other latents, in training.
    noise: whether layers have noise, if the network is given keys.
    remat: whether to recompute the blocks' activations in the backward pass,
      which takes less memory and more time.
    classes: number of classes, whose embedding joins the latents; 0 for none.
    axis_name: name of the mapped device axis, for the mean of w.
    dtype: dtype of the convolutions; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  channel_base: int = 32768
  channel_max: int = 512
  style_dim: int = 512
  mapping_layers: int = 8
  architecture: str = 'skip'
  mixing: float = 0.9
  noise: bool = True
  remat: bool = False
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  def setup(self):
    validation.square_side(self.shape, SIZES, 'StyleGAN2')
    validation.lookup(ARCHITECTURES, self.architecture, 'architecture')
    self.mapping_network = modulation.MappingNetwork(
      self.style_dim,
      self.mapping_layers,
      self.classes,
      axis_name=self.axis_name,
    )
    self.synthesis_network = Synthesis(
      self.shape,
      self.channel_base,
      self.channel_max,
      self.architecture,
      self.noise,
      self.remat,
      self.dtype,
    )

  @property
  def num_styles(self) -> int:
    """Number of styles of an image."""
    return 2 * int(math.log2(self.shape[0])) - 2

  def mapping(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool,
    keys: Array | None = None,
  ) -> Array:
    """Maps latents to styles, which may be those of two latents in training.

    Args:
      x: latents, `[B, Z]`, float.
      label: labels, `[B]` int, or None.
      train: whether the mean of w is updated and styles are mixed.
      keys: typed keys, `[B]`, for the mixing; None for none.

    Returns:
      Styles, `[B, num_styles, style_dim]`.
    """
    w = self.mapping_network(x, label, train=train)
    repeat = lambda w: jnp.repeat(w[:, None], self.num_styles, axis=1)
    if not train or keys is None or not self.mixing:
      return repeat(w)
    fold = lambda i: jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
    draw = lambda key: jax.random.normal(key, x.shape[1:], x.dtype)
    other = jax.vmap(draw)(fold(_MIXING_LATENT))
    # In evaluation mode, in which the mean of w is not updated once more.
    other = self.mapping_network(other, label, train=False)
    cut = lambda key: jax.random.randint(key, (), 1, self.num_styles)
    first = jax.vmap(cut)(fold(_MIXING_CUT))
    chance = jax.vmap(jax.random.uniform)(fold(_MIXING_CHANCE))
    first = jnp.where(chance < self.mixing, first, self.num_styles)
    after = jnp.arange(self.num_styles)[None] >= first[:, None]
    return jnp.where(after[:, :, None], repeat(other), repeat(w))

  def synthesis(
    self, styles: Array, *, train: bool = False, keys: Array | None = None
  ) -> Array:
    """Maps styles to images.

    Args:
      styles: styles, `[B, num_styles, style_dim]`.
      train: not used.
      keys: typed keys, `[B]`, for the noise; None for none.

    Returns:
      Images, `[B, *shape]`, float32.
    """
    return self.synthesis_network(styles, keys)

  def __call__(
    self,
    x: Array,
    label: Array | None = None,
    *,
    train: bool,
    keys: Array | None = None,
  ) -> Array:
    """Maps latents `[B, Z]` to images `[B, *shape]`."""
    styles = self.mapping(x, label, train=train, keys=keys)
    return self.synthesis(styles, train=train, keys=keys)


class DiscriminatorStage(nn.Module):
  """Layers of the discriminator at one size of feature maps.

  Attributes:
    features: channels of the first layer.
    out: channels of the second layer, which halves the size.
    residual: whether the stage is residual.
    dtype: dtype of the convolutions.
  """

  features: int
  out: int
  residual: bool
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, H, W, I]` to `[B, H / 2, W / 2, out]`."""
    conv = lambda features, name, **options: EqualizedConv(
      features, dtype=self.dtype, name=name, **options
    )
    y = scaled_leaky_relu(conv(self.features, 'conv_0')(x))
    y = conv(self.out, 'conv_1', downsample=True)(y)
    if not self.residual:
      return scaled_leaky_relu(y)
    skip = conv(self.out, 'shortcut', size=1, use_bias=False, downsample=True)
    return scaled_leaky_relu(y, math.sqrt(0.5)) + skip(x) * math.sqrt(0.5)


class Discriminator(nn.Module):
  """Discriminator: images to logits.

  With classes, the logit is the product of the last layer's output and of a
  mapping network of the label, over the root of their length.

  Attributes:
    channel_base: channels times the side of the feature maps, at most.
    channel_max: largest number of channels.
    architecture: 'residual' has residual stages, 'skip' reads the image at all
      sizes, 'plain' neither.
    minibatch_std: number of examples in a group whose standard deviation joins
      the last feature maps; -1 for the whole batch, 0 for none.
    remat: whether to recompute the stages' activations in the backward pass,
      which takes less memory and more time.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the last hidden layer in addition to the logits.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    axis_name: name of the mapped device axis, for minibatch_std=-1.
    dtype: dtype of the convolutions; parameters and outputs are float32.
  """

  channel_base: int = 32768
  channel_max: int = 512
  architecture: str = 'residual'
  minibatch_std: int = 4
  remat: bool = False
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    validation.lookup(ARCHITECTURES, self.architecture, 'architecture')
    size = validation.square_side(x.shape[1:], SIZES, 'StyleGAN2')
    features = lambda s: _channels(s, self.channel_base, self.channel_max)
    skip = self.architecture == 'skip'
    cls = nn.remat(DiscriminatorStage) if self.remat else DiscriminatorStage
    image, x = x, 0
    for side in reversed(_sides(size)):
      dtype = _block_dtype(side, self.dtype)
      if side == size or skip:
        read = EqualizedConv(
          features(side), size=1, dtype=dtype, name=f'from_image_{side}'
        )
        x = x + scaled_leaky_relu(read(image))
      if side == _FIRST:
        break
      x = cls(
        features(side),
        features(side // 2),
        residual=self.architecture == 'residual',
        dtype=dtype,
        name=f'stage_{side}',
      )(x)
      image = resample.filter_downsample(image) if skip else image
    return self._head(x.astype(jnp.float32), label, train)

  def _head(self, x: Array, label: Array | None, train: bool):
    width = x.shape[-1]
    if self.minibatch_std:
      x = layers.MinibatchStd(self.minibatch_std, self.axis_name)(x)
    x = scaled_leaky_relu(EqualizedConv(width, name='last_conv')(x))
    x = x.reshape(len(x), -1)
    x = scaled_leaky_relu(EqualizedDense(width, name='last_dense')(x))
    vector, projects = (
      None,
      conditioning.projects(self.classes, self.class_heads, self.outputs),
    )
    if projects:
      mapping = modulation.MappingNetwork(
        width, classes=self.classes, momentum=None, name='label_mapping'
      )
      vector = mapping(None, label, train=train) / math.sqrt(width)
    return linear.discriminator_head(
      EqualizedDense(width if projects else self.outputs, name='output'),
      x,
      x if self.return_features else None,
      train=train,
      class_outputs=conditioning.bind_heads(
        label, self.classes, self.class_heads, train=train, product=vector
      ),
    )
