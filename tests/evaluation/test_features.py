"""Features of a source, and what is stored of them."""

import json
import os

import jax
import numpy as np
import pytest

from gan_jax import data, evaluation
from gan_jax.data import ArraySource
from gan_jax.evaluation import (
  feature_cache,
  feature_extractors,
  features,
  reference_data,
)
from gan_jax.metrics import frechet
from tests.helpers.fakes import fid_like, pictures, points, save_png


def test_features_are_of_every_example_once_whatever_the_batch():
  source = pictures(0, n=21, channels=3)
  found = features.FeatureSet(source, fid_like()).features
  exact = 2 * source.x.astype(np.float32).mean(axis=(1, 2))
  order = np.random.default_rng(0).permutation(21)
  np.testing.assert_allclose(found, exact[order], rtol=1e-6)


def test_float_images_are_scored_at_256_levels():
  x = np.random.default_rng(0).uniform(-1.2, 1.2, (9, 4, 4, 1))
  source = ArraySource(x.astype(np.float32))
  found = features.FeatureSet(
    source, feature_extractors.pixel_features()
  ).features
  levels = (found + 1) * 127.5
  np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
  np.testing.assert_allclose([found.min(), found.max()], [-1, 1], rtol=1e-6)
  order = np.random.default_rng(0).permutation(9)
  exact = x.clip(-1, 1).reshape(9, -1)[order]
  np.testing.assert_allclose(found, exact, atol=0.5 / 127)


def test_moments_of_groups_make_up_the_whole(monkeypatch):
  source = points(0, n=103)
  kept = features.FeatureSet(source, feature_extractors.pixel_features())
  groups = kept.moments(10)
  assert len(groups) == 10
  counts = [int(group.count) for group in groups]
  assert sum(counts) == 103 and max(counts) - min(counts) <= 1
  # One batch at a time gives the same.
  monkeypatch.setattr(features, 'MAX_IN_MEMORY', 50)
  streamed = features.FeatureSet(source, feature_extractors.pixel_features())
  (whole,) = streamed.moments(1)
  assert 'features' not in streamed.__dict__
  np.testing.assert_allclose(
    frechet.covariance(whole),
    np.cov(source.x.T.astype(np.float64)),
    rtol=1e-9,
  )


@pytest.mark.parametrize('count', [5121, 6144, 10_000])
def test_groups_of_many_examples_are_of_one_size_too(count):
  # Those left out of a jackknife must change the bias of a score alike.
  source = ArraySource(np.zeros((count, 1), np.float32))
  groups = features.FeatureSet(
    source, feature_extractors.pixel_features()
  ).moments(10)
  counts = [int(group.count) for group in groups]
  assert sum(counts) == count and max(counts) - min(counts) <= 1


def test_features_are_computed_once_for_all_scores(monkeypatch):
  monkeypatch.setattr(features, 'MAX_IN_MEMORY', 10)
  seen = []
  batches = features.FeatureSet._batches
  monkeypatch.setattr(
    features.FeatureSet,
    '_batches',
    lambda self: seen.append(self.count) or batches(self),
  )
  real = reference_data.train_test_references(points(0, n=50), points(1, n=50))
  of = evaluation.Evaluator(real, ('fd', 'kd'), count=40)
  of(points(2, n=40))
  assert sorted(seen) == [40, 40, 50]  # generated, baseline, real
  of(points(3, n=40))
  assert sorted(seen) == [40, 40, 40, 50]
  alone = evaluation.Evaluator(real, ('fd',), count=40)
  for seed in (2, 3):
    alone(points(seed, n=40))
  assert sorted(seen[4:]) == [40, 40, 40, 50]


def test_draws_are_disjoint_and_of_one_size():
  found = features.FeatureSet(
    points(0, n=50), feature_extractors.pixel_features(), count=12
  )
  draws = found.disjoint_subsets(12)
  assert [draw.count for draw in draws] == [12] * 4
  rows = np.concatenate([draw.features for draw in draws])
  assert len(np.unique(rows, axis=0)) == 48
  np.testing.assert_array_equal(draws[0].features, found.features)


def test_several_devices_give_the_same_features():
  spread = features.FeatureSet(
    pictures(0, n=21, channels=3), fid_like(), devices=jax.local_devices()
  )
  alone = features.FeatureSet(pictures(0, n=21, channels=3), fid_like())
  np.testing.assert_allclose(spread.features, alone.features, rtol=1e-6)


# ---- What is stored of real data.


def test_stored_features_are_read_instead_of_computed(tmp_path):
  store = feature_cache.FeatureCache(tmp_path)
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
  store = feature_cache.FeatureCache(tmp_path)
  make = lambda seed: features.FeatureSet(
    pictures(seed, channels=3), fid_like(), store=store, facts={'data': 'x'}
  )
  assert np.abs(make(0).features - make(1).features).max() > 1


def test_all_of_what_is_in_memory_is_in_the_digest(tmp_path):
  x = np.zeros((5000, 2), np.float32)
  before = features.source_digest(ArraySource(x.copy()))
  x[1234] = 1
  assert features.source_digest(ArraySource(x)) != before
  save_png(tmp_path / '1.png')
  save_png(tmp_path / '2.png')
  before = features.source_digest(data.open_samples(tmp_path))
  assert features.source_digest(data.open_samples(tmp_path)) == before
  os.utime(tmp_path / '2.png', ns=(1, 1))
  assert features.source_digest(data.open_samples(tmp_path)) != before


def test_a_damaged_entry_is_computed_again(tmp_path):
  store = feature_cache.FeatureCache(tmp_path)
  key = {'kind': 'features', 'shape': (1, 2)}
  store.put(key, {'features': np.ones(3)})
  np.testing.assert_array_equal(store.get(key)['features'], np.ones(3))
  (path,) = tmp_path.glob('*.npz')
  path.write_bytes(path.read_bytes()[:50])
  assert store.get(key) is None
  (tmp_path / 'file').write_text('')
  with pytest.warns(UserWarning, match=f'features .*{tmp_path / "file"}'):
    feature_cache.FeatureCache(tmp_path / 'file').put(
      key, {'features': np.ones(3)}
    )
