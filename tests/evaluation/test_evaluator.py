"""Scores of a set beside their baselines, and what is refused."""

import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data, evaluation, experiment
from gan_jax.data import ArraySource, synthetic
from gan_jax.evaluation import (
  feature_extractors,
  reference_data,
  results,
)
from gan_jax.experiment import experiment as experiment_lib
from tests.helpers.fakes import fid_like, pictures, points, save_png

WIDE = np.zeros((36, 5000), np.float32)


@pytest.mark.slow
def test_a_set_like_the_data_scores_as_its_floor_and_another_does_not():
  of = evaluation.Evaluator(
    reference_data.train_test_references(points(0), points(1)),
    ('fd', 'kd', 'prdc', 'swd', 'mmd', 'c2st', 'nn'),
    count=300,
  )
  alike, apart = of(points(2)), of(points(3, shift=2.0))
  names = [row.name for row in alike]
  assert names[2:6] == ['precision', 'recall', 'density', 'coverage']
  for good, bad in zip(alike, apart):
    sign = -1 if good.better == 'higher' else 1
    assert sign * good.value < sign * bad.value, good.name
    assert sign * good.baseline < sign * bad.value, good.name
    if good.p_value is not None:
      assert good.p_value > 0.01 and good.baseline_p_value > 0.01
      assert bad.p_value < 0.01
    elif good.name != 'sliced Wasserstein':  # its error is of directions
      spread = np.hypot(good.error, good.baseline_error)
      assert abs(good.value - good.baseline) < 5 * spread, good
  assert results.ranking_key(alike) < results.ranking_key(apart)
  assert alike[0].counts == {
    'generated': 300,
    'real': 400,
    'baseline': 300,
    'baseline_real': 400,
  }
  assert alike[0].real == 'train' and alike[-1].real == 'test'


@pytest.mark.parametrize('shift', [0.0, 0.5])
def test_errors_are_those_seen_over_many_sets(shift):
  """The jackknife's error of a Frechet distance against its true spread."""
  of = evaluation.Evaluator(
    reference_data.train_test_references(points(0), points(1)),
    ('fd',),
    count=200,
  )
  rows = [of(points(100 + i, n=200, shift=shift))[0] for i in range(24)]
  spread = np.std([row.value for row in rows], ddof=1)
  claimed = np.sqrt(np.mean([row.error**2 for row in rows]))
  assert 0.6 < claimed / spread < 1.7


def test_truths_are_scored_by_what_they_are():
  ring = synthetic.ring('train', size=3000)
  of = evaluation.Evaluator(
    reference_data.train_test_references(ring, ring), count=2500
  )
  (modes, good, kl) = of(ArraySource(ring.distribution.sample(7500, 5)))
  assert modes.value == modes.baseline == 8 and modes.error == 0
  for row in (good, kl):
    assert abs(row.value - row.baseline) < 5 * np.hypot(
      row.error, row.baseline_error
    )
  (modes, good, _) = of(ArraySource(np.zeros((2500, 2), np.float32)))
  assert (modes.value, good.value) == (0, 0)
  gaussian = synthetic.gaussian('train')
  of = evaluation.Evaluator(
    reference_data.train_test_references(gaussian, gaussian), count=1000
  )
  kl, wasserstein = of(ArraySource(gaussian.distribution.sample(5000, 5)))
  assert kl.value < 0.02 and kl.baseline < 0.02 and wasserstein.value < 0.3
  assert 'mean' in of.notes[0] and 'fitted' in of.notes[0]


def test_no_more_real_features_than_are_compared():
  real = reference_data.train_test_references(
    points(0, n=300), points(1, n=300)
  )
  sizes = lambda names: {
    row.counts['real']
    for row in evaluation.Evaluator(real, names, count=40)(points(2))
  }
  of = evaluation.Evaluator(real, ('prdc', 'nn'), count=40)
  of(points(2))
  assert {set_.count for set_ in of._sets.values()} == {40}
  assert sizes(('prdc', 'nn')) == {40} and sizes(('prdc', 'fd')) == {40, 300}


