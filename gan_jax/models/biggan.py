"""BigGAN, BigGAN-deep and SAGAN for images of 8 to 128 pixels, NHWC in [-1, 1].

The networks, by options of the generator (G) and the discriminator (D):

* BigGAN: the defaults, with `attention` 64 in both for 128 pixels, 32 for 64.
  The latents are cut into one chunk for the first layer and one for each block;
  its chunk and an embedding of the class, shared by all blocks, give the scales
  and shifts of batch norm. All kernels of both networks are spectrally
  normalized, but not the shared embedding.
* BigGAN-deep: `deep` in both, width 128. Blocks are bottlenecks, two at each
  size, and all of them take all latents.
* BigGAN for CIFAR-10: G with hierarchical=False, shared_dim=0, and
  kernel_init='normal' in both. StudioGAN's D has half the channels (width 48
  in D for 96 in G).
* SAGAN: likewise, with kernel_init='glorot_uniform' and `attention`.

Channels are those of the author's PyTorch code in units of `width` (its `ch`);
those of 8 and 16 pixels are those of 32 with fewer blocks. Without classes,
blocks take their latents alone.

References:
  Brock et al., Large Scale GAN Training for High Fidelity Natural Image
  Synthesis, https://arxiv.org/abs/1809.11096, 2019, appendix B. Zhang et al.,
  Self-Attention Generative Adversarial Networks,
  https://arxiv.org/abs/1805.08318, 2019.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear
from gan_jax.layers.initializers import INITIALIZERS

Array = jax.Array
# Image size -> channels in units of width: of the dense layer and each stage.
_GENERATORS = {
  8: (4, 4),
  16: (4, 4, 4),
  32: (4, 4, 4, 4),
  64: (16, 16, 8, 4, 2),
  128: (16, 16, 8, 4, 2, 1),
}
# Image size -> number of stages that halve it, and the channels of each stage;
# in a deep network, the first are those of a convolution before the stages.
_DISCRIMINATORS = {
  8: (1, (4, 4, 4)),
  16: (2, (4, 4, 4)),
  32: (2, (4, 4, 4, 4)),
  64: (4, (1, 2, 4, 8, 16)),
  128: (5, (1, 2, 4, 8, 16, 16)),
}


def _init(name: str):
  return validation.lookup(INITIALIZERS, name, 'kernel_init')


def _check_attention(attention: int, sides: list[int]) -> None:
  if attention and attention not in sides:
    raise ValueError(
      f'attention={attention}: must be 0, or the side of feature maps, one of '
      f'{tuple(dict.fromkeys(sides))}'
    )


class Generator(nn.Module):
  """Residual generator: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: unit of the channels, the paper's ch.
    attention: side of the feature maps that self-attention is applied to; 0 for
      none.
    hierarchical: whether the latents are cut into chunks, for the first layer
      and each block; their number must divide that of the latents. A deep
      network gives all latents to all blocks instead.
    deep: whether the blocks are BigGAN-deep's.
    shared_dim: length of the class embedding that all blocks share; 0 for a
      table of scales and shifts by class in each block. Not used without
      classes.
    spectral: whether all kernels but tables of classes are spectrally
      normalized.
    kernel_init: initializer of all kernels, a name in
      initializers.INITIALIZERS.
    remat: whether to recompute the blocks' activations in the backward pass,
      which takes less memory and more time.
    classes: number of classes; 0 for none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  attention: int = 0
  hierarchical: bool = True
  deep: bool = False
  shared_dim: int = 128
  spectral: bool = True
  kernel_init: str = 'orthogonal'
  remat: bool = False
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    size = validation.square_side(self.shape, _GENERATORS, 'BigGAN')
    channels = [self.width * m for m in _GENERATORS[size]]
    stages = len(channels) - 1
    sides = [size >> stages - i for i in range(stages + 1)]
    _check_attention(self.attention, sides[1:])
    common = dict(
      spectral=self.spectral,
      kernel_init=_init(self.kernel_init),
      dtype=self.dtype,
    )
    x, vectors = self._cut(x, label, stages)
    dense = layers.Dense(sides[0] ** 2 * channels[0], **common)
    x = dense(x, train=train)
    x = x.reshape(-1, sides[0], sides[0], channels[0])
    for i in range(stages):
      if self.deep:
        block = self._block(channels[i], f'block_{i}_same', upsample=False)
        x = block(x, vectors[i], train)
      block = self._block(channels[i + 1], f'block_{i}', upsample=True)
      x = block(x, vectors[i], train)
      if sides[i + 1] == self.attention:
        x = layers.SelfAttention(**common, name='attention')(x, train=train)
    norm = layers.Norm('batch', self.axis_name, self.dtype)
    x = nn.relu(norm(x, train=train))
    last = layers.Conv(self.shape[2], size=3, padding=1, **common)
    return jnp.tanh(last(x, train=train).astype(jnp.float32))

  def _cut(
    self, z: Array, label: Array | None, stages: int
  ) -> tuple[Array, list[Array | None]]:
    """Returns the inputs of the first layer and of each stage."""
    shared = conditioning.label_vector(label, self.classes)
    if self.classes and self.shared_dim:
      shared = layers.Embed(
        self.classes,
        self.shared_dim,
        embedding_init=_init(self.kernel_init),
        name='shared_embedding',
      )(label)
    join = lambda z: z if shared is None else jnp.concatenate([shared, z], -1)
    if self.deep:
      return join(z), [join(z)] * stages
    if not self.hierarchical:
      return z, [shared] * stages
    if z.shape[-1] % (stages + 1):
      raise ValueError(
        f'{z.shape[-1]} latents (latent_dim) with hierarchical=True: must be a '
        f'multiple of {stages + 1}, one chunk for the first layer and for each '
        f'of the {stages} blocks'
      )
    first, *chunks = jnp.split(z, stages + 1, axis=-1)
    return first, [join(chunk) for chunk in chunks]

  def _block(self, features: int, name: str, *, upsample: bool) -> nn.Module:
    cls = layers.GeneratorBottleneck if self.deep else layers.GeneratorBlock
    if self.remat:
      cls = nn.remat(cls, static_argnums=3)
    init = _init(self.kernel_init)
    table = not (self.shared_dim or self.hierarchical or self.deep)
    return cls(
      features,
      upsample=upsample,
      spectral=self.spectral,
      spectral_norms=self.spectral and not table,
      kernel_init=init,
      shortcut_init=init,
      norm_init=init,
      axis_name=self.axis_name,
      dtype=self.dtype,
      name=name,
    )


