"""Architectures: each module defines a Flax `Generator` and `Discriminator`.

`MODELS` maps the names that a config may use to modules, which load on first
use: `gan_jax.models.dcgan.Generator`. Both are Linen modules. Their fields with
a default are the options of a config, except `shape`, `dtype`, `axis_name`,
`return_features`, `return_reconstructions`, `classes` and `class_heads`, which
the library sets:

* Generator: fields `shape` (of an example) and `dtype`. It maps latents
  `[B, Z]` to examples `[B, *shape]`; images (three axes) in [-1, 1].
* Discriminator: the option `outputs`, and fields `return_features` and `dtype`.
  It ends with `layers.linear.discriminator_head`, which makes logits `[B]`. One
  of patches has no `outputs` and returns logits `[B, h, w]`; one with decoders
  has the field `return_reconstructions`.
* Both, if they can be conditional: `classes`, 0 for none, and for the
  discriminator `class_heads`.
* `__call__` takes (x, label=None, *, train), and `keys=None` for noise of each
  example. A field `axis_name` is for batch norm and minibatch standard
  deviation.
* A generator with styles has methods `mapping` and `synthesis`.
"""

import importlib

__all__ = ['MODELS']

MODELS = {
  'biggan': 'gan_jax.models.biggan',
  'dcgan': 'gan_jax.models.dcgan',
  'fastgan': 'gan_jax.models.fastgan',
  'linear': 'gan_jax.models.linear',
  'mlp': 'gan_jax.models.mlp',
  'r3gan': 'gan_jax.models.r3gan',
  'sndcgan': 'gan_jax.models.sndcgan',
  'sngan': 'gan_jax.models.sngan',
  'stylegan2': 'gan_jax.models.stylegan2',
  'wavegan': 'gan_jax.models.wavegan',
}


def __getattr__(name):
  if name in MODELS:
    return importlib.import_module(MODELS[name])
  raise AttributeError(f'module gan_jax.models has no attribute {name!r}')


def __dir__():
  return [*__all__, *MODELS]
