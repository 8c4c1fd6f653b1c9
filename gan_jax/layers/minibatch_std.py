"""Minibatch standard deviation."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import collectives

Array = jax.Array


class MinibatchStd(nn.Module):
  """Appends a feature: the standard deviation across a group of examples.

  The feature is the standard deviation of each input feature over the group,
  averaged over all features. It lets the discriminator detect mode collapse:
  for equal examples it is 1e-4, the root of 1e-8. Groups are contiguous and
  must divide a device's part of the batch, so that the result does not depend
  on the number of devices and needs no communication. At init, which uses only
  shapes, any batch size is allowed.

  Attributes:
    group_size: number of examples in a group, at least 2; -1, as in the paper,
      for the whole batch, over all devices if axis_name is set.
    axis_name: name of the mapped device axis, or None.
    dtype: dtype of the output.

  References:
    Karras et al., Progressive Growing of GANs,
    https://arxiv.org/abs/1710.10196, 2018, section 3.
  """

  group_size: int
  axis_name: str | None = None
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """Maps `[B, ..., F]`, float, to `[B, ..., F + 1]`."""
    batch, whole = x.shape[0], self.group_size == -1
    if self.group_size < 2 and not whole:
      raise ValueError(f'group_size={self.group_size}: must be -1 or above 1')
    size = batch if whole or self.is_initializing() else self.group_size
    if batch % size:
      raise ValueError(f'group_size={size} does not divide a batch of {batch}')
    over = self.axis_name if whole else None
    groups = x.reshape(batch // size, size, *x.shape[1:]).astype(jnp.float32)
    mean = collectives.pmean(groups.mean(axis=1, keepdims=True), over)
    variance = collectives.pmean(jnp.square(groups - mean).mean(axis=1), over)
    # The root has no derivative at 0, which is reached on mode collapse.
    deviation = jnp.sqrt(variance + 1e-8).reshape(batch // size, -1)
    column = jnp.repeat(deviation.mean(axis=1), size).reshape(
      batch, *[1] * (x.ndim - 1)
    )
    column = jnp.broadcast_to(column, (*x.shape[:-1], 1))
    parts = [x.astype(self.dtype), column.astype(self.dtype)]
    return jnp.concatenate(parts, axis=-1)
