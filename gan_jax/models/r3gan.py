"""R3GAN: residual networks without normalization, NHWC.

The two networks mirror each other: stages of residual blocks with convolutions
in groups, and StyleGAN2's filter between them. They are trained by the
relativistic pairing loss with R1 and R2.

Widths are those of configuration E from 4 x 4 pixels up, in units of `width`;
groups have `group_size` channels each. The published networks have width 768
and groups of 16 (CIFAR-10, FFHQ), or width 1536 and groups of 32 (ImageNet).

In bfloat16, the ends of both networks, all layers at 4 x 4 pixels and images
are float32.

References:
  Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline,
  https://arxiv.org/abs/2501.05441, 2024.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, grouped, linear, resample

Array = jax.Array
# Image size -> width of each stage from 4 x 4 pixels up, as divisors of width.
_STAGES = {
  8: (1, 1),
  16: (1, 1, 1),
  32: (1, 1, 1, 1),
  64: (1, 1, 1, 1, 2),
  128: (1, 1, 1, 1, 2, 4),
  256: (1, 1, 1, 1, 2, 4, 8),
}


class Stage(nn.Module):
  """Residual blocks of one size of feature maps.

  Attributes:
    count: number of blocks.
    group_size: channels in a group.
    blocks: number of blocks of the whole network.
    dtype: dtype of the arithmetic.
  """

  count: int
  group_size: int
  blocks: int
  dtype: Any

  @nn.compact
  def __call__(self, x: Array) -> Array:
    wide = 2 * x.shape[-1]
    if wide % self.group_size:
      raise ValueError(
        f'group_size={self.group_size}: must divide {wide}, twice the width '
        'of a stage'
      )
    for i in range(self.count):
      x = grouped.GroupedBottleneck(
        wide // self.group_size,
        self.blocks,
        dtype=self.dtype,
        name=f'block_{i}',
      )(x)
    return x


def _stages(module: nn.Module, size: int) -> list[tuple[int, nn.Module, Any]]:
  """Returns width, blocks and dtype of each stage from 4 x 4 pixels up."""
  divisors = _STAGES[size] if module.taper else (1,) * len(_STAGES[size])
  if module.width % max(divisors):
    raise ValueError(
      f'width={module.width}: must be a multiple of {max(divisors)} for {size} '
      'pixels with taper=True'
    )
  cls = nn.remat(Stage) if module.remat else Stage
  stages = []
  for i, divisor in enumerate(divisors):
    stage = cls(
      module.blocks,
      module.group_size,
      blocks=module.blocks * len(divisors),
      dtype=module.dtype if i else jnp.float32,
      name=f'stage_{4 << i}',
    )
    stages.append((module.width // divisor, stage))
  return stages


def _change_width(x: Array, width: int, dtype: Any, name: str) -> Array:
  """Applies a 1 x 1 convolution if the width changes."""
  if x.shape[-1] == width:
    return x
  return grouped.GroupedConv(width, dtype=dtype, name=name)(x)


class Generator(nn.Module):
  """Residual generator: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: channels of the stages up to 32 pixels.
    taper: whether the stages of 64, 128 and 256 pixels have a half, a quarter
      and an eighth of the width.
    group_size: channels in a group of the 3 x 3 convolutions.
    blocks: residual blocks in a stage.
    embedding_dim: length of the label's embedding, which joins the latents; not
      used without classes.
    remat: whether to recompute the stages' activations in the backward pass,
      which takes less memory and more time.
    classes: number of classes; 0 for none.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 768
  taper: bool = True
  group_size: int = 16
  blocks: int = 2
  embedding_dim: int = 64
  remat: bool = False
  classes: int = 0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    size = validation.square_side(self.shape, _STAGES, 'R3GAN')
    vector = conditioning.label_vector(label, self.classes)
    if vector is not None:
      embed = _dense(self.embedding_dim, 'embedding')
      x = jnp.concatenate([x, embed(vector)], axis=-1)
    stages = _stages(self, size)
    x = grouped.BasisInput(stages[0][0], name='basis')(x)
    for width, stage in stages:
      if stage is not stages[0][1]:
        x = _change_width(x, width, stage.dtype, f'widen_{x.shape[1]}')
        x = resample.filter_upsample(x.astype(stage.dtype))
      x = stage(x)
    last = grouped.GroupedConv(self.shape[2], name='to_image')
    return last(x.astype(jnp.float32))


class Discriminator(nn.Module):
  """Residual discriminator: images to logits.

  With classes, the logit is the product of the last layer's output and of a
  vector of the class.

  Attributes:
    width: channels of the stages up to 32 pixels.
    taper: whether the stages of 64, 128 and 256 pixels have a half, a quarter
      and an eighth of the width.
    group_size: channels in a group of the 3 x 3 convolutions.
    blocks: residual blocks in a stage.
    remat: whether to recompute the stages' activations in the backward pass,
      which takes less memory and more time.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the weighted sums over the last pixels in addition to the logits.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  width: int = 768
  taper: bool = True
  group_size: int = 16
  blocks: int = 2
  remat: bool = False
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    size = validation.square_side(x.shape[1:], _STAGES, 'R3GAN')
    stages = _stages(self, size)[::-1]
    for width, stage in stages:
      if stage is stages[0][1]:
        x = grouped.GroupedConv(width, dtype=stage.dtype, name='from_image')(x)
      else:
        x = resample.filter_downsample(x)
        x = _change_width(x, width, stage.dtype, f'widen_{x.shape[1]}')
      x = stage(x)
    pooled = grouped.DepthwisePool(name='pool')(x)
    vector, projects = (
      None,
      conditioning.projects(self.classes, self.class_heads, self.outputs),
    )
    if projects:
      row = _dense(self.width, 'projection', gain=self.width**-0.5)
      vector = row(conditioning.label_vector(label, self.classes))
    return linear.discriminator_head(
      _dense(self.width if projects else self.outputs, 'output'),
      pooled,
      pooled if self.return_features else None,
      train=train,
      class_outputs=conditioning.bind_heads(
        label, self.classes, self.class_heads, train=train, product=vector
      ),
    )


def _dense(features: int, name: str, gain: float = 1.0) -> layers.Dense:
  """Returns a linear map without a bias."""
  init = grouped.fan_in_normal(gain)
  return layers.Dense(features, use_bias=False, kernel_init=init, name=name)
