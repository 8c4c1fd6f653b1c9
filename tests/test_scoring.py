"""Features of sources, scores with floors, samples from disk."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import best as best_lib
from gan_jax import (
  experiment,
  extractors,
  feature_store,
  features,
  judge,
  measures,
  metrics,
  references,
  scoring,
  settings,
)
from gan_jax.data import samples, synthetic
from gan_jax.data.arrays import ArraySource
from gan_jax.evaluation import frechet

WIDE = np.zeros((36, 5000), np.float32)


def points(seed, n=400, shift=0.0, label=None):
  x = np.random.default_rng(seed).normal(size=(n, 3)) + shift
  return ArraySource(x.astype(np.float32), label)


def pictures(seed, n=60, size=6, channels=1):
  rng = np.random.default_rng(seed)
  return ArraySource(rng.integers(0, 256, (n, size, size, channels), np.uint8))


def fid_like(calls=None):
  """An extractor that passes for the FID network, three numbers an image."""

  def apply(params, x):
    if calls is not None:
      calls.append(x.shape)  # when traced
    return x.astype(jnp.float32).mean(axis=(1, 2)) * params

  return extractors.Extractor(
    'inception', apply, jnp.float32(2), 8, 'clean', 'ab12', is_fid=True
  )


# ---- Sets of features.


def test_features_are_of_every_example_once_whatever_the_batch():
  source = pictures(0, n=21, channels=3)
  found = features.FeatureSet(source, fid_like()).features
  exact = 2 * source.x.astype(np.float32).mean(axis=(1, 2))
  order = np.random.default_rng(0).permutation(21)
  np.testing.assert_allclose(found, exact[order], rtol=1e-6)


def test_float_images_are_scored_at_256_levels():
  x = np.random.default_rng(0).uniform(-1.2, 1.2, (9, 4, 4, 1))
  source = ArraySource(x.astype(np.float32))
  found = features.FeatureSet(source, extractors.pixels()).features
  levels = (found + 1) * 127.5
  np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
  np.testing.assert_allclose([found.min(), found.max()], [-1, 1], rtol=1e-6)
  order = np.random.default_rng(0).permutation(9)
  exact = x.clip(-1, 1).reshape(9, -1)[order]
  np.testing.assert_allclose(found, exact, atol=0.5 / 127)


def test_moments_of_groups_make_up_the_whole(monkeypatch):
  source = points(0, n=103)
  kept = features.FeatureSet(source, extractors.pixels())
  groups = kept.moments(10)
  assert len(groups) == 10
  counts = [int(group.count) for group in groups]
  assert sum(counts) == 103 and max(counts) - min(counts) <= 1
  # One batch at a time gives the same.
  monkeypatch.setattr(features, 'KEEP', 50)
  streamed = features.FeatureSet(source, extractors.pixels())
  (whole,) = streamed.moments(1)
  assert 'features' not in streamed.__dict__
  np.testing.assert_allclose(
    frechet.covariance(whole), np.cov(source.x.T.astype(np.float64)), rtol=1e-9
  )


@pytest.mark.parametrize('count', [5121, 6144, 10_000])
def test_groups_of_many_examples_are_of_one_size_too(count):
  # Those left out of a jackknife must change the bias of a score alike.
  source = ArraySource(np.zeros((count, 1), np.float32))
  groups = features.FeatureSet(source, extractors.pixels()).moments(10)
  counts = [int(group.count) for group in groups]
  assert sum(counts) == count and max(counts) - min(counts) <= 1


def test_features_are_computed_once_for_all_scores(monkeypatch):
  monkeypatch.setattr(features, 'KEEP', 10)
  seen = []
  batches = features.FeatureSet._batches
  monkeypatch.setattr(
    features.FeatureSet,
    '_batches',
    lambda self: seen.append(self.count) or batches(self),
  )
  real = references.reals(points(0, n=50), points(1, n=50))
  of = judge.Judge(real, ('fd', 'kd'), count=40)
  of(points(2, n=40))
  assert sorted(seen) == [40, 40, 50]  # generated, floor, real
  of(points(3, n=40))
  assert sorted(seen) == [40, 40, 40, 50]
  alone = judge.Judge(real, ('fd',), count=40)
  for seed in (2, 3):
    alone(points(seed, n=40))
  assert sorted(seen[4:]) == [40, 40, 40, 50]


def test_draws_are_disjoint_and_of_one_size():
  found = features.FeatureSet(points(0, n=50), extractors.pixels(), count=12)
  draws = found.draws(12)
  assert [draw.count for draw in draws] == [12] * 4
  rows = np.concatenate([draw.features for draw in draws])
  assert len(np.unique(rows, axis=0)) == 48
  np.testing.assert_array_equal(draws[0].features, found.features)


def test_several_devices_give_the_same_features():
  import jax

  spread = features.FeatureSet(
    pictures(0, n=21, channels=3), fid_like(), devices=jax.local_devices()
  )
  alone = features.FeatureSet(pictures(0, n=21, channels=3), fid_like())
  np.testing.assert_allclose(spread.features, alone.features, rtol=1e-6)


# ---- What is stored of real data.


def test_stored_features_are_read_instead_of_computed(tmp_path):
  store = feature_store.Store(tmp_path)
  source = pictures(0, channels=3)
  calls = []
  make = lambda **facts: features.FeatureSet(
    source, fid_like(calls), store=store, facts={'data': 'x', **facts}
  )
  first = make(split='train').features
  assert calls
  calls.clear()
  np.testing.assert_array_equal(make(split='train').features, first)
  assert not calls
  np.testing.assert_array_equal(make(split='test').features, first)
  assert calls  # other facts
  (described,) = [
    json.loads(p.read_text())
    for p in tmp_path.glob('*.json')
    if json.loads(p.read_text())['split'] == 'train'
  ]
  assert described['protocol'] == 'clean' and described['weights'] == 'ab12'
  assert described['count'] == 60


def test_changed_pixels_under_the_same_name_are_not_taken_for_the_old(tmp_path):
  store = feature_store.Store(tmp_path)
  make = lambda seed: features.FeatureSet(
    pictures(seed, channels=3), fid_like(), store=store, facts={'data': 'x'}
  )
  assert np.abs(make(0).features - make(1).features).max() > 1


def test_all_of_what_is_in_memory_is_in_the_digest(tmp_path):
  x = np.zeros((5000, 2), np.float32)
  before = features.digest(ArraySource(x.copy()))
  x[1234] = 1
  assert features.digest(ArraySource(x)) != before
  save_png(tmp_path / '1.png')
  save_png(tmp_path / '2.png')
  before = features.digest(samples.open_samples(tmp_path))
  assert features.digest(samples.open_samples(tmp_path)) == before
  os.utime(tmp_path / '2.png', ns=(1, 1))
  assert features.digest(samples.open_samples(tmp_path)) != before


def test_a_damaged_entry_is_computed_again(tmp_path):
  store = feature_store.Store(tmp_path)
  key = {'kind': 'features', 'shape': (1, 2)}
  store.put(key, {'features': np.ones(3)})
  np.testing.assert_array_equal(store.get(key)['features'], np.ones(3))
  (path,) = tmp_path.glob('*.npz')
  path.write_bytes(path.read_bytes()[:50])
  assert store.get(key) is None
  (tmp_path / 'file').write_text('')
  with pytest.warns(UserWarning, match='features are not kept'):
    feature_store.Store(tmp_path / 'file').put(key, {'features': np.ones(3)})


# ---- The judge.


@pytest.mark.slow
def test_a_set_like_the_data_scores_as_its_floor_and_another_does_not():
  of = judge.Judge(
    references.reals(points(0), points(1)),
    ('fd', 'kd', 'prdc', 'swd', 'mmd', 'c2st', 'nn'),
    count=300,
  )
  alike, apart = of(points(2)), of(points(3, shift=2.0))
  names = [row.name for row in alike]
  assert names[2:6] == ['precision', 'recall', 'density', 'coverage']
  for good, bad in zip(alike, apart):
    sign = -1 if good.better == 'higher' else 1
    assert sign * good.value < sign * bad.value, good.name
    assert sign * good.floor < sign * bad.value, good.name
    if good.p_value is not None:
      assert good.p_value > 0.01 and good.floor_p_value > 0.01
      assert bad.p_value < 0.01
    elif good.name != 'sliced Wasserstein':  # its error is of directions
      spread = np.hypot(good.error, good.floor_error)
      assert abs(good.value - good.floor) < 5 * spread, good
  assert scoring.rank(alike) < scoring.rank(apart)
  assert alike[0].counts == {
    'generated': 300,
    'real': 400,
    'floor': 300,
    'floor_real': 400,
  }
  assert alike[0].real == 'train' and alike[-1].real == 'test'


@pytest.mark.parametrize('shift', [0.0, 0.5])
def test_errors_are_those_seen_over_many_sets(shift):
  """The jackknife's error of a Frechet distance against its true spread."""
  of = judge.Judge(references.reals(points(0), points(1)), ('fd',), count=200)
  rows = [of(points(100 + i, n=200, shift=shift))[0] for i in range(24)]
  spread = np.std([row.value for row in rows], ddof=1)
  claimed = np.sqrt(np.mean([row.error**2 for row in rows]))
  assert 0.6 < claimed / spread < 1.7


