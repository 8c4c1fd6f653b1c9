"""Evaluates generated examples with metrics and baselines.

  evaluator = Evaluator(
    reference_data.train_test_references(train, test), ['prdc', 'c2st']
  )
  rows = evaluator(source)  # any data.Source: generated, from files, ...

Each row has a standard error and a baseline: the same metric of held-out real
examples in place of generated ones, at the same size if there are enough.
"""

import math
from typing import Any, Mapping, Sequence

import jax
import numpy as np

from gan_jax import data
from gan_jax.evaluation import (
  feature_cache,
  feature_extractors,
  features,
  reference_data,
  statistics,
)
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.features import FeatureSet
from gan_jax.evaluation.registry import METRICS, Metric
from gan_jax.evaluation.results import (
  MetricResult,
  check_applicable,
  check_labels,
  default_metrics,
  parse_metrics,
)
from gan_jax.metrics import checks


class _NoBaseline(Exception):
  """The baseline of a metric cannot be computed; the message has the reason."""


class Evaluator:
  """Evaluates any source of examples against real data.

  Results for the real data are cached for the next call.

  Attributes:
    names: names of the metrics, keys of METRICS.
    extractor: extractor of the features that the metrics use.
    count: number of examples to evaluate.
    seed: seed of the random parts of metrics.
    track: progress callback, see FeatureSet.
    notes: remarks on the scores, one sentence each.
  """

  def __init__(
    self,
    real: Mapping[str, reference_data.ReferenceData],
    names: Sequence[str] = (),
    *,
    extractor: FeatureExtractor | None = None,
    count: int = 1000,
    real_count: int = 0,
    reference_split: str = '',
    seed: int = 0,
    devices: Sequence[jax.Device] = (),
    store: feature_cache.FeatureCache | None = None,
    track: features.ProgressFn | None = None,
  ):
    """Checks that the metrics can be computed; computes nothing.

    Args:
      real: reference data by split.
      names: names of the metrics; () for those that suit the data.
      extractor: extractor of the features; None for pixels.
      count: number of examples to evaluate.
      real_count: number of examples of the reference; 0 for all.
      reference_split: split to compare with; '' for the default split of each
        metric.
      seed: seed of the random parts of metrics and of fresh samples of a known
        distribution.
      devices: devices that share the work; () for the default device.
      store: cache of the features of real data, or None.
      track: progress callback, see FeatureSet.

    Raises:
      ValueError: if a metric is unknown or does not suit the features or the
        data, or a count is out of range.
    """
    if count < 2:
      raise ValueError(f'count={count}: must be at least 2 examples')
    if real_count < 0 or real_count == 1:
      raise ValueError(
        f'num_real={real_count}: must be at least 2, or 0 for all'
      )
    if reference_split and reference_split not in real:
      raise ValueError(
        f'reference_split={reference_split!r}: choose one of {sorted(real)}'
      )
    first = next(iter(real.values())).reference
    self.names = tuple(names) or default_metrics(first)
    self.extractor = extractor or feature_extractors.pixel_features()
    self.count, self._real_count = count, real_count
    self._real, self._reference_split = dict(real), reference_split
    self._options = {'devices': devices}
    self.track = track or features.no_progress
    self._options['track'] = self.track
    self._store, self.seed = store, seed
    # If one metric needs all features in memory, the others use them as well.
    self._options['keep_in_memory'] = any(
      METRICS[name].features and METRICS[name].needs_all_features
      for name in self.names
    )
    # If all metrics compare equal numbers of examples, no more are needed.
    if all(METRICS[name].max_examples for name in self.names):
      self._real_count = min(count, real_count or count)
    self._sets: dict[Any, FeatureSet] = {}
    self._baselines: dict[str, Any] = {}
    self.notes: list[str] = []
    for name in self.names:
      split = self._split(METRICS[name])
      check_applicable(name, self.extractor, self._real[split].reference)

  def _split(self, metric: Metric) -> str:
    if self._reference_split:
      return self._reference_split
    return (
      metric.reference_split if metric.reference_split in self._real else 'all'
    )

  def _feature_set(self, metric, source, name, *, count, facts) -> FeatureSet:
    """Returns features of real examples, cached for later metrics and calls."""
    known = metric.features is False
    extractor = feature_extractors.pixel_features() if known else self.extractor
    key = id(source), count, extractor.name
    if key not in self._sets:
      # Features of other extractors are computed faster than they are read.
      store = self._store if extractor.name == 'inception' else None
      self._sets[key] = FeatureSet(
        source,
        extractor,
        count=count,
        name=name,
        store=store,
        facts=facts,
        **self._options,
      )
    return self._sets[key]

  def _reference(
    self, metric, source, of: reference_data.ReferenceData
  ) -> FeatureSet | statistics.StatisticsSet:
    if isinstance(source, statistics.FeatureStatistics):
      return statistics.StatisticsSet(source)
    count = min(self._real_count, len(source))
    return self._feature_set(
      metric, source, 'real', count=count, facts=of.facts
    )

  def _score(self, name, fake: FeatureSet, real: FeatureSet):
    metric = METRICS[name]
    if metric.needs_labels:
      check_labels(name, fake, real)
    key = jax.random.key(self.seed)
    n = compared_size(metric, fake.count, real.count)
    advance = self.track(f'score {name}', 1)
    scores = jax.device_get(list(metric.function(fake, real, key, n)))
    advance(1)
    return scores

  def _baseline(self, name: str, count: int):
    """Returns the cached score of real examples, with the two sets compared.

    Raises:
      _NoBaseline: with the reason, if it cannot be computed.
    """
    if (name, count) not in self._baselines:
      try:
        self._baselines[name, count] = self._compute_baseline(name, count)
      except _NoBaseline as error:
        self._baselines[name, count] = error
    found = self._baselines[name, count]
    if isinstance(found, _NoBaseline):
      raise found
    return found

  def _compute_baseline(self, name: str, count: int):
    metric = METRICS[name]
    of = self._real[self._split(metric)]
    if of.no_baseline:
      raise _NoBaseline(of.no_baseline)
    source, distribution = of.baseline, of.reference.distribution
    if metric.distribution and hasattr(distribution, 'sample'):
      source = reference_data.sample_distribution(
        distribution, count, self.seed
      )
    fake = self._feature_set(
      metric,
      source,
      'real, for the baseline',
      count=min(count, len(source)),
      facts=of.baseline_facts,
    )
    real = self._reference(metric, of.baseline_reference, of)
    try:
      return fake, real, self._score(name, fake, real)
    except checks.NonFiniteError:
      raise
    except ValueError as error:
      raise _NoBaseline(
        f'of the {fake.count:,} and {real.count:,} real examples that it would '
        f'compare: {error}'
      ) from error

  def __call__(self, source: data.Source) -> list[MetricResult]:
    """Evaluates examples.

    Args:
      source: source of the examples. If it has several times `count`, cheap
        metrics are means over several disjoint subsets.

    Returns:
      One or more rows for each of `names`.

    Raises:
      ValueError: if the shape of the examples does not suit the features, or
        classes that a metric needs are missing.
    """
    self.notes = []
    rows = []
    count = min(self.count, len(source))
    if count < self.count:
      self.notes.append(
        f'evaluated on all {count} examples of the source instead of '
        f'{self.count}'
      )
    fake = FeatureSet(
      source, self.extractor, count=count, name='generated', **self._options
    )
    for name in self.names:
      known = METRICS[name].features is False
      of = fake.other(feature_extractors.pixel_features()) if known else fake
      rows += self.evaluate_features(name, of)
    return rows

  def evaluate_features(
    self, name: str, fake: FeatureSet
  ) -> list[MetricResult]:
    """Computes one metric of a set of examples, and adds to the notes.

    Args:
      name: name of the metric, one of `names`.
      fake: the examples.

    Returns:
      One or more rows.

    Raises:
      ValueError: as the call.
    """
    metric = METRICS[name]
    of = self._real[self._split(metric)]
    if isinstance(of.reference, statistics.FeatureStatistics):
      of.reference.check_dim(fake.features.shape[1])
    else:
      self._check_shapes(name, fake.source.shape, of.reference.shape)
    real = self.real_set(name)
    found = self._score(name, fake, real)
    return self.make_rows(
      name, found, fake.count, metric.explain(fake, real, found)
    )

  def real_set(self, name: str) -> FeatureSet | statistics.StatisticsSet:
    """Returns the real examples that a metric compares with.

    Args:
      name: name of the metric, one of `names`.
    """
    metric = METRICS[name]
    of = self._real[self._split(metric)]
    return self._reference(metric, of.reference, of)

  def make_rows(
    self,
    name: str,
    found: Sequence[Any],
    count: int,
    explained: Sequence[str] = (),
  ) -> list[MetricResult]:
    """Puts scores beside their baselines, and adds to the notes.

    Args:
      name: name of the metric, one of `names`.
      found: its Estimates or TestResults.
      count: number of examples that were evaluated.
      explained: sentences on the scores.

    Returns:
      A row for each score.
    """
    metric = METRICS[name]
    try:
      compared = _compare_to_baseline(count, self._baseline(name, count)[0])
    except _NoBaseline as error:
      compared = [f'{metric.names[0]} has no baseline: {error}']
    for sentence in (metric.note, *explained, *compared):
      self._note(sentence)
    sides = ('generated', count), ('real', self.real_set(name).count)
    counts = _as_counts(metric, *sides)
    return [
      row._replace(
        value=float(value[0]),
        error=_as_error(value),
        p_value=_as_p_value(value),
        counts=counts | row.counts,
      )
      for value, row in zip(found, self._baseline_rows(name, count))
    ]

  def baselines(self) -> list[MetricResult]:
    """Returns rows with baselines only: `value` is None.

    Raises:
      ValueError: if a metric has no baseline.
    """
    for name in self.names:
      try:
        self._baseline(name, self.count)
      except _NoBaseline as error:
        raise ValueError(f'{name!r} has no baseline: {error}') from error
    return [
      row
      for name in self.names
      for row in self._baseline_rows(name, self.count)
    ]

  def _baseline_rows(self, name: str, count: int) -> list[MetricResult]:
    metric = METRICS[name]
    counts: dict[str, Any] = {}
    try:
      fake, real, found = self._baseline(name, count)
      sides = ('baseline', fake.count), ('baseline_real', real.count)
      counts = _as_counts(metric, *sides)
    except _NoBaseline:
      found = [None] * len(metric.names)
    return [
      MetricResult(
        metric=name,
        name=title,
        value=None,
        error=None,
        baseline=None if baseline is None else float(baseline[0]),
        baseline_error=_as_error(baseline),
        p_value=None,
        baseline_p_value=_as_p_value(baseline),
        better=better,
        error_is=metric.error_over,
        counts=counts,
        real='truth' if metric.distribution else self._split(metric),
      )
      for title, better, baseline in zip(metric.names, metric.better, found)
    ]

  def _check_shapes(self, name, fake, real) -> None:
    if tuple(fake) == tuple(real):
      return
    if METRICS[name].features is False:
      raise ValueError(
        f'the examples have shape {tuple(fake)}, the data {tuple(real)}: the '
        f'shapes must be equal for the metric {name!r}'
      )
    dtype = np.uint8 if len(fake) == 3 else np.float32
    feature_extractors.feature_dim(self.extractor, tuple(fake), dtype)
    if not self.extractor.fits_shapes or len(fake) != len(real):
      raise ValueError(
        f'the examples have shape {tuple(fake)}, the data {tuple(real)}: the '
        f'shapes must be equal for the metric {name!r} on '
        f'{self.extractor.name!r} features'
      )
    self._note(
      f'the examples have shape {tuple(fake)}, the data {tuple(real)}; both '
      'are resized for the features'
    )

  def _note(self, sentence: str) -> None:
    if sentence and sentence not in self.notes:
      self.notes.append(sentence)


