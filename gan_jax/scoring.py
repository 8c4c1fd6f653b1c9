"""Rows of scores: which to compute, what they hold, how they are ranked."""

from typing import Any, Mapping, NamedTuple, Sequence

import jax
import numpy as np

from gan_jax import (
  __version__,
  data,
)
from gan_jax.evaluation import inception
from gan_jax.extractors import Extractor
from gan_jax.metrics import METRICS
from gan_jax.options import unknown

DRAWS = 5  # sets that a cheap score of a generator is a mean over
_CHEAP = 5000


class Row(NamedTuple):
  """One score.

  Attributes:
    metric: its key in METRICS.
    name: for a table.
    value: of the generated examples; None for a floor alone.
    error: its standard error; None where there is none, or a p-value.
    floor: the same of real data; for a share, the ceiling.
    floor_error: its standard error, or None.
    p_value: of a test, else None.
    floor_p_value: of the floor's test, else None.
    better: 'lower', 'higher' or 'near 0.5'.
    error_is: what the error is over.
    counts: numbers of examples: 'generated', 'real', 'floor', 'floor_real'.
    real: which split they are compared with.
  """

  metric: str
  name: str
  value: float | None
  error: float | None
  floor: float
  floor_error: float | None
  p_value: float | None
  floor_p_value: float | None
  better: str
  error_is: str
  counts: dict[str, int]
  real: str


def default_metrics(source: data.Source) -> tuple[str, ...]:
  """What data are scored by where nothing is said: a known truth, or 1-NN."""
  truth = getattr(source, 'truth', None)
  known = [
    name
    for name, metric in METRICS.items()
    if metric.truth is not None and isinstance(truth, metric.truth)
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
      raise ValueError(unknown(name, METRICS, 'metric'))
  return names


def check_fits(name: str, extractor: Extractor, real: data.Source) -> None:
  """Refuses a score that the features or the data are not for.

  Args:
    name: of the score, in METRICS.
    extractor: of the features.
    real: the data.

  Raises:
    ValueError: with the reason.
  """
  metric, shape = METRICS[name], tuple(real.shape)
  if metric.truth is not None:
    if not isinstance(real.truth, metric.truth):
      raise ValueError(
        f'the metric {name!r} is for data whose distribution is a known '
        f'{metric.truth.__name__}'
      )
    return
  if metric.features == 'inception' and not extractor.is_fid:
    general = {'fid': 'fd', 'kid': 'kd'}.get(name)
    hint = f'; {general!r} is the same of any features' if general else ''
    other = ', of other weights' if extractor.name == 'inception' else ''
    raise ValueError(
      f'the metric {name!r} is defined on the FID Inception network, and the '
      f'features are {extractor.name!r}{other}{hint}'
    )
  if metric.logits:
    # Or says why there are none.
    features = jax.ShapeDtypeStruct((2, inception.FEATURES), np.float32)
    jax.eval_shape(extractor.logits, extractor.params, features)
  channels = extractor.channels
  if channels and (len(shape) != 3 or shape[-1] not in channels):
    allowed = ' or '.join(map(str, channels))
    raise ValueError(
      f'{extractor.name!r} features are of images [H, W, C] with C of '
      f'{allowed}, and the data are of shape {shape}'
    )


def rank(rows: Sequence[Row]) -> list[float]:
  """What sorts checkpoints by their first metric: the best one is smallest.

  Args:
    rows: of one call of a Judge.

  Returns:
    Numbers to compare from the left.
  """
  distance = {
    'near 0.5': lambda row: abs(row.value - 0.5),
    'lower': lambda row: row.value,
    'higher': lambda row: -row.value,
  }
  first = [row for row in rows if row.metric == rows[0].metric]
  return [distance[row.better](row) for row in first]


def samples_for(count: int) -> int:
  """How many samples a generator should have ready to be scored on `count`."""
  return count * (DRAWS if count <= _CHEAP else 1)


def scalars(rows: Sequence[Row]) -> dict[str, float]:
  """Values of rows under names for a plot."""
  return {f'scores/{row.metric}: {row.name}': row.value for row in rows}


def record(
  rows: Sequence[Row],
  judge: Any,
  samples: Mapping[str, Any],
  data_name: str,
  devices: Sequence[jax.Device],
  seconds: float,
) -> dict[str, Any]:
  """All that someone needs to repeat the scores, for a JSON file.

  Args:
    rows: the scores.
    judge: the judge.Judge that gave them.
    samples: facts of what was scored.
    data_name: of the real data.
    devices: that were used.
    seconds: that it took.
  """
  extractor = judge.extractor
  return {
    'scores': [row._asdict() for row in rows],
    'notes': judge.notes,
    'samples': dict(samples),
    'data': data_name,
    'features': {
      'name': extractor.name,
      'protocol': extractor.protocol,
      'sha256': extractor.sha256,
    },
    'devices': [str(d) for d in devices],
    'device_kind': devices[0].device_kind,
    'seconds': seconds,
    'versions': {'gan_jax': __version__, 'jax': jax.__version__},
  }
