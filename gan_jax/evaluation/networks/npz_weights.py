"""Reads the weights of the small classifiers of the package."""

import hashlib
import io
import pathlib
from typing import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.io import files, npz

_MAX_BYTES = 2**24  # size of a file; those in the package have less than 2**19


def load_npz_weights(
  path: str, default: pathlib.Path, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, jax.Array], str]:
  """Loads the parameters of a network from an .npz file.

  Args:
    path: path of the file; '' for the default.
    default: path of the file in the package.
    shapes: shapes of the parameters.

  Returns:
    The parameters in float32, and the SHA-256 of the file, 64 hexadecimal
    digits, which identifies the weights in evaluation records.

  Raises:
    FileNotFoundError: if the file does not exist.
    ValueError: if the file is damaged or too large, has parameters other than
      `shapes`, or values that are not finite; the message names it.
  """
  file = files.resolve_path(path, 'feature_weights') if path else default
  content = files.read_bounded(file, most=_MAX_BYTES)
  try:
    params = npz.read_npz(io.BytesIO(content), limit=_MAX_BYTES)
  except Exception as error:  # zipfile, zlib and numpy raise any type
    reason = files.short_message(error)
    raise ValueError(f'{file} is not a readable .npz: {reason}') from error
  found = {name: value.shape for name, value in params.items()}
  if found != dict(shapes):
    raise ValueError(f'{file} has the parameters {found}; must be {shapes}')
  params = {name: value.astype(np.float32) for name, value in params.items()}
  if not all(np.isfinite(value).all() for value in params.values()):
    raise ValueError(f'{file} has values that are not finite')
  return jax.tree.map(jnp.asarray, params), hashlib.sha256(content).hexdigest()
