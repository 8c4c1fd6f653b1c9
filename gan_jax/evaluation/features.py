"""Features of the examples of a source, computed once, on all devices."""

import functools
import hashlib
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import data
from gan_jax.distributed import devices as devices_lib
from gan_jax.evaluation import feature_cache
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.networks import preprocess
from gan_jax.metrics import checks, frechet

ProgressFn = Callable[[str, int], Any]
_CHUNK = 512  # rows that are added to moments at a time
KEEP_BYTES = 20_000  # sets of up to so many examples are kept in memory whole
SCHEMA = 1  # of stored features; another one where the same facts give others


def _no_progress(what, total):
  del what, total
  return lambda done: None


def source_digest(source: data.Source) -> str:
  """What tells the examples of a source from others under the same name.

  Of all of them where they are in memory; else of 64 spread over the source,
  and of its `fingerprint` where it has one (the files of a folder).
  """
  found = getattr(source, 'x', None)
  if not isinstance(found, np.ndarray):
    indices = np.unique(np.linspace(0, len(source) - 1, 64).astype(np.int64))
    found = source[indices]['x']
  facts = (found.shape, str(found.dtype), getattr(source, 'fingerprint', ''))
  hashed = hashlib.sha256(str(facts).encode())
  hashed.update(np.ascontiguousarray(found))
  return hashed.hexdigest()


