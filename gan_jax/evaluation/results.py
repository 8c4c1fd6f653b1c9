"""Results of metrics: selection, checks, ranking and records."""

import math
import sys
from typing import Any, NamedTuple, Sequence

import jax
import numpy as np

from gan_jax import __version__, data
from gan_jax.evaluation import feature_extractors, statistics
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.features import FeatureSet
from gan_jax.evaluation.networks import inception
from gan_jax.evaluation.registry import METRICS
from gan_jax.report.score_text import format_score
from gan_jax.validation import unknown_name_message

MAX_DIM = 4096  # largest covariance: float64, 134 MB
NUM_SUBSETS = 5  # subsets that a cheap metric of a generator is averaged over
_CHEAP = 5000


class MetricResult(NamedTuple):
  """Result of one metric.

  Attributes:
    metric: key in METRICS.
    name: name for tables.
    value: score of the generated examples; None for baselines only.
    error: standard error of the score; None if it has none, or a p-value.
    baseline: score of real examples; for a share, the ceiling. None if there
      is none, for which the notes have the reason.
    baseline_error: standard error of the baseline, or None.
    p_value: p-value of a test; otherwise None.
    baseline_p_value: p-value of the baseline; otherwise None.
    better: 'lower', 'higher' or 'near 0.5'.
    error_is: quantity over which the standard error is computed.
    counts: numbers of examples: 'generated', 'real', 'baseline', 'baseline_real'.
    real: split of the reference, or 'truth' for a known distribution.
  """

  metric: str
  name: str
  value: float | None
  error: float | None
  baseline: float | None
  baseline_error: float | None
  p_value: float | None
  baseline_p_value: float | None
  better: str
  error_is: str
  counts: dict[str, int]
  real: str

  def __repr__(self) -> str:  # one line of a notebook
    value = format_score(self.value, self.error, self.p_value)
    baseline = format_score(
      self.baseline, self.baseline_error, self.baseline_p_value
    )
    return f'{self.name}: {value} (real data: {baseline})'


def default_metrics(source: data.Source) -> tuple[str, ...]:
  """Returns the default metrics: those of a known distribution, or 1-NN."""
  distribution = getattr(source, 'distribution', None)
  known = [
    name
    for name, metric in METRICS.items()
    if metric.distribution is not None
    and isinstance(distribution, metric.distribution)
  ]
  return tuple(known) or ('nn',)


def parse_metrics(text: str) -> tuple[str, ...]:
  """Parses names of metrics such as 'fid,kid,prdc'.

  Raises:
    ValueError: if a name is not in METRICS.
  """
  names = tuple(n.strip() for n in text.split(',') if n.strip())
  for name in names:
    if name not in METRICS:
      raise ValueError(unknown_name_message(name, METRICS, 'metric'))
  return names


def check_applicable(
  name: str, extractor: FeatureExtractor, real: data.Source
) -> None:
  """Checks that a metric suits the features and the data.

  Args:
    name: name of the metric, a key of METRICS.
    extractor: extractor of the features.
    real: real data.

  Raises:
    ValueError: if it does not; the message has the reason.
  """
  metric = METRICS[name]
  if isinstance(real, statistics.FeatureStatistics):
    _check_statistics(name, extractor, real)
    return
  shape = tuple(real.shape)
  if metric.distribution is not None:
    if not isinstance(real.distribution, metric.distribution):
      raise ValueError(
        f'the metric {name!r} needs data whose distribution is known, a '
        f'{metric.distribution.__name__}'
      )
    return
  if metric.features == 'inception' and not extractor.is_reference_inception:
    general = {'fid': 'fd', 'kid': 'kd', 'is': 'classifier_score'}.get(name)
    hint = f'; {general!r} is the same for any features' if general else ''
    other = ' with other weights' if extractor.name == 'inception' else ''
    raise ValueError(
      f'the metric {name!r} needs the features of the FID Inception network; '
      f'the features are {extractor.name!r}{other}{hint}'
    )
  if metric.needs_logits and extractor.logits is None:
    raise ValueError(
      f'the metric {name!r} needs features with a class head, and '
      f"{extractor.name!r} have none: must be 'inception' or 'spoken_digits'"
    )
  if metric.features == 'inception' and metric.needs_logits:
    # Raises an error with the reason if there are no logits.
    features = jax.ShapeDtypeStruct((2, inception.FEATURES), np.float32)
    jax.eval_shape(extractor.logits, extractor.params, features)
  dtype = np.uint8 if len(shape) == 3 else np.float32
  dim = feature_extractors.feature_dim(extractor, shape, dtype)
  if name in ('fd', 'intra_fd') and dim > MAX_DIM:
    raise ValueError(
      f'the metric {name!r} computes a covariance of at most {MAX_DIM} '
      f'features; {extractor.name!r} gives {dim:,} for these examples: choose '
      'other features'
    )


