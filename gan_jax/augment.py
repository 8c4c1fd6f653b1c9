"""TODO."""

from gan_jax.augment.ada_pipe import ada
from gan_jax.augment.diff_augment_pipe import diff_augment

AUGMENTS = {'diff_augment': diff_augment, 'ada': ada}
