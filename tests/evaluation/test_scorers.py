"""Scores of disjoint subsets, and their errors."""

import numpy as np

from gan_jax.evaluation import (
  feature_extractors,
  features,
  scorers,
)
from tests.helpers.fakes import points


def test_over_draws_of_a_single_set_is_a_jackknife():
  (found,) = scorers.mean_over_subsets(
    features.FeatureSet(points(0, n=400), feature_extractors.pixel_features()),
    lambda x: (x[:, 0].mean(),),
  )
  assert 0.5 < found.error / (1 / np.sqrt(400)) < 2
