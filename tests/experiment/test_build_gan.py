"""Builds GANs from configs: which parts fit together, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment, losses, sampling, training
from gan_jax.augment import diff_augment_pipe
from gan_jax.experiment import build_hparams, build_objective
from gan_jax.training import gan_losses

BASE = dict(
  data={'name': 'ring', 'ring': {'size': 64}},
  generator={'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}},
  discriminator={'name': 'mlp', 'mlp': {'features': (8,)}},
  latent_dim=2,
  batch_size=8,
  num_steps=4,
  num_devices=1,
)
DIGITS = dict(
  data={'name': 'digits', 'digits': {'size': 8}},
  generator={'name': 'dcgan', 'dcgan': {'width': 4, 'norm': 'none'}},
  discriminator={'name': 'dcgan', 'dcgan': {'width': 4, 'norm': 'none'}},
)


def two_steps(**changes):
  """Builds and runs two steps; returns the experiment and last metrics."""
  built = experiment.build({**BASE, **changes})
  placed = built.parallel_train_step()
  state, key = placed.put(built.init_state()), placed.put(built.key)
  with built.batches(put=placed.put_batch) as batches:
    for _ in range(2):
      state, metrics = placed.step(state, next(batches), key)
  metrics = jax.device_get(metrics)
  for name, value in metrics.items():
    assert np.isfinite(value), name
  return built, metrics


# All penalties, rules, wrappers with every loss would be 20,000 programs: every
# third loss goes once, with the others' turn going round. Each loss and each
# penalty alone is in tests/golden.
CYCLE = list(
  zip(
    losses.LOSSES,
    itertools.cycle(training.UPDATE_RULES),
    itertools.cycle(
      name
      for name, entry in training.PENALTIES.items()
      if name != 'bcr' and set(entry.wants) <= {'features'}
    ),
    itertools.cycle([1, 2]),
  )
)[::3]


@pytest.mark.parametrize(('loss', 'rule', 'penalty', 'packing'), CYCLE)
def test_any_loss_with_penalties_and_rules(loss, rule, penalty, packing):
  on_features = losses.LOSSES[loss].output == 'features'
  if on_features and penalty == 'feature_matching':
    penalty = 'r1'
  _, metrics = two_steps(
    loss=loss,
    update_rule=rule,
    penalties={penalty: {'weight': 0.1}, 'r2': {'weight': 0.1, 'every': 2}},
    packing=packing,
    schedules='instance_noise.sigma=linear(0.1, 0, steps=10)',
    top_k={'fraction': 1.0 if on_features else 0.5}
    if losses.LOSSES[loss].output == 'logits'
    else {},
  )
  assert penalty in metrics


@pytest.mark.slow
def test_everything_at_once_on_images():
  built, metrics = two_steps(
    **DIGITS,
    loss='rpgan',
    penalties={
      'r1': {'every': 2},
      'bcr': {'weight': 1.0},
      'path_length': {'weight': 1.0, 'every': 2},
      'lecam': {'weight': 0.1},
    },
    augment={
      'name': 'ada',
      'ada': {'policy': ('flip', 'brightness', 'cutout')},
    },
    update_rule='extragradient',
    lookahead={'every': 2},
    schedules='ema_half_life=linear(0, 100, images=2000); '
    'penalties.r1.weight=geometric(1, 0.1)',
    diagnostics=True,
  )
  assert {'augment_strength', 'bcr', 'path_length', 'g_grad_norm'} <= set(
    metrics
  )
  assert built.config.augment.options.target == 0.6
  assert built.config.penalties.r1.weight == 1
  health = built.make_health_probe()(built.init_state())
  assert set(health) == {
    'd_accuracy_real',
    'd_accuracy_fake',
    'd_accuracy_held_out',
    'overfitting',
    'diversity',
    'g_signal',
  }


def test_minibatch_std_spectral_norm_and_smoothing():
  _, metrics = two_steps(
    discriminator={
      'name': 'mlp',
      'mlp': {'features': (8,), 'norm': 'spectral', 'minibatch_std': 4},
    },
    label_smoothing=0.1,
    top_k={'fraction': 0.5, 'gamma': 0.9, 'every': 1},
    d_optimizer={'name': 'rmsprop', 'weight_clip': 0.01},
    g_optimizer={'name': 'optimistic_adam'},
  )
  assert 'd_loss' in metrics


def test_mmd_on_features_with_penalty_on_the_witness():
  _, metrics = two_steps(
    loss='mmd_rational_quadratic',
    loss_options={'mmd_rational_quadratic': {'alphas': (1.0,)}},
    discriminator={'name': 'mlp', 'mlp': {'features': (8,), 'outputs': 4}},
    penalties={'r1': {'weight': 0.1}},
  )
  assert metrics['r1'] > 0


# What needs the data's shape; config_lib.resolve refuses the rest, see
# tests/config/test_resolve.py.
REFUSED = {
  'loss option': (
    {'loss': 'least_squares', 'loss_options': {'target': 1.0}},
    "'loss_options.target'",
  ),
  'augment': (
    {'augment': {'name': 'adda'}},
    "augment.name 'adda'.*'ada'",
  ),
  'augmentation of points': (
    {'augment': {'name': 'diff_augment'}},
    r'\[B, H, W, C\].*\(8, 2\)',
  ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_with_a_reason(case):
  changes, message = REFUSED[case]
  with pytest.raises(ValueError, match=message):
    experiment.build({**BASE, **changes})


def test_an_optimizer_has_a_learning_rate_of_its_own():
  built = experiment.build(
    {**BASE, 'g_optimizer': {'name': 'sgd'}, 'd_optimizer': {'name': 'adam'}}
  )
  assert (
    built.hparams['g_learning_rate'] == built.hparams['d_learning_rate'] == 2e-4
  )


def test_an_augmentation_has_its_default_strength_and_policy():
  config = config_lib.resolve(
    {**BASE, **DIGITS, 'augment': {'name': 'diff_augment'}}
  )
  hparams = build_hparams.build_hparams(config)
  assert hparams['augment_strength'] == 1.0
  policy = config.augment.options.policy
  assert policy == diff_augment_pipe.DIFF_AUGMENT_POLICY
  augmentation = build_objective.build_augment(config)
  assert augmentation.apply.keywords == {'policy': policy}
  assert augmentation.update is None


def test_an_adaptive_strength_is_in_the_state():
  config = config_lib.resolve({**BASE, **DIGITS, 'augment': {'name': 'ada'}})
  assert config.augment.options.target == 0.6
  assert 'augment_strength' not in build_hparams.build_hparams(config)
  assert build_objective.build_augment(config).update is not None


RESIDUAL = {
  'sndcgan': ({'width': 1}, {'width': 1, 'spectral': False}),
  'sngan': ({'width': 1, 'spectral': True}, {'width': 1, 'pooling': 'mean'}),
  'biggan': (
    {'width': 1, 'attention': 8, 'kernel_init': 'normal'},
    {'width': 1, 'attention': 4, 'deep': True, 'remat': True},
  ),
}


@pytest.mark.parametrize('name', RESIDUAL)
def test_options_of_residual_networks(name):
  g, d = RESIDUAL[name]
  changes = dict(
    generator={'name': name, name: g}, discriminator={'name': name, name: d}
  )
  built = experiment.build({**BASE, **DIGITS, **changes})
  state = built.abstract_state()  # nothing is compiled
  paths = lambda tree: {
    jax.tree_util.keystr(path, simple=True, separator='/')
    for path, _ in jax.tree_util.tree_leaves_with_path(tree)
  }
  params = paths(state.generator.params), paths(state.discriminator.params)
  spectral = [
    any('power_u' in path for path in paths(player.batch_stats))
    for player in (state.generator, state.discriminator)
  ]
  assert spectral == {'sndcgan': [False, False]}.get(name, [True, True])
  if name == 'biggan':
    assert all('attention/gamma' in found for found in params)
    assert 'block_0_same/conv_3/kernel' in params[1]


def test_latents_that_do_not_fit_are_refused():
  generator = {'name': 'biggan', 'biggan': {'width': 1}}
  changes = DIGITS | dict(generator=generator, latent_dim=5)
  with pytest.raises(ValueError, match='5 latents .*multiple of 2'):
    experiment.build({**BASE, **changes})


@pytest.mark.parametrize(
  ('latents', 'bound', 'deviation'),
  [
    ({'name': 'normal'}, np.inf, 1.0),
    (
      {'name': 'truncated_normal', 'truncated_normal': {'threshold': 0.5}},
      *(0.5, 0.2841),
    ),
    ({'name': 'uniform'}, 1.0, 3**-0.5),
  ],
)
def test_latents_of_training_and_sampling(latents, bound, deviation):
  """A generator that is the identity shows the latents that it receives."""
  built = experiment.build(
    {**BASE, 'latents': latents, 'generator': {'name': 'linear'}}
  )
  params, batch_stats = built.init_state().ema
  as_identity = lambda x: jnp.eye(2) if x.ndim > 1 else jnp.zeros(2)
  identity = jax.tree.map(as_identity, params)
  key, indices = jax.random.key(0), jnp.arange(1000)
  for z in (
    sampling.make_sampler(built.gan)((identity, batch_stats), 1000),
    gan_losses.sample_latents(built.gan, key, indices),
  ):
    assert np.abs(z).max() <= bound
    np.testing.assert_allclose(np.std(z), deviation, rtol=0.06)
