"""Scores of disjoint subsets, and their errors."""

import numpy as np

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
    lambda x: (x[:, 0].mean(),),
  )
  assert 0.5 < found.error / (1 / np.sqrt(400)) < 2


def test_the_note_of_1nn_says_what_below_a_half_means():
  rng = np.random.default_rng(0)
  real = rng.normal(size=(40, 2)).astype(np.float32)
  copies = real + np.float32(1e-4)
  assert two_sample.nearest_neighbor_accuracy(real, copies) < 0.1
  (note,) = scorers.explain_nearest_neighbor(None, None, None)
  assert 'below 0.5' in note and 'copies' in note