def test_truths_are_scored_by_what_they_are():
  ring = synthetic.ring('train', size=3000)
  of = judge.Judge(references.reals(ring, ring), count=2500)
  (modes, good, kl) = of(ArraySource(ring.truth.sample(7500, 5)))
  assert modes.value == modes.floor == 8 and modes.error == 0
  for row in (good, kl):
    assert abs(row.value - row.floor) < 5 * np.hypot(row.error, row.floor_error)
  (modes, good, _) = of(ArraySource(np.zeros((2500, 2), np.float32)))
  assert (modes.value, good.value) == (0, 0)
  gaussian = synthetic.gaussian('train')
  of = judge.Judge(references.reals(gaussian, gaussian), count=1000)
  kl, wasserstein = of(ArraySource(gaussian.truth.sample(5000, 5)))
  assert kl.value < 0.02 and kl.floor < 0.02 and wasserstein.value < 0.3
  assert of.notes[0].startswith('fitted mean [')


def test_no_more_real_features_than_are_compared():
  real = references.reals(points(0, n=300), points(1, n=300))
  sizes = lambda names: {
    row.counts['real'] for row in judge.Judge(real, names, count=40)(points(2))
  }
  of = judge.Judge(real, ('prdc', 'nn'), count=40)
  of(points(2))
  assert {set_.count for set_ in of._sets.values()} == {40}
  assert sizes(('prdc', 'nn')) == {40} and sizes(('prdc', 'fd')) == {40, 300}


