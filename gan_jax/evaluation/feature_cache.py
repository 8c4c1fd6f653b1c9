"""Cache of features of reference data on disk.

The key of an entry is a dict of facts: dataset, split, sizes, protocol, hash of
the weights, a digest of the examples. The file name is a hash of the key. The
key itself is stored next to the arrays in a readable JSON file.
"""

import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any, Mapping

import numpy as np

from gan_jax import validation
from gan_jax.io import cache_dir, npz


class FeatureCache:
  """Directory of arrays by key."""

  def __init__(self, directory: str | pathlib.Path):
    """Sets the directory, which is created when an entry is first written."""
    self._directory = pathlib.Path(directory).expanduser()

  def _path(self, key: Mapping[str, Any]) -> pathlib.Path:
    text = json.dumps(key, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return self._directory / f'{key["kind"]}-{digest}.npz'

  def get(self, key: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a key, or None if missing or damaged."""
    path = self._path(key)
    try:
      described = json.loads(path.with_suffix('.json').read_text())
      if described != json.loads(json.dumps(key)):
        return None
      with path.open('rb') as file:
        return npz.read_npz(file)
    except Exception:  # missing, truncated, or of another version
      return None

  def put(self, key: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Writes the arrays of a key atomically.

    If the disk is full or read-only, only warns, because the entry would merely
    have saved time.
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
      validation.warn(f'features are not cached: {error}')


def default_feature_cache() -> FeatureCache:
  """Returns the feature cache in io.cache_dir.cache_directory()."""
  return FeatureCache(cache_dir.cache_directory() / 'features')
