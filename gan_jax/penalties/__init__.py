"""Penalties and regularizers: functions of arrays, one value per example.

Gradient penalties take `logits_fn`, which maps examples `[B, ...]` to logits
`[B]` or `[B, h, w]`. No penalty reduces over the batch. docs/losses.md lists
all penalties with their config names.

  >>> import jax.numpy as jnp
  >>> r1(lambda x: x @ jnp.array([3.0, 4.0]), jnp.ones((2, 2)))
  Array([12.5, 12.5], dtype=float32)
"""

from gan_jax.penalties.consistency_penalty import consistency, zcr_generator
from gan_jax.penalties.gradient import (
  dragan,
  input_gradients,
  max_gp,
  r1,
  r2,
  wgan_gp,
  wgan_lp,
  zero_centered,
)
from gan_jax.penalties.interpolation import interpolate, normal_like, perturb
from gan_jax.penalties.lecam_penalty import LogitEMA, lecam, update_logit_ema
from gan_jax.penalties.mode_seeking_penalty import mode_seeking
from gan_jax.penalties.orthogonal_penalty import orthogonal
from gan_jax.penalties.path_length_penalty import (
  path_length,
  path_lengths,
  update_path_length_mean,
)
from gan_jax.penalties.reconstruction_penalty import reconstruction

__all__ = [
  'LogitEMA',
  'consistency',
  'dragan',
  'input_gradients',
  'interpolate',
  'lecam',
  'max_gp',
  'mode_seeking',
  'normal_like',
  'orthogonal',
  'path_length',
  'path_lengths',
  'perturb',
  'r1',
  'r2',
  'reconstruction',
  'update_logit_ema',
  'update_path_length_mean',
  'wgan_gp',
  'wgan_lp',
  'zcr_generator',
  'zero_centered',
]
