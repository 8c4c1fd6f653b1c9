"""What `registry.METRICS` computes: functions of a generated and a real set.

Each takes (generated, real, key, n), two features.FeatureSet, a typed key, and
the number of examples where both sides must have as many, and returns one
Estimate or Test for each name of its row in the table. Those that `explain`
return sentences.
"""

from typing import Any, Callable

import jax.numpy as jnp
import numpy as np

from gan_jax.evaluation import feature_extractors
from gan_jax.evaluation.features import FeatureSet
from gan_jax.metrics import (
  class_conditional,
  frechet,
  gaussian,
  inception_score_metric,
  mode_coverage,
  precision_recall,
  resampling,
  sliced_wasserstein_distance,
  stacked_mnist,
  two_sample,
)
from gan_jax.metrics import mmd as mmd_lib

PRDC_NEAREST_K = 5


def mean_over_subsets(
  fake: FeatureSet,
  scores: Callable[[np.ndarray], Any],
  size: int = 0,
  *,
  shared: bool = False,
) -> list[resampling.Estimate]:
  """Scores of a set, with errors over independent draws of such sets.

  Args:
    fake: the set; where its source holds more examples, disjoint sets of the
      same size are scored, too.
    scores: of features `[n, d]`, to a tuple of scalars.
    size: n; 0 for that of the set.
    shared: whether all draws are compared with one real set of their size,
      whose chance is then as large as one draw's.

  Returns:
    Of each score the mean and its standard error over draws; where there is
    one draw, its value and the error of a jackknife over 10 groups.
  """
  draws = fake.draws(size or fake.count)
  if len(draws) > 1:
    values = np.array([scores(draw.features) for draw in draws])
    spread = 1 / len(values) + (1 if shared else 0)
    errors = values.std(axis=0, ddof=1) * np.sqrt(spread)
    return [
      resampling.Estimate(*each) for each in zip(values.mean(axis=0), errors)
    ]
  (draw,) = draws
  return [
    resampling.jackknife(
      lambda x, i=i: jnp.asarray(scores(x)[i]),
      draw.features,
      groups=min(10, draw.count),
    )
    for i in range(len(scores(draw.features)))
  ]


def _pair(fake, real, n):
  return jnp.asarray(fake.features[:n]), jnp.asarray(real.features[:n])


def frechet_distance(fake, real, key, n):
  """Of the Gaussians fitted to features; FID on Inception's."""
  del key, n
  if min(fake.count, real.count) < 4:
    raise ValueError(
      f'a Frechet distance of {fake.count} examples to {real.count}: must be '
      'at least 4 each, for two covariances and an error'
    )
  (reference,) = real.moments(1)
  groups = min(10, fake.count // 2)
  return [frechet.frechet_jackknife(fake.moments(groups), reference)]


def kid(fake, real, key, n):
  """The squared MMD of features; KID on Inception's."""
  # Unbiased at any size; of one subset alone there is no error to be had.
  size = max(2, min(1000, n // 2))
  sides = (jnp.asarray(side.features) for side in (real, fake))
  return [mmd_lib.kid(*sides, key, subset_size=size)]


def inception_score(fake, real, key, n):
  """Inception Score of the generated set alone."""
  del real, key, n
  splits = min(10, fake.count)
  return [inception_score_metric.inception_score(fake.logits, splits=splits)]


def prdc(fake, real, key, n):
  """Precision, recall, density and coverage."""
  del key
  first, second = _pair(fake, real, n)
  k = min(PRDC_NEAREST_K, n - 1)
  return list(precision_recall.prdc_jackknife(second, first, k=k))


def sliced_wasserstein(fake, real, key, n):
  """Along random directions."""
  return [
    sliced_wasserstein_distance.sliced_wasserstein_estimate(
      *_pair(fake, real, n), key
    )
  ]


def mmd(fake, real, key, n):
  """Permutation test with a Gaussian kernel."""
  return [mmd_lib.mmd_test(*_pair(fake, real, n), key, permutations=999)]


def c2st(fake, real, key, n):
  """Accuracy of a classifier that is trained to tell the sets apart."""
  return [two_sample.classifier_test(*_pair(fake, real, n), key)]


def nearest_neighbor(fake, real, key, n):
  """Leave-one-out 1-NN accuracy, over draws of the generated set."""
  del key
  reference_split = jnp.asarray(real.features[:n])
  accuracy = two_sample.nearest_neighbor_accuracy
  scores = lambda x: [accuracy(jnp.asarray(x), reference_split[: len(x)])]
  return mean_over_subsets(fake, scores, n, shared=True)


def explain_nearest_neighbor(fake, real):
  """What the number means."""
  del fake, real
  return [
    '1-NN accuracy: 0.5 where generated and held-out examples are alike, 1 '
    'where each has its nearest neighbour among its own'
  ]


def intra_class_fid(fake, real, key, n):
  """Frechet distance within classes."""
  del key, n
  found = class_conditional.intra_class_fid(
    real.features, real.labels, fake.features, fake.labels
  )
  count = len(found.values)
  error = found.values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
  return [resampling.Estimate(found.mean, error)]


def classification_accuracy_score(fake, real, key, n):
  """Accuracy on real examples of a classifier of generated ones."""
  del n
  classes = int(max(fake.labels.max(), real.labels.max())) + 1
  both = fake.features, fake.labels, real.features, real.labels
  return [
    class_conditional.classification_accuracy(
      *map(jnp.asarray, both), key, classes=classes
    )
  ]


def gaussian_divergence(fake, real, key, n):
  """KL and Wasserstein-2 of a fitted Gaussian to the true one."""
  del key, n
  distribution = real.source.distribution

  def scores(x):
    mean, covariance = gaussian.fit_gaussian(x)
    sides = mean, covariance, distribution.mean, distribution.covariance
    return gaussian.kl_divergence(*sides), gaussian.wasserstein_2(*sides)

  return mean_over_subsets(fake, scores)


def explain_gaussian_divergence(fake, real):
  """The fitted and the true Gaussian."""
  distribution = real.source.distribution
  mean, covariance = gaussian.fit_gaussian(fake.features)
  pairs = (
    ('mean', mean, distribution.mean),
    ('covariance', covariance, distribution.covariance),
  )
  rounded = lambda x: np.round(np.asarray(x, np.float64), 3).tolist()
  return [
    f'fitted {what} {rounded(fitted)}, truth {rounded(true)}'
    for what, fitted, true in pairs
  ]


def explain_frechet_distance(fake, real):
  """What too few examples do to it."""
  del real
  dim = fake.moments(min(10, fake.count // 2))[0].mean.shape[0]
  if fake.count > dim:
    return []
  return [
    f'{fake.count} examples of {dim} features: their '
    'covariance is singular and the Frechet distance far too high; compare it '
    'with its baseline, and at one number of examples (10,000 or 50,000 are usual)'
  ]


def mixture_modes(fake, real, key, n):
  """Modes, their share and balance, of a known mixture."""
  del key, n
  distribution = real.source.distribution
  scores = lambda x: mode_coverage.mode_scores(
    x, distribution.centres, distribution.sigma
  )
  return mean_over_subsets(fake, scores)


def stacked_mnist_modes(fake, real, key, n):
  """Modes of Stacked MNIST."""
  del real, key, n
  digits = fake.other(feature_extractors.stacked_digit_features())
  return mean_over_subsets(digits, stacked_mnist.stacked_modes)