def test_images_are_scored_by_a_two_sample_test_against_held_out_ones():
  train, test = pictures(0, n=100), pictures(1, n=30)
  (row,) = evaluation.Evaluator(
    reference_data.train_test_references(train, test)
  )(pictures(2, n=150))
  assert row.name == '1-NN accuracy' and row.real == 'test'
  assert row.counts['generated'] == row.counts['real'] == 30
  assert abs(row.value - 0.5) < 0.2 and abs(row.baseline - 0.5) < 0.2
  black = ArraySource(np.zeros((150, 6, 6, 1), np.uint8))
  (row,) = evaluation.Evaluator(
    reference_data.train_test_references(train, test)
  )(black)
  assert row.value > 0.9


def test_classes_are_scored_where_both_sides_have_them():
  def labelled(seed, n=300):
    label = np.arange(n) % 3
    return points(seed, n, shift=4.0 * np.eye(3)[label], label=label)

  real = reference_data.train_test_references(labelled(0), labelled(1))
  of = evaluation.Evaluator(
    real, ('cas', 'intra_fd', 'class_accuracy', 'class_diversity'), count=300
  )
  cas, intra, obeys, diverse = of(labelled(2))
  assert 'class accuracy: lowest in class' in ''.join(of.notes)
  assert abs(diverse.value - 1) < 0.1 and abs(diverse.baseline - 1) < 0.1
  assert cas.value > 0.95 and cas.baseline > 0.95 and cas.real == 'test'
  assert abs(intra.value - intra.baseline) < 0.2
  assert obeys.value > 0.95 and obeys.baseline > 0.95 and obeys.real == 'train'
  wrong = labelled(3)
  wrong.label = (wrong.label + 1) % 3
  cas, intra, obeys, _ = of(wrong)
  assert cas.value < 0.05 and intra.value > 10 and obeys.value < 0.05
  with pytest.raises(ValueError, match="'cas' needs classes.*generated"):
    of(points(0))


def test_classes_that_are_not_the_same_are_refused(tmp_path):
  label = np.arange(400) % 4
  real = reference_data.train_test_references(
    points(0, label=label), points(1, label=label)
  )
  of = evaluation.Evaluator(real, ('cas',))
  with pytest.raises(ValueError, match=r"'cas' .*\[4\].*\[0, 1, 2, 3\]"):
    of(points(2, label=label + 1))
  for root, names in (('a', 'xy'), ('b', 'yz')):
    for name in names:
      for i in range(4):
        save_png(tmp_path / root / name / f'{i}.png')
  sides = [data.open_samples(tmp_path / root) for root in 'ab']
  assert sides[0].class_names == ('x', 'y')
  of = evaluation.Evaluator(
    reference_data.split_half_reference(sides[0], {}), ('intra_fd',)
  )
  with pytest.raises(ValueError, match=r"\['x', 'z'\]"):
    of(sides[1])


def test_the_error_of_1nn_accuracy_covers_the_chance_of_the_real_set():
  z = []
  for seed in range(12):
    sides = (points(100 * seed + i, n=n) for i, n in enumerate((150, 150, 750)))
    real, test, fake = sides
    (row,) = evaluation.Evaluator(
      reference_data.train_test_references(real, test), ('nn',), count=150
    )(fake)
    z.append((row.value - 0.5) / row.error)
  assert np.sqrt(np.mean(np.square(z))) < 1.7


def test_no_held_out_data_means_halves():
  source = points(0, n=60)
  tiny = {'batch_size': 8, 'num_steps': 1, 'latent_dim': 2}
  for player in ('generator', 'discriminator'):
    tiny[player] = {'name': 'mlp', 'mlp': {'features': (4,)}}
  built = experiment.build(tiny, train=source)
  (row,) = built.make_evaluator()(points(1, n=60))
  assert (
    row.counts['baseline'] == 30 and row.real == 'all' and row.baseline > 0.2
  )
  with pytest.raises(ValueError, match="'cas' needs classes"):
    experiment.build(
      {**tiny, 'eval': {'metrics': 'cas'}}, train=source
    ).make_evaluator()


def test_one_real_set_has_a_floor_of_its_halves():
  of = evaluation.Evaluator(
    reference_data.split_half_reference(points(0), {'data': 'x'}), ('fd',)
  )
  (row,) = of(points(1, shift=2.0))
  assert row.counts == {
    'generated': 400,
    'real': 400,
    'baseline': 200,
    'baseline_real': 200,
  }
  assert row.baseline < 0.2 < row.value and row.real == 'all'
  assert any('400' in note and '1000' in note for note in of.notes)
  assert any('baseline' in note and '200' in note for note in of.notes)


