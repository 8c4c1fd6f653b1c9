"""Penalties on the parameters of a network."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
PyTree = Any


def orthogonal(params: PyTree) -> Array:
  """Measures how far the columns of each kernel are from orthogonal.

  sum over kernels W of |W^T W * (1 - I)|_F^2

  Each kernel of two or more axes is reshaped to a matrix [other axes, output].
  If it has more columns than rows, its rows are used instead, since its
  columns cannot be orthogonal. Vectors (biases, scales) are left out. Leaves
  named 'dual_kernel' (of layers.ConvTranspose) are [..., output, input]. The
  paper's weight is 1e-4.

  Args:
    params: parameters of a network, a tree of arrays.

  Returns:
    Sum over all kernels, scalar, at least 0.

  References:
    Brock et al., Large Scale GAN Training for High Fidelity Natural Image
    Synthesis, https://arxiv.org/abs/1809.11096, 2019, eq. 3.
  """
  total = jnp.float32(0)
  for path, kernel in jax.tree.leaves_with_path(params):
    if jnp.ndim(kernel) < 2 or not kernel.size:
      continue
    if path and getattr(path[-1], 'key', '') == 'dual_kernel':
      kernel = jnp.moveaxis(kernel, -2, -1)
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
    if matrix.shape[0] < matrix.shape[1]:
      matrix = matrix.T
    gram = matrix.T @ matrix
    # Masks the diagonal: subtracting it may give inf - inf.
    off_diagonal = jnp.where(jnp.eye(len(gram), dtype=bool), 0, gram)
    total += jnp.square(off_diagonal).sum()
  return total
