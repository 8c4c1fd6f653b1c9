"""Real examples to compare with, and real examples for the baseline."""

from typing import Any, Mapping, NamedTuple

import numpy as np

from gan_jax import data
from gan_jax.data import ArraySource
from gan_jax.evaluation.statistics import FeatureStatistics

_NUM_BASELINE_SUBSETS = 20


class ReferenceData(NamedTuple):
  """A reference, and the two real sets whose score is the baseline.

  Attributes:
    reference: real examples that generated ones are compared with.
    baseline: real examples used in place of generated ones; None if there are
      none.
    baseline_reference: real examples that `baseline` is compared with.
    facts: description of `reference`, part of the key of cached features.
    baseline_facts: description of `baseline`.
    no_baseline: why there is none, or ''.
  """

  reference: data.Source
  baseline: data.Source | None
  baseline_reference: data.Source | None
  facts: Mapping[str, Any]
  baseline_facts: Mapping[str, Any]
  no_baseline: str = ''


def train_test_references(
  train: data.Source, test: data.Source, facts: Mapping[str, Any] | None = None
) -> dict[str, ReferenceData]:
  """Builds references of both splits, each the baseline of the other.

  Args:
    train: training split.
    test: held-out split. If the distribution of the data is known
      (`distribution`), the baseline is averaged over 20 fresh samples of it
      instead.
    facts: description of the data, part of the key of cached features.

  Returns:
    {'train': ..., 'test': ...}.
  """
  facts = facts or {'data': 'own'}
  sides = {'train': train, 'test': test}
  described = {name: {**facts, 'split': name} for name in sides}
  pairs = (('train', 'test'), ('test', 'train'))
  return {
    name: ReferenceData(
      sides[name], sides[other], sides[name], described[name], described[other]
    )
    for name, other in pairs
  }


def split_half_reference(
  source: data.Source, facts: Mapping[str, Any]
) -> dict[str, ReferenceData]:
  """Builds a reference of one set; the baseline compares its two halves.

  Args:
    source: real examples.
    facts: description of the data, part of the key of cached features.

  Returns:
    {'all': ...}; without a baseline if there are fewer than 4 examples.
  """
  if len(source) < 4:
    reason = f'{len(source)} real examples; two halves need at least 4'
    return {'all': ReferenceData(source, None, None, facts, {}, reason)}
  order = np.random.default_rng(1).permutation(len(source))
  half = len(order) // 2
  first, second = (
    _Subset(source, order[i * half : (i + 1) * half]) for i in (0, 1)
  )
  described = lambda split: {**facts, 'split': split}
  return {
    'all': ReferenceData(
      source, first, second, described('all'), described('half')
    )
  }


def statistics_reference(
  statistics: FeatureStatistics, facts: Mapping[str, Any]
) -> dict[str, ReferenceData]:
  """Builds a reference of published statistics, which have no baseline.

  Args:
    statistics: mean and covariance of the features of real examples.
    facts: description of them.

  Returns:
    {'all': ...}.
  """
  reason = 'statistics hold no examples to compare'
  return {'all': ReferenceData(statistics, None, None, facts, {}, reason)}


class _Subset:
  """Subset of the examples of a source."""

  def __init__(self, source, indices):
    self._source, self._indices = source, indices
    self.shape, self.distribution = source.shape, source.distribution
    self.fingerprint = getattr(source, 'fingerprint', '')
    self.sample_rate = data.sample_rate(source)

  def __len__(self):
    return len(self._indices)

  def __getitem__(self, indices):
    return self._source[self._indices[indices]]


def sample_distribution(
  distribution: Any, count: int, seed: int
) -> data.Source:
  """Samples the true distribution, as a perfect generator would.

  Args:
    distribution: distribution with a method sample(size, seed).
    count: number of examples to evaluate; 20 times as many are sampled.
    seed: seed of the samples.

  Returns:
    The samples as a source.
  """
  size = _NUM_BASELINE_SUBSETS * count
  return ArraySource(
    distribution.sample(size, [seed, 2]), distribution=distribution
  )
