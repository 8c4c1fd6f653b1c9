"""Warnings, on games that were built to go wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import experiment, networks
from gan_jax.data import ArraySource
from gan_jax.evaluation import failure_modes
from tests.helpers import tiny

GOOD = {
  'd_accuracy_real': 0.7,
  'd_accuracy_fake': 0.8,
  'd_accuracy_held_out': 0.65,
  'overfitting': 0.1,
  'diversity': 0.8,
  'g_signal': 0.5,
}


def trained(count, mapping, train, test=None, **changes):
  """Facts of a game after some steps."""
  built = experiment.build(
    {'num_devices': 1, 'latent_dim': 3} | mapping, train=train, test=test
  )
  if changes:
    built = dataclasses.replace(
      built, gan=dataclasses.replace(built.gan, **changes)
    )
  state = jax.jit(lambda s: s)(built.init_state())
  program = built.program()
  state, streams = program.put(state), program.put(built.streams)
  with program.feed(0) as feed:
    step = 0
    while step < count:
      most = min(count - step, program.max_steps)
      examples, n = feed.take(step, most, lambda: None)
      state, _ = program.run(state, examples, streams, np.int32(n))
      step += n
  return built.make_health_probe()(state)


def points(n, seed, shift=0.0):
  x = np.random.default_rng(seed).normal(size=(n, 2)) + shift
  return ArraySource(x.astype(np.float32))


def kinds(facts):
  return list(failure_modes.diagnose(facts))


def mlps(g=(8,), d=(16,), rates=(0.01, 0.01)):
  adam = lambda rate: {
    'name': 'adam',
    'learning_rate': rate,
    'adam': {'b1': 0.5},
  }
  return {
    'batch_size': 16,
    'generator': {'name': 'mlp', 'mlp': {'features': g, 'norm': 'none'}},
    'discriminator': {'name': 'mlp', 'mlp': {'features': d}},
    'g_optimizer': adam(rates[0]),
    'd_optimizer': adam(rates[1]),
  }


@pytest.mark.slow
def test_d_has_won_over_a_generator_that_stands_still():
  # Data far from all that a G of learning rate 0 makes; the minimax loss.
  game = mlps(rates=(0.0, 0.01)) | {'loss': 'minimax'}
  facts = trained(300, game, points(256, 0, 8.0), points(256, 1, 8.0))
  assert min(facts['d_accuracy_real'], facts['d_accuracy_fake']) > 0.99
  assert facts['g_signal'] < 0.05
  found = failure_modes.diagnose(facts)
  assert list(found) == ['discriminator_dominates']
  assert "'non_saturating'" in found['discriminator_dominates']
  facts = trained(
    300,
    game | {'loss': 'non_saturating'},
    points(256, 0, 8.0),
    points(256, 1, 8.0),
  )
  found = failure_modes.diagnose(facts)
  assert (
    list(found) == ['discriminator_dominates']
    and 'non_saturating' not in found['discriminator_dominates']
  )


def test_g_has_collapsed_where_it_ignores_its_latents():
  def apply(params, batch_stats, z, label, *, train, key, axis_name):
    del label, train, key, axis_name
    return params[None] + 0.01 * z[:, :2], batch_stats

  gan = tiny.gan()
  gan = dataclasses.replace(
    gan,
    generator=networks.Network(lambda *_: (jnp.zeros(2), {}), apply),
    g_optimizer=optax.sgd(0.0),
  )
  real = np.asarray(jax.random.normal(jax.random.key(0), (64, 2)))
  state = tiny.init(gan)
  check = failure_modes.make_health_probe(
    gan, {'x': real}, {'x': real}, state, batch_size=16
  )
  facts = check(state)
  assert facts['diversity'] == pytest.approx(0.01, rel=0.5)
  assert kinds(facts) == ['mode_collapse']


@pytest.mark.slow
def test_d_overfits_a_few_examples():
  game = mlps(d=(128, 128), rates=(0.0005, 0.003)) | {
    'latent_dim': 3,
    'loss': 'non_saturating',
  }
  noise = lambda n, seed: ArraySource(
    np.random.default_rng(seed).normal(size=(n, 32)).astype(np.float32)
  )
  facts = trained(200, game, noise(32, 0), noise(256, 1))
  assert 'discriminator_overfits' in kinds(facts), facts


@pytest.mark.slow
def test_a_fair_game_has_no_warnings():
  game = mlps(g=(32, 32), d=(32, 32), rates=(0.001, 0.001))
  game |= {'penalties': {'r1': {'weight': 0.1}}}
  facts = trained(1500, game, points(512, 0), points(512, 1))
  assert kinds(facts) == [], facts
  assert facts['diversity'] > 0.4


@pytest.mark.parametrize(
  ('changes', 'kind'),
  [
    (
      {'d_accuracy_real': 0.995, 'd_accuracy_fake': 1.0},
      'discriminator_dominates',
    ),
    (
      {'d_accuracy_held_out': 0.3, 'overfitting': 0.6},
      'discriminator_overfits',
    ),
    ({'diversity': 0.1}, 'mode_collapse'),
  ],
)
def test_each_by_its_numbers(changes, kind):
  assert kinds(GOOD) == [] and kinds(GOOD | changes) == [kind]


def test_what_was_not_measured_is_not_judged():
  assert kinds({}) == [] and kinds({'diversity': 1.0}) == []


def test_diversity_by_hand():
  real = np.float32([[0], [1], [3]])  # nearest: 1, 1, 2
  diversity = jax.jit(failure_modes.nearest_neighbor_diversity)
  np.testing.assert_allclose(diversity(real, real), 1, rtol=1e-5)
  np.testing.assert_allclose(diversity(real / 4, real), 0.25, rtol=1e-5)
  np.testing.assert_allclose(diversity(0 * real, real), 0, atol=1e-6)
  with pytest.raises(ValueError, match=r'\(3, 1\).*\(2, 1\)'):
    failure_modes.nearest_neighbor_diversity(real, real[:2])


def test_a_loss_on_features_has_its_diversity_alone():
  built = experiment.build(
    mlps() | {'latent_dim': 3, 'num_devices': 1, 'loss': 'mmd_gaussian'},
    train=points(64, 0),
    test=points(64, 1),
  )
  assert set(built.make_health_probe()(built.init_state())) == {'diversity'}


def test_fewer_examples_than_a_batch_are_not_measured():
  built = experiment.build(
    mlps() | {'num_devices': 1}, train=points(64, 0), test=points(8, 1)
  )
  assert built.make_health_probe()(built.init_state()) == {}