def compared_size(metric: Metric, fake: int, real: int | float) -> int:
  """Returns the number of examples of each side, where it must be equal.

  Args:
    metric: the metric.
    fake: number of generated examples.
    real: number of real examples; infinity for statistics.
  """
  n = min(fake, real)
  return min(n, metric.max_examples or n)


def _compare_to_baseline(count: int, baseline: FeatureSet) -> list[str]:
  if baseline.count >= count:
    return []
  return [
    f'the baseline uses all {baseline.count:,} real examples instead of '
    f'{count:,}, and scores depend on that number (FID decreases with it)'
  ]


def _as_counts(
  metric: Metric, *sides: tuple[str, int | float]
) -> dict[str, int | float]:
  """Returns the number of examples used of each side."""
  counts = {name: count for name, count in sides if count != math.inf}
  if not metric.max_examples:
    return counts
  return dict.fromkeys(counts, min(*counts.values(), metric.max_examples))


def _as_error(result: Any) -> float | None:
  error = getattr(result, 'error', None)
  return None if error is None or np.isnan(error) else float(error)


def _as_p_value(result: Any) -> float | None:
  return float(result.p_value) if hasattr(result, 'p_value') else None


def make_evaluator(
  real: Mapping[str, reference_data.ReferenceData],
  options: Any,
  extractor: FeatureExtractor | None = None,
  **more: Any,
) -> Evaluator:
  """Builds an evaluator from the section `eval` of a config.

  Args:
    real: reference data by split.
    options: `config.eval`.
    extractor: extractor of features; None for the one that the options name.
    **more: `devices`, `seed`, `store` and `track` of the Evaluator.

  Returns:
    The evaluator.

  Raises:
    ValueError: see Evaluator.
    OSError: if the weights of Inception are needed but not available.
  """
  names = parse_metrics(options.metrics)
  inception = any(METRICS[name].features == 'inception' for name in names)
  reference = next(iter(real.values())).reference
  extractor = extractor or feature_extractors.make_feature_extractor(
    options.features or ('inception' if inception else 'pixels'),
    path=options.feature_weights,
    protocol=options.protocol,
    sample_rate=data.sample_rate(reference),
  )
  return Evaluator(
    real,
    names,
    extractor=extractor,
    count=options.num_samples,
    real_count=options.num_real,
    reference_split=options.reference_split,
    **more,
  )
