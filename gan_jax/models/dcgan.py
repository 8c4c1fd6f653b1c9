"""DCGAN for square images of 8 to 128 pixels, NHWC in [-1, 1].

The image is halved until 4 to 7 pixels are left, so its side is one of these
times a power of two: 8, 16, 32, 64, 128 (to 4 x 4), 28 (to 7 x 7), 40, 48 and
so on. Channels double at each halving, from `width` at half the image's size.
At 64 pixels and width 64 these are the networks of Dive into Deep Learning,
except that the discriminator's first layer has no batch normalization, as in
the paper.

References:
  Radford et al., Unsupervised Representation Learning with Deep Convolutional
  Generative Adversarial Networks, https://arxiv.org/abs/1511.06434, 2015.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear

Array = jax.Array
# 4 to 7 times a power of two, up to 128.
_SIZES = tuple(
  side for side in range(8, 129) if side % 2 ** (side.bit_length() - 3) == 0
)


def _stages(shape: tuple[int, ...]) -> int:
  """Returns the number of halvings from the image to 4 to 7 pixels."""
  return validation.square_side(shape, _SIZES, 'DCGAN').bit_length() - 3


class Generator(nn.Module):
  """Generator of transposed convolutions: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: channels of the layer at half the image's size, doubled at each
      halving.
    norm: normalization of hidden layers, a name in normalization.NORMS.
    classes: number of classes, whose one-hot labels join the latents; 0 for
      none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  norm: str = 'batch'
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    stages = _stages(self.shape)
    add_bias = self.norm in ('none', 'spectral')
    common = dict(spectral=self.norm == 'spectral', dtype=self.dtype)
    channels = self.width * 2 ** (stages - 1)
    side = self.shape[0] >> stages
    x = conditioning.join_label(x, label, self.classes)
    # A transposed convolution from one pixel is a dense layer.
    dense = layers.Dense(side * side * channels, use_bias=False, **common)
    x = dense(x, train=train)
    x = x.reshape(-1, side, side, channels)
    for stage in range(stages):
      x = nn.relu(
        layers.Norm(self.norm, self.axis_name, self.dtype)(x, train=train)
      )
      last = stage == stages - 1
      channels = self.shape[2] if last else channels // 2
      x = layers.ConvTranspose(
        channels,
        stride=2,
        padding=1,
        use_bias=last or add_bias,
        **common,
      )(x, train=train)
    return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
  """Discriminator of strided convolutions and leaky ReLU: images to logits.

  Attributes:
    width: channels of the first layer, doubled at each halving.
    norm: normalization of all layers except the first and the last, a name in
      normalization.NORMS; 'spectral' applies to every layer's kernel. With
      batch norm a logit depends on the whole batch, which gradient penalties
      do not allow.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the activations of the last hidden layer in addition to the logits.
    minibatch_std: group size of layers.MinibatchStd, whose feature is appended
      to the last activations; -1 for the whole batch, 0 to disable. A logit
      then depends on other examples, which gradient penalties do not allow.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    axis_name: name of the mapped device axis, for batch norm and minibatch_std.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
    batches: number of batches that the input consists of, for batch norm; see
      networks.Network.
  """

  width: int = 64
  norm: str = 'batch'
  outputs: int = 1
  return_features: bool = False
  minibatch_std: int = 0
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  axis_name: str | None = None
  dtype: Any = jnp.float32
  batches: int = 1

  @property
  def takes_batches(self) -> bool:
    """Whether one call with several batches is as good as one for each."""
    return self.norm != 'spectral' and not self.minibatch_std

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    common = dict(spectral=self.norm == 'spectral', dtype=self.dtype)
    norm = (self.norm, self.axis_name, self.dtype, self.batches)
    add_bias = self.norm in ('none', 'spectral')
    for stage in range(_stages(x.shape[1:])):
      x = layers.Conv(
        self.width * 2**stage,
        stride=2,
        padding=1,
        use_bias=stage == 0 or add_bias,
        **common,
      )(x, train=train)
      if stage:
        x = layers.Norm(*norm)(x, train=train)
      x = nn.leaky_relu(x, 0.2)
    features = x if self.return_features else None
    if self.minibatch_std:
      x = layers.MinibatchStd(self.minibatch_std, self.axis_name, self.dtype)(x)
    last = layers.Dense(self.outputs, **common)
    heads = conditioning.bind_heads(
      label, self.classes, self.class_heads, train=train, **common
    )
    return linear.discriminator_head(
      last, x, features, train=train, class_outputs=heads
    )
