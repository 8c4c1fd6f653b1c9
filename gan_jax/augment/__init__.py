"""Augmentations of discriminator inputs, keyed per example.

An augmentation is a function `(x, keys, *, strength, policy) -> x` of images
`[B, H, W, C]` in [-1, 1] and one typed key per image. `AUGMENTS` maps config
names to functions.
"""

from gan_jax.augment.ada_controller import init_ada, update_ada
from gan_jax.augment.ada_pipe import ada
from gan_jax.augment.diff_augment_pipe import diff_augment
from gan_jax.augment.input_noise import instance_noise

__all__ = [
  'AUGMENTS',
  'ada',
  'diff_augment',
  'init_ada',
  'instance_noise',
  'update_ada',
]

AUGMENTS = {'diff_augment': diff_augment, 'ada': ada}
