"""Hyper-parameters that the steps of a GAN read from `state.hparams`."""

import contextlib
from typing import Any, Mapping

import jax
import jax.numpy as jnp

from gan_jax import losses
from gan_jax.networks import DiscriminatorOutput
from gan_jax.training import transforms
from gan_jax.training.gan import GAN
from gan_jax.training.optimizers import OPTIMIZERS, hparam_defaults

# Penalty weights of the papers, as in docs/losses.md.
_WEIGHTS = {
  **{'r1': 10.0, 'r2': 10.0, 'zero_centered': 1.0, 'wgan_gp': 10.0},
  **{'wgan_lp': 10.0, 'max_gp': 1.0, 'dragan': 10.0, 'lecam': 0.3},
  **{'bcr': 10.0, 'zcr': 5.0, 'zcr_generator': 0.5, 'path_length': 2.0},
  **{'mode_seeking': 1.0, 'orthogonal': 1e-4, 'orthogonal_generator': 1e-4},
  **{'feature_matching': 1.0, 'acgan': 1.0, 'acgan_generator': 1.0},
  **{'reacgan': 0.5, 'reacgan_generator': 0.5, 'contragan': 1.0},
  **{'contragan_generator': 1.0, 'tacgan': 1.0, 'tacgan_generator': 1.0},
  **{'adcgan': 1.0, 'adcgan_generator': 1.0, 'reconstruction': 1.0},
}
_OPTIMIZER = {
  'learning_rate': 2e-4,
  'weight_clip': 0.01,
  **{k: v for name in OPTIMIZERS for k, v in hparam_defaults(name).items()},
}
# Usual values by name.
USUAL: dict[str, float] = {
  'ema_decay': 0.999,
  'augment_strength': 0.2,
  'consensus_weight': 10.0,
  'label_smoothing': 0.1,
  'lookahead_alpha': 0.5,
  'noise_sigma': 0.1,
  **{f'{name}_weight': value for name, value in _WEIGHTS.items()},
  **{f'{player}_{k}': v for player in 'gd' for k, v in _OPTIMIZER.items()},
}


class RecordedHparams(dict):
  """Hyper-parameters that record which missing ones are read.

  A missing one reads as its usual value, or 1.

  Attributes:
    missing: names that were read and are missing, in the order of reading.
  """

  def __init__(self, given: Mapping[str, Any]):
    """Copies the given hyper-parameters."""
    super().__init__(given)
    self.missing: list[str] = []

  def __missing__(self, name):
    if name not in self.missing:
      self.missing.append(name)
    return jnp.float32(USUAL.get(name, 1.0))

  def raise_missing(self) -> None:
    """Raises ValueError if a missing one was read; it shows usual values."""
    if self.missing:
      usual = {name: USUAL.get(name) for name in self.missing}
      raise ValueError(
        f'hparams lacks {self.missing}; it has {sorted(self)}. Usual values '
        f'are {usual}; training.required_hparams(gan) returns all names that '
        'the GAN reads'
      )


def required_hparams(gan: GAN) -> dict[str, float | None]:
  """Returns the hyper-parameters that a GAN reads, with usual values.

    hparams = training.required_hparams(gan) | {'r1_weight': 1.0}
    state = training.init_state(gan, key, batch, hparams)

  Args:
    gan: the GAN. Its functions of the hyper-parameters (optimizers, loss,
      instance noise) are called, and what they read is recorded.

  Returns:
    Name -> usual value, or None where none is known: set these yourself.
    'ema_decay' is among them, since the train step reads it.
    'lookahead_alpha' is not: it belongs to a train step with lookahead_every.
  """
  recorded = RecordedHparams({})
  read_hparams(gan, recorded)
  return {name: USUAL.get(name) for name in recorded.missing}


def read_hparams(gan: GAN, hparams: RecordedHparams) -> None:
  """Reads all hyper-parameters that the steps of a GAN read.

  Args:
    gan: the GAN.
    hparams: the hyper-parameters, which record the missing ones.
  """
  names = ['ema_decay']
  names += [f'{name}_weight' for name in (*gan.d_terms, *gan.g_terms)]
  names += ['consensus_weight'] * gan.consensus
  if gan.augment is not None and not gan.is_adaptive:
    names.append('augment_strength')
  for name in names:
    _ = hparams[name]
  step = jnp.int32(0)
  readers = [lambda: gan.resolve_loss(hparams, step)]
  readers += [lambda: gan.g_transform(hparams)]
  readers += [lambda: gan.d_transform(hparams)]
  if gan.instance_noise is not None:
    readers.append(lambda: gan.instance_noise(hparams, step))
  for reader in readers:
    before = len(hparams.missing)
    try:
      reader()
    except Exception:  # of users' functions
      # One that fails for a usual value is asked for its own.
      if len(hparams.missing) == before:
        raise
  _read_late(gan, hparams)


def _read_late(gan: GAN, hparams: RecordedHparams) -> None:
  """Reads what losses and optimizers read only when they are applied.

  They are applied to small arrays, which may not suit them. init_state applies
  the optimizers to the parameters themselves.
  """
  params = {'kernel': jnp.zeros((2, 2)), 'bias': jnp.zeros(2)}
  outputs = {
    'logits': jnp.zeros(2),
    'features': jnp.zeros((2, 2)),
    'scores': DiscriminatorOutput(jnp.zeros(2), jnp.zeros((2, 2))),
  }

  def play(player):
    loss = gan.resolve_loss(hparams, jnp.int32(0))
    output = outputs[loss.output]
    return losses.player_loss(loss, player, output, output, None)

  for player in ('generator', 'discriminator'):
    where = f'{player[0]}_optimizer'
    with contextlib.suppress(Exception):
      jax.eval_shape(lambda: play(player))
    if transforms.is_transform(getattr(gan, where)):
      continue
    transform = getattr(gan, f'{player[0]}_transform')
    with contextlib.suppress(Exception):
      transforms.init_opt_state(where, transform(hparams), params)
