"""Scores the members of an ensemble, many of them in one program.

A member has the scores that it would have alone: the same samples, in the same
subsets. Metrics that are means over subsets (`Metric.subsets`) are computed
where the samples are, so that only scores leave the device. For the others the
features of several members are computed at a time.
"""

import math
from typing import Any, NamedTuple, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import sampling, training
from gan_jax.distributed import devices as devices_lib
from gan_jax.evaluation import feature_extractors, features, scorers
from gan_jax.evaluation.evaluator import Evaluator, compared_size
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.networks import preprocess
from gan_jax.evaluation.registry import METRICS
from gan_jax.evaluation.results import MetricResult
from gan_jax.metrics import checks, resampling
from gan_jax.sampling import sampler, standing_stats
from gan_jax.training import ensemble

_SEED = 1  # of the samples that are scored, as in a run
_NUMBERS = 2**20  # numbers of the samples that one member generates at a time
_MEMORY = 2**30  # bytes of the members in a call, about
_ACTIVATIONS = 64  # numbers in networks for each number of a sample, about
_MOST_IN_TURN = 64  # members in a call, one after another

PyTree = Any
Rows = list[MetricResult]


class _Subsets(NamedTuple):
  """Scores of subsets, and the size and number of these."""

  scores: scorers.SubsetScores
  size: int
  count: int


class _FeatureGroup(NamedTuple):
  """Metrics of the same features.

  Attributes:
    extractor: extractor of the features.
    subsets: metrics computed where the features are, by name.
    alone: metrics computed on the host, for one member after another.
    total: number of examples that these metrics need.
    dim: number of features of an example.
  """

  extractor: FeatureExtractor
  subsets: dict[str, _Subsets]
  alone: list[str]
  total: int
  dim: int


class _FeatureSource:
  """Features of a member's samples as a source, in the order of a FeatureSet."""

  distribution = None

  def __init__(self, x: np.ndarray, places: np.ndarray, like: Any):
    self.shape, self._label = like
    self._x, self._places = x, places

  def __len__(self) -> int:
    return len(self._places)

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    found = {'x': self._x[self._places[indices]]}
    label = self._label
    return found if label is None else found | {'label': label[indices]}


def _unchanged(params: PyTree, x: jax.Array) -> jax.Array:
  del params
  return x


