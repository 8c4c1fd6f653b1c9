"""Small games that several tests share."""

import jax
import jax.numpy as jnp
import optax

from gan_jax import losses, networks, training
from gan_jax.models import mlp

BATCH, LATENT = 16, 3
HYPER = {'ema_decay': 0.9}


def gan(
  optimizer=None,
  norm='batch',
  loss='non_saturating',
  adversarial=None,
  coupled=None,
  d_options=None,
  **changes,
):
  """MLPs of 8 units on 2-D points, batch norm in G; SGD by default."""
  classes = changes.get('classes', 0)
  if coupled is not None:
    adversarial = losses.AdversarialLoss(coupled, coupled, coupled=True)
  return training.GAN(
    generator=networks.from_linen(
      mlp.Generator(shape=(2,), features=(8,), norm=norm, classes=classes)
    ),
    discriminator=networks.from_linen(
      mlp.Discriminator(
        features=(8,),
        activation='tanh',
        classes=classes,
        **(d_options or {}),
      )
    ),
    loss=adversarial or losses.LOSSES[loss],
    latent_dim=LATENT,
    g_optimizer=optimizer or optax.sgd(0.05),
    d_optimizer=optimizer or optax.sgd(0.05),
    **changes,
  )


def batch(d_steps=None, classes=0):
  """Points `[BATCH, 2]`, or `[d_steps, BATCH, 2]`, labeled if of classes."""
  shape = (BATCH, 2) if d_steps is None else (d_steps, BATCH, 2)
  found = {'x': jax.random.normal(jax.random.key(7), shape) + 1}
  if classes:
    draw = jax.random.randint(jax.random.key(8), shape[:-1], 0, classes)
    found['label'] = draw
  return found


def init(game_, hparams=None):
  """The state at step 0."""
  example = {'x': jnp.zeros((2, 2))}
  if game_.classes:
    example['label'] = jnp.zeros(2, jnp.int32)
  return training.init_state(
    game_, jax.random.key(1), example, hparams or HYPER
  )