def test_images_are_scored_by_a_two_sample_test_against_held_out_ones():
  train, test = pictures(0, n=100), pictures(1, n=30)
  (row,) = judge.Judge(references.reals(train, test))(pictures(2, n=150))
  assert row.name == '1-NN accuracy' and row.real == 'test'
  assert row.counts['generated'] == row.counts['real'] == 30
  assert abs(row.value - 0.5) < 0.2 and abs(row.floor - 0.5) < 0.2
  black = ArraySource(np.zeros((150, 6, 6, 1), np.uint8))
  (row,) = judge.Judge(references.reals(train, test))(black)
  assert row.value > 0.9


def test_classes_are_scored_where_both_sides_have_them():
  def labelled(seed, n=300):
    label = np.arange(n) % 3
    return points(seed, n, shift=4.0 * np.eye(3)[label], label=label)

  real = references.reals(labelled(0), labelled(1))
  of = judge.Judge(real, ('cas', 'intra_fd'), count=300)
  cas, intra = of(labelled(2))
  assert cas.value > 0.95 and cas.floor > 0.95 and cas.real == 'test'
  assert abs(intra.value - intra.floor) < 0.2
  wrong = labelled(3)
  wrong.label = (wrong.label + 1) % 3
  cas, intra = of(wrong)
  assert cas.value < 0.05 and intra.value > 10
  with pytest.raises(
    ValueError, match="'cas' needs classes, and the generated"
  ):
    of(points(0))


