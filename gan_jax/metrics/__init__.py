"""Metrics: pure functions of samples or of their features.

Metrics read no files and run no networks; `gan_jax.evaluation` does, and
reports every score with its baseline.
"""

from gan_jax.metrics.class_conditional import (
  ClassDiversity,
  ClassifierAccuracy,
  class_accuracy,
  class_diversity,
  classification_accuracy,
  intra_class_fid,
)
from gan_jax.metrics.frechet import frechet_distance, frechet_jackknife
from gan_jax.metrics.gaussian import fit_gaussian, kl_divergence, wasserstein_2
from gan_jax.metrics.inception_score_metric import inception_score
from gan_jax.metrics.mmd import kid, mmd_test, polynomial_kernel, unbiased_mmd
from gan_jax.metrics.mode_coverage import kl_to_uniform, mode_scores
from gan_jax.metrics.precision_recall import PRDC, compute_prdc
from gan_jax.metrics.resampling import Estimate, TestResult, jackknife
from gan_jax.metrics.sliced_wasserstein_distance import sliced_wasserstein
from gan_jax.metrics.stacked_mnist import stacked_modes
from gan_jax.metrics.two_sample import (
  classifier_test,
  nearest_neighbor_accuracy,
)

__all__ = [
  'ClassDiversity',
  'ClassifierAccuracy',
  'Estimate',
  'PRDC',
  'TestResult',
  'class_accuracy',
  'class_diversity',
  'classification_accuracy',
  'classifier_test',
  'compute_prdc',
  'fit_gaussian',
  'frechet_distance',
  'frechet_jackknife',
  'inception_score',
  'intra_class_fid',
  'jackknife',
  'kid',
  'kl_divergence',
  'kl_to_uniform',
  'mmd_test',
  'mode_scores',
  'nearest_neighbor_accuracy',
  'polynomial_kernel',
  'sliced_wasserstein',
  'stacked_modes',
  'unbiased_mmd',
  'wasserstein_2',
]
