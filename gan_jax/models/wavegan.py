"""WaveGAN for sound of 256 to 65,536 samples, `[T, C]` in [-1, 1].

Convolutions over time of length 25 and stride 4, as DCGAN's over pixels. The
discriminator shifts its activations at random in training (phase shuffle), if
it is given keys. Conditional networks take one-hot labels beside the latents in
the generator, and a projection of the label on the mean of the last activations
over time in the discriminator.

The authors draw the latents, 100 of them, uniformly from (-1, 1).

References:
  Donahue et al., Adversarial Audio Synthesis,
  https://arxiv.org/abs/1802.04208, 2019, appendix D.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import conditioning, linear, phase_shuffle
from gan_jax.layers.initializers import INITIALIZERS

Array = jax.Array
# Samples -> samples of the shortest activations, and strides up to the sound.
_STRIDES = {
  256: (16, (4, 4)),
  1024: (16, (4, 4, 4)),
  2048: (32, (4, 4, 4)),
  4096: (16, (4, 4, 4, 4)),
  8192: (32, (4, 4, 4, 4)),
  16384: (16, (4, 4, 4, 4, 4)),
  32768: (16, (4, 4, 4, 4, 4, 2)),
  65536: (16, (4, 4, 4, 4, 4, 4)),
}
_SIZE = 25  # length of the kernels


def _check_shape(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
  """Returns the shortest length and the strides for sound of a shape."""
  if len(shape) != 2 or shape[0] not in _STRIDES:
    raise ValueError(
      f'WaveGAN with examples of shape {shape}: must be (samples, channels) '
      f'with samples one of {tuple(_STRIDES)}'
    )
  return _STRIDES[shape[0]]


class Generator(nn.Module):
  """Transposed convolutions over time: `[B, Z]` to `[B, T, C]`.

  Attributes:
    shape: shape of one example, (samples, channels).
    width: channels of the last hidden layer, doubled at each layer before it.
    norm: normalization of the hidden layers, a name in layers.NORMS.
    post_filter: length of a learned filter of the output; 0 for none.
    classes: number of classes; 0 for none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  width: int = 64
  norm: str = 'none'
  post_filter: int = 0
  classes: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    first, strides = _check_shape(self.shape)
    validation.lookup(layers.NORMS, self.norm, 'norm')
    common = dict(
      kernel_init=INITIALIZERS['glorot_uniform'],
      spectral=self.norm == 'spectral',
      dtype=self.dtype,
    )

    def activate(x):
      norm = layers.Norm(self.norm, self.axis_name, self.dtype)
      return nn.relu(norm(x, train=train))

    channels = [self.width << i for i in reversed(range(len(strides)))]
    x = conditioning.join_label(x, label, self.classes)
    x = layers.Dense(first * channels[0], **common)(x, train=train)
    x = activate(x.reshape(-1, first, channels[0]))
    layer = lambda features, stride: layers.ConvTranspose1D(
      features, size=_SIZE, stride=stride, **common
    )
    for features, stride in zip(channels[1:], strides):
      x = activate(layer(features, stride)(x, train=train))
    x = layer(self.shape[1], strides[-1])(x, train=train)
    x = jnp.tanh(x.astype(jnp.float32))
    if not self.post_filter:
      return x
    filter_ = layers.Conv1D(
      self.shape[1],
      size=self.post_filter,
      use_bias=False,
      kernel_init=INITIALIZERS['glorot_uniform'],
      name='post_filter',
    )
    return filter_(x, train=train)


class Discriminator(nn.Module):
  """Convolutions over time: sound to logits.

  Attributes:
    width: channels of the first layer, doubled at each further one.
    phase_shuffle: largest shift of the activations of all layers but the last,
      in samples, in training; 0 for none.
    spectral: whether all kernels are spectrally normalized.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the last activations in addition to the logits.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    dtype: dtype of the convolutions; the last layer, parameters and outputs
      are float32.
  """

  width: int = 64
  phase_shuffle: int = 2
  spectral: bool = False
  outputs: int = 1
  return_features: bool = False
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
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
    _, strides = _check_shape(x.shape[1:])
    common = dict(
      kernel_init=INITIALIZERS['glorot_uniform'], spectral=self.spectral
    )
    for i, stride in enumerate(reversed(strides)):
      layer = layers.Conv1D(
        self.width << i,
        size=_SIZE,
        stride=stride,
        dtype=self.dtype,
        **common,
      )
      x = nn.leaky_relu(layer(x, train=train), 0.2)
      if train and keys is not None and i + 1 < len(strides):
        x = self._shuffle(x, keys, i)
    x = x.astype(jnp.float32)
    heads = conditioning.bind_heads(
      label, self.classes, self.class_heads, train=train, **common
    )
    return linear.discriminator_head(
      layers.Dense(self.outputs, **common),
      x,
      x if self.return_features else None,
      train=train,
      class_outputs=heads and (lambda _: heads(x.mean(axis=1))),
    )

  def _shuffle(self, x: Array, keys: Array, layer: int) -> Array:
    """Shifts the activations of each example by a random number of samples."""
    if not self.phase_shuffle:
      return x
    fold = lambda key: jax.random.fold_in(key, layer)
    shifts = phase_shuffle.draw_shifts(jax.vmap(fold)(keys), self.phase_shuffle)
    return phase_shuffle.shuffle_phase(x, shifts, self.phase_shuffle)
