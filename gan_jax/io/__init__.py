"""Files: checkpoints, locks, logs, and formats of other libraries.

`save_state` and `restore_state` are loaded on first use, because they import
orbax.
"""

import importlib

__all__ = ['restore_state', 'save_state']


def __getattr__(name):
  if name in __all__:
    return getattr(importlib.import_module('gan_jax.io.checkpoint'), name)
  raise AttributeError(f'module gan_jax.io has no attribute {name!r}')
