"""Linear networks: D2L's toy generator, and the simplest GAN.

The default initialization is D2L's: every parameter, including biases, is drawn
from N(0, 0.02^2).

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
  """Linear generator G(z) = z W + b: a Gaussian for z ~ N(0, I).

  Attributes:
    shape: shape of one example, with one axis.
    kernel_init: initializer of weights, a name in initializers.INITIALIZERS.
    bias_init: initializer of biases, a name in initializers.INITIALIZERS.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
  """

  shape: tuple[int, ...]
  kernel_init: str = 'normal'
  bias_init: str = 'normal'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    if len(self.shape) != 1:
      raise ValueError(
        f'the linear generator makes vectors; the data have shape {self.shape}'
      )
    inits = self.kernel_init, self.bias_init
    y = _dense(self.shape[0], *inits, self.dtype)(x)
    return y.astype(jnp.float32)


class Discriminator(nn.Module):
  """Linear discriminator D(x) = <w, x> + b of flattened x: logits `[B]`.

  Attributes:
    kernel_init: initializer of weights, a name in initializers.INITIALIZERS.
    bias_init: initializer of biases, a name in initializers.INITIALIZERS.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the flattened input as features in addition to the logits.
    dtype: dtype of the arithmetic; parameters and outputs are float32.
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