def test_classes_that_are_not_the_same_are_refused(tmp_path):
  label = np.arange(400) % 4
  real = references.reals(points(0, label=label), points(1, label=label))
  of = judge.Judge(real, ('cas',))
  with pytest.raises(ValueError, match=r'have the classes \[4\]; real ones'):
    of(points(2, label=label + 1))
  for root, names in (('a', 'xy'), ('b', 'yz')):
    for name in names:
      for i in range(4):
        save_png(tmp_path / root / name / f'{i}.png')
  sides = [samples.open_samples(tmp_path / root) for root in 'ab']
  assert sides[0].class_names == ('x', 'y')
  of = judge.Judge(references.halves(sides[0], {}), ('intra_fd',))
  with pytest.raises(ValueError, match=r"\['x', 'z'\] are on one alone"):
    of(sides[1])


def test_the_error_of_1nn_accuracy_covers_the_chance_of_the_real_set():
  z = []
  for seed in range(12):
    sides = (points(100 * seed + i, n=n) for i, n in enumerate((150, 150, 750)))
    real, test, fake = sides
    (row,) = judge.Judge(references.reals(real, test), ('nn',), count=150)(fake)
    z.append((row.value - 0.5) / row.error)
  assert np.sqrt(np.mean(np.square(z))) < 1.7


def test_no_held_out_data_means_halves():
  source = points(0, n=60)
  tiny = {'batch_size': 8, 'num_steps': 1, 'latent_dim': 2}
  for player in ('generator', 'discriminator'):
    tiny[player] = {'name': 'mlp', 'features': (4,)}
  built = experiment.build(tiny, train=source)
  (row,) = built.judge()(points(1, n=60))
  assert row.counts['floor'] == 30 and row.real == 'all' and row.floor > 0.2
  with pytest.raises(ValueError, match="'cas' needs classes, which samples"):
    experiment.build({**tiny, 'eval': {'metrics': 'cas'}}, train=source).judge()


def test_one_real_set_has_a_floor_of_its_halves():
  of = judge.Judge(references.halves(points(0), {'data': 'x'}), ('fd',))
  (row,) = of(points(1, shift=2.0))
  assert row.counts == {
    'generated': 400,
    'real': 400,
    'floor': 200,
    'floor_real': 200,
  }
  assert row.floor < 0.2 < row.value and row.real == 'all'
  assert 'scored 400 examples, all there are, not 1000' in of.notes
  assert any('the floor is of 200' in note for note in of.notes)


def test_fid_says_what_too_few_examples_do_to_it():
  real = references.reals(pictures(0, 40), pictures(1, 40))
  of = judge.Judge(real, ('fd',), count=20)  # of 36 pixels
  of(pictures(2, 20))
  assert any('covariance is singular' in note for note in of.notes)


@pytest.mark.parametrize(
  'names, options, message',
  [
    (('fid',), {}, "'fid' is defined on the FID Inception .* 'fd' is the same"),
    (('kid',), {}, "features are 'pixels'; 'kd'"),
    (('is',), {}, "'is' is defined on the FID Inception"),
    (('modes',), {}, 'whose distribution is a known Mixture'),
    (('stacked_modes',), {}, 'a known Stacked'),
    (
      ('fd',),
      {'extractor': extractors.own(lambda x: x.reshape(len(x), -1) @ WIDE)},
      'at most 4096 features; .own. has 5,000',
    ),
    (
      ('fd',),
      {'extractor': extractors.own(lambda x: x.sum())},
      r'of 3 examples the result is \(\); must be \[3, features\]',
    ),
    (('fd',), {'extractor': extractors.own(lambda x: x @ WIDE)}, "'own' feat"),
    ((), {'count': 1}, '1 examples to score: must be at least 2'),
    ((), {'real_count': 1}, 'num_real=1'),
    ((), {'against': 'validation'}, "against='validation': choose one of"),
  ],
)
def test_scores_that_do_not_fit_are_refused_at_once(names, options, message):
  real = references.reals(pictures(0), pictures(1))
  with pytest.raises(ValueError, match=message):
    judge.Judge(real, names, **options)