class MemberEvaluator:
  """Scores all members of an ensemble.

  Attributes:
    evaluator: computes the scores of one run, and the baselines.
    notes: notes on the last scores; a note on some members names them.
  """

  def __init__(
    self,
    evaluator: Evaluator,
    gan: training.GAN,
    labels: sampling.LabelFn,
    *,
    shape: tuple[int, ...],
    count: int,
    devices: Sequence[jax.Device] = (),
    backend: str = '',
  ):
    """Initializes the evaluator; nothing is computed yet.

    Args:
      evaluator: evaluator of the members' data.
      gan: the GAN.
      labels: function that returns the labels of samples by index.
      shape: shape of one example.
      count: number of samples that are drawn from each member.
      devices: devices that share the members; () for the default device.
      backend: as for training.vectorize_members.
    """
    self.evaluator, self.notes = evaluator, []
    self._gan, self._labels, self._shape = gan, labels, tuple(shape)
    self._order = np.random.default_rng(0).permutation(count)  # of FeatureSet
    self._devices = tuple(devices) or tuple(jax.local_devices()[:1])
    self._backend = ensemble.choose_backend(backend)
    self._groups: dict[str, _FeatureGroup] = {}

  def __call__(
    self, weights: PyTree, live: Sequence[bool]
  ) -> list[Rows | None]:
    """Scores the members.

    Args:
      weights: (params, batch_stats) of the members' generators, such as
        `state.ema`, stacked.
      live: whether each member is scored.

    Returns:
      The rows of each member; None for those that are not scored, and those
      whose samples are not finite.

    Raises:
      ValueError: as the call of an Evaluator.
    """
    groups = self._make_groups()
    scan = devices_lib.scan_members(
      lambda members, shared: ensemble.map_members(
        lambda one: self._score(one, groups, shared), self._backend
      )(members),
      self._devices,
      self._members_at_a_time(groups),
    )
    found: list[Rows | None] = [None] * len(live)
    noted: dict[str, list[int]] = {}
    advance = self.evaluator.track('score members', len(live))
    for values, places in scan(weights, self._inputs(groups)):
      summed = {
        name: _estimates(own, values['scores'][name])
        for group in groups
        for name, own in group.subsets.items()
      }
      for at, member in enumerate(places.tolist()):
        if live[member] and values['finite'][at]:
          self.evaluator.notes = []
          found[member] = self._rows(groups, values, summed, at)
          for note in self.evaluator.notes:
            noted.setdefault(note, []).append(member)
      advance(len(places))
    scored = sum(rows is not None for rows in found)
    self.notes = [
      note if len(of) == scored else f'member {", ".join(map(str, of))}: {note}'
      for note, of in noted.items()
    ]
    return found

  def _make_groups(self) -> list[_FeatureGroup]:
    """Groups the metrics by the features that they need."""
    groups: dict[str, _FeatureGroup] = {}
    dtype = np.uint8 if len(self._shape) == 3 else np.float32
    for name in self.evaluator.names:
      metric, extractor = METRICS[name], self.evaluator.extractor
      scores, size = None, self.evaluator.count
      # TPUs have no eigenvalues in float64, which some scores need.
      if metric.subsets and jax.default_backend() != 'tpu':
        real = self.evaluator.real_set(name)
        scores = metric.subsets(real, compared_size(metric, size, real.count))
        size = scores.size or size
      if metric.features is False:
        extractor = feature_extractors.pixel_features()
      extractor = scores and scores.extractor or extractor
      if extractor.name not in groups:
        dim = feature_extractors.feature_dim(extractor, self._shape, dtype)
        groups[extractor.name] = _FeatureGroup(extractor, {}, [], 0, dim)
      group, count = groups[extractor.name], 1
      if scores:
        count = min(features.MAX_SUBSETS, len(self._order) // size)
        group.subsets[name] = _Subsets(scores, size, count)
      else:
        group.alone.append(name)
      total = max(size * count, group.total)
      groups[extractor.name] = group._replace(total=total)
    return list(groups.values())

  def _batch_size(self, group: _FeatureGroup) -> int:
    """Returns how many samples of a member are generated at a time."""
    size = group.extractor.batch_size
    if group.extractor.params is None:  # of a network it is the best
      size = max(size, _NUMBERS // math.prod(self._shape))
    return min(size, group.total)

  def _members_at_a_time(self, groups: Sequence[_FeatureGroup]) -> int:
    """Returns how many members a device scores in one call."""
    kept = sum(4 * g.total * g.dim for g in groups if g.alone)
    if self._backend == 'map':
      return max(1, min(_MOST_IN_TURN, _MEMORY // max(kept, 1)))
    numbers = max(map(self._batch_size, groups)) * math.prod(self._shape)
    kept = sum(4 * g.total * g.dim for g in groups)
    return max(1, _MEMORY // (4 * _ACTIVATIONS * numbers + kept))

  def _inputs(self, groups: Sequence[_FeatureGroup]) -> list[PyTree]:
    """Returns the latents, keys and labels that all members share, in batches.

    The last batch is filled up.
    """

    def split(group):
      size = self._batch_size(group)
      count = -(-group.total // size)
      places = np.resize(self._order[: group.total], count * size)
      latents, keys = draw(places)
      rows = latents, self._labels(places), keys
      batches = jax.tree.map(
        lambda x: x.reshape(count, size, *x.shape[1:]), rows
      )
      return group.extractor.params, batches

    key = jax.random.key(_SEED)
    draw = jax.jit(lambda at: sampler.draw_latents(self._gan, key, at))
    return [split(group) for group in groups]

  def _score(
    self,
    weights: PyTree,
    groups: Sequence[_FeatureGroup],
    shared: Sequence[PyTree],
  ) -> dict[str, Any]:
    """Computes one member's scores, and the features for other metrics."""
    weights = standing_stats.evaluation_weights(
      self._gan, weights, labels=self._labels
    )
    finite, found, kept = jnp.bool_(True), {}, {}
    for group, (params, batches) in zip(groups, shared):
      x, good = self._features(weights, group.extractor, params, batches)
      x = x[: group.total]
      finite &= good
      for name, own in group.subsets.items():
        found[name] = scorers.values_of_subsets(
          own.scores, x[: own.size * own.count], own.size
        )
      if group.alone:
        kept[group.extractor.name] = x
    return {'finite': finite, 'scores': found, 'features': kept}

  def _features(
    self,
    weights: PyTree,
    extractor: FeatureExtractor,
    params: PyTree,
    batches: PyTree,
  ) -> tuple[jax.Array, jax.Array]:
    """Returns features of samples, and whether the samples are finite."""
    sample = training.make_sample_fn(self._gan)
    extract = extractor.apply
    if params is not None:  # its batch fills the device
      extract = jax.custom_batching.sequential_vmap(extract)

    def one(batch):
      x = sample(weights, *batch)
      good = jnp.isfinite(x).all()
      if x.ndim == 4:
        x = preprocess.quantize(x)
      return extract(params, x), good

    x, good = jax.lax.map(one, batches)
    return x.reshape(-1, x.shape[-1]), good.all()

  def _rows(
    self,
    groups: Sequence[_FeatureGroup],
    values: dict[str, Any],
    summed: dict[str, list[resampling.Estimate]],
    at: int,
  ) -> Rows | None:
    """Returns the rows of the member at a place of a call."""
    count, rows = self.evaluator.count, {}
    for group in groups:
      for name in group.subsets:
        found = [
          resampling.Estimate(each.value[at], each.error[at])
          for each in summed[name]
        ]
        rows[name] = self.evaluator.make_rows(name, found, count)
      if group.alone:
        x = values['features'][group.extractor.name][at]
        fake = self._feature_set(x, group.extractor)
        for name in group.alone:
          try:
            rows[name] = self.evaluator.evaluate_features(name, fake)
          except checks.NonFiniteError:  # the samples are finite
            return None
    return [row for name in self.evaluator.names for row in rows[name]]

  def _feature_set(
    self, x: np.ndarray, extractor: FeatureExtractor
  ) -> features.FeatureSet:
    """Returns a member's features as those of a run's samples."""
    label = sampling.label_fn(self._gan)(np.arange(len(self._order)))
    places = np.argsort(self._order)
    return features.FeatureSet(
      _FeatureSource(x, places, (self._shape, label)),
      extractor._replace(apply=_unchanged, batch_size=len(x)),
      count=self.evaluator.count,
      devices=self._devices[:1],
      keep_in_memory=True,
    )


def _estimates(own: _Subsets, values: np.ndarray) -> list[resampling.Estimate]:
  """Returns scores and their errors from values_of_subsets of members."""
  values = values.astype(np.float64)
  if own.count > 1:
    return scorers.estimates_of_subsets(values, own.scores.shared)
  return scorers.estimates_of_jackknife(values)
