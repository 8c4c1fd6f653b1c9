"""Features of the examples of a source, each computed once, on all devices."""

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
_CHUNK = 512  # rows added to the moments at a time
MAX_IN_MEMORY = (
  20_000  # largest set, in examples, whose features stay in memory
)
MAX_SUBSETS = 20  # disjoint subsets that a score is averaged over
# Version of cached features; change it when the same key gives other features.
SCHEMA = 1


def no_progress(what: str, total: int) -> Callable[[int], None]:
  """Shows nothing: the default of every function that computes."""
  del what, total
  return lambda done: None


def source_digest(source: data.Source) -> str:
  """Computes a content hash of a source.

  Hashes all examples of an in-memory source; otherwise 64 evenly spaced
  examples plus the file fingerprint of the source, if it has one
  (`fingerprint`, for a directory of images).
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
    source: source of the examples.
    extractor: extractor of the features.
    count: number of examples.
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
    track: ProgressFn = no_progress,
    store: feature_cache.FeatureCache | None = None,
    facts: dict[str, Any] | None = None,
    keep_in_memory: bool = False,
  ):
    """Initializes the set; nothing is computed yet.

    Args:
      source: source of the examples, which are taken in a fixed random order.
      extractor: extractor of the features.
      count: number of examples; 0 for all from `start` on.
      start: position of the first example in that order.
      devices: devices that share each batch; () for the default device.
      name: name in the progress bar.
      track: progress callback (name, total) -> function that is called with
        each number of examples done.
      store: cache of the features between programs, or None.
      facts: description of the source, part of the key in the cache.
      keep_in_memory: whether to keep the features of any number of examples in
        memory, because a metric needs all of them.
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
    self._whole = keep_in_memory or self.count <= MAX_IN_MEMORY

  def __len__(self) -> int:
    return self.count

  def other(self, extractor: FeatureExtractor) -> 'FeatureSet':
    """Returns the same examples under another extractor, without a cache."""
    return self._like(extractor, self._start, self.count)

  def disjoint_subsets(self, size: int) -> list['FeatureSet']:
    """Returns disjoint sets of `size` examples, at most MAX_SUBSETS of them."""
    starts = range(self._start, len(self.source) - size + 1, size)
    return [self._like(self.extractor, s, size) for s in starts[:MAX_SUBSETS]]

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
    """Features of all examples, `[count, d]`, kept in memory."""
    found = self._stored('features')
    if found is None:
      parts = list(self._batches())
      found = {'features': np.concatenate(parts)}
      self._keep('features', found)
    return found['features']

  def moments(self, groups: int = 10) -> list[frechet.Moments]:
    """Returns the moments of groups of examples of about equal size.

    For more than MAX_IN_MEMORY examples, only one batch of features at a time is
    in memory, unless the set was created with `keep_in_memory`.

    Args:
      groups: number of groups, at most the number of examples.

    Returns:
      The moments of each group.
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
    """Computes stacked moments of groups whose sizes differ by at most 1."""
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
    """Class logits of all examples, `[count, classes]`.

    Raises:
      ValueError: if the extractor has no classes.
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
    """Classes `[count]` of the examples, or None."""
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
      # The last batch is padded, so that nothing is compiled twice.
      filled = np.resize(indices, size)
      x = _as_evaluated(self.source[filled]['x'])
      now = compute(params, self._spread.put_batch(x)), len(indices)
      if before is not None:  # the device computes while the next one loads
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
  """Quantizes images to 256 levels, for all metrics; keeps points as is."""
  if x.ndim == 4 and x.dtype != np.uint8:
    checks.check_finite(examples=x)  # a NaN would become an arbitrary level
    return np.asarray(_quantize(x))
  return x


_quantize = jax.jit(preprocess.quantize)


def _regroup(parts, sizes):
  """Yields the rows of a sequence of arrays in parts of other sizes."""
  parts, held = iter(parts), np.empty((0, 0))
  for size in sizes:
    while len(held) < size:
      part = next(parts)
      held = np.concatenate([held, part]) if len(held) else part
    yield held[:size]
    held = held[size:]