@pytest.mark.parametrize('shape', [(9, 2), (9, 6, 6, 3)])
def test_features_of_grey_pictures_are_of_no_others(shape):
  other = ArraySource(np.zeros(shape, np.float32))
  with pytest.raises(
    ValueError, match=r'of shape .*: must be images .* with C of 1$'
  ):
    judge.Judge(
      references.reals(other, other), ('fd',), extractor=extractors.mnist()
    )


def test_inception_score_without_a_class_head():
  def no_head(params, found):
    del params, found
    raise ValueError('these weights have no class head')

  real = references.reals(pictures(0), pictures(1))
  headless = fid_like()._replace(logits=no_head)
  with pytest.raises(ValueError, match='no class head'):
    judge.Judge(real, ('is',), extractor=headless)
  judge.Judge(real, ('fid', 'kid'), extractor=headless)


def test_another_shape_is_compared_only_where_it_is_resized():
  real = references.reals(pictures(0), pictures(1))
  with pytest.raises(
    ValueError, match=r'shape \(5, 5, 1\), the data of \(6, 6'
  ):
    judge.Judge(real, ('fd',))(pictures(2, size=5))
  of = judge.Judge(real, ('fid',), extractor=fid_like())
  of(pictures(2, size=5))
  assert any('each is resized' in note for note in of.notes)


def test_every_metric_says_what_it_is():
  for name, metric in metrics.METRICS.items():
    assert len(metric.names) == len(metric.better), name
    assert set(metric.better) <= {'lower', 'higher', 'near 0.5'}
    assert metric.against in ('train', 'test')


def run_of_scores(path, offers, options=None, start=0):
  """Offers (step, value) of a score to a run's best checkpoint."""
  row = scoring.Row(
    'fd', 'fd', 0.0, 0, 0, 0, None, None, 'lower', '', {}, 'train'
  )
  with best_lib.Best(path, options or {'metrics': 'fd'}, start=start) as best:
    better = [
      best.offer(step, {'w': np.float32([step])}, [row._replace(value=value)])
      for step, value in offers
    ]
    return better, best.step


def test_the_best_is_kept_over_a_continuation(tmp_path):
  assert run_of_scores(tmp_path, [(2, 5), (4, 3)]) == ([True, True], 4)
  # Continued from a checkpoint before the best: it is yet to come.
  assert run_of_scores(tmp_path, [(4, 3.0)], start=2) == ([True], 4)
  better = run_of_scores(tmp_path, [(6, 4), (8, np.nan), (10, 2)], start=4)
  assert better == ([False, False, True], 10)
  with best_lib.Best(tmp_path, {'metrics': 'fd', 'every': 7}, start=10) as best:
    assert best.step == 10 and best.has(8) and not best.has(9)
  # The best before it is there too, for a run that goes back; no third is.
  assert sorted(p.name for p in (tmp_path / 'best').iterdir()) == ['10', '4']
  assert run_of_scores(tmp_path, [(12, 1)], start=10) == ([True], 12)
  assert sorted(p.name for p in (tmp_path / 'best').iterdir()) == ['10', '12']
  assert run_of_scores(tmp_path, [(12, 3)], start=11) == ([False], 10)