class FeatureSet:
  """Features of some examples of a source, each computed once.

  Attributes:
    source: of the examples.
    extractor: what computes the features.
    count: how many examples.
  """

  def __init__(
    self,
    source: data.Source,
    extractor: FeatureExtractor,
    *,
    count: int = 0,
    start: int = 0,
    devices: Sequence[jax.Device] = (),
    name: str = 'examples',
    track: ProgressFn = _no_progress,
    store: feature_cache.FeatureCache | None = None,
    facts: dict[str, Any] | None = None,
    keep_in_memory: bool = False,
  ):
    """Describes the set; nothing is computed yet.

    Args:
      source: of the examples, which are taken in a fixed random order.
      extractor: what computes the features.
      count: how many; 0 for all that follow `start`.
      start: place of the first one in that order.
      devices: that share each batch; none for the default one.
      name: for the progress bar.
      track: (name, total) -> what is called with each number done.
      store: where features are kept between programs, or None.
      facts: what the source is, for the key in the store.
      whole: whether to keep the features of any number in memory, as someone
        will ask for them.
    """
    self.source, self.extractor = source, extractor
    self._start, self._name, self._track = start, name, track
    self._devices = devices or jax.local_devices()[:1]
    self._spread = devices_lib.shard_examples(self._devices)
    self._store, self._facts = store, facts
    self._moments: dict[int, list[frechet.Moments]] = {}
    order = np.random.default_rng(0).permutation(len(source))
    self._order = order[start : start + count] if count else order[start:]
    self.count = len(self._order)
    self._whole = keep_in_memory or self.count <= KEEP_BYTES

  def __len__(self) -> int:
    return self.count

  def other(self, extractor: FeatureExtractor) -> 'FeatureSet':
    """The same examples under another extractor; nothing is stored."""
    return self._like(extractor, self._start, self.count)

  def draws(self, size: int, limit: int = 20) -> list['FeatureSet']:
    """Disjoint sets of `size` examples, as many as the source has."""
    starts = range(self._start, len(self.source) - size + 1, size)
    return [self._like(self.extractor, s, size) for s in starts[:limit]]

  def _like(self, extractor, start, count):
    return FeatureSet(
      self.source,
      extractor,
      count=count,
      start=start,
      devices=self._devices,
      name=self._name,
      track=self._track,
    )

  @functools.cached_property
  def features(self) -> np.ndarray:
    """`[count, d]`, held in memory."""
    found = self._stored('features')
    if found is None:
      parts = list(self._batches())
      found = {'features': np.concatenate(parts)}
      self._keep('features', found)
    return found['features']

  def moments(self, groups: int = 10) -> list[frechet.Moments]:
    """Moments of groups of the examples, of about equal size.

    Of more than KEEP examples, unless the set was made `whole`, one batch of
    features at a time is held.

    Args:
      groups: how many, at most one for each example.
    """
    if groups not in self._moments:
      kind = f'moments-{groups}'
      stored = None if self._whole else self._stored(kind)
      if stored is None:
        stored = self._sum_up(groups)
        if not self._whole:
          self._keep(kind, stored)
      self._moments[groups] = [
        frechet.Moments(*each)
        for each in zip(*(stored[n] for n in frechet.Moments._fields))
      ]
    return self._moments[groups]

  def _sum_up(self, groups: int) -> dict[str, np.ndarray]:
    """Moments of groups of equal size, or one apart, stacked by field."""
    batches = [self.features] if self._whole else self._batches()
    edges = [i * self.count // groups for i in range(groups + 1)]
    owners = [
      (group, min(_CHUNK, high - start))
      for group, (low, high) in enumerate(zip(edges, edges[1:]))
      for start in range(low, high, _CHUNK)
    ]
    totals: list[Any] = [None] * groups
    rows = _regroup(batches, [size for _, size in owners])
    for (group, _), part in zip(owners, rows):
      if totals[group] is None:
        totals[group] = frechet.init_moments(part.shape[1])
      totals[group] = frechet.update_moments(totals[group], part)
    return {
      name: np.stack([np.asarray(getattr(m, name)) for m in totals])
      for name in frechet.Moments._fields
    }

  @functools.cached_property
  def logits(self) -> np.ndarray:
    """Class logits, `[count, classes]`.

    Raises:
      ValueError: for an extractor without classes.
    """
    logits_fn, params = self.extractor.logits, self.extractor.params
    if logits_fn is None:
      raise ValueError(f'{self.extractor.name} features have no classes')
    apply = jax.jit(logits_fn)
    edges = range(_CHUNK, self.count, _CHUNK)
    parts = np.split(self.features, edges)
    return np.concatenate([np.asarray(apply(params, rows)) for rows in parts])

  @functools.cached_property
  def labels(self) -> np.ndarray | None:
    """Classes `[count]` of the source, or None."""
    if not self.count or 'label' not in self.source[self._order[:1]]:
      return None
    parts = np.array_split(self._order, -(-self.count // 1024))
    return np.concatenate([self.source[part]['label'] for part in parts])

  def _batches(self):
    """Yields features `[n, d]`, batch after batch, as numpy arrays."""
    size = self.extractor.batch_size * len(self._devices)
    size = min(size, max(self.count, 1))
    params = self._spread.put(self.extractor.params)
    compute = _compiled(self.extractor.apply)
    advance = self._track(self._name, self.count)
    before = None
    for start in range(0, self.count, size):
      indices = self._order[start : start + size]
      # The last batch is filled up, so that nothing is compiled twice.
      filled = np.resize(indices, size)
      x = _as_evaluated(self.source[filled]['x'])
      now = compute(params, self._spread.put_batch(x)), len(indices)
      if before is not None:  # the device works while we load the next
        yield np.asarray(before[0])[: before[1]]
        advance(before[1])
      before = now
    yield np.asarray(before[0])[: before[1]]
    advance(before[1])

  @functools.cached_property
  def _digest(self):
    return source_digest(self.source)

  def _key(self, kind):
    return {
      **self._facts,
      'kind': kind,
      'schema': SCHEMA,
      'count': self.count,
      'start': self._start,
      'of': len(self.source),
      'shape': list(self.source.shape),
      'features': self.extractor.name,
      'protocol': self.extractor.protocol,
      'weights': self.extractor.sha256,
      'digest': self._digest,
    }

  def _stored(self, kind):
    return None if self._store is None else self._store.get(self._key(kind))

  def _keep(self, kind, arrays):
    if self._store is not None:
      self._store.put(self._key(kind), arrays)


@functools.lru_cache(maxsize=16)
def _compiled(apply):
  return jax.jit(apply)


def _as_evaluated(x: np.ndarray) -> np.ndarray:
  """Images of 256 levels, as all are scored; points as they are."""
  if x.ndim == 4 and x.dtype != np.uint8:
    checks.check_finite(examples=x)  # a NaN would become some level
    return np.asarray(_quantise(x))
  return x


_quantise = jax.jit(preprocess.quantize)


def _regroup(parts, sizes):
  """Yields the rows of a sequence of arrays in parts of other sizes."""
  parts, held = iter(parts), np.empty((0, 0))
  for size in sizes:
    while len(held) < size:
      part = next(parts)
      held = np.concatenate([held, part]) if len(held) else part
    yield held[:size]
    held = held[size:]