class Discriminator(nn.Module):
  """Residual discriminator: images to logits.

  Attributes:
    width: unit of the channels, the paper's ch.
    attention: side of the feature maps that self-attention is applied to, the
      first ones of this side; 0 for none.
    deep: whether the blocks are BigGAN-deep's.
    spectral: whether all kernels are spectrally normalized.
    kernel_init: initializer of all kernels, a name in
      initializers.INITIALIZERS.
    pooling: what the last layer takes of each channel, 'sum' or 'mean' over all
      pixels.
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
  attention: int = 0
  deep: bool = False
  spectral: bool = True
  kernel_init: str = 'orthogonal'
  pooling: str = 'sum'
  remat: bool = False
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    options = dict(spectral=self.spectral, kernel_init=_init(self.kernel_init))
    x = self._features(x, dict(options, dtype=self.dtype), train)
    pooled = linear.pool(nn.relu(x), self.pooling)
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

  def _features(self, x: Array, common: dict[str, Any], train: bool) -> Array:
    """Applies all blocks and the attention."""
    size = validation.square_side(x.shape[1:], _DISCRIMINATORS, 'BigGAN')
    halvings, multipliers = _DISCRIMINATORS[size]
    channels = [self.width * m for m in multipliers]
    if self.deep:
      first, *channels = channels
      x = layers.Conv(first, size=3, padding=1, **common)(x, train=train)
    sides = [size >> min(i + 1, halvings) for i in range(len(channels))]
    _check_attention(self.attention, sides)
    for i, features in enumerate(channels):
      block = self._block(features, f'block_{i}', i, common, i < halvings)
      x = block(x, train)
      if self.deep:
        block = self._block(features, f'block_{i}_same', i, common, False)
        x = block(x, train)
      if sides.index(sides[i]) == i and sides[i] == self.attention:
        x = layers.SelfAttention(**common, name='attention')(x, train=train)
    return x

  def _block(
    self,
    features: int,
    name: str,
    index: int,
    common: dict[str, Any],
    downsample: bool,
  ) -> nn.Module:
    cls, options = layers.DiscriminatorBottleneck, {}
    if not self.deep:
      cls = layers.DiscriminatorBlock
      options = dict(first=index == 0, hidden='out')
    if self.remat:
      cls = nn.remat(cls, static_argnums=2)
    return cls(
      features,
      downsample=downsample,
      shortcut_init=common['kernel_init'],
      name=name,
      **common,
      **options,
    )
