"""Metrics by name.

The baseline of a metric is the same function of two real sets, so each metric
is written once, in scorers.py. The table also has the requirements of each
metric (features of Inception, labels, a known distribution), which are checked
before anything is computed.
"""

from typing import Any, Callable, NamedTuple

import jax

from gan_jax.data import stacked_mnist as stacked_data
from gan_jax.data import synthetic
from gan_jax.evaluation import scorers
from gan_jax.evaluation.features import FeatureSet
from gan_jax.metrics import resampling

Result = list[resampling.Estimate | resampling.TestResult]
_TEST_SIZE = 1000  # examples per side of tests with quadratic cost


class Metric(NamedTuple):
  """A metric, or several that share one computation.

  Attributes:
    function: (generated set, real set, key, n) -> one result for each name.
    names: names of the results, for tables.
    better: for each result, 'lower', 'higher' or 'near 0.5'.
    reference_split: split that generated examples are compared with: 'train',
      as in the literature, or 'test', so that copies of training examples do
      not score well.
    error_over: quantity over which the standard error is computed.
    features: True for any features, 'inception' for those of FID, False for no
      features.
    needs_labels: whether both sets need classes.
    needs_logits: whether the features need a class head.
    distribution: type of the known distribution that the metric needs, or None.
    needs_all_features: whether all features of a set must be in memory.
    max_examples: for metrics that need equally many examples on both sides, the
      largest number; otherwise 0.
    subsets: for scores that are means over subsets, (real set, n) -> the scores
      of a subset; otherwise None.
    note: sentence on the scores of any examples, or ''.
    explain: (generated set, real set, results of `function`) -> sentences that
      explain the scores.
  """

  function: Callable[[FeatureSet, FeatureSet, jax.Array, int], Result]
  names: tuple[str, ...]
  better: tuple[str, ...]
  reference_split: str
  error_over: str
  features: Any = True
  needs_labels: bool = False
  needs_logits: bool = False
  distribution: Any = None
  needs_all_features: bool = True
  max_examples: int = 0
  subsets: Callable[[FeatureSet, int], scorers.SubsetScores] | None = None
  note: str = ''
  explain: Callable[[FeatureSet, FeatureSet, Result], list[str]] = lambda *_: []


_PRDC = ('precision', 'recall', 'density', 'coverage')
_GROUPS = 'jackknife over 10 groups of the evaluated examples'
_DRAWS = 'subsets of examples, or a jackknife if there is a single subset'
METRICS: dict[str, Metric] = {
  'fid': Metric(
    scorers.frechet_distance,
    ('FID',),
    ('lower',),
    'train',
    _GROUPS,
    features='inception',
    needs_all_features=False,
    explain=scorers.explain_frechet_distance,
  ),
  'fd': Metric(
    scorers.frechet_distance,
    ('Frechet distance',),
    ('lower',),
    'train',
    _GROUPS,
    needs_all_features=False,
    explain=scorers.explain_frechet_distance,
  ),
  'kid': Metric(
    scorers.kid,
    ('KID',),
    ('lower',),
    'train',
    'random subsets of both sets',
    features='inception',
  ),
  'kd': Metric(
    scorers.kid,
    ('kernel distance',),
    ('lower',),
    'train',
    'random subsets of both sets',
  ),
  'is': Metric(
    scorers.inception_score,
    ('Inception Score',),
    ('higher',),
    'train',
    '10 parts',
    features='inception',
    needs_logits=True,
  ),
  'classifier_score': Metric(
    scorers.inception_score,
    ('classifier score',),
    ('higher',),
    'train',
    '10 parts',
    needs_logits=True,
  ),
  'prdc': Metric(
    scorers.prdc,
    _PRDC,
    ('higher',) * 4,
    'train',
    'examples, with the other set fixed',
    max_examples=50_000,
  ),
  'swd': Metric(
    scorers.sliced_wasserstein,
    ('sliced Wasserstein',),
    ('lower',),
    'train',
    'directions',
    max_examples=50_000,
  ),
  'mmd': Metric(
    scorers.mmd,
    ('squared MMD',),
    ('lower',),
    'test',
    '',
    max_examples=_TEST_SIZE,
  ),
  'c2st': Metric(
    scorers.c2st,
    ('C2ST accuracy',),
    ('near 0.5',),
    'test',
    '',
    max_examples=10 * _TEST_SIZE,
  ),
  'nn': Metric(
    scorers.nearest_neighbor,
    ('1-NN accuracy',),
    ('near 0.5',),
    'test',
    f'{_DRAWS}, and the real set',
    max_examples=5 * _TEST_SIZE,
    subsets=scorers.nearest_neighbor_subsets,
    note=scorers.NEAREST_NEIGHBOR_NOTE,
  ),
  'intra_fd': Metric(
    scorers.intra_class_fid,
    ('intra-class Frechet',),
    ('lower',),
    'train',
    'classes',
    needs_labels=True,
  ),
  'cas': Metric(
    scorers.classification_accuracy_score,
    ('CAS',),
    ('higher',),
    'test',
    'test examples',
    needs_labels=True,
    explain=scorers.explain_classification_accuracy_score,
  ),
  'class_accuracy': Metric(
    scorers.class_accuracy,
    ('class accuracy',),
    ('higher',),
    'train',
    'generated examples',
    needs_labels=True,
    explain=scorers.explain_class_accuracy,
  ),
  'class_diversity': Metric(
    scorers.class_diversity,
    ('class diversity',),
    ('higher',),
    'train',
    'pairs of examples of a class',
    needs_labels=True,
    explain=scorers.explain_class_diversity,
  ),
  'kl': Metric(
    scorers.gaussian_divergence,
    ('KL to the truth, nats', 'Wasserstein-2 to the truth'),
    ('lower', 'lower'),
    'test',
    _DRAWS,
    features=False,
    distribution=synthetic.Gaussian,
    subsets=scorers.gaussian_subsets,
    explain=scorers.explain_gaussian_divergence,
  ),
  'modes': Metric(
    scorers.mixture_modes,
    (
      'modes found',
      'share within 3 sigma',
      'reverse KL, nats',
    ),
    ('higher', 'higher', 'lower'),
    'test',
    _DRAWS,
    features=False,
    distribution=synthetic.Mixture,
    subsets=scorers.mixture_subsets,
  ),
  'stacked_modes': Metric(
    scorers.stacked_mnist_modes,
    ('modes found of 1,000', 'reverse KL, nats'),
    ('higher', 'lower'),
    'test',
    _DRAWS,
    features=False,
    distribution=stacked_data.StackedMnistModes,
    subsets=scorers.stacked_mnist_subsets,
  ),
}
