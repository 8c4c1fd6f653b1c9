"""Real examples to compare with, and those that make the baseline."""

from typing import Any, Mapping, NamedTuple

import numpy as np

from gan_jax import data
from gan_jax.data import ArraySource

_NUM_BASELINE_SUBSETS = 20


class ReferenceData(NamedTuple):
  """What to compare with, and the two sets whose score is the baseline.

  Attributes:
    reference: real examples that generated ones are compared with.
    baseline: real examples in the place of generated ones.
    floor_reference: what those are compared with.
    facts: of the reference, for the key of stored features.
    floor_facts: of `baseline`.
  """

  reference: data.Source
  baseline: data.Source
  baseline_reference: data.Source
  facts: Mapping[str, Any]
  baseline_facts: Mapping[str, Any]


def train_test_references(
  train: data.Source, test: data.Source, facts: Mapping[str, Any] | None = None
) -> dict[str, ReferenceData]:
  """Both splits of a data set as references, each the baseline of the other.

  Args:
    train: the training split.
    test: the held-out split; where their distribution is known (`truth`), the
      baseline is 20 fresh draws of it instead.
    facts: what the data are, for the key of stored features.

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
  """One real set as the reference; the baseline is one half against the other.

  Args:
    source: the set.
    facts: what it is, for the key of stored features.

  Returns:
    {'all': ...}.

  Raises:
    ValueError: for fewer than 4 examples.
  """
  if len(source) < 4:
    raise ValueError(
      f'{len(source)} real examples: must be at least 4, for two halves'
    )
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


class _Subset:
  """Some examples of a source."""

  def __init__(self, source, indices):
    self._source, self._indices = source, indices
    self.shape, self.distribution = source.shape, source.distribution
    self.fingerprint = getattr(source, 'fingerprint', '')

  def __len__(self):
    return len(self._indices)

  def __getitem__(self, indices):
    return self._source[self._indices[indices]]


def sample_distribution(
  distribution: Any, count: int, seed: int
) -> data.Source:
  """Examples of the truth itself: what a perfect generator would draw."""
  size = _NUM_BASELINE_SUBSETS * count
  return ArraySource(
    distribution.sample(size, [seed, 2]), distribution=distribution
  )
