"""The classifier of spoken digits, and scores of its features."""

import json
import os
import pathlib
import runpy

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import evaluation
from gan_jax.data import ArraySource
from gan_jax.evaluation import feature_extractors, reference_data
from gan_jax.evaluation.networks import (
  spoken_digit_classifier as classifier,
)
from tests.helpers.fakes import pictures

ROOT = pathlib.Path(__file__).parents[2]
RECORD = json.loads(classifier.WEIGHTS.with_suffix('.json').read_text())
FSDD = 'GAN_JAX_FSDD'  # environment variable: directory or zip of FSDD


@pytest.fixture(scope='module')
def weights():
  return classifier.load_spoken_digit_classifier()


@pytest.fixture(scope='module')
def extractor():
  return feature_extractors.make_feature_extractor('spoken_digits')


def sine(frequency, rate=8000, length=8192):
  return np.sin(2 * np.pi * frequency * np.arange(length) / rate)


def clips(seed, n=24, shape=(400, 1)):
  """Noise of ten pitches under the sounds, in classes."""
  rng = np.random.default_rng(seed)
  label = (np.arange(n) % 4).astype(np.int32)
  times = np.arange(shape[0])[None] / 8000
  x = 0.4 * np.sin(2 * np.pi * 400 * (1 + label[:, None]) * times)
  x = x + 0.2 * rng.normal(size=x.shape)
  return ArraySource(x.clip(-1, 1).astype(np.float32)[..., None], label)


def test_the_file_is_that_of_the_record(weights):
  params, sha256 = weights
  assert sha256 == RECORD['sha256']
  assert sum(x.size for x in params.values()) == RECORD['parameters'] == 152_810
  assert classifier.WEIGHTS.stat().st_size < 400_000
  chex.assert_tree_all_finite(params)


def test_its_recorded_accuracy_is_enough_for_scores():
  assert RECORD['test']['accuracy'] > 0.95
  assert RECORD['test']['recordings'] == 300


class TestLogMel:
  def test_filters_share_every_frequency_between_the_ends(self):
    filters = classifier.mel_filters()
    assert filters.shape == (257, 40) and filters.min() == 0
    assert (filters.max(axis=0) > 0.3).all()
    hertz = np.arange(257) * 8000 / 512
    middle = (hertz > 120) & (hertz < 3500)
    np.testing.assert_allclose(filters[middle].sum(axis=1), 1, atol=1e-6)
    assert not filters[(hertz < 60) | (hertz > 3800)].any()

  def test_the_loudest_band_is_that_of_the_tone(self):
    tones = np.array([200, 700, 1500, 3000])
    x = np.stack([sine(hertz) for hertz in tones]).astype(np.float32)
    found = np.asarray(jax.jit(classifier.log_mel)(x))
    assert found.shape == (4, 64, 40)
    filters = classifier.mel_filters()
    for row, tone in zip(found, tones):
      bands = row[2:-2].argmax(axis=1)
      expected = filters[round(tone * 512 / 8000)].argmax()
      assert (np.abs(bands - expected) <= 1).all(), tone
    loudest = found[:, 2:-2].max(axis=(1, 2))
    np.testing.assert_allclose(loudest, 6.25, atol=0.2)

  def test_silence_is_zero(self):
    assert not np.asarray(classifier.log_mel(jnp.zeros((1, 8192)))).any()


class TestFitClips:
  def test_pads_cuts_and_scales(self):
    x = np.linspace(-0.1, 0.2, 5, dtype=np.float32)
    (found,) = np.asarray(classifier.fit_clips(x[None, :, None]))
    np.testing.assert_allclose(found[:5], x / 0.2, rtol=1e-6)
    assert found.shape == (8192,) and not found[5:].any()
    long = np.arange(9000, dtype=np.float32)[None, :, None] / 8191
    np.testing.assert_allclose(
      classifier.fit_clips(long)[0], np.arange(8192) / 8191, atol=1e-6
    )
    assert not np.asarray(classifier.fit_clips(jnp.zeros((2, 9, 1)))).any()

  @pytest.mark.parametrize('rate', [4000, 16000, 44100])
  def test_other_rates_are_resampled(self, rate):
    # Whole periods, which the frequency domain holds exactly.
    x = sine(400, rate, rate // 10).astype(np.float32)[None, :, None]
    (found,) = np.asarray(classifier.fit_clips(x, rate))
    np.testing.assert_allclose(found[:800], sine(400, 8000, 800), atol=1e-2)
    assert not found[800:].any()
    # What is almost silent is not scaled up to a loudest sample of 1.
    (quiet,) = np.asarray(classifier.fit_clips(1e-4 * x, rate))
    np.testing.assert_allclose(quiet, 0.1 * found, atol=1e-3)


class TestFeatures:
  def test_logits_are_of_the_features_whatever_the_loudness(self, weights):
    params, _ = weights
    x = clips(0, n=3, shape=(8192, 1)).x
    features = np.asarray(classifier.spoken_digit_features(params, x))
    assert features.shape == (3, 128) and features.min() >= 0
    quiet = classifier.spoken_digit_features(params, 0.1 * x)
    np.testing.assert_allclose(quiet, features, rtol=1e-3, atol=1e-3)
    logits = features @ params['logits/kernel'] + params['logits/bias'][None]
    found = classifier.feature_logits(params, features)
    assert found.shape == (3, 10)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)

  def test_refuses_what_is_no_clip(self, weights):
    for wrong in (jnp.zeros((2, 99)), jnp.zeros((2, 99, 1), jnp.uint8)):
      with pytest.raises(AssertionError):
        classifier.spoken_digit_features(weights[0], wrong)

  def test_refuses_other_weights(self, tmp_path):
    path = tmp_path / 'x.npz'
    np.savez(path, kernel=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"'kernel': \(2, 3\).*must be"):
      classifier.load_spoken_digit_classifier(str(path))

  @pytest.mark.slow
  def test_accuracy_on_fsdd_is_that_of_the_record(self, weights):
    if FSDD not in os.environ:
      pytest.skip(f'set {FSDD} to FSDD: {FSDD}=fsdd.zip python -m pytest ...')
    script = ROOT / 'scripts' / 'train_spoken_digit_classifier.py'
    found = runpy.run_path(str(script))
    _, test = found['open_recordings'](os.environ[FSDD])
    accuracy = found['accuracy'](weights[0], test)['accuracy']
    # A logit's last bits may differ from machine to machine.
    assert abs(accuracy - RECORD['test']['accuracy']) < 4e-3


