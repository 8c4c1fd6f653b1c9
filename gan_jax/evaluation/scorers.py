"""Functions of `registry.METRICS`, of a generated and a real set.

Each takes (generated, real, key, n): two features.FeatureSet, a typed key, and
the number of examples for metrics that need equally many on both sides. It
returns one Estimate or TestResult for each name of its entry in the table.
Functions named explain_... return sentences.

Those named ..._subsets return the scores of a subset as a function that JAX can
trace: metrics that are means over subsets score many members of an ensemble in
one program (member_evaluator.py).
"""

from typing import Any, Callable, NamedTuple

import jax
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


class SubsetScores(NamedTuple):
  """Scores of any number of examples, to be averaged over disjoint subsets.

  Attributes:
    function: function from features `[n, d]` to a tuple of scalars.
    size: n; 0 for the number of examples that are evaluated.
    shared: whether all subsets are compared with a single real set of their
      size, whose sampling error is then as large as that of one subset.
    extractor: extractor of the features; None for that of the metric.
  """

  function: Callable[[np.ndarray], Any]
  size: int = 0
  shared: bool = False
  extractor: feature_extractors.FeatureExtractor | None = None


def mean_over_subsets(
  fake: FeatureSet, scores: SubsetScores
) -> list[resampling.Estimate]:
  """Computes scores of a set, with errors over independent subsets.

  Args:
    fake: set of examples; if its source has more examples, disjoint sets of the
      same size are evaluated as well.
    scores: scores of a subset.

  Returns:
    For each score, the mean and its standard error over subsets. With a single
    subset, its value and the error of a jackknife over 10 groups.
  """
  function = scores.function
  draws = fake.disjoint_subsets(scores.size or fake.count)
  if len(draws) > 1:
    values = np.array([function(draw.features) for draw in draws])
    return estimates_of_subsets(values, scores.shared)
  (draw,) = draws
  return [
    resampling.jackknife(
      lambda x, i=i: jnp.asarray(function(x)[i]),
      draw.features,
      groups=min(10, draw.count),
    )
    for i in range(len(function(draw.features)))
  ]


def estimates_of_subsets(
  values: np.ndarray, shared: bool
) -> list[resampling.Estimate]:
  """Computes means over subsets, and their errors.

  Args:
    values: scores of at least 2 subsets, `[..., subsets, k]`.
    shared: as in SubsetScores.

  Returns:
    For each of the k scores, its mean and standard error, `[...]`.
  """
  spread = 1 / values.shape[-2] + (1 if shared else 0)
  with np.errstate(invalid='ignore'):  # infinite scores have no error
    errors = values.std(axis=-2, ddof=1) * np.sqrt(spread)
  means = values.mean(axis=-2)
  return [
    resampling.Estimate(means[..., k], errors[..., k])
    for k in range(values.shape[-1])
  ]


def values_of_subsets(
  scores: SubsetScores, x: jax.Array, size: int
) -> jax.Array:
  """Computes scores of disjoint subsets, traceable by JAX.

  Args:
    scores: scores of a subset.
    x: features of all examples, `[n, d]`.
    size: number of examples of a subset.

  Returns:
    The k scores of each subset, `[subsets, k]` float32. With a single subset,
    `[1 + groups, k]`: its scores, and those without each group of a jackknife.
  """
  # Sums of some scores are float64, which loops cannot return.
  one = lambda x: jnp.stack(
    [jnp.asarray(v).astype(jnp.float32) for v in scores.function(x)]
  )
  count = len(x) // size
  if count > 1:
    parts = x[: count * size].reshape(count, size, *x.shape[1:])
    return jax.lax.map(one, parts)
  group = np.arange(size) % min(10, size)
  left_out = [one(x[:size][group != i]) for i in range(group.max() + 1)]
  return jnp.stack([one(x[:size]), *left_out])


def estimates_of_jackknife(values: np.ndarray) -> list[resampling.Estimate]:
  """Computes the errors of the scores of a single subset.

  Args:
    values: result of values_of_subsets for a single subset,
      `[..., 1 + groups, k]`.

  Returns:
    For each of the k scores, its value and standard error, `[...]`.
  """
  groups = values.shape[-2] - 1
  with np.errstate(invalid='ignore'):
    spread = values[..., 1:, :].var(axis=-2, dtype=np.float64)
  errors = np.sqrt((groups - 1) * spread)
  return [
    resampling.Estimate(values[..., 0, k], errors[..., k])
    for k in range(values.shape[-1])
  ]


