"""Finds the training examples that are nearest to samples."""

from typing import Iterable

import numpy as np

from gan_jax import tracing


def nearest_neighbors(
  queries: np.ndarray, batches: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the nearest of many examples, a batch of them in memory at a time.

  Distances are computed from differences, so that a copy is at distance 0.

  Args:
    queries: features of the samples, `[Q, ...]` float.
    batches: features of the examples in their order, each `[n, ...]`.
    count: number of neighbors of each sample, at least 1.

  Returns:
    Indices of the nearest examples, `[Q, count]` int, nearest first, and their
    Euclidean distances, `[Q, count]` float32. Of equal distances, the first
    example comes first.

  Raises:
    TypeError: if arrays are traced.
    ValueError: if count is below 1, there are fewer examples, or examples have
      another shape than queries.
  """
  tracing.check_known(
    'nearest_neighbors', 'Call it outside of jax.jit.', queries=queries
  )
  if count < 1:
    raise ValueError(f'count={count}: must be at least 1')
  queries = np.asarray(queries, np.float32)
  flat = queries.reshape(len(queries), -1)
  distances = np.empty((len(flat), 0), np.float32)
  indices, seen = np.empty((len(flat), 0), np.int64), 0
  for batch in batches:
    batch = np.asarray(batch, np.float32)
    if batch.shape[1:] != queries.shape[1:]:
      raise ValueError(
        f'examples of shape {batch.shape[1:]}: those of the samples have '
        f'{queries.shape[1:]}'
      )
    rows = batch.reshape(len(batch), -1)
    found = np.stack([np.linalg.norm(rows - query, axis=1) for query in flat])
    places = np.broadcast_to(seen + np.arange(len(rows)), found.shape)
    distances = np.concatenate([distances, found], axis=1)
    indices = np.concatenate([indices, places], axis=1)
    order = np.argsort(distances, axis=1, kind='stable')[:, :count]
    distances = np.take_along_axis(distances, order, axis=1)
    indices = np.take_along_axis(indices, order, axis=1)
    seen += len(rows)
  if seen < count:
    raise ValueError(f'count={count}: there are only {seen} examples')
  return indices, distances
