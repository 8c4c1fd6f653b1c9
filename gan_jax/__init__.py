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
  'assemble',
  'augment',
  'best',
  'checkpoint',
  'compose',
  'continuation',
  'data',
  'diagnostics',
  'dry_run',
  'due',
  'ema',
  'ensemble',
  'evaluation',
  'exits',
  'experiment',
  'extract',
  'extractors',
  'feature_store',
  'features',
  'files',
  'fuse',
  'game',
  'gradients',
  'guards',
  'health',
  'jsonl',
  'judge',
  'latents',
  'losses',
  'measures',
  'metrics',
  'models',
  'networks',
  'optimizers',
  'options',
  'order',
  'parallel',
  'parts',
  'penalties',
  'play',
  'plots',
  'points',
  'processes',
  'programs',
  'progress',
  'records',
  'references',
  'resume',
  'rules',
  'runs',
  'sampling',
  'scoring',
  'settings',
  'standing',
  'startup',
  'state',
  'steps',
  'sweep',
  'tables',
  'team',
  'terms',
  'train_team',
  'watchdog',
  'window',
  'writers',
)
__all__ = list(_SUBMODULES)


def __getattr__(name):
  if name in _SUBMODULES:
    return importlib.import_module(f'gan_jax.{name}')
  raise AttributeError(f'module gan_jax has no attribute {name!r}')


def __dir__():
  return sorted([*globals(), *_SUBMODULES])
