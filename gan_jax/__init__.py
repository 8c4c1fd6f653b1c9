"""GANs in JAX: losses, penalties, models, steps and training, as functions.

Sub-modules load on first use, so that `import gan_jax` and reading a config
cost nothing:

  >>> import gan_jax
  >>> 'non_saturating' in gan_jax.losses.LOSSES
  True
"""

import importlib

__version__ = '0.1.0'

_SUBMODULES = (
  'augment',
  'collectives',
  'config',
  'data',
  'diagnostics',
  'distributed',
  'evaluation',
  'experiment',
  'io',
  'layers',
  'losses',
  'metrics',
  'models',
  'networks',
  'penalties',
  'prng',
  'report',
  'runner',
  'sampling',
  'shuffle',
  'training',
  'validation',
)
__all__ = list(_SUBMODULES)


def __getattr__(name):
  if name in _SUBMODULES:
    return importlib.import_module(f'gan_jax.{name}')
  raise AttributeError(f'module gan_jax has no attribute {name!r}')


def __dir__():
  return sorted([*globals(), *_SUBMODULES])
