"""Rows of scores: which to compute, what they hold, how they are ranked."""

import math
import sys
from typing import Any, NamedTuple, Sequence

import jax
import numpy as np

from gan_jax import __version__, data
from gan_jax.evaluation import feature_extractors
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.features import FeatureSet
from gan_jax.evaluation.networks import inception
from gan_jax.evaluation.registry import METRICS
from gan_jax.validation import unknown_name_message

MAX_DIM = 4096  # of a covariance in float64, 134 MB
NUM_SUBSETS = 5  # sets that a cheap score of a generator is a mean over
_CHEAP = 5000


class MetricResult(NamedTuple):
  """One score.

  Attributes:
    metric: its key in METRICS.
    name: for a table.
    value: of the generated examples; None for a baseline alone.
    error: its standard error; None where there is none, or a p-value.
    baseline: the same of real data; for a share, the ceiling.
    baseline_error: its standard error, or None.
    p_value: of a test, else None.
    baseline_p_value: of the baseline's test, else None.
    better: 'lower', 'higher' or 'near 0.5'.
    error_is: what the error is over.
    counts: numbers of examples: 'generated', 'real', 'baseline', 'floor_real'.
    real: which split they are compared with.
  """

  metric: str
  name: str
  value: float | None
  error: float | None
  baseline: float
  baseline_error: float | None
  p_value: float | None
  baseline_p_value: float | None
  better: str
  error_is: str
  counts: dict[str, int]
  real: str


def default_metrics(source: data.Source) -> tuple[str, ...]:
  """What data are scored by where nothing is said: a known truth, or 1-NN."""
  distribution = getattr(source, 'distribution', None)
  known = [
    name
    for name, metric in METRICS.items()
    if metric.distribution is not None
    and isinstance(distribution, metric.distribution)
  ]
  return tuple(known) or ('nn',)


def parse_metrics(text: str) -> tuple[str, ...]:
  """Names of scores from 'fid,kid,prdc'.

  Raises:
    ValueError: for a name that is not in METRICS.
  """
  names = tuple(n.strip() for n in text.split(',') if n.strip())
  for name in names:
    if name not in METRICS:
      raise ValueError(unknown_name_message(name, METRICS, 'metric'))
  return names


def check_applicable(
  name: str, extractor: FeatureExtractor, real: data.Source
) -> None:
  """Refuses a score that the features or the data are not for.

  Args:
    name: of the score, in METRICS.
    extractor: of the features.
    real: the data.

  Raises:
    ValueError: with the reason.
  """
  metric, shape = METRICS[name], tuple(real.shape)
  if metric.distribution is not None:
    if not isinstance(real.distribution, metric.distribution):
      raise ValueError(
        f'the metric {name!r} is for data whose distribution is a known '
        f'{metric.distribution.__name__}'
      )
    return
  if metric.features == 'inception' and not extractor.is_reference_inception:
    general = {'fid': 'fd', 'kid': 'kd'}.get(name)
    hint = f'; {general!r} is the same of any features' if general else ''
    other = ', of other weights' if extractor.name == 'inception' else ''
    raise ValueError(
      f'the metric {name!r} is defined on the FID Inception network, and the '
      f'features are {extractor.name!r}{other}{hint}'
    )
  if metric.needs_logits:
    # Or says why there are none.
    features = jax.ShapeDtypeStruct((2, inception.FEATURES), np.float32)
    jax.eval_shape(extractor.logits, extractor.params, features)
  dtype = np.uint8 if len(shape) == 3 else np.float32
  dim = feature_extractors.feature_dim(extractor, shape, dtype)
  if name in ('fd', 'intra_fd') and dim > MAX_DIM:
    raise ValueError(
      f'the metric {name!r} takes a covariance, of at most {MAX_DIM} features; '
      f'{extractor.name!r} has {dim:,} of these examples: choose other '
      'features'
    )


def check_labels(name: str, fake: FeatureSet, real: FeatureSet) -> None:
  """Refuses sets without classes, or with others than the real ones.

  Raises:
    ValueError: naming them.
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
      f'{different} are on one alone'
    )
  classes = [np.unique(of.labels) for of in (fake, real)]
  strange = np.setdiff1d(*classes)
  if strange.size:
    raise ValueError(
      f'the metric {name!r}: generated examples have the classes '
      f'{strange.tolist()}; real ones have {classes[1].tolist()}'
    )


def ranking_key(rows: Sequence[MetricResult]) -> list[float]:
  """What sorts checkpoints by their first metric: the best one is smallest.

  Args:
    rows: of one call of a Judge.

  Returns:
    Numbers to compare from the left.
  """
  distance = {
    'near 0.5': lambda value: abs(value - 0.5),
    'lower': lambda value: value,
    'higher': lambda value: -value,
  }
  # Not a number loses to any.
  order = lambda x: x if math.isfinite(x) else sys.float_info.max
  first = [row for row in rows if row.metric == rows[0].metric]
  return [order(distance[row.better](row.value)) for row in first]


def num_samples_needed(count: int) -> int:
  """How many samples a generator should have ready to be scored on `count`."""
  return count * (NUM_SUBSETS if count <= _CHEAP else 1)


def scalars(rows: Sequence[MetricResult]) -> dict[str, float]:
  """Values of rows under names for a plot."""
  return {f'scores/{row.metric}: {row.name}': row.value for row in rows}


def as_json(rows: Sequence[MetricResult]) -> list[dict[str, Any]]:
  """Rows as JSON has them: None for what is not finite."""
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
  """All that someone needs to repeat the scores, for a JSON file.

  Args:
    rows: the scores.
    judge: the evaluator.Evaluator that gave them.
    devices: that were used.
    **facts: of the samples, the data, the options.
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
