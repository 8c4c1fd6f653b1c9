"""Mixes the styles of two examples, layer by layer."""

from typing import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def mix_styles(base: Array, other: Array, layers: Sequence[int]) -> Array:
  """Replaces the styles of some layers by those of other examples.

  The first layers decide on pose and shape, the last ones on colors.

  Args:
    base: styles, `[..., L, W]`, float.
    other: styles whose layers are taken, `[..., L, W]`.
    layers: indices of these layers, from 0 to L - 1.

  Returns:
    `[..., L, W]`.

  Raises:
    ValueError: if a layer is out of range.

  References:
    Karras et al., A Style-Based Generator Architecture for GANs,
    https://arxiv.org/abs/1812.04948, 2019, section 3.1.
  """
  chex.assert_equal_shape([base, other])
  count = base.shape[-2]
  wrong = [i for i in layers if not 0 <= i < count]
  if wrong:
    raise ValueError(
      f'layers={list(layers)}: must be from 0 to {count - 1}, those of the '
      f'{count} styles'
    )
  chosen = np.isin(np.arange(count), list(layers))
  chosen = chosen.reshape(*[1] * (base.ndim - 2), count, 1)
  return jnp.where(chosen, other, base)


def mixing_grid(rows: Array, columns: Array, layers: Sequence[int]) -> Array:
  """Mixes the styles of each row with those of each column.

  Args:
    rows: styles, `[R, L, W]`, float.
    columns: styles whose layers are taken, `[C, L, W]`.
    layers: indices of these layers, from 0 to L - 1.

  Returns:
    `[R * C, L, W]`, row by row.

  Raises:
    ValueError: if a layer is out of range.
  """
  chex.assert_rank([rows, columns], 3)
  shape = (len(rows), len(columns), *rows.shape[1:])
  mixed = mix_styles(
    jnp.broadcast_to(rows[:, None], shape),
    jnp.broadcast_to(columns[None], shape),
    layers,
  )
  return mixed.reshape(-1, *rows.shape[1:])
