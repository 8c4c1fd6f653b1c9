"""Embedding of class labels."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.layers.initializers import INITIALIZERS, Initializer
from gan_jax.layers.spectral_norm import SpectralNorm

Array = jax.Array


class Embed(nn.Module):
  """Learned vector per class: maps labels `[B]` to `[B, features]`.

  A label outside 0 .. num_embeddings - 1 gives NaN, so that the error is
  noticed: clipping would train another class. With `spectral`, the whole table
  and not only the rows in use is divided by its largest singular value.
  Weights of the classes, `[B, num_embeddings]` float, give the weighted sum of
  the vectors.
  """

  num_embeddings: int
  features: int
  spectral: bool = False
  embedding_init: Initializer = INITIALIZERS['normal']
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, label: Array, *, train: bool = False) -> Array:
    is_mixture = jnp.issubdtype(label.dtype, jnp.floating)
    chex.assert_rank(label, 2 if is_mixture else 1)
    if is_mixture:
      chex.assert_shape(label, (None, self.num_embeddings))
    shape = (self.num_embeddings, self.features)
    table = self.param('embedding', self.embedding_init, shape)
    if self.spectral:
      table = SpectralNorm(name='SpectralScale_0')(table, train=train)
    if is_mixture:
      return jnp.asarray(label @ table, self.dtype)
    outside = dict(mode='fill', fill_value=jnp.nan, wrap_negative_indices=False)
    return table.at[label].get(**outside).astype(self.dtype)
