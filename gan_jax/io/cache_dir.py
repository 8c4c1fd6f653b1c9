"""Directory of downloaded and computed files."""

import os
import pathlib


def cache_directory() -> pathlib.Path:
  """Returns $GAN_JAX_CACHE, $XDG_CACHE_HOME/gan_jax or ~/.cache/gan_jax."""
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  directory = os.environ.get('GAN_JAX_CACHE') or f'{home}/gan_jax'
  return pathlib.Path(directory).expanduser()
