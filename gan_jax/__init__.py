"""GANs in JAX: losses, penalties, models, steps and training, as functions.

Packages load on first use, so that `import gan_jax` takes no time:

  >>> import gan_jax
  >>> 'non_saturating' in gan_jax.losses.LOSSES
  True
"""

import importlib

__version__ = '0.1.0'

_PACKAGES = (
  'augment',
  'config',
  'data',
  'diagnostics',
  'distributed',
  'evaluation',
  'experiment',
  'export',
  'io',
  'layers',
  'losses',
  'metrics',
  'models',
  'networks',
  'penalties',
  'prng',
  'sampling',
  'training',
)
_FUNCTIONS = {
  'evaluate': 'runner.evaluate_samples',
  'load': 'experiment.run_dir',
  'train': 'runner.train',
}
_NAMES = {'load': 'load_sampler'}
__all__ = [*_PACKAGES, *sorted(_FUNCTIONS), '__version__']


def __getattr__(name):
  if name in _FUNCTIONS:
    module = importlib.import_module(f'gan_jax.{_FUNCTIONS[name]}')
    return getattr(module, _NAMES.get(name, name))
  try:  # packages without a promise are found, too, but not listed
    return importlib.import_module(f'gan_jax.{name}')
  except ModuleNotFoundError as error:
    if error.name != f'gan_jax.{name}':
      raise
  raise AttributeError(f'module gan_jax has no attribute {name!r}')


def __dir__():
  return __all__
