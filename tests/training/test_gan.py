"""The GAN object refuses what its fields cannot be."""

import jax.numpy as jnp
import pytest

from gan_jax import losses, training
from gan_jax.models import mlp
from tests.helpers import tiny


@pytest.mark.parametrize(
  'loss, wanted',
  [
    ('hinge', r"loss=losses\.LOSSES\['hinge'\]"),
    ('hing', "Did you mean 'hinge'"),
    (losses.least_squares, r'loss=losses\.least_squares\(\)'),
    (losses.hinge_discriminator, 'hinge_discriminator is the loss of one'),
    (losses.wasserstein_generator, 'AdversarialLoss.discriminator, generator'),
    (None, r"loss=None: .*LOSSES\['hinge'\]"),
  ],
)
def test_what_is_no_loss(loss, wanted):
  gan = tiny.gan()
  fields = {'generator': gan.generator, 'discriminator': gan.discriminator}
  with pytest.raises(ValueError, match=wanted):
    training.GAN(
      **fields,
      loss=loss,
      latent_dim=2,
      g_optimizer=gan.g_optimizer,
      d_optimizer=gan.d_optimizer,
    )


def test_modules_are_no_networks():
  gan = tiny.gan()
  with pytest.raises(ValueError, match=r'generator .*Generator.*from_linen'):
    training.GAN(
      generator=mlp.Generator(shape=(2,)),
      discriminator=gan.discriminator,
      loss=gan.loss,
      latent_dim=2,
      g_optimizer=gan.g_optimizer,
      d_optimizer=gan.d_optimizer,
    )


def test_a_loss_of_hparams_must_return_a_loss():
  gan = tiny.gan(adversarial=lambda hparams, step: 'hinge')
  with pytest.raises(ValueError, match='returned str'):
    gan.resolve_loss({}, jnp.int32(0))
