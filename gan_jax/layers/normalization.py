"""Normalization of activations, by name."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import validation
from gan_jax.layers.batch_norm import BatchNorm

Array = jax.Array

NORMS = ('none', 'batch', 'layer', 'spectral')


class Norm(nn.Module):
  """Normalization of activations; the identity for 'none' and 'spectral'.

  'batch' normalizes over the batch, of all devices if axis_name is set. 'layer'
  normalizes over all axes but the batch, with scale and bias per channel.

  Attributes:
    kind: a name in NORMS.
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output.
    batches: number of batches that x consists of, each of which 'batch'
      normalizes by itself.
  """

  kind: str
  axis_name: str | None = None
  dtype: Any = jnp.float32
  batches: int = 1

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    validation.lookup(NORMS, self.kind, 'norm')
    if self.kind == 'batch':
      norm = BatchNorm(
        axis_name=self.axis_name, dtype=self.dtype, batches=self.batches
      )
      return norm(x, train=train)
    if self.kind == 'layer':
      axes = tuple(range(1, x.ndim))
      return nn.LayerNorm(reduction_axes=axes, dtype=self.dtype)(x)
    return x
