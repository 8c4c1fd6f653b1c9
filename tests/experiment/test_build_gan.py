"""Settings to parts of the game: what fits together, and what is refused."""

import itertools

import jax
import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment, losses, training
from gan_jax.augment import diff_augment_pipe
from gan_jax.experiment import build_objective

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
  """Builds and runs two steps; the last metrics."""
  built = experiment.build({**BASE, **changes})
  runner = built.parallel_train_step()
  now, key = runner.put(built.init_state()), runner.put(built.key)
  with built.batches(put=runner.put_batch) as batches:
    for _ in range(2):
      now, metrics = runner.step(now, next(batches), key)
  metrics = jax.device_get(metrics)
  for name, value in metrics.items():
    assert np.isfinite(value), name
  return built, metrics


# All penalties, rules, wrappers with every loss would be 20,000 programs: each
# loss goes once, with the others' turn going round.
CYCLE = list(
  zip(
    losses.LOSSES,
    itertools.cycle(training.UPDATE_RULES),
    itertools.cycle([n for n in training.PENALTIES if n not in ('bcr',)]),
    itertools.cycle([1, 2]),
  )
)


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
    instance_noise={'sigma': 0.1, 'steps': 10},
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
      'r1': {'weight': 1.0, 'every': 2, 'final': 0.1},
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
    consensus_weight=0.01,
    ema_half_life=100.0,
    ema_rampup=0.05,
    diagnostics=True,
  )
  assert {'augment_strength', 'bcr', 'path_length', 'g_grad_norm'} <= set(
    metrics
  )
  assert built.config.augment['target'] == 0.6
  assert built.config.penalties['r1']['steps'] == 4
  found = built.make_health_probe()(built.init_state())
  assert set(found) == {
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
    loss_options={'alphas': (1.0,)},
    discriminator={'name': 'mlp', 'mlp': {'features': (8,), 'outputs': 4}},
    penalties={'r1': {'weight': 0.1}},
  )
  assert metrics['r1'] > 0


