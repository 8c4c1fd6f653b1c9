"""Files of named arrays with text about them: `.safetensors`."""

import json
import pathlib
from typing import Mapping

import numpy as np
import safetensors.numpy

from gan_jax.io import files

_MAX_BYTES = 2**33  # size of a file


def write_arrays(
  path: pathlib.Path,
  arrays: Mapping[str, np.ndarray],
  about: Mapping[str, str],
) -> None:
  """Writes arrays to a file, the whole or nothing.

  Args:
    path: path of the file.
    arrays: name -> array.
    about: name -> text, stored with them.

  Raises:
    OSError: if the file cannot be written.
  """
  whole = {name: np.asarray(x, order='C') for name, x in arrays.items()}
  files.atomic_write(path, safetensors.numpy.save(whole, dict(about)))


def read_arrays(
  path: pathlib.Path,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
  """Reads the arrays of a file.

  Args:
    path: path of the file, of at most 8 GiB.

  Returns:
    The arrays by name, and the text about them by name.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is damaged; the message names it.
  """
  data = files.read_bounded(path, most=_MAX_BYTES)
  try:
    arrays = safetensors.numpy.load(data)
    # The header, which is valid now: its size, then JSON.
    size = int.from_bytes(data[:8], 'little')
    about = json.loads(data[8 : 8 + size]).get('__metadata__') or {}
  except Exception as error:  # of any type
    raise ValueError(
      f'{path} is not a readable .safetensors file: '
      f'{files.short_message(error)}'
    ) from error
  return arrays, about
