"""Augmentation: functions (images, keys, *, strength, policy) -> images."""

from gan_jax.augment import adaptive, pipes, transforms
from gan_jax.augment.adaptive import instance_noise, linear_decay
from gan_jax.augment.pipes import AUGMENTS

__all__ = [
  'AUGMENTS',
  'adaptive',
  'instance_noise',
  'linear_decay',
  'pipes',
  'transforms',
]
