"""Hyper-parameters that change with the step."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import experiment, training
from tests.helpers import tiny

HPARAMS = {
  **{'x_start_0': 1.0, 'x_end_0': 4.0, 'x_steps_0': 2.5},
  **{'x_start_1': 4.0, 'x_end_1': 1.0, 'x_steps_1': 2.0},
}


@pytest.mark.parametrize(
  ('shape', 'expected'),
  [
    ('linear', [1, 2.2, 3.4, 4, 4]),
    ('geometric', [1, 4**0.4, 4**0.8, 4, 4]),
    ('cosine', [1, 4 - 1.5 * (1 + np.cos(0.4 * np.pi)), 3.7135254916, 4, 4]),
  ],
)
def test_values_at_steps(shape, expected):
  schedule = training.make_schedule('x', [shape])
  found = [schedule.apply(HPARAMS, jnp.int32(t)) for t in range(5)]
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_changes_follow_one_another():
  schedule = training.make_schedule('x', ['linear', 'linear'])
  assert set(schedule.reads) == set(HPARAMS)
  found = [schedule.apply(HPARAMS, jnp.int32(t)) for t in (2, 3, 4, 5)]
  np.testing.assert_allclose(found, [3.4, 3.25, 1.75, 1], rtol=1e-6)


def test_late_steps_are_exact():
  hparams = HPARAMS | {'x_steps_0': 4e6, 'x_end_0': 2.0}
  schedule = training.make_schedule('x', ['linear'])
  found = schedule.apply(hparams, jnp.int32(1_000_001))
  np.testing.assert_allclose(found, 1.25000025, rtol=1e-7)


def test_unknown_shapes_are_refused():
  for shapes in ([], ['step']):
    with pytest.raises(ValueError, match='shapes=.*linear.*cosine'):
      training.make_schedule('x', shapes)


def test_a_train_step_sees_the_value_and_keeps_its_hparams():
  by_hparams = lambda hparams: optax.sgd(hparams['g_learning_rate'])
  gan = dataclasses.replace(tiny.gan(), g_optimizer=by_hparams)
  hparams = {
    **{'g_learning_rate_start_0': 0.0, 'g_learning_rate_end_0': 1.0},
    **{'g_learning_rate_steps_0': 2.0, 'g_learning_rate': 0.0},
  }
  now = tiny.init(gan, {**tiny.HYPER, **hparams})
  schedules = {
    'g_learning_rate': training.make_schedule('g_learning_rate', ['linear'])
  }
  step = jax.jit(training.make_train_step(gan, schedules=schedules))
  after, metrics = step(now, tiny.batch(1), jax.random.key(0))
  assert metrics['g_learning_rate'] == 0
  chex.assert_trees_all_equal(after.hparams, now.hparams)
  chex.assert_trees_all_equal(after.generator.params, now.generator.params)
  after, metrics = step(after, tiny.batch(1), jax.random.key(0))
  assert metrics['g_learning_rate'] == 0.5
  with pytest.raises(AssertionError):
    chex.assert_trees_all_equal(after.generator.params, now.generator.params)
  with pytest.raises(ValueError, match='lacks.*g_learning_rate_start_0'):
    few = {**tiny.HYPER, 'g_learning_rate': 0.0}
    step(tiny.init(gan, few), tiny.batch(1), jax.random.key(0))


def test_a_config_with_schedules_reaches_every_part():
  text = (
    'd_optimizer.adam.b2=cosine(0.9, 0.99, images=32); '
    'penalties.r1.weight=linear(0, 1); instance_noise.sigma=linear(0.1, 0); '
    'ema_half_life=linear(0, 80, images=160); '
    'label_smoothing=linear(0, 0.1); consensus_weight=linear(0, 0.1)'
  )
  mlp = {'name': 'mlp', 'mlp': {'features': (4,), 'norm': 'none'}}
  built = experiment.build(
    {
      'data': {'name': 'ring', 'ring': {'size': 64}},
      **{'generator': mlp, 'discriminator': mlp, 'latent_dim': 2},
      **{'batch_size': 8, 'num_steps': 4, 'num_devices': 1},
      'schedules': text,
    }
  )
  batch = jax.tree.map(jnp.asarray, next(iter(built.batches())))
  step = training.make_train_step(
    built.gan, schedules=experiment.build_hparams.build_schedules(built.config)
  )
  state = built.init_state().replace(step=jnp.int32(2))
  _, metrics = jax.jit(step)(state, batch, built.key)
  expected = {
    **{'d_b2': 0.945, 'r1_weight': 0.5, 'noise_sigma': 0.05},
    **{'label_smoothing': 0.05, 'consensus_weight': 0.05},
    'ema_decay': 0.5 ** (8 / 8),  # a half-life of 8 images
  }
  for name, value in expected.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
