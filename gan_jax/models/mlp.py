"""Fully connected networks: D2L's toy and the 2-D mixtures."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import activations as activations_lib
from gan_jax.layers import initializers, linear

Array = jax.Array


class Generator(nn.Module):
  """Dense layers from latents to examples `[B, *shape]`, no output squashing.

  Attributes:
    shape: shape of one example.
    features: width of each hidden layer. The default, with batch norm and
      ReLU, is PacGAN's for the 2-D mixtures.
    norm: of hidden layers, a name in normalization.NORMS.
    activation: of hidden layers, a name in activations.ACTIVATIONS.
    kernel_init: a name in initializers.INITIALIZERS.
    axis_name: the mapped axis of devices, for batch norm.
    dtype: of the arithmetic; parameters and what is returned are float32.

  References:
    Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1.
  """

  shape: tuple[int, ...]
  features: tuple[int, ...] = (400, 400, 400, 400)
  norm: str = 'batch'
  activation: str = 'relu'
  kernel_init: str = 'he_normal'
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    activation = validation.lookup(
      activations_lib.ACTIVATIONS, self.activation, 'activation'
    )
    init = validation.lookup(
      initializers.INITIALIZERS, self.kernel_init, 'kernel_init'
    )
    spectral = self.norm == 'spectral'
    for width in self.features:
      dense = layers.Dense(
        width, spectral=spectral, kernel_init=init, dtype=self.dtype
      )
      x = dense(x, train=train)
      x = activation(
        layers.Norm(self.norm, self.axis_name, self.dtype)(x, train=train)
      )
    last = layers.Dense(
      math.prod(self.shape), kernel_init=init, dtype=self.dtype
    )
    return last(x).astype(jnp.float32).reshape(-1, *self.shape)


class Discriminator(nn.Module):
  """Dense layers from examples (flattened) to logits `[B]`.

  Attributes:
    features: width of each hidden layer; the default, with maxout of 5
      pieces, is PacGAN's for the 2-D mixtures.
    norm: of hidden layers, a name in normalization.NORMS.
    activation: a name in activations.ACTIVATIONS, or 'maxout'.
    pieces: linear pieces per unit of maxout.
    kernel_init: a name in initializers.INITIALIZERS.
    bias_init: likewise.
    outputs: numbers per example: 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return networks.DiscriminatorOutput, with the activations
      of the last hidden layer beside the logits.
    minibatch_std: examples in a group of layers.MinibatchStd, whose feature
      joins the last hidden layer; -1 for the whole batch, 0 for none. It makes
      an example's logit depend on others: not for penalties on gradients.
    axis_name: the mapped axis of devices, for batch norm and minibatch_std.
    dtype: of the arithmetic; parameters and what is returned are float32.

  References:
    Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1.
    Goodfellow et al., Maxout Networks, https://arxiv.org/abs/1302.4389, 2013.
  """

  features: tuple[int, ...] = (200, 200, 200)
  norm: str = 'none'
  activation: str = 'maxout'
  pieces: int = 5
  kernel_init: str = 'he_normal'
  bias_init: str = 'zeros'
  outputs: int = 1
  return_features: bool = False
  minibatch_std: int = 0
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array, label: Array | None = None, *, train: bool):
    maxout = lambda x: x.reshape(x.shape[0], -1, self.pieces).max(axis=-1)
    activations = activations_lib.ACTIVATIONS | {'maxout': maxout}
    activation = validation.lookup(activations, self.activation, 'activation')
    options = {
      'dtype': self.dtype,
      'kernel_init': validation.lookup(
        initializers.INITIALIZERS, self.kernel_init, 'kernel_init'
      ),
      'bias_init': validation.lookup(
        initializers.INITIALIZERS, self.bias_init, 'bias_init'
      ),
    }
    spectral = self.norm == 'spectral'
    pieces = self.pieces if self.activation == 'maxout' else 1
    x = x.reshape(x.shape[0], -1)
    for width in self.features:
      dense = layers.Dense(width * pieces, spectral=spectral, **options)
      x = dense(x, train=train)
      x = activation(
        layers.Norm(self.norm, self.axis_name, self.dtype)(x, train=train)
      )
    features = x if self.return_features else None
    if self.minibatch_std:
      x = layers.MinibatchStd(self.minibatch_std, self.axis_name, self.dtype)(x)
    last = layers.Dense(self.outputs, spectral=spectral, **options)
    return linear.discriminator_head(last, x, features, train=train)
