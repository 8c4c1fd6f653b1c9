"""On a GPU, D sees its real and its generated batch in one call."""

import dataclasses
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import experiment, models, networks, training
from gan_jax.training import gradients
from gan_jax.training.gan import LossTerm


def build():
  sgd = {'name': 'sgd', 'learning_rate': 0.05}
  x = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), np.uint8)
  return experiment.build(
    {
      'generator': {'name': 'dcgan', 'dcgan': {'width': 2}},
      'discriminator': {
        'name': 'dcgan',
        'dcgan': {'width': 2, 'norm': 'batch'},
      },
      'g_optimizer': sgd,
      'd_optimizer': sgd,
      'penalties': {'r1': {'weight': 0.0}},
      'batch_size': 8,
      'latent_dim': 4,
      'num_devices': 1,
    },
    train=x,
  )


def run(built, make_step, devices, batch):
  """Takes a step on devices that vmap emulates."""
  step = make_step(built.gan, axis_name='batch')
  batch = batch.reshape(*batch.shape[:-4], devices, -1, *batch.shape[-3:])
  batch = jnp.moveaxis(batch, -5, 0)
  call = lambda state, x: step(state, {'x': x}, built.key)
  mapped = jax.vmap(call, in_axes=(None, 0), axis_name='batch')
  state = built.init_state()
  wide = lambda net: net.replace(
    params=jax.tree.map(lambda w: 8 * w, net.params)
  )
  state = state.replace(
    generator=wide(state.generator), discriminator=wide(state.discriminator)
  )
  return jax.jit(mapped)(state, batch)


def check_steps_agree(make_step, devices, batch):
  built = build()
  wanted = run(built, make_step, devices, batch)
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    assert gradients.discriminates_in_one_call(built.gan)
    found = run(built, make_step, devices, batch)
  chex.assert_trees_all_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_step_of_d_on_gpu_is_that_on_cpu():
  x = np.random.default_rng(1).uniform(-1, 1, (8, 16, 16, 1))
  check_steps_agree(training.make_d_step, 2, jnp.float32(x))


@pytest.mark.slow
@pytest.mark.parametrize('devices', [1, 2])
def test_a_step_of_both_on_gpu_is_that_on_cpu(devices):
  x = np.random.default_rng(1).uniform(-1, 1, (1, 8, 16, 16, 1))
  check_steps_agree(training.make_train_step, devices, jnp.float32(x))


def test_discriminators_that_a_call_of_both_would_change_have_two():
  takes = lambda **options: (
    networks.from_linen(models.dcgan.Discriminator(**options)).takes_batches
  )
  assert takes(norm='batch') and takes(norm='none')
  assert not takes(norm='spectral')
  assert not takes(minibatch_std=4)


def test_penalties_and_other_platforms_have_two_calls():
  gan = build().gan
  assert not gradients.discriminates_in_one_call(gan)
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    assert gradients.discriminates_in_one_call(gan)
    penalized = dataclasses.replace(gan, d_terms={'r1': LossTerm(None)})
    assert not gradients.discriminates_in_one_call(penalized)