def test_scores_under_other_options_are_not_compared(tmp_path):
  run_of_scores(tmp_path, [(2, 0.1)])
  other = {'metrics': 'fd', 'num_samples': 7}
  assert run_of_scores(tmp_path, [(4, 9)], other, start=2) == ([True], 4)
  lines = (tmp_path / 'scores.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == [2, 4]


def test_a_score_that_is_no_number_is_beaten_by_any(tmp_path):
  offers = [(2, np.nan), (4, 1e9), (6, np.inf)]
  assert run_of_scores(tmp_path, offers) == ([True, True, False], 4)
  line = (tmp_path / 'scores.jsonl').read_text().splitlines()[0]
  assert 'NaN' not in line and json.loads(line)['scores'][0]['value'] is None


def test_rank_looks_at_the_first_metric_alone():
  row = lambda metric, value, better: scoring.Row(
    metric, metric, value, 0, 0, 0, None, None, better, '', {}, 'train'
  )
  rows = [row('modes', 8, 'higher'), row('modes', 0.9, 'higher')]
  assert scoring.rank([*rows, row('fid', 3, 'lower')]) == [-8, -0.9]
  assert scoring.rank([row('nn', 0.3, 'near 0.5')]) == [0.2]


def test_names_of_metrics():
  assert scoring.parse_metrics(' fid, kid,') == ('fid', 'kid')
  with pytest.raises(ValueError, match="unknown metric 'fidd'.*Did you mean"):
    scoring.parse_metrics('fid,fidd')


def test_settings_of_scores_are_checked():
  with pytest.raises(ValueError, match="option of eval: 'evry'. Did you mean"):
    settings.parse({'eval': {'evry': 3}})
  with pytest.raises(
    ValueError, match='eval.num_samples=1: must be at least 2'
  ):
    settings.parse({'eval': {'num_samples': 1}})
  assert settings.parse({'eval': {'every': 3}}).eval['num_samples'] == 1000


def test_over_draws_of_a_single_set_is_a_jackknife():
  (found,) = measures.over_draws(
    features.FeatureSet(points(0, n=400), extractors.pixels()),
    lambda x: (x[:, 0].mean(),),
  )
  assert 0.5 < found.error / (1 / np.sqrt(400)) < 2


def test_data_are_described_without_what_does_not_change_them():
  spec = {'name': 'tfds', 'dataset': 'mnist', 'data_dir': '/x', 'memory_mb': 1}
  described = experiment.describe_data(spec)
  assert described == {'data': {'name': 'tfds', 'dataset': 'mnist'}}


# ---- Anybody's samples.


def save_png(path, shape=(5, 4), mode='RGB'):
  path.parent.mkdir(parents=True, exist_ok=True)
  channels = len(Image.new(mode, (1, 1)).getbands())
  rng = np.random.default_rng(len(str(path)))
  x = rng.integers(0, 256, (*shape, channels), np.uint8).squeeze()
  Image.fromarray(x).save(path)
  return x


def test_a_folder_is_read_as_it_is(tmp_path):
  first = save_png(tmp_path / 'b' / '1.png')
  save_png(tmp_path / 'a' / '22.png')
  source = samples.open_samples(tmp_path)
  assert len(source) == 2 and source.shape == (5, 4, 3)
  batch = source[np.array([1])]
  np.testing.assert_array_equal(batch['x'], first[None])
  np.testing.assert_array_equal(batch['label'], [1])


def test_grey_pictures_stay_grey_unless_one_is_not(tmp_path):
  save_png(tmp_path / '1.png', mode='L')
  assert samples.open_samples(tmp_path).shape == (5, 4, 1)
  save_png(tmp_path / '2.png')
  source = samples.open_samples(tmp_path)
  assert source[np.arange(2)]['x'].shape == (2, 5, 4, 3)


def test_a_folder_of_several_sizes_is_refused_with_their_numbers(tmp_path):
  for i in range(3):
    save_png(tmp_path / f'{i}.png')
  save_png(tmp_path / 'odd.png', shape=(7, 7))
  with pytest.raises(ValueError, match='3 of 4 x 5 .* 1 of 7 x 7 .such as'):
    samples.open_samples(tmp_path)


def test_a_picture_that_breaks_when_decoded_is_named(tmp_path):
  save_png(tmp_path / '1.png', shape=(90, 90))
  content = (tmp_path / '1.png').read_bytes()
  (tmp_path / '2.png').write_bytes(content[: len(content) // 2])
  source = samples.open_samples(tmp_path)
  with pytest.raises(ValueError, match='broken picture .*2.png'):
    source[np.arange(2)]


@pytest.mark.parametrize('name', ['x', 'samples', 'images', 'arr_0'])
def test_arrays_of_a_file(tmp_path, name):
  x = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3), np.uint8)
  np.savez(tmp_path / 'a.npz', **{name: x}, label=np.arange(4))
  source = samples.open_samples(tmp_path / 'a.npz')
  np.testing.assert_array_equal(source.x, x)
  np.testing.assert_array_equal(source.label, np.arange(4))


def test_float_images_become_uint8_in_the_range_that_is_said(tmp_path):
  levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
  np.save(tmp_path / 'a.npy', levels / 127.5 - 1)
  source = samples.open_samples(tmp_path / 'a.npy')
  np.testing.assert_array_equal(source.x, levels[..., None])
  np.save(tmp_path / 'b.npy', (levels / 255).astype(np.float32))
  source = samples.open_samples(tmp_path / 'b.npy', value_range=(0, 1))
  np.testing.assert_array_equal(source.x, levels[..., None])
  with pytest.raises(ValueError, match='none is below 0.*value_range=0,1'):
    samples.open_samples(tmp_path / 'b.npy')
  points_ = np.random.default_rng(0).normal(size=(5, 2))
  np.save(tmp_path / 'c.npy', points_)
  np.testing.assert_allclose(
    samples.open_samples(tmp_path / 'c.npy').x, points_, rtol=1e-6
  )


@pytest.mark.parametrize(
  'x, message',
  [
    (np.zeros((4, 3, 9, 9), np.uint8), r'look like \[N, C, H, W\]'),
    (np.zeros((4, 9, 9, 2), np.uint8), r'with C of 1, 3 or 4'),
    (np.zeros((0, 9, 9, 3), np.uint8), r'shape \(0, 9, 9, 3\)'),
    (np.zeros((4, 9, 9, 3), np.int64), 'type int64'),
    (np.zeros(4, np.float32), r'shape \(4,\)'),
    (np.full((4, 9, 9, 3), np.nan), '972 of the values are not finite'),
    (np.full((4, 9, 9, 3), 255.0), 'values from 255 to 255; .* from -1 to 1'),
  ],
)
def test_arrays_that_are_no_examples(tmp_path, x, message):
  np.save(tmp_path / 'a.npy', x)
  with pytest.raises(ValueError, match=message):
    samples.open_samples(tmp_path / 'a.npy')


def test_files_that_are_no_arrays(tmp_path):
  with pytest.raises(FileNotFoundError, match='neither a directory nor a file'):
    samples.open_samples(tmp_path / 'nothing')
  (tmp_path / 'a.txt').write_text('')
  with pytest.raises(ValueError, match='must be a directory of pictures'):
    samples.open_samples(tmp_path / 'a.txt')
  for name in ('b.npz', 'b.npy'):
    (tmp_path / name).write_bytes(b'no array at all')
    with pytest.raises(ValueError, match=name):
      samples.open_samples(tmp_path / name)
  np.save(tmp_path / 'c.npy', np.array([{}], object))
  with pytest.raises(
    ValueError, match='c.npy cannot be read as an array of numbers'
  ):
    samples.open_samples(tmp_path / 'c.npy')
  np.savez(tmp_path / 'd.npz', other=np.zeros(3))
  with pytest.raises(ValueError, match=r"holds \['other'\]"):
    samples.open_samples(tmp_path / 'd.npz')
  np.savez(tmp_path / 'e.npz', x=np.zeros((3, 2)), label=np.zeros(2, int))
  with pytest.raises(ValueError, match=r'integers of shape \(3,\)'):
    samples.open_samples(tmp_path / 'e.npz')
  np.savez(tmp_path / 'f.npz', x=np.zeros((3, 2)), label=[-1, 0, 1])
  with pytest.raises(ValueError, match='classes from -1 to 1; must be from 0'):
    samples.open_samples(tmp_path / 'f.npz')
