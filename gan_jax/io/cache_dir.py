"""Directory for downloaded and computed files."""

import os
import pathlib


def cache_directory() -> pathlib.Path:
  """GAN_JAX_CACHE, or gan_jax in XDG_CACHE_HOME, or in ~/.cache."""
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  directory = os.environ.get('GAN_JAX_CACHE') or f'{home}/gan_jax'
  return pathlib.Path(directory).expanduser()
