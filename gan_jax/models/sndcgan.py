"""SNDCGAN: the small convolutional networks of the spectral norm paper.

Square images whose side is a multiple of 8, up to 128 pixels, NHWC in [-1, 1].
The discriminator has a 3 x 3 convolution at each size, and a 4 x 4 one of
stride 2 that doubles the channels. The paper's table has the 3 x 3 ones double
them, which makes half the parameters; the authors' code and compare_gan, which
published scores are from, do as here. The slope of leaky ReLU is the paper's
0.1 (0.2 in the authors' code). compare_gan normalizes each number of the first
dense layer's output, not each channel as here and in the authors' code.

References:
  Miyato et al., Spectral Normalization for Generative Adversarial Networks,
  https://arxiv.org/abs/1802.05957, 2018, table 3.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear

Array = jax.Array
_SIZES = tuple(range(8, 129, 8))


class Generator(nn.Module):
  """Generator of transposed convolutions: `[B, Z]` to `[B, *shape]`.

  Attributes:
    shape: shape of one image, (size, size, channels).
    width: channels of the last hidden layer, doubled at each halving.
    classes: number of classes, each with its own scales and shifts of batch
      norm; 0 for none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    side = validation.square_side(self.shape, _SIZES, 'SNDCGAN') // 8
    vector = conditioning.label_vector(label, self.classes)
    dense = layers.Dense(side * side * 8 * self.width, dtype=self.dtype)
    x = dense(x).reshape(-1, side, side, 8 * self.width)
    for factor in (4, 2, 1):
      x = nn.relu(self._normalize(x, vector, train))
      x = layers.ConvTranspose(
        factor * self.width, stride=2, padding=1, dtype=self.dtype
      )(x)
    x = nn.relu(self._normalize(x, vector, train))
    x = layers.Conv(self.shape[2], size=3, padding=1, dtype=self.dtype)(x)
    return jnp.tanh(x.astype(jnp.float32))

  def _normalize(self, x: Array, vector: Array | None, train: bool) -> Array:
    options = dict(axis_name=self.axis_name, dtype=self.dtype)
    return conditioning.batch_norm(x, vector, train=train, **options)


class Discriminator(nn.Module):
  """Discriminator of seven convolutions and leaky ReLU: images to logits.

  Attributes:
    width: channels of the first layer, doubled at each halving.
    spectral: whether all kernels are spectrally normalized.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the activations of the last hidden layer in addition to the logits.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    dtype: dtype of the convolutions; the last layer, parameters and outputs
      are float32.
  """

  width: int = 64
  spectral: bool = True
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    validation.square_side(x.shape[1:], _SIZES, 'SNDCGAN')
    kernels = [(self.width, 3, 1)]
    for factor in (2, 4, 8):
      channels = factor * self.width
      kernels += [(channels, 4, 2), (channels, 3, 1)]
    for channels, size, stride in kernels:
      convolve = layers.Conv(
        channels,
        size=size,
        stride=stride,
        padding=1,
        spectral=self.spectral,
        dtype=self.dtype,
      )
      x = nn.leaky_relu(convolve(x, train=train), 0.1)
    x = x.astype(jnp.float32)
    last = layers.Dense(self.outputs, spectral=self.spectral)
    heads = conditioning.bind_heads(
      label,
      self.classes,
      self.class_heads,
      train=train,
      spectral=self.spectral,
    )
    features = x if self.return_features else None
    return linear.discriminator_head(
      last, x, features, train=train, class_outputs=heads
    )
