"""The scores by name.

The baseline of a score is the same function of two real sets, so each is written
once, in measures.py. What a score needs of its sets (Inception's features,
labels, a known truth) is in the table, and is checked before anything is
computed.
"""

from typing import Any, Callable, NamedTuple

import jax

from gan_jax.data import stacked_mnist as stacked_data
from gan_jax.data import synthetic
from gan_jax.evaluation import scorers
from gan_jax.evaluation.features import FeatureSet
from gan_jax.metrics import resampling

Result = list[resampling.Estimate | resampling.TestResult]
_TEST_SIZE = 1000  # examples a side of the tests whose cost is quadratic


class Metric(NamedTuple):
  """A score, or several that come from one computation.

  Attributes:
    function: (generated set, real set, key, n) -> one result for each name.
    names: of the results, for tables.
    better: of each, 'lower', 'higher', or 'near 0.5'.
    against: the split that generated examples are compared with: 'train', as
      the literature has it, or 'test', so that copies do not pay.
    error: what the standard error is over.
    features: whether on features (of --features), or 'inception', or False.
    labels: whether both sets need classes.
    logits: whether the features need a class head.
    truth: the type of a known distribution that it is of, or None.
    whole: whether all features of a set are wanted at once.
    cap: where both sides must be of one size n, the largest; else 0.
    explain: (generated set, real set) -> sentences that go with the scores.
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
  explain: Callable[[FeatureSet, FeatureSet], list[str]] = lambda *_: []


_PRDC = ('precision', 'recall', 'density', 'coverage')
_GROUPS = 'jackknife over 10 groups of the examples scored'
_DRAWS = 'draws of examples, or a jackknife where there is one draw'
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
    'random subsets, for the chance of both sets',
    features='inception',
  ),
  'kd': Metric(
    scorers.kid,
    ('kernel distance',),
    ('lower',),
    'train',
    'random subsets, for the chance of both sets',
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
  'prdc': Metric(
    scorers.prdc,
    _PRDC,
    ('higher',) * 4,
    'train',
    'examples, the other set given',
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
    explain=scorers.explain_nearest_neighbor,
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
  ),
  'kl': Metric(
    scorers.gaussian_divergence,
    ('KL to the truth, nats', 'Wasserstein-2 to the truth'),
    ('lower', 'lower'),
    'test',
    _DRAWS,
    features=False,
    distribution=synthetic.Gaussian,
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
  ),
  'stacked_modes': Metric(
    scorers.stacked_mnist_modes,
    ('modes found of 1,000', 'reverse KL, nats'),
    ('higher', 'lower'),
    'test',
    _DRAWS,
    features=False,
    distribution=stacked_data.StackedMnistModes,
  ),
}
