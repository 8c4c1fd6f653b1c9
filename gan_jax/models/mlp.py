"""Fully connected networks, for D2L's toy example and the 2-D mixtures."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import layers, validation
from gan_jax.layers import activations as activations_lib
from gan_jax.layers import conditioning, initializers, linear

Array = jax.Array


class Generator(nn.Module):
  """Generator of dense layers: latents to `[B, *shape]`, linear output.

  Attributes:
    shape: shape of one example.
    features: width of each hidden layer. The default, with batch norm and
      ReLU, is PacGAN's for the 2-D mixtures.
    norm: normalization of hidden layers, a name in normalization.NORMS.
    activation: activation of hidden layers, a name in activations.ACTIVATIONS.
    kernel_init: initializer of weights, a name in initializers.INITIALIZERS.
    classes: number of classes, whose one-hot labels join the latents; 0 for
      none.
    axis_name: name of the mapped device axis, for batch norm.
    dtype: dtype of the arithmetic; parameters and outputs are float32.

  References:
    Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1.
  """

  shape: tuple[int, ...]
  features: tuple[int, ...] = (400, 400, 400, 400)
  norm: str = 'batch'
  activation: str = 'relu'
  kernel_init: str = 'he_normal'
  classes: int = 0
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
    x = conditioning.join_label(x, label, self.classes)
    for width in self.features:
      dense = layers.Dense(
        width,
        use_bias=self.norm != 'batch',  # which subtracts it again
        spectral=spectral,
        kernel_init=init,
        dtype=self.dtype,
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
  """Discriminator of dense layers: flattened examples to logits `[B]`.

  Attributes:
    features: width of each hidden layer. The default, with maxout of 5 pieces,
      is PacGAN's for the 2-D mixtures.
    norm: normalization of hidden layers, a name in normalization.NORMS.
    activation: activation of hidden layers, a name in activations.ACTIVATIONS,
      or 'maxout'.
    pieces: number of linear pieces per maxout unit.
    kernel_init: initializer of weights, a name in initializers.INITIALIZERS.
    bias_init: initializer of biases, a name in initializers.INITIALIZERS.
    outputs: outputs per example. 1 is a logit, returned as `[B]`; more are
      features `[B, outputs]`, for losses that compare features.
    return_features: whether to return a networks.DiscriminatorOutput, which
      has the activations of the last hidden layer in addition to the logits.
    minibatch_std: group size of layers.MinibatchStd, whose feature is appended
      to the last hidden layer; -1 for the whole batch, 0 to disable. A logit
      then depends on other examples, which gradient penalties do not allow.
    classes: number of classes; 0 for none.
    class_heads: what is returned of the label, names in
      conditioning.CLASS_HEADS; not used without classes.
    axis_name: name of the mapped device axis, for batch norm and minibatch_std.
    dtype: dtype of the arithmetic; parameters and outputs are float32.

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
  classes: int = 0
  class_heads: tuple[str, ...] = ('projection',)
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
      dense = layers.Dense(
        width * pieces,
        use_bias=self.norm != 'batch',  # which subtracts it again
        spectral=spectral,
        **options,
      )
      x = dense(x, train=train)
      x = activation(
        layers.Norm(self.norm, self.axis_name, self.dtype)(x, train=train)
      )
    features = x if self.return_features else None
    if self.minibatch_std:
      x = layers.MinibatchStd(self.minibatch_std, self.axis_name, self.dtype)(x)
    last = layers.Dense(self.outputs, spectral=spectral, **options)
    heads = conditioning.bind_heads(
      label,
      self.classes,
      self.class_heads,
      train=train,
      spectral=spectral,
      kernel_init=options['kernel_init'],
      dtype=self.dtype,
    )
    return linear.discriminator_head(
      last, x, features, train=train, class_outputs=heads
    )
