"""Self-attention over the pixels of an image."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers import resample
from gan_jax.layers.initializers import INITIALIZERS, Initializer
from gan_jax.layers.linear import Conv

Array = jax.Array


class SelfAttention(nn.Module):
  """Adds to every pixel a weighted mean over all pixels, times `gamma`.

  With 1 x 1 convolutions without bias: queries theta(x) of C / 8 channels, and
  max-pooled keys phi(x) of C / 8 and values g(x) of C / 2,

    y = x + gamma out(softmax(theta phi') g).

  The softmax is over the keys, not scaled, and in float32. gamma is one number,
  0 at first: the layer starts as the identity. The paper has values of C / 8
  channels and no pooling; its authors' code, whose version this is, and all
  that followed it pool keys and values.

  Attributes:
    spectral: whether the kernels are spectrally normalized.
    kernel_init: initializer of the kernels.
    dtype: dtype of the arithmetic.

  References:
    Zhang et al., Self-Attention Generative Adversarial Networks,
    https://arxiv.org/abs/1805.08318, 2019, section 3.
  """

  spectral: bool = True
  kernel_init: Initializer = INITIALIZERS['glorot_uniform']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, *, train: bool = False) -> Array:
    """Maps `[B, H, W, C]` to the same shape; H and W are at least 2."""
    if min(x.shape[1:3]) < 2:
      raise ValueError(f'maps of {x.shape[1:3]}: sides must be at least 2')
    batch, channels = x.shape[0], x.shape[-1]

    def convolve(name: str, y: Array, features: int) -> Array:
      conv = Conv(
        max(features, 1),
        size=1,
        use_bias=False,
        spectral=self.spectral,
        kernel_init=self.kernel_init,
        dtype=self.dtype,
        name=name,
      )
      return conv(y, train=train)

    flat = lambda y: y.reshape(batch, -1, y.shape[-1])
    pooled = lambda y: flat(resample.downsample_max(y))
    queries = flat(convolve('theta', x, channels // 8))
    keys = pooled(convolve('phi', x, channels // 8))
    values = pooled(convolve('g', x, channels // 2))
    scores = jnp.einsum(
      'bqc,bkc->bqk', queries, keys, preferred_element_type=jnp.float32
    )
    weights = jax.nn.softmax(scores, axis=-1).astype(self.dtype)
    mixed = jnp.einsum('bqk,bkc->bqc', weights, values)
    y = convolve('out', mixed.reshape(*x.shape[:3], -1), channels)
    gamma = self.param('gamma', nn.initializers.zeros, ())
    return x.astype(self.dtype) + gamma.astype(self.dtype) * y