class TestScores:
  def test_scores_of_clips(self, extractor):
    """The metrics that the extractor is for, each near its baseline."""
    real = reference_data.train_test_references(clips(0), clips(1))
    names = ('fd', 'kd', 'classifier_score', 'class_accuracy')
    of = evaluation.Evaluator(real, names, extractor=extractor, count=24)
    rows = {row.metric: row for row in of(clips(2))}
    assert list(rows) == list(names)
    for row in rows.values():
      assert np.isfinite(row.value) and np.isfinite(row.baseline)
    score = rows['classifier_score']
    assert 1 <= score.value <= 10 and score.better == 'higher'
    assert rows['class_accuracy'].value > 0.8  # the pitches are told apart
    noise = ArraySource(clips(3).x[:, ::-1] * 0, clips(3).label)
    silent = {row.metric: row.value for row in of(noise)}
    assert silent['fd'] > 3 * rows['fd'].value
    assert silent['classifier_score'] < 1 + 1e-4

  def test_clips_of_other_lengths_are_compared_and_said(self, extractor):
    real = reference_data.train_test_references(clips(0), clips(1))
    of = evaluation.Evaluator(real, ('fd',), extractor=extractor, count=24)
    longer = ArraySource(np.pad(clips(0).x, ((0, 0), (0, 60), (0, 0))))
    (row,) = of(longer)
    assert row.value < 1e-2  # zeros at the end change nothing
    assert any('(460, 1), the data (400, 1)' in note for note in of.notes)

  def test_the_sample_rate_of_the_data_is_used(self):
    x = sine(400, 16000, 1600).astype(np.float32)[None, :, None]
    found = {
      rate: feature_extractors.spoken_digit_features(sample_rate=rate)
      for rate in (0, 8000, 16000)
    }
    at = {
      rate: np.asarray(extractor.apply(extractor.params, x))
      for rate, extractor in found.items()
    }
    np.testing.assert_array_equal(at[0], at[8000])
    params = found[0].params
    slow = sine(400, 8000, 800).astype(np.float32)[None, :, None]
    expected = classifier.spoken_digit_features(params, slow)
    np.testing.assert_allclose(at[16000], expected, atol=0.05)
    assert np.abs(at[16000] - at[8000]).max() > 0.5
    source = ArraySource(np.repeat(x, 8, axis=0))
    source.sample_rate = 16000
    options = evaluation_options(metrics='fd', features='spoken_digits')
    of = evaluation.make_evaluator(
      reference_data.split_half_reference(source, {}), options
    )
    used = np.asarray(of.extractor.apply(params, x))
    np.testing.assert_allclose(used, at[16000], atol=1e-5)

  def test_refuses_images_and_points(self, extractor):
    for source in (pictures(0), ArraySource(np.zeros((9, 5), np.float32))):
      real = reference_data.train_test_references(source, source)
      with pytest.raises(ValueError, match='must be clips of sound'):
        evaluation.Evaluator(real, ('fd',), extractor=extractor)

  def test_a_class_head_is_needed(self):
    real = reference_data.train_test_references(clips(0), clips(1))
    message = "'classifier_score' needs .*'pixels' have none: must be 'incept"
    with pytest.raises(ValueError, match=message):
      evaluation.Evaluator(real, ('classifier_score',))
    for features in ('', 'mnist'):
      with pytest.raises(ValueError, match='class head.*spoken_digits'):
        evaluation_options(metrics='classifier_score', features=features)


def evaluation_options(**options):
  from gan_jax import config

  return config.resolve_eval(options)
