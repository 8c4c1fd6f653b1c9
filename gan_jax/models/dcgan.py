"""DCGAN for square images of 8 to 128 pixels, NHWC in [-1, 1].

The image is halved until 4 to 7 pixels are left, so its side is one of these
times a power of two: 8, 16, 32, 64, 128 (to 4 x 4), 28 (to 7 x 7), 40, 48 and
so on. Channels double at each halving, from `width` at half the image's size.
At 64 pixels and width 64 these are the networks of Dive into Deep
Learning, but for batch normalisation on the discriminator's first layer,
which the paper leaves out.

References:
  Radford et al., Unsupervised Representation Learning with Deep Convolutional
  Generative Adversarial Networks, https://arxiv.org/abs/1511.06434, 2015.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers
from gan_jax.layers import linear

Array = jax.Array
# 4 to 7 times a power of two, and the largest is 128.
_SIZES = tuple(
  side for side in range(8, 129) if side % 2 ** (side.bit_length() - 3) == 0
)


def _stages(shape: tuple[int, ...]) -> int:
  """Number of halvings from the image to 4 to 7 pixels."""
  if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in _SIZES:
    raise ValueError(
      f'DCGAN takes square images [size, size, channels] with size one of '
      f'{_SIZES}; the data are of {tuple(shape)}'
    )
  return shape[0].bit_length() - 3


class Generator(nn.Module):
  """Latents `[B, Z]` to images `[B, *shape]` by transposed convolutions.

  Attributes:
    shape: (size, size, channels) of one image.
    width: channels of the layer at half the image's size, doubled at each
      halving.
    norm: of hidden layers, a name in normalization.NORMS.
    axis_name: the mapped axis of devices, for batch norm.
    dtype: of the arithmetic; parameters and what is returned are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  norm: str = 'batch'
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    stages = _stages(self.shape)
    add_bias = self.norm in ('none', 'spectral')
    common = dict(spectral=self.norm == 'spectral', dtype=self.dtype)
    channels = self.width * 2 ** (stages - 1)
    side = self.shape[0] >> stages
    # A transposed convolution of one pixel to 4 x 4 is a dense layer.
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
  """Images to logits `[B]` by strided convolutions and leaky ReLU of 0.2.

  Attributes:
    width: channels of the first layer, doubled at each halving.
    norm: of all layers but the first and the last, a name in normalization.NORMS;
      'spectral' is on every layer's kernel. Batch norm makes an example's
      logit depend on its batch: not for penalties on gradients.
    outputs: numbers per example: 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return networks.DiscriminatorOutput, with the activations
      of the last hidden layer beside the logits.
    minibatch_std: examples in a group of layers.MinibatchStd, whose feature
      joins the last activations; -1 for the whole batch, 0 for none. It makes
      an example's logit depend on others: not for penalties on gradients.
    axis_name: the mapped axis of devices, for batch norm and minibatch_std.
    dtype: of the arithmetic; parameters and what is returned are float32.
  """

  width: int = 64
  norm: str = 'batch'
  outputs: int = 1
  return_features: bool = False
  minibatch_std: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    common = dict(spectral=self.norm == 'spectral', dtype=self.dtype)
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
        x = layers.Norm(self.norm, self.axis_name, self.dtype)(x, train=train)
      x = nn.leaky_relu(x, 0.2)
    features = x if self.return_features else None
    if self.minibatch_std:
      x = layers.MinibatchStd(self.minibatch_std, self.axis_name, self.dtype)(x)
    last = layers.Dense(self.outputs, **common)
    return linear.discriminator_head(last, x, features, train=train)
