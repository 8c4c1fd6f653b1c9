"""The decoders of FastGAN as a term of the game."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import augment, distributed, losses, networks, training
from gan_jax.distributed import devices
from gan_jax.models import fastgan
from tests.helpers import tiny
from tests.helpers.fakes import draw

KEY = jax.random.key(3)
SHAPE = (16, 16, 1)
BATCH = {'x': np.tanh(draw(0, 8, *SHAPE))}
CUTOUT = functools.partial(augment.diff_augment, policy=('cutout',))


def note(measure):
  """A term that is a number of the networks' outputs."""

  def apply(context, keys, aux_state):
    return jnp.full(keys.shape, measure(context)), aux_state

  return training.LossTerm(apply)


def target_error(context):
  ((_, target),) = context.real_outputs.reconstructions
  return jnp.abs(target - context.real_inputs).max()


NOTES = {
  'target_error': target_error,
  'real_change': lambda c: jnp.abs(c.real_inputs - c.real).max(),
  'fake_mean': lambda c: c.fake.mean(),
  'fake_gray': lambda c: (c.fake == 0).mean(),
  'input_gray': lambda c: (c.fake_inputs == 0).mean(),
}


def game(augmentation=CUTOUT):
  """A small FastGAN, and its state."""
  gan = training.GAN(
    generator=networks.from_linen(fastgan.Generator(SHAPE, width=4)),
    discriminator=networks.from_linen(
      fastgan.Discriminator(width=4, return_reconstructions=True)
    ),
    loss=losses.LOSSES['hinge'],
    latent_dim=3,
    g_optimizer=optax.sgd(0.05),
    d_optimizer=optax.sgd(0.05),
    d_terms={'reconstruction': training.make_term('reconstruction')}
    | {name: note(measure) for name, measure in NOTES.items()},
    augment=augmentation and training.Augmentation(augmentation),
  )
  hparams = {f'{name}_weight': 0.0 for name in NOTES}
  hparams |= dict(reconstruction_weight=1.0, ema_decay=0.9)
  hparams['augment_strength'] = 1.0
  return gan, training.init_state(gan, jax.random.key(0), BATCH, hparams)


@functools.cache
def whole_game(augmented):
  """Metrics of D's loss, and the term's gradients by both players."""
  gan, state = game(CUTOUT if augmented else None)

  @jax.jit
  def run(state):
    compute = training.make_gan_losses(gan)

    def term(g_params, d_params):
      _, _, aux = compute(g_params, d_params, state, BATCH, KEY)
      return aux.d_metrics['reconstruction'], aux.d_metrics

    params = state.generator.params, state.discriminator.params
    return jax.grad(term, argnums=(0, 1), has_aux=True)(*params)

  return jax.device_get(run(state))


@pytest.mark.slow
def test_targets_are_augmented_and_generated_examples_are_not():
  (_, metrics), (_, plain) = whole_game(True), whole_game(False)
  assert metrics['target_error'] == 0 and plain['target_error'] == 0
  assert metrics['real_change'] > 0.1 and plain['real_change'] == 0
  np.testing.assert_allclose(
    metrics['fake_mean'], plain['fake_mean'], rtol=1e-5
  )
  assert metrics['input_gray'] > 0.1 and metrics['fake_gray'] == 0


def test_gradients_reach_the_decoder_and_not_the_generator():
  (g_gradient, d_gradient), metrics = whole_game(True)
  assert metrics['reconstruction'] > 0
  assert all(not x.any() for x in jax.tree.leaves(g_gradient))
  decoder = d_gradient['ReconstructionDecoder_0']
  assert all(x.any() for x in jax.tree.leaves(decoder))
  assert d_gradient['ConvBlock_0']['Conv_0']['kernel'].any()  # the hidden ones


def test_a_discriminator_without_decoders_is_refused():
  gan = tiny.gan(
    d_terms={'reconstruction': training.make_term('reconstruction')}
  )
  state = tiny.init(gan, tiny.HYPER | {'reconstruction_weight': 1.0})
  with pytest.raises(ValueError, match='return_reconstructions=True'):
    jax.eval_shape(training.make_d_step(gan), state, tiny.batch(), KEY)


@pytest.mark.slow
def test_four_devices_are_one():
  gan, state = game(augment.diff_augment)
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  batch = {'x': BATCH['x'][None]}
  run = lambda parts: jax.jit(distributed.emulate_devices(step, parts))(
    state, batch, KEY
  )
  (one, metrics), (four, found) = run(1), run(4)
  chex.assert_trees_all_close(one, four, rtol=1e-3, atol=1e-4)
  for name in ('reconstruction', 'd_loss', 'g_loss', 'fake_mean'):
    np.testing.assert_allclose(found[name], metrics[name], rtol=1e-4)
