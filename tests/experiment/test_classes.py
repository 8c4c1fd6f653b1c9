"""Conditional experiments: what is refused, trained, resumed and sampled."""

import json

import chex
import jax
import numpy as np
import pytest

import gan_jax
from gan_jax import config as config_lib
from gan_jax import experiment
from gan_jax.data import ArraySource
from gan_jax.distributed import xla_setup
from gan_jax.experiment import initial_weights, resume, run_dir
from gan_jax.models import mlp
from gan_jax.report import images
from gan_jax.training import ensemble as ensemble_lib

pytestmark = pytest.mark.slow  # residual networks and runs compile for long

CENTERS = np.array([[4, 0], [0, 4], [-4, -4]], np.float32)
TINY = {
  'batch_size': 8,
  'num_steps': 5,
  'latent_dim': 3,
  'num_devices': 1,
  'conditional': True,
  'generator': {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}},
  'discriminator': {
    'name': 'mlp',
    'mlp': {'features': (8,), 'activation': 'tanh'},
  },
  'eval': {'num_samples': 60, 'metrics': 'intra_fd'},
}
ACGAN = {'acgan': {'weight': 1.0}, 'acgan_generator': {'weight': 1.0}}
LINEAR = {'name': 'linear'}


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch, tmp_path_factory):
  """Sets the cache of features, and leaves XLA's flags alone."""
  cache = tmp_path_factory.getbasetemp() / 'cache'
  monkeypatch.setenv('GAN_JAX_CACHE', str(cache))
  monkeypatch.setattr(xla_setup, 'is_backend_initialized', lambda: True)
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)


def points(labels=(0, 1, 2), count=60, seed=0):
  """Points round the center of their class, with these labels."""
  rng = np.random.default_rng(seed)
  number = np.arange(count) % len(labels)
  x = CENTERS[number % 3] + 0.1 * rng.normal(size=(count, 2))
  return ArraySource(x.astype(np.float32), np.array(labels)[number])


def build(train=None, test=None, **changes):
  train = points() if train is None else train
  return experiment.build({**TINY, **changes}, train=train, test=test)


# ---- What a config and its data make.


@pytest.mark.parametrize(
  'loss, rule, expected',
  [
    ('hinge', '', 'uniform'),
    ('rpgan', '', 'batch'),
    ('rahinge', '', 'batch'),
    ('hinge', 'data', 'data'),
    ('rpgan', 'uniform', 'uniform'),
  ],
)
def test_rule_of_fake_labels(loss, rule, expected):
  config = config_lib.resolve({**TINY, 'loss': loss, 'fake_labels': rule})
  assert config_lib.fake_label_rule(config) == expected


def heads(**changes):
  return config_lib.class_heads(config_lib.resolve({**TINY, **changes}))


def test_heads_of_the_discriminator():
  assert heads() == ('projection',)
  assert heads(penalties=ACGAN) == ('class_logits',)
  both = heads(penalties=ACGAN, class_conditioning='projection')
  assert both == ('class_logits', 'projection')
  unconditional = {'conditional': False, 'eval': {}}
  assert heads(**unconditional) == ()


def test_classes_come_from_the_data():
  gan = build(points((0, 0, 1, 2))).gan
  assert gan.classes == 3 and gan.fake_labels == 'uniform'
  assert gan.class_share == (0.5, 0.25, 0.25)
  plain = build(conditional=False, eval={}).gan
  assert plain.classes == 0 and plain.fake_labels == 'batch'


def test_labels_that_leave_numbers_out_are_mapped():
  train, test = points((3, 7, 20)), points((20, 3), count=20)
  with pytest.warns(UserWarning, match='labels 3, 7, 20 .* classes 0 to 2'):
    built = build(train, test)
  assert built.gan.classes == 3
  indices = np.arange(6)
  found = built.train[indices]
  np.testing.assert_array_equal(found['label'], [0, 1, 2, 0, 1, 2])
  np.testing.assert_array_equal(found['x'], train[indices]['x'])
  np.testing.assert_array_equal(built.test[indices[:2]]['label'], [2, 0])
  assert (built.train.shape, len(built.train)) == ((2,), 60)


# ---- What is refused.

