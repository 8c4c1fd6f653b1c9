"""Scores of disjoint subsets, and their errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.evaluation import (
  feature_extractors,
  features,
  scorers,
)
from gan_jax.metrics import two_sample
from tests.helpers.fakes import points


def test_over_draws_of_a_single_set_is_a_jackknife():
  (found,) = scorers.mean_over_subsets(
    features.FeatureSet(points(0, n=400), feature_extractors.pixel_features()),
    scorers.SubsetScores(lambda x: (x[:, 0].mean(),)),
  )
  assert 0.5 < found.error / (1 / np.sqrt(400)) < 2


def test_the_note_of_1nn_says_what_below_a_half_means():
  rng = np.random.default_rng(0)
  real = rng.normal(size=(40, 2)).astype(np.float32)
  copies = real + np.float32(1e-4)
  assert two_sample.nearest_neighbor_accuracy(real, copies) < 0.1
  note = scorers.NEAREST_NEIGHBOR_NOTE
  assert 'below 0.5' in note and 'copies' in note


@pytest.mark.parametrize('count', [400, 120])
def test_subsets_have_the_same_scores_in_a_program(count):
  """Several subsets, or a single one with a jackknife."""
  source = points(0, n=400)
  extractor = feature_extractors.pixel_features()
  fake = features.FeatureSet(source, extractor, count=count)
  scores = scorers.SubsetScores(lambda x: (x.mean(), (x**2).sum()), shared=True)
  expected = scorers.mean_over_subsets(fake, scores)
  x = jnp.concatenate([s.features for s in fake.disjoint_subsets(count)])
  values = np.asarray(
    jax.jit(lambda x: scorers.values_of_subsets(scores, x, count))(x)
  )
  if count == 400:
    found = scorers.estimates_of_jackknife(values)
  else:
    found = scorers.estimates_of_subsets(values, shared=True)
  np.testing.assert_allclose(found, expected, rtol=1e-4)