def test_fid_says_what_too_few_examples_do_to_it():
  real = reference_data.train_test_references(pictures(0, 40), pictures(1, 40))
  of = evaluation.Evaluator(real, ('fd',), count=20)  # of 36 pixels
  of(pictures(2, 20))
  assert any('singular' in note for note in of.notes)


@pytest.mark.parametrize(
  'names, options, message',
  [
    (('fid',), {}, "'fid' .*FID Inception.* 'fd'"),
    (('kid',), {}, "'kid' .*'pixels'.*'kd'"),
    (('is',), {}, "'is' .*FID Inception"),
    (('modes',), {}, "'modes' .*Mixture"),
    (('stacked_modes',), {}, "'stacked_modes' .*Stacked"),
    *(
      (
        (name,),
        {
          'extractor': feature_extractors.from_function(
            lambda x: x.reshape(len(x), -1) @ WIDE
          )
        },
        f"'{name}' .*4096.*'own'.*5,000",
      )
      for name in ('fd', 'intra_fd')
    ),
    (
      ('fd',),
      {'extractor': feature_extractors.from_function(lambda x: x.sum())},
      r"'own' .*3 examples.* \(\); must be .3, ",
    ),
    (
      ('fd',),
      {'extractor': feature_extractors.from_function(lambda x: x @ WIDE)},
      "'own' feat",
    ),
    ((), {'count': 1}, '1.* at least 2'),
    ((), {'real_count': 1}, 'num_real=1'),
    (
      (),
      {'reference_split': 'validation'},
      "reference_split='validation': .*'test', 'train'",
    ),
  ],
)
def test_scores_that_do_not_fit_are_refused_at_once(names, options, message):
  real = reference_data.train_test_references(pictures(0), pictures(1))
  with pytest.raises(ValueError, match=message):
    evaluation.Evaluator(real, names, **options)


@pytest.mark.parametrize('shape', [(9, 2), (9, 6, 6, 3)])
def test_features_of_grey_pictures_are_of_no_others(shape):
  other = ArraySource(np.zeros(shape, np.float32))
  with pytest.raises(ValueError, match=r'shape .*must be images .*\b1$'):
    evaluation.Evaluator(
      reference_data.train_test_references(other, other),
      ('fd',),
      extractor=feature_extractors.mnist_classifier_features(),
    )


def test_inception_score_without_a_class_head():
  def no_head(params, found):
    del params, found
    raise ValueError('the weights have no class head')

  real = reference_data.train_test_references(pictures(0), pictures(1))
  headless = fid_like()._replace(logits=no_head)
  with pytest.raises(ValueError, match='class head'):
    evaluation.Evaluator(real, ('is',), extractor=headless)
  evaluation.Evaluator(real, ('fid', 'kid'), extractor=headless)


def test_another_shape_is_compared_only_where_it_is_resized():
  real = reference_data.train_test_references(pictures(0), pictures(1))
  with pytest.raises(ValueError, match=r'\(5, 5, 1\).* \(6, 6, 1\)'):
    evaluation.Evaluator(real, ('fd',))(pictures(2, size=5))
  of = evaluation.Evaluator(real, ('fid',), extractor=fid_like())
  of(pictures(2, size=5))
  assert any('resized' in note for note in of.notes)


def test_settings_of_scores_are_checked():
  with pytest.raises(ValueError, match="'eval.evry'.*Did you mean"):
    config_lib.resolve({'eval': {'evry': 3}})
  with pytest.raises(
    ValueError, match='eval.num_samples=1: must be at least 2'
  ):
    config_lib.resolve({'eval': {'num_samples': 1}})
  assert config_lib.resolve({'eval_every': 3}).eval.num_samples == 1000


def test_data_are_described_without_what_does_not_change_them():
  def described(**options):
    options = {'dataset': 'mnist', **options}
    config = {'data': {'name': 'tfds', 'tfds': options}}
    return experiment_lib.data_identity(config_lib.resolve(config))

  found = described(data_dir='/x', memory_mb=1)
  assert found['data'].items() >= {'name': 'tfds', 'dataset': 'mnist'}.items()
  assert not {'data_dir', 'memory_mb'} & set(found['data'])
  assert found == described() != described(dataset='cifar10')