def _pair(fake, real, n):
  return jnp.asarray(fake.features[:n]), jnp.asarray(real.features[:n])


def frechet_distance(fake, real, key, n):
  """Computes the Frechet distance of features (FID on those of Inception)."""
  del key, n
  if min(fake.count, real.count) < 4:
    raise ValueError(
      f'Frechet distance of {fake.count} examples to {real.count}: needs at '
      'least 4 of each, for two covariances and an error'
    )
  (reference,) = real.moments(1)
  groups = min(10, fake.count // 2)
  return [frechet.frechet_jackknife(fake.moments(groups), reference)]


def kid(fake, real, key, n):
  """Computes the squared MMD of features (KID on Inception)."""
  # Unbiased at any size; an error needs at least two subsets.
  size = max(2, min(1000, n // 2))
  sides = (jnp.asarray(side.features) for side in (real, fake))
  return [mmd_lib.kid(*sides, key, subset_size=size)]


def inception_score(fake, real, key, n):
  """Computes the Inception Score of the generated set."""
  del real, key, n
  splits = min(10, fake.count)
  return [inception_score_metric.inception_score(fake.logits, splits=splits)]


def prdc(fake, real, key, n):
  """Computes precision, recall, density and coverage."""
  del key
  first, second = _pair(fake, real, n)
  k = min(PRDC_NEAREST_K, n - 1)
  return list(precision_recall.prdc_jackknife(second, first, k=k))


def sliced_wasserstein(fake, real, key, n):
  """Computes the sliced Wasserstein distance along random directions."""
  return [
    sliced_wasserstein_distance.sliced_wasserstein_estimate(
      *_pair(fake, real, n), key
    )
  ]


def mmd(fake, real, key, n):
  """Runs the MMD permutation test with a Gaussian kernel."""
  return [mmd_lib.mmd_test(*_pair(fake, real, n), key, permutations=999)]


def c2st(fake, real, key, n):
  """Computes the accuracy of a classifier trained to distinguish the sets."""
  return [two_sample.classifier_test(*_pair(fake, real, n), key)]


def nearest_neighbor(fake, real, key, n):
  """Computes the leave-one-out 1-NN accuracy over generated subsets."""
  del key
  return mean_over_subsets(fake, nearest_neighbor_subsets(real, n))


def nearest_neighbor_subsets(real, n) -> SubsetScores:
  """Returns the leave-one-out 1-NN accuracy of a subset."""
  reference_split = jnp.asarray(real.features[:n])
  accuracy = two_sample.nearest_neighbor_accuracy
  scores = lambda x: [accuracy(jnp.asarray(x), reference_split[: len(x)])]
  return SubsetScores(scores, n, shared=True)


NEAREST_NEIGHBOR_NOTE = (
  '1-NN accuracy: 0.5 if generated and held-out examples are '
  'indistinguishable, 1 if all nearest neighbors are on the same side, and '
  'below 0.5 if generated examples lie closer to held-out ones than those to '
  'one another, as copies of them do'
)


def intra_class_fid(fake, real, key, n):
  """Computes the mean Frechet distance within classes."""
  del key, n
  found = class_conditional.intra_class_fid(
    real.features, real.labels, fake.features, fake.labels
  )
  count = len(found.values)
  error = found.values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
  return [resampling.Estimate(found.mean, error)]


def classification_accuracy_score(fake, real, key, n):
  """Computes the accuracy on real data of a classifier of generated data."""
  del n
  classes = int(max(fake.labels.max(), real.labels.max())) + 1
  both = fake.features, fake.labels, real.features, real.labels
  return [
    class_conditional.classification_accuracy(
      *map(jnp.asarray, both), key, classes=classes
    )
  ]


def class_accuracy(fake, real, key, n):
  """Computes the accuracy on generated data of a classifier of real data."""
  del n
  classes = int(max(fake.labels.max(), real.labels.max())) + 1
  both = real.features, real.labels, fake.features, fake.labels
  return [
    class_conditional.class_accuracy(
      *map(jnp.asarray, both), key, classes=classes
    )
  ]


def class_diversity(fake, real, key, n):
  """Computes the mean distance within classes, over that of real data."""
  del key, n
  return [
    class_conditional.class_diversity(
      real.features, real.labels, fake.features, fake.labels
    )
  ]


def explain_classification_accuracy_score(fake, real, found):
  """Names the class of real examples with the lowest accuracy."""
  del fake
  return [_lowest_class('CAS', found[0].per_class, real.labels)]


def explain_class_accuracy(fake, real, found):
  """Names the class of generated examples with the lowest accuracy."""
  del real
  return [_lowest_class('class accuracy', found[0].per_class, fake.labels)]


def explain_class_diversity(fake, real, found):
  """Names the least diverse class of generated examples."""
  del real
  scores = np.full(found[0].classes.max() + 1, np.nan)
  scores[found[0].classes] = found[0].per_class
  return [_lowest_class('class diversity', scores, fake.labels)]


def _lowest_class(name, per_class, labels) -> str:
  scores = np.asarray(per_class)
  label = int(np.nanargmin(scores))
  count = int((np.asarray(labels) == label).sum())
  return (
    f'{name}: lowest in class {label}, {scores[label]:.3f} of {count:,} '
    f'examples; highest {np.nanmax(scores):.3f}'
  )


def gaussian_divergence(fake, real, key, n):
  """Computes KL and Wasserstein-2 of a fitted Gaussian to the true one."""
  del key
  return mean_over_subsets(fake, gaussian_subsets(real, n))


def gaussian_subsets(real, n) -> SubsetScores:
  """Returns KL and Wasserstein-2 of a Gaussian fitted to a subset."""
  del n
  distribution = real.source.distribution

  def scores(x):
    mean, covariance = gaussian.fit_gaussian(x)
    sides = mean, covariance, distribution.mean, distribution.covariance
    return gaussian.kl_divergence(*sides), gaussian.wasserstein_2(*sides)

  return SubsetScores(scores)


def explain_gaussian_divergence(fake, real, found):
  """Returns the parameters of the fitted and of the true Gaussian."""
  del found
  distribution = real.source.distribution
  mean, covariance = gaussian.fit_gaussian(fake.features)
  pairs = (
    ('mean', mean, distribution.mean),
    ('covariance', covariance, distribution.covariance),
  )
  rounded = lambda x: np.round(np.asarray(x, np.float64), 3).tolist()
  return [
    f'{what}: fitted {rounded(fitted)}, true {rounded(true)}'
    for what, fitted, true in pairs
  ]


def explain_frechet_distance(fake, real, found):
  """Warns if there are fewer examples than features."""
  del real, found
  dim = fake.moments(min(10, fake.count // 2))[0].mean.shape[0]
  if fake.count > dim:
    return []
  return [
    f'{fake.count} examples of {dim} features: their covariance is singular '
    'and the Frechet distance far too high; compare it only with its baseline '
    'and at equal numbers of examples (10,000 or 50,000 are common)'
  ]


def mixture_modes(fake, real, key, n):
  """Computes the modes, their share and their balance, of a known mixture."""
  del key
  return mean_over_subsets(fake, mixture_subsets(real, n))


def mixture_subsets(real, n) -> SubsetScores:
  """Returns the modes of a subset, their share and their balance."""
  del n
  distribution = real.source.distribution
  scores = lambda x: mode_coverage.mode_scores(
    x, distribution.centers, distribution.sigma
  )
  return SubsetScores(scores)


def stacked_mnist_modes(fake, real, key, n):
  """Computes the modes of Stacked MNIST."""
  del key
  scores = stacked_mnist_subsets(real, n)
  return mean_over_subsets(fake.other(scores.extractor), scores)


def stacked_mnist_subsets(real, n) -> SubsetScores:
  """Returns the modes of a subset of Stacked MNIST."""
  del real, n
  return SubsetScores(
    stacked_mnist.stacked_modes,
    extractor=feature_extractors.stacked_digit_features(),
  )
