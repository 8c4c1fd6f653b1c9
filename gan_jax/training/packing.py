"""Packs several examples into one discriminator input (PacGAN)."""

import jax
import jax.numpy as jnp

Array = jax.Array


def pack(x: Array, count: int) -> Array:
  """Stacks every `count` examples along the last axis.

  Args:
    x: `[B, ..., C]`.
    count: number of examples per input.

  Returns:
    `[B / count, ..., count * C]`.

  Raises:
    ValueError: if count does not divide B.

  References:
    Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 3.
  """
  if count == 1:
    return x
  if x.shape[0] % count:
    raise ValueError(
      f'packing={count} does not divide the {x.shape[0]} examples of a device '
      'or of a micro-batch'
    )
  x = x.reshape(-1, count, *x.shape[1:])
  x = jnp.moveaxis(x, 1, -2)
  return x.reshape(*x.shape[:-2], -1)


def unpack(x: Array, count: int) -> Array:
  """Inverts pack: `[B / count, ..., count * C]` to `[B, ..., C]`."""
  if count == 1:
    return x
  x = x.reshape(*x.shape[:-1], count, -1)
  x = jnp.moveaxis(x, -2, 1)
  return x.reshape(-1, *x.shape[2:])
