"""Augmentation: functions (images, keys, *, strength, policy) -> images."""

from gan_jax.augment import ada_controller, ada_pipe, transforms
from gan_jax.augment.ada_controller import instance_noise, linear_decay
from gan_jax.augment.ada_pipe import AUGMENTS

__all__ = [
  'AUGMENTS',
  'adaptive',
  'instance_noise',
  'linear_decay',
  'pipes',
  'transforms',
]