REFUSED = {
  'loss': ({'loss': 'hing'}, "unknown loss 'hing'. Did you mean 'hinge'"),
  'loss option': (
    {'loss': 'least_squares', 'loss_options': {'target': 1.0}},
    "option of loss least_squares: 'target'",
  ),
  'option of a loss without': (
    {'loss': 'hinge', 'loss_options': {'margin': 1.0}},
    "option of loss hinge: 'margin'",
  ),
  'targets': (
    {'loss': 'least_squares', 'loss_options': {'real_target': -1.0}},
    'real_target=-1.0 must be above fake_target=0.0',
  ),
  'smoothing of hinge': (
    {'loss': 'hinge', 'label_smoothing': 0.1},
    'not defined for this loss',
  ),
  'smoothing': ({'label_smoothing': 1.0}, 'label_smoothing=1.0: must be'),
  'k above the batch': (
    {'top_k': {'fraction': 1.5}},
    'top_k.fraction=1.5: k must be above 0 and at most the batch',
  ),
  'top-k of features': (
    {'loss': 'mmd_gaussian', 'top_k': {'fraction': 0.5}},
    'this loss is on features',
  ),
  'packing': ({'packing': 3}, 'packing=3 does not divide the 8 examples'),
  'penalty': (
    {'penalties': {'wgan_pg': {'weight': 1.0}}},
    "Did you mean 'wgan_gp'",
  ),
  'weight': (
    {'penalties': {'lecam': {'weight': -1.0}}},
    'penalties.lecam.weight=-1.0: must be at least 0',
  ),
  'every': (
    {'penalties': {'r1': {'weight': 1.0, 'every': 0}}},
    'penalties.r1.every=0: must be at least 1',
  ),
  'final': (
    {'penalties': {'r1': {'weight': 1.0, 'final': 0.0}}},
    'penalties.r1.final=0.0: must be above 0',
  ),
  'augment': ({'augment': {'name': 'adda'}}, "Did you mean 'ada'"),
  'policy': (
    {**DIGITS, 'augment': {'name': 'ada', 'ada': {'policy': ('flipp',)}}},
    "Did you mean 'flip'",
  ),
  'strength': (
    {'augment': {'name': 'diff_augment', 'diff_augment': {'strength': 2.0}}},
    'augment.strength=2.0: must be between 0 and 1',
  ),
  'augmentation of points': (
    {'augment': {'name': 'diff_augment'}},
    r'augmentation is for images \[B, H, W, C\], not \(8, 2\)',
  ),
  'weight that is not finite': (
    {'penalties': {'r1': {'weight': float('inf')}}},
    'penalties.r1.weight=inf: must be finite',
  ),
  'decay': (
    {'penalties': {'lecam': {'weight': 1.0, 'decay': 2.0}}},
    'penalties.lecam.decay=2.0: must be between 0 and 1',
  ),
  'gamma without a period': (
    {'top_k': {'fraction': 0.5, 'gamma': 0.9}},
    'needs an every above 0',
  ),
  'no policy': (
    {'augment': {'name': 'ada', 'ada': {'policy': ()}}},
    'must hold some of flip',
  ),
  'strength for ever 0': (
    {'augment': {'name': 'ada', 'ada': {'target': 0.0}}},
    'never augments anything',
  ),
  'micro-batches of a minibatch std': (
    {
      'discriminator': {
        'name': 'mlp',
        'mlp': {'features': (8,), 'minibatch_std': -1},
      },
      'micro_batches': 2,
    },
    'minibatch_std=-1 is over the whole batch',
  ),
  'noise': (
    {'instance_noise': {'sigma': -0.1}},
    'instance_noise.sigma=-0.1: must be at least 0',
  ),
  'rule': (
    {'update_rule': 'extra_gradient'},
    "unknown update_rule 'extra_gradient'. Did you mean 'extragradient'",
  ),
  'd_steps of a rule': (
    {'update_rule': 'simultaneous', 'd_steps': 2},
    'd_steps=2.*simultaneous rule moves both players at once',
  ),
  'lookahead': (
    {'lookahead': {'every': 5, 'alpha': 2.0}},
    'lookahead.alpha=2.0: must be between 0 and 1',
  ),
  'micro-batches of a coupled loss': (
    {'loss': 'ragan', 'micro_batches': 2},
    'micro_batches=2 cuts .* the loss mixes',
  ),
  'micro-batches of a coupled term': (
    {'penalties': {'lecam': {'weight': 1.0}}, 'micro_batches': 2},
    'micro_batches=2 cuts .* lecam mixes',
  ),
  'features for a loss on logits': (
    {'discriminator': {'name': 'mlp', 'mlp': {'features': (8,), 'outputs': 4}}},
    r'logits of shape \(8, 4\).*features are for a loss that compares',
  ),
  'features beside features': (
    {
      'loss': 'mmd_gaussian',
      'penalties': {'feature_matching': {'weight': 1.0}},
    },
    'wants features beside logits',
  ),
  'minibatch std': (
    {
      'discriminator': {
        'name': 'mlp',
        'mlp': {'features': (8,), 'minibatch_std': 3},
      }
    },
    '3',
  ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_with_a_reason(case):
  changes, message = REFUSED[case]
  with pytest.raises(ValueError, match=message):
    experiment.build({**BASE, **changes})


@pytest.mark.parametrize('penalty', ['r1', 'wgan_gp', 'bcr'])
def test_penalties_of_examples_warn_of_batch_norm(penalty):
  batch_norm = {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'batch'}}
  config = config_lib.resolve(
    {**BASE, 'discriminator': batch_norm, 'penalties': {penalty: {'weight': 1}}}
  )
  from gan_jax.experiment import build_gan

  with pytest.warns(UserWarning, match=f'the penalty {penalty} is defined for'):
    build_gan.build_gan(config, (2,))


def test_an_optimizer_has_a_learning_rate_of_its_own():
  built = experiment.build(
    {**BASE, 'g_optimizer': {'name': 'sgd'}, 'd_optimizer': {'name': 'adam'}}
  )
  assert (
    built.hparams['g_learning_rate'] == built.hparams['d_learning_rate'] == 2e-4
  )


def test_specs_are_filled_in():
  config = config_lib.resolve({**BASE, 'augment': {'name': 'diff_augment'}})
  _, hparams, filled = build_objective.build_augment(config.augment, 8)
  assert hparams == {'augment_strength': 1.0}
  assert filled['policy'] == diff_augment_pipe.DIFF_AUGMENT_POLICY
