"""Identifies weights by a hash."""

import hashlib
from typing import Any

import jax
import numpy as np

_LETTERS = 16


def weights_digest(weights: tuple[Any, Any]) -> str:
  """Computes a hash of the parameters of a generator.

  Statistics are left out: they follow from the parameters, but for rounding,
  which differs between machines.

  Args:
    weights: (params, batch_stats) of the generator.

  Returns:
    16 hexadecimal digits of the SHA256 of names, shapes and float32 values, in
    the order of the names.
  """
  leaves = {
    jax.tree_util.keystr(path, simple=True, separator='/'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights[0])
  }
  digest = hashlib.sha256()
  for name in sorted(leaves):
    array = np.ascontiguousarray(leaves[name], '<f4')
    digest.update(f'{name} {array.shape}\n'.encode())
    digest.update(array.tobytes())
  return digest.hexdigest()[:_LETTERS]