REFUSED = {
  'class loss': (
    {'conditional': False, 'penalties': ACGAN},
    'penalties.acgan.weight.*conditional=False.* must be conditional=True',
  ),
  'rule': (
    {'conditional': False, 'fake_labels': 'data'},
    "fake_labels='data' with conditional=False",
  ),
  'unknown rule': ({'fake_labels': 'real'}, "fake_labels='real'.*uniform"),
  'packing': ({'packing': 2}, 'packing=2 with conditional=True.* must be 1'),
  'generator': (
    {'generator': LINEAR},
    "generator.name='linear' with conditional=True.*one of biggan, dcgan, mlp",
  ),
  'discriminator': (
    {'discriminator': LINEAR},
    "discriminator.name='linear' with conditional=True.*one of biggan, dcgan, mlp",
  ),
  'features': (
    {'loss': 'mmd_gaussian'},
    "loss='mmd_gaussian' with conditional=True.*loss on logits",
  ),
  'nothing': (
    {'class_conditioning': 'none'},
    "class_conditioning='none'.*must be 'projection', or a class loss",
  ),
  'one player': (
    {'penalties': {'acgan': {'weight': 1.0}}},
    'acgan.weight without penalties.acgan_generator.weight',
  ),
  'the other player': (
    {
      'penalties': {'acgan_generator': {'weight': 1.0}},
      'class_conditioning': 'projection',
    },
    'acgan_generator.weight without penalties.acgan.weight',
  ),
  'two kinds of logits': (
    {
      'penalties': ACGAN
      | {'adcgan': {'weight': 1.0}, 'adcgan_generator': {'weight': 1.0}}
    },
    'adcgan has logits of real and generated',
  ),
  'micro-batches': (
    {
      'penalties': {
        'reacgan': {'weight': 1.0},
        'reacgan_generator': {'weight': 1.0},
      },
      'micro_batches': 2,
    },
    'micro_batches=2.*reacgan.* must be 1',
  ),
  'a score': (
    {'conditional': False, 'eval': {'metrics': 'class_accuracy'}},
    "'class_accuracy' needs classes.*conditional=True",
  ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused_configs(case):
  changes, message = REFUSED[case]
  with pytest.raises(ValueError, match=message):
    build(**changes)


def test_own_networks_take_labels_as_they_are():
  own = mlp.Generator(shape=(2,), features=(8,), classes=3)
  with pytest.raises(ValueError, match="generator.name='own' with conditional"):
    experiment.build(TINY, generator=own, train=points())
  config = config_lib.resolve({**TINY, 'data': {'name': 'gaussian'}})
  with pytest.raises(ValueError, match="generator.name='own' with conditional"):
    experiment.build(config, generator=own, train=points())


def unlabelled():
  return ArraySource(np.zeros((60, 2), np.float32))


def named(names, *labels):
  source = points(labels)
  source.class_names = names
  return source


BAD_DATA = {
  'no labels': (unlabelled, None, 'training examples have no classes'),
  'negative': (lambda: points((-1, 0)), None, 'label -1: .* from 0 to 65,535'),
  'too many': (lambda: points((0, 70_000)), None, 'label 70000: .* to 65,535'),
  'no name': (lambda: named(('a', 'b'), 0, 2), None, 'label 2: .* 0 to 1'),
  'no examples': (
    lambda: named(('a', 'b', 'c'), 0, 2),
    None,
    r'class 1 \(b\) has no training examples',
  ),
  'held out': (points, lambda: points((0, 5)), 'have the labels 5; .* 0, 1, 2'),
  'held out without': (points, unlabelled, 'held-out examples have no labels'),
  'other names': (
    lambda: named(('a', 'b'), 0, 1),
    lambda: named(('a', 'c'), 0, 1),
    'classes a, c, the training examples a, b',
  ),
}


@pytest.mark.parametrize('case', BAD_DATA)
def test_refused_data(case):
  train, test, message = BAD_DATA[case]
  with pytest.raises(ValueError, match=message):
    build(train(), test and test())


def test_a_source_that_does_not_say_its_classes():
  class Plain:
    shape, distribution = (2,), None

    def __len__(self):
      return 60

    def __getitem__(self, indices):
      return points()[indices]

  assert build(Plain()).gan.class_share == pytest.approx((1 / 3,) * 3)


# ---- Training, resuming, sampling.


def train(workdir=None, num_steps=5, source=None, **changes):
  config = {**TINY, 'num_steps': num_steps, 'checkpoint_every': 3, **changes}
  source = points() if source is None else source
  return gan_jax.train(config, workdir, train=source, quiet=True)


def test_three_steps_and_two_more_are_five(tmp_path):
  train(tmp_path / 'a', num_steps=3, penalties=ACGAN)
  resumed = train(tmp_path / 'a', penalties=ACGAN)
  whole = train(penalties=ACGAN, steps_per_call=1)
  assert resumed.step == whole.step == 5
  chex.assert_trees_all_equal(resumed.state, whole.state)
  assert [row.name for row in whole.scores] == ['intra-class Frechet']


def test_another_number_of_classes_is_refused(tmp_path):
  train(tmp_path / 'a', num_steps=3)
  with pytest.raises(ValueError, match='examples.classes: .* 3, config has 2'):
    train(tmp_path / 'a', source=points((0, 1)))
  start = lambda built: resume.restore_or_initialize(
    built, None, initial_weights.InitFrom(tmp_path / 'a')
  )
  with pytest.raises(ValueError, match='classes: checkpoint has 3, config has'):
    start(build(points((0, 1))))
  with pytest.raises(ValueError, match='class_heads: .*projection'):
    start(build(penalties=ACGAN))
  assert start(build()).step == 0


def test_a_loaded_run_takes_a_class(tmp_path):
  train(tmp_path / 'a')
  sampler = gan_jax.load(tmp_path / 'a')
  one = sampler(4, label=2)
  assert one.shape == (4, 2)
  np.testing.assert_array_equal(one, sampler(4, label=[2] * 4))
  assert np.abs(one - sampler(4, label=1)).max() > 1e-3
  by_share = sampler.source(6)[np.arange(6)]
  np.testing.assert_allclose(by_share['x'], sampler(6), rtol=1e-6)
  assert by_share['label'].shape == (6,)
  with pytest.raises(ValueError, match='label=3: .* integer from 0 to 2'):
    sampler(4, label=3)
  path = tmp_path / 'a' / run_dir.CONFIG_FILE
  recorded = json.loads(path.read_text())
  assert recorded['class_share'] == pytest.approx([1 / 3] * 3)
  path.write_text(json.dumps({**recorded, 'class_share': 'x'}))
  with pytest.raises(ValueError, match="bad 'class_share'"):
    gan_jax.load(tmp_path / 'a')


def test_a_label_where_none_is_used_is_an_error(tmp_path):
  scored = {'eval': {'num_samples': 60, 'metrics': 'nn'}}
  train(tmp_path / 'a', conditional=False, **scored)
  sampler = gan_jax.load(tmp_path / 'a')
  assert sampler(4).shape == (4, 2)
  with pytest.raises(ValueError, match='label=1: .* takes no labels'):
    sampler(4, label=1)


@pytest.mark.slow
def test_members_are_single_runs():
  members = {'seeds': 2, 'backend': 'map'}
  changes = {'num_steps': 3, 'fake_labels': 'data'}
  result = gan_jax.train(
    {**TINY, **changes, 'ensemble': members}, train=points(), quiet=True
  )
  alone = train(seed=1, **changes)
  one = ensemble_lib.take_member(result.state, 1)
  chex.assert_trees_all_close(one, alone.state, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_four_devices_are_one():
  one = train(penalties=ACGAN, num_steps=2)
  four = train(penalties=ACGAN, num_steps=2, num_devices=4)
  chex.assert_trees_all_close(
    one.state.generator.params,
    four.state.generator.params,
    rtol=1e-3,
    atol=1e-5,
  )


def test_health_of_a_conditional_run_takes_labels():
  built = build(batch_size=16)
  found = built.make_health_probe()(built.init_state())
  assert {'diversity', 'd_accuracy_real', 'g_signal'} <= set(found)


def test_a_conditional_gan_learns_its_classes():
  config = {
    **TINY,
    'num_steps': 300,
    'batch_size': 64,
    'loss': 'hinge',
    **{
      f'{p}_optimizer': {'learning_rate': 1e-2, 'adam': {'b1': 0.0}}
      for p in 'gd'
    },
    'generator': {'name': 'mlp', 'mlp': {'features': (32,), 'norm': 'none'}},
    'discriminator': {
      'name': 'mlp',
      'mlp': {'features': (32,), 'activation': 'tanh'},
    },
    'penalties': {'r1': {'weight': 0.1}},
    'ema_decay': 0.95,
    'eval': {'num_samples': 60, 'metrics': 'class_accuracy'},
  }
  result = gan_jax.train(config, train=points(count=600), quiet=True)
  (accuracy,) = result.scores
  assert accuracy.value > 0.9 and accuracy.baseline > 0.95


@pytest.mark.slow
def test_pictures_have_a_row_for_each_class(tmp_path, monkeypatch):
  shown, save_samples = {}, images.save_samples

  def save(path, real, samples=None, *, columns=0, **options):
    shown[path.name] = samples, columns
    save_samples(path, real, samples, columns=columns, **options)

  monkeypatch.setattr('gan_jax.report.images.save_samples', save)
  x = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1), np.uint8)
  dcgan = {'name': 'dcgan', 'dcgan': {'width': 4, 'norm': 'none'}}
  config = {
    **TINY,
    'generator': dcgan,
    'discriminator': dcgan,
    'num_steps': 1,
    'num_samples': 10,
  }
  source = ArraySource(x, np.arange(40) % 4)
  result = gan_jax.train(config, tmp_path / 'a', train=source, quiet=True)
  samples, columns = shown['samples.png']
  assert columns == 2 and samples.shape == (8, 8, 8, 1)
  sampler = gan_jax.load(tmp_path / 'a')
  expected = sampler(8, label=np.repeat(np.arange(4), 2))
  np.testing.assert_allclose(samples, expected, atol=1e-5)
  assert shown['real.png'] == (None, 0)
  assert result.finished


def test_shapes_and_labels_of_abstract_states_agree():
  built = build(penalties=ACGAN)
  abstract, real = built.abstract_state(), built.init_state()
  chex.assert_trees_all_equal_shapes(abstract, real)
  table = real.discriminator.params
  assert any('ClassHeads' in str(p) for p, _ in _flat(table))
  assert resume.check_start(built, None) == 'a new run'


def _flat(tree):
  return jax.tree_util.tree_flatten_with_path(tree)[0]
