"""SNGAN: residual networks for images of 8 to 128 pixels, NHWC in [-1, 1].

Conditional networks have scales and shifts of batch norm for each class in the
generator, and a projection of the class in the discriminator. Channels are
those of the authors' code at `width` 64; the networks of 8 and 16 pixels are
those of 32 with fewer blocks. The upsampling is nearest, as in the authors'
code (bilinear in mimicry).

References:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  https://arxiv.org/abs/1802.05957, 2018, appendix B. Miyato and Koyama, cGANs
  with Projection Discriminator, https://arxiv.org/abs/1802.05637, 2018.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear
from gan_jax.layers.initializers import INITIALIZERS

Array = jax.Array
# Image size -> channels in units of width: of the dense layer and each block.
_GENERATORS = {
  8: (4, 4),
  16: (4, 4, 4),
  32: (4, 4, 4, 4),
  48: (8, 4, 2, 1),
  64: (16, 8, 4, 2, 1),
  128: (16, 16, 8, 4, 2, 1),
}
# Image size -> number of blocks that halve it, and the channels of each block.
_DISCRIMINATORS = {
  8: (1, (2, 2, 2)),
  16: (2, (2, 2, 2)),
  32: (2, (2, 2, 2, 2)),
  48: (4, (1, 2, 4, 8, 16)),
  64: (5, (1, 2, 4, 8, 16)),
  128: (5, (1, 2, 4, 8, 16, 16)),
}


class Generator(nn.Module):
  """Residual generator: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: unit of the channels, which are 4 times as many up to 32 pixels, and
      else as many in the last block, twice as many in the one before, and so on.
    spectral: whether convolutions and the dense layer are spectrally
      normalized.
    remat: whether to recompute the blocks' activations in the backward pass,
      which takes less memory and more time.
    classes: number of classes, each with its own scales and shifts of batch
      norm; 0 for none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  spectral: bool = False
  remat: bool = False
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    size = validation.square_side(self.shape, _GENERATORS, 'SNGAN')
    first, *others = (self.width * m for m in _GENERATORS[size])
    side = size >> len(others)
    vector = conditioning.label_vector(label, self.classes)
    common = dict(spectral=self.spectral, dtype=self.dtype)
    plain = dict(common, kernel_init=INITIALIZERS['glorot_uniform'])
    x = layers.Dense(side * side * first, **plain)(x, train=train)
    x = x.reshape(-1, side, side, first)
    cls = layers.GeneratorBlock
    if self.remat:
      cls = nn.remat(cls, static_argnums=3)
    for i, channels in enumerate(others):
      common['name'] = f'block_{i}'
      block = cls(channels, axis_name=self.axis_name, **common)
      x = block(x, vector, train)
    norm = layers.Norm('batch', self.axis_name, self.dtype)
    x = nn.relu(norm(x, train=train))
    last = layers.Conv(self.shape[2], size=3, padding=1, **plain)
    return jnp.tanh(last(x, train=train).astype(jnp.float32))


class Discriminator(nn.Module):
  """Residual discriminator: images to logits.

  Attributes:
    width: unit of the channels, which are twice as many up to 32 pixels, and
      else as many in the first block, twice as many in the next, and so on.
    spectral: whether all kernels are spectrally normalized.
    pooling: what the last layer takes of each channel, 'sum' or 'mean' over all
      pixels. compare_gan has the mean.
    remat: whether to recompute the blocks' activations in the backward pass,
      which takes less memory and more time.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the pooled activations in addition to the logits.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    dtype: dtype of the convolutions; pooling, the last layer, parameters and
      outputs are float32.
  """

  width: int = 64
  spectral: bool = True
  pooling: str = 'sum'
  remat: bool = False
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    size = validation.square_side(x.shape[1:], _DISCRIMINATORS, 'SNGAN')
    halvings, multipliers = _DISCRIMINATORS[size]
    cls = layers.DiscriminatorBlock
    if self.remat:
      cls = nn.remat(cls, static_argnums=2)
    for i, multiplier in enumerate(multipliers):
      block = cls(
        multiplier * self.width,
        downsample=i < halvings,
        first=i == 0,
        spectral=self.spectral,
        dtype=self.dtype,
        name=f'block_{i}',
      )
      x = block(x, train)
    pooled = linear.pool(nn.relu(x), self.pooling)
    options = dict(
      spectral=self.spectral, kernel_init=INITIALIZERS['glorot_uniform']
    )
    heads = conditioning.bind_heads(
      label, self.classes, self.class_heads, train=train, **options
    )
    return linear.discriminator_head(
      layers.Dense(self.outputs, **options),
      pooled,
      pooled if self.return_features else None,
      train=train,
      class_outputs=heads,
    )
