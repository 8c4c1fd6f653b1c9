"""One linear map each: the generator of D2L's toy, and the simplest game.

The default start is D2L's: every parameter, biases too, from N(0, 0.02^2).

References:
  Zhang et al., Dive into Deep Learning, chapter on generative adversarial
  networks, https://d2l.ai, 2023.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import initializers, linear

Array = jax.Array


def _dense(
  features: int, kernel_init: str, bias_init: str, dtype: Any
) -> layers.Dense:
  return layers.Dense(
    features,
    dtype=dtype,
    kernel_init=validation.lookup(
      initializers.INITIALIZERS, kernel_init, 'kernel_init'
    ),
    bias_init=validation.lookup(
      initializers.INITIALIZERS, bias_init, 'bias_init'
    ),
  )


class Generator(nn.Module):
  """G(z) = z W + b: a Gaussian, for z ~ N(0, I).

  Attributes:
    shape: shape of one example; it must have one axis.
    kernel_init: how the weights start, a name in initializers.INITIALIZERS.
    bias_init: likewise for the biases.
    dtype: of the arithmetic; parameters and what is returned are float32.
  """

  shape: tuple[int, ...]
  kernel_init: str = 'normal'
  bias_init: str = 'normal'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    if len(self.shape) != 1:
      raise ValueError(
        f'the linear generator makes vectors; the data are of {self.shape}'
      )
    inits = self.kernel_init, self.bias_init
    y = _dense(self.shape[0], *inits, self.dtype)(x)
    return y.astype(jnp.float32)


class Discriminator(nn.Module):
  """D(x) = <w, x> + b, of `[B, ...]` flattened; logits `[B]`.

  Attributes:
    kernel_init: how the weights start, a name in initializers.INITIALIZERS.
    bias_init: likewise for the biases.
    outputs: numbers per example: 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return networks.DiscriminatorOutput, with the flattened
      input, all the features there are, beside the logits.
    dtype: of the arithmetic; parameters and what is returned are float32.
  """

  kernel_init: str = 'normal'
  bias_init: str = 'normal'
  outputs: int = 1
  return_features: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    inits = self.kernel_init, self.bias_init
    last = _dense(self.outputs, *inits, self.dtype)
    features = x if self.return_features else None
    return linear.discriminator_head(last, x, features, train=train)
