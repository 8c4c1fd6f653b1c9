"""Architectures, each with a Flax `Generator` and `Discriminator`.

`MODELS` maps config names to modules, which are imported on first use:
`gan_jax.models.dcgan.Generator`.
"""

import importlib

__all__ = ['MODELS']

MODELS = {
  'dcgan': 'gan_jax.models.dcgan',
  'linear': 'gan_jax.models.linear',
  'mlp': 'gan_jax.models.mlp',
}


def __getattr__(name):
  if name in MODELS:
    return importlib.import_module(MODELS[name])
  raise AttributeError(f'module gan_jax.models has no attribute {name!r}')


def __dir__():
  return [*__all__, *MODELS]