def _check_statistics(
  name: str, extractor: FeatureExtractor, real: statistics.FeatureStatistics
) -> None:
  if name not in statistics.METRICS:
    raise ValueError(
      f'the metric {name!r} compares examples, and {real.name} holds the mean '
      f'and covariance of features alone: for {", ".join(statistics.METRICS)}'
    )
  if METRICS[name].features == 'inception':
    if not extractor.is_reference_inception:
      raise ValueError(
        f'the metric {name!r} needs the features of the FID Inception network; '
        f'the features are {extractor.name!r}'
      )
    real.check_dim(inception.FEATURES)


def check_labels(name: str, fake: FeatureSet, real: FeatureSet) -> None:
  """Checks that both sets have classes, and generated ones no others.

  Raises:
    ValueError: if not; the message has the classes.
  """
  for side, of in (('generated', fake), ('real', real)):
    if of.labels is None:
      raise ValueError(
        f'the metric {name!r} needs classes, and the {side} examples have none'
      )
  names = [getattr(of.source, 'class_names', None) for of in (fake, real)]
  if all(names) and names[0] != names[1]:
    different = sorted(set(names[0]) ^ set(names[1]))
    raise ValueError(
      f'the metric {name!r} needs the same classes on both sides; '
      f'{different} are on one side only'
    )
  classes = [np.unique(of.labels) for of in (fake, real)]
  strange = np.setdiff1d(*classes)
  if strange.size:
    raise ValueError(
      f'the metric {name!r} needs the same classes on both sides: generated '
      f'examples have {strange.tolist()}; real examples have '
      f'{classes[1].tolist()}'
    )


def ranking_key(rows: Sequence[MetricResult]) -> list[float]:
  """Returns the sort key of a checkpoint by its first metric, smallest best.

  Args:
    rows: results of one call of an Evaluator.

  Returns:
    Numbers to compare lexicographically.
  """
  distance = {
    'near 0.5': lambda value: abs(value - 0.5),
    'lower': lambda value: value,
    'higher': lambda value: -value,
  }
  # NaN is worse than any number.
  order = lambda x: x if math.isfinite(x) else sys.float_info.max
  first = [row for row in rows if row.metric == rows[0].metric]
  return [order(distance[row.better](row.value)) for row in first]


def num_samples_needed(count: int) -> int:
  """Returns how many samples a source needs for metrics of `count` samples.

  Several times `count` if that is small, see NUM_SUBSETS.
  """
  return count * (NUM_SUBSETS if count <= _CHEAP else 1)


def scalars(rows: Sequence[MetricResult]) -> dict[str, float]:
  """Returns the values of rows by their names in plots."""
  return {f'scores/{row.metric}: {row.name}': row.value for row in rows}


def as_json(rows: Sequence[MetricResult]) -> list[dict[str, Any]]:
  """Returns rows for JSON, with None for numbers that are not finite."""
  finite = lambda x: (
    None if isinstance(x, float) and not math.isfinite(x) else x
  )
  return [{k: finite(v) for k, v in row._asdict().items()} for row in rows]


def evaluation_record(
  rows: Sequence[MetricResult],
  evaluator: Any,
  devices: Sequence[jax.Device],
  **facts: Any,
) -> dict[str, Any]:
  """Returns everything needed to reproduce the scores, for a JSON file.

  Args:
    rows: results of the metrics.
    evaluator: the evaluator.Evaluator that computed them.
    devices: devices that it used.
    **facts: facts about the samples, the data and the options.

  Returns:
    The record.
  """
  extractor = evaluator.extractor
  return {
    'scores': as_json(rows),
    'notes': evaluator.notes,
    **facts,
    'seed': evaluator.seed,
    'features': {
      'name': extractor.name,
      'protocol': extractor.protocol,
      'sha256': extractor.sha256,
    },
    'devices': [str(d) for d in devices],
    'device_kind': devices[0].device_kind,
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }
