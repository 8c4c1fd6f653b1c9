"""Hyper-parameters that the steps of a GAN read."""

import jax
import jax.numpy as jnp
import optax
import pytest

from gan_jax import augment, losses, training
from gan_jax.training import hparams as hparams_lib
from gan_jax.training import optimizers, penalty_terms
from tests.helpers import tiny


def own_loss(hparams, step):
  """A loss that reads when it is built, and when it is called."""
  scale = 1 / (1 + hparams['own_scale'] * step)
  return losses.AdversarialLoss(
    discriminator=lambda real, fake: scale * (fake - real),
    generator=lambda real, fake: hparams['own_margin'] - fake,
  )


def full_gan():
  """A GAN that reads hyper-parameters wherever it may."""
  return tiny.gan(
    adversarial=own_loss,
    optimizer=lambda hparams: optax.chain(
      optax.clip(hparams['own_clip']),
      # Read in the update alone.
      optax.sgd(lambda count: hparams['g_learning_rate'] / (count + 1)),
    ),
    d_terms={'r1': training.make_term('r1')},
    g_terms={'own': training.LossTerm(lambda *args: None)},
    augment=training.Augmentation(augment.AUGMENTS['ada']),
    instance_noise=lambda hparams, step: hparams['noise_sigma'],
    consensus=True,
  )


NAMES = {
  'ema_decay': 0.999,
  'r1_weight': 10.0,
  'own_weight': None,
  'consensus_weight': 10.0,
  'augment_strength': 0.2,
  'own_scale': None,
  'own_margin': None,
  'own_clip': None,
  'g_learning_rate': 2e-4,
  'noise_sigma': 0.1,
}


def test_a_helper_gives_all_that_is_read():
  assert training.required_hparams(full_gan()) == NAMES
  assert training.required_hparams(tiny.gan()) == {'ema_decay': 0.999}
  build = optimizers.from_hparams('adam', 'g', clip=True)
  assert training.required_hparams(tiny.gan(build)) == {
    'ema_decay': 0.999,
    'g_learning_rate': 2e-4,
    'g_b1': 0.5,
    'g_b2': 0.999,
    'g_eps': 1e-8,
    'g_weight_clip': 0.01,
  }


@pytest.mark.parametrize('name', NAMES)
def test_what_is_missing_is_asked_for_with_the_state(name):
  given = {n: 1.0 for n in NAMES if n != name}
  with pytest.raises(ValueError, match=rf"hparams lacks \['{name}'\]") as found:
    tiny.init(full_gan(), given)
  assert f"'{name}': {NAMES[name]}" in str(found.value)
  assert 'required_hparams(gan)' in str(found.value)
  with pytest.raises(ValueError, match=rf"\['{name}'\] must be numbers"):
    tiny.init(full_gan(), given | {name: None})


def test_what_only_the_own_parameters_read_is_asked_for():
  def optimizer(hparams):
    def update(updates, state, params):
      rate = hparams['own_rate']
      return {n: -rate * g for n, g in updates['MLP_0'].items()}, state

    return optax.GradientTransformation(lambda params: (), update)

  with pytest.raises(ValueError, match='own_rate'):
    tiny.init(tiny.gan(optimizer))


def test_an_optional_one_is_not_asked_for():
  optimizer = lambda hparams: optax.sgd(hparams.get('own_rate', 0.1))
  assert 'own_rate' not in training.required_hparams(tiny.gan(optimizer))
  tiny.init(tiny.gan(optimizer))


def test_usual_values_of_all_penalties():
  for name in penalty_terms.PENALTIES:
    assert hparams_lib.USUAL[f'{name}_weight'] > 0


def test_lookahead_asks_for_its_own():
  now = tiny.init(tiny.gan())
  with pytest.raises(ValueError, match='lookahead_alpha.*0.5'):
    training.init_aux_state(now, lookahead_every=2)


def test_errors_of_functions_of_hparams_are_their_own():
  def loss(hparams, step):
    raise RuntimeError('own')

  with pytest.raises(RuntimeError, match='own'):
    tiny.init(tiny.gan(adversarial=loss))
  returns = lambda hparams, step: jnp.zeros(3)
  with pytest.raises(ValueError, match='loss .* must return .*AdversarialLoss'):
    tiny.init(tiny.gan(adversarial=returns))


def test_under_jit():
  init = lambda key: training.init_state(
    full_gan(), key, {'x': jnp.zeros((2, 2))}, dict.fromkeys(NAMES, 1.0)
  )
  shapes = jax.eval_shape(init, jax.random.key(0))
  assert set(shapes.hparams) == set(NAMES)
