"""Features of reference data, kept between programs.

An entry's key is a dict of facts: data set, split, sizes, protocol, hash of
the weights, a digest of some examples. Its name is a hash of them; they lie
beside the arrays in a JSON file, for a person to read.
"""

import hashlib
import json
import os
import pathlib
import tempfile
import warnings
from typing import Any, Mapping

import numpy as np

from gan_jax.io import cache_dir, npz


class FeatureCache:
  """A directory of arrays under keys."""

  def __init__(self, directory: str | pathlib.Path):
    """Names the directory; it is made when something is put into it."""
    self._directory = pathlib.Path(directory).expanduser()

  def _path(self, key: Mapping[str, Any]) -> pathlib.Path:
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return self._directory / f'{key["kind"]}-{digest}.npz'

  def get(self, key: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """The arrays under a key, or None; a damaged entry is as if not there."""
    path = self._path(key)
    try:
      described = json.loads(path.with_suffix('.json').read_text())
      if described != json.loads(json.dumps(key)):
        return None
      with path.open('rb') as file:
        return npz.read_npz(file)
    except Exception:  # missing, truncated, of another version
      return None

  def put(self, key: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Writes arrays under a key, whole or not at all.

    A disk that is full or cannot be written to is a warning, no more: the entry
    would only have saved time.
    """
    path = self._path(key)
    try:
      self._directory.mkdir(parents=True, exist_ok=True)
      with tempfile.TemporaryDirectory(dir=self._directory) as beside:
        temporary = pathlib.Path(beside, path.name)
        np.savez(temporary, **arrays)
        os.replace(temporary, path)
        description = temporary.with_suffix('.json')
        description.write_text(json.dumps(key, indent=2, sort_keys=True))
        os.replace(description, path.with_suffix('.json'))
    except OSError as error:
      warnings.warn(f'features are not kept: {error}', stacklevel=2)


def default_feature_cache() -> FeatureCache:
  """The store in the cache directory of evaluation.weights."""
  return FeatureCache(cache_dir.cache_directory() / 'features')
