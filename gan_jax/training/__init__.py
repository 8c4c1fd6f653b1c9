"""Training: the GAN, its state, and train steps as pure functions.

A step is a function `(state, batch, key) -> (state, metrics)`, written for one
device. `UPDATE_RULES` and `PENALTIES` map the names that a config may use.
"""

from gan_jax.training.ema import ema_update
from gan_jax.training.ensemble import vectorize_members
from gan_jax.training.eval_fns import (
  make_logits_fn,
  make_mapping_fn,
  make_sample_fn,
  make_synthesis_fn,
  player_weights,
)
from gan_jax.training.fused import fuse_steps
from gan_jax.training.gan import GAN, Augmentation, LossTerm
from gan_jax.training.gan_losses import make_gan_losses
from gan_jax.training.gradients import make_gradient_fn
from gan_jax.training.hparams import required_hparams
from gan_jax.training.optimizers import OPTIMIZERS
from gan_jax.training.penalty_terms import PENALTIES, make_term
from gan_jax.training.schedules import Schedule, make_schedule
from gan_jax.training.state import (
  GANState,
  NetState,
  init_state,
  replace_weights,
)
from gan_jax.training.train_step import init_aux_state, make_train_step
from gan_jax.training.update_rules import (
  UPDATE_RULES,
  Step,
  make_d_step,
  make_g_step,
)

__all__ = [
  'Augmentation',
  'GAN',
  'GANState',
  'LossTerm',
  'NetState',
  'OPTIMIZERS',
  'PENALTIES',
  'Schedule',
  'Step',
  'UPDATE_RULES',
  'ema_update',
  'fuse_steps',
  'init_aux_state',
  'init_state',
  'make_d_step',
  'make_g_step',
  'make_gan_losses',
  'make_gradient_fn',
  'make_logits_fn',
  'make_mapping_fn',
  'make_sample_fn',
  'make_synthesis_fn',
  'make_schedule',
  'make_term',
  'make_train_step',
  'player_weights',
  'replace_weights',
  'required_hparams',
  'vectorize_members',
]
