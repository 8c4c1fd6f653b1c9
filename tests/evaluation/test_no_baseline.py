"""Scores whose baseline cannot be computed, and published statistics."""

import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax import data, evaluation
from gan_jax.evaluation import feature_extractors, reference_data, statistics
from gan_jax.metrics import frechet

RNG = np.random.default_rng(0)


def evaluator(real, names):
  return evaluation.Evaluator(
    reference_data.split_half_reference(real, {}), names, count=100
  )


def labeled(*counts):
  label = np.repeat(np.arange(len(counts)), counts)
  x = RNG.normal(size=(len(label), 3)).astype(np.float32)
  return data.ArraySource(x, label)


@pytest.mark.parametrize('smallest', [2, 3])
def test_a_small_class_has_a_score_and_a_reason(smallest):
  real, fake = labeled(20, smallest), labeled(20, 20)
  (row,) = (judge := evaluator(real, ['intra_fd']))(fake)
  assert np.isfinite(row.value) and row.baseline is row.baseline_error is None
  assert row.counts == {'generated': 40, 'real': 20 + smallest}
  (note,) = [n for n in judge.notes if 'no baseline' in n]
  assert 'intra-class Frechet' in note
  half = (20 + smallest) // 2
  assert f'the {half} and' in note and 'real examples' in note


def test_a_class_of_one_picture_leaves_no_score():
  with pytest.raises(ValueError, match='class 1: 1 real'):
    evaluator(labeled(20, 1), ['intra_fd'])(labeled(20, 20))


@pytest.mark.parametrize('count', [1, 2, 3])
def test_too_few_for_two_halves(count):
  judge = evaluator(labeled(count), ['prdc' if count > 1 else 'swd'])
  fake = labeled(30)
  rows = judge(fake)
  assert all(np.isfinite(row.value) for row in rows)
  assert all(row.baseline is None for row in rows)
  assert any(f'{count} real examples' in note for note in judge.notes)
  with pytest.raises(ValueError, match='no baseline'):
    judge.baselines()


def test_other_metrics_keep_their_baseline():
  judge = evaluator(labeled(20, 3), ['intra_fd', 'nn'])
  intra, near = judge(labeled(20, 20))
  assert intra.baseline is None and 0 < near.baseline < 1


def test_printed_without_a_baseline():
  x = RNG.normal(size=(40, 2))
  found = gan_jax.evaluate(x, x[:3], metrics='swd')
  assert '(real data: -)' in repr(found)


# ------------------------------------------------------------ statistics


def save(path, x, **more):
  moments = {'mu': x.mean(axis=0), 'sigma': np.cov(x, rowvar=False)} | more
  np.savez(path, **moments)
  return path


def test_statistics_score_as_the_examples_do(tmp_path):
  real, fake = RNG.normal(size=(500, 4)), RNG.normal(1, 2, size=(400, 4))
  path = save(tmp_path / 'stats.npz', real.astype(np.float32))
  options = dict(metrics='fd', protocol='clean', features='pixels')
  by_statistics = gan_jax.evaluate(fake, path, **options)
  by_examples = gan_jax.evaluate(fake, real, **options)
  expected = by_examples['fd']
  found = by_statistics['fd']
  assert found.value == pytest.approx(expected.value, rel=1e-6)
  assert found.error == pytest.approx(expected.error, rel=1e-6)
  assert found.baseline is None and 'real' not in found.counts
  assert any('statistics' in note for note in by_statistics.notes)


def test_the_protocol_of_statistics_is_asked_for(tmp_path):
  path = save(tmp_path / 'stats.npz', RNG.normal(size=(50, 4)))
  with pytest.raises(ValueError, match='stats.npz.*protocol=.*clean'):
    gan_jax.evaluate(RNG.normal(size=(50, 4)), path, metrics='fd')


@pytest.mark.parametrize(
  'change, metrics, message',
  [
    ({}, 'nn', "'nn'.*fid, fd"),
    ({}, 'fid', 'FID Inception network'),
    ({'mu': np.zeros(3)}, 'fd', r'\(3,\).*\(4, 4\)'),
    ({'sigma': np.full((4, 4), np.nan)}, 'fd', 'finite'),
    ({'sigma': np.arange(16.0).reshape(4, 4)}, 'fd', 'symmetric'),
    ({'mu': np.zeros(5), 'sigma': np.eye(5)}, 'fd', '5 features.*have 4'),
  ],
)
def test_statistics_that_do_not_fit(change, metrics, message, tmp_path):
  path = save(tmp_path / 'stats.npz', RNG.normal(size=(50, 4)), **change)
  with pytest.raises(ValueError, match=message):
    judge = evaluation.Evaluator(
      reference_data.statistics_reference(statistics.open_statistics(path), {}),
      [metrics],
      extractor=feature_extractors.pixel_features(),
    )
    judge(data.ArraySource(np.ones((50, 4), np.float32)))


def test_moments_of_statistics():
  mean, covariance = np.arange(3.0), np.diag([1.0, 2.0, 3.0])
  found = statistics.StatisticsSet(
    statistics.FeatureStatistics(mean, covariance, 'x')
  ).moments(1)[0]
  np.testing.assert_array_equal(found.mean, mean)
  np.testing.assert_allclose(frechet.covariance(found), covariance)
  assert found.mean.dtype == jnp.float64


def test_an_archive_of_examples_is_none(tmp_path):
  np.savez(tmp_path / 'x.npz', x=np.zeros((4, 2)))
  (tmp_path / 'broken.npz').write_bytes(b'PK')
  for name in ('x.npz', 'broken.npz', 'gone.npz', '.'):
    assert statistics.open_statistics(tmp_path / name) is None
