"""Data that a program passes: arrays, mappings of arrays, datasets.

source = as_source(images)                     # [N, H, W, C] uint8, or [N, d]
source = as_source({'x': images, 'label': labels})
source = as_source(dataset)                    # has len() and dataset[i]
"""

import concurrent.futures
import functools
import hashlib
import os
from typing import Any, Mapping, Sequence

import jax
import numpy as np

from gan_jax.data import classes
from gan_jax.data.array_source import ArraySource

_EXAMPLES = ('x', 'image', 'images', 'img', 'audio')
_LABELS = ('label', 'labels', 'y', 'fine_label')
_CHANNELS = (1, 3, 4)
_MAX_DIGEST_BYTES = 2**28  # of arrays whose content is compared on resuming
_MAX_EXAMPLES = 2**31 - 1


def as_source(data: Any, name: str = 'data') -> Any:
  """Returns a source of the examples that a program passes.

  Args:
    data: one of
      an array `[N, ...]`: uint8 images `[N, H, W, C]` or `[N, H, W]`, or floats
        (images in [-1, 1]);
      a mapping with such an array under 'x' (or 'image') and optional labels
        under 'label': classes `[N]`, or any tree of arrays `[N, ...]`, which
        the networks receive unchanged;
      a dataset with `len()` and `[i]`: a PyTorch Dataset, a grain MapDataset, a
        Hugging Face dataset, a TFDS data source, a list. An item is an image
        (PIL, uint8 `[H, W, C]` or `[C, H, W]`) or another array, a pair of it
        and a label, or a mapping with both;
      a data.Source, which is returned as it is.
    name: what it is, for messages.

  Returns:
    A data.Source.

  Raises:
    ValueError: if an array has another type or no examples, or lengths differ.
    TypeError: if the data have no order by index, such as a stream.
  """
  if hasattr(data, 'shape') and hasattr(data, 'distribution'):
    return data
  if hasattr(data, '__array__') and hasattr(data, 'ndim'):
    return _array_source(data, None, name)
  if isinstance(data, Mapping):
    return _mapping_source(data, name)
  _check_random_access(data, name)
  return RandomAccessSource(data, name)


def _mapping_source(data: Mapping[str, Any], name: str) -> ArraySource:
  examples = [key for key in _EXAMPLES if key in data]
  labels = [key for key in _LABELS if key in data]
  others = sorted(map(str, data.keys() - {*examples, *labels}))
  if len(examples) != 1 or len(labels) > 1 or others:
    raise ValueError(
      f'{name} has the keys {sorted(map(str, data))}: the examples must be '
      "under 'x', and labels, if there are any, under 'label'"
    )
  label = data[labels[0]] if labels else None
  return _array_source(data[examples[0]], label, name)


def _array_source(x: Any, label: Any, name: str) -> ArraySource:
  x = as_examples(np.asarray(x), name)
  if not len(x):
    raise ValueError(f'{name} has no examples: its shape is {x.shape}')
  label = np.asarray(label) if isinstance(label, list) else label
  label = jax.tree.map(_as_label, label)
  for leaf in jax.tree.leaves(label):
    if len(leaf) != len(x):
      raise ValueError(f'{name}: {len(leaf)} labels for {len(x)} examples')
  source = ArraySource(x, label)
  source.listing = _digest(jax.tree.leaves((x, label)))
  return source


def as_examples(x: np.ndarray, name: str) -> np.ndarray:
  """Returns examples as uint8 or float32, images with their channels last.

  Args:
    x: examples `[N, ...]`.
    name: what they are, for messages.

  Raises:
    ValueError: if the type is neither uint8 nor floating point, or a value is
      not finite.
  """
  if x.ndim < 1 or x.dtype != np.uint8 and x.dtype.kind != 'f':
    raise ValueError(
      f'{name}: an array of type {x.dtype} and shape {x.shape}; must be uint8 '
      'images [N, H, W, C] or floats [N, ...]'
    )
  if x.dtype.kind == 'f':
    x = x.astype(np.float32)
    if not np.isfinite(x).all():
      raise ValueError(f'{name}: {(~np.isfinite(x)).sum()} values not finite')
  elif x.ndim == 3:
    x = x[..., None]
  if x.ndim == 4 and x.shape[-1] not in _CHANNELS and x.shape[1] in _CHANNELS:
    x = x.transpose(0, 2, 3, 1)
  return x


def _as_label(x: Any) -> np.ndarray:
  """Returns a leaf of the labels; 64-bit numbers, which JAX cuts, as 32-bit."""
  x = np.asarray(x)
  smaller = {np.dtype(np.int64): np.int32, np.dtype(np.float64): np.float32}
  return x.astype(smaller.get(x.dtype, x.dtype))


def _digest(arrays: Sequence[np.ndarray]) -> str:
  """Returns a digest of the content, '' if reading it would take long."""
  if sum(x.nbytes for x in arrays) > _MAX_DIGEST_BYTES:
    return ''
  digest = hashlib.blake2b(digest_size=8)
  for x in arrays:
    digest.update(np.ascontiguousarray(x).data)
  return digest.hexdigest()


def _check_random_access(data: Any, name: str) -> None:
  """Refuses data without an order by index."""
  kind = f'{type(data).__module__.partition(".")[0]}.{type(data).__name__}'
  if isinstance(data, str | os.PathLike):
    raise TypeError(
      f'{name}={str(data)!r}: a folder of images is named in the config, '
      "data={'name': 'folder', 'folder': {'path': ...}}"
    )
  cls = type(data)
  by_index = hasattr(cls, '__len__') and hasattr(cls, '__getitem__')
  # PyTorch's have a __getitem__ that they inherit and do not implement.
  is_stream = any(base.__name__ == 'IterableDataset' for base in cls.__mro__)
  if is_stream or not by_index:
    raise TypeError(
      f'{name} is a {kind}, without len() and [i]: batches are a function of '
      'the seed and the step, so that a run can be resumed, and a stream has '
      'no such order. Pass arrays (read the stream once into memory), a '
      'dataset with len() and [i], or write the examples to a folder'
    )
  if not 0 < len(data) <= _MAX_EXAMPLES:
    raise ValueError(
      f'{name}: {len(data)} examples; must be between 1 and {_MAX_EXAMPLES} (a '
      'repeated dataset is infinite: leave repeat() out)'
    )


class RandomAccessSource:
  """Examples of anything that has `len()` and `[i]`, read by threads.

  Attributes:
    shape: shape of one example.
    distribution: None.
    class_names: names of the classes, if the dataset has them; otherwise ().
    listing: ''.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
  """

  distribution, listing = None, ''

  def __init__(self, rows: Any, name: str = 'data', threads: int = 4):
    """Reads the first example.

    Args:
      rows: the dataset.
      name: what it is, for messages.
      threads: number of threads that read a batch.

    Raises:
      ValueError: if an item is none of those that `as_source` names.
    """
    self._rows, self._name = rows, name
    self._pool = concurrent.futures.ThreadPoolExecutor(threads)
    self.class_names = _class_names(rows)
    self.shape = self[np.zeros(1, np.int64)]['x'].shape[1:]

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class; every label is read, and mostly its example."""
    label = getattr(self._rows, 'targets', None)  # of torchvision
    if label is None or len(label) != len(self):
      parts = np.array_split(np.arange(len(self)), -(-len(self) // 1024))
      found = [self[part].get('label') for part in parts]
      is_array = isinstance(found[0], np.ndarray)
      label = np.concatenate(found) if is_array else None
    label = None if label is None else np.asarray(label)
    return classes.shares_of(label, len(self.class_names))

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

  def __len__(self) -> int:
    return len(self._rows)

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    wanted = [int(i) for i in indices]  # some refuse numpy's integers
    several = getattr(self._rows, '__getitems__', None)
    rows = several(wanted) if several else self._pool.map(self._row, wanted)
    xs, labels = zip(*(self._item(row, i) for row, i in zip(rows, wanted)))
    shapes = sorted({x.shape for x in xs})
    if len(shapes) > 1:
      raise ValueError(
        f'{self._name}: examples of the shapes {shapes}: all must be equal'
      )
    batch = {'x': as_examples(np.stack(xs), self._name)}
    if labels[0] is None:
      return batch
    stacked = jax.tree.map(lambda *x: _as_label(np.stack(x)), *labels)
    return {**batch, 'label': stacked}

  def _row(self, index: int) -> Any:
    return self._rows[index]

  def _item(self, row: Any, index: int) -> tuple[np.ndarray, Any]:
    """Returns the example and the label of an item."""
    label = None
    if isinstance(row, Mapping):
      found = [key for key in _EXAMPLES if key in row]
      if not found:
        raise ValueError(
          f'{self._name}[{index}] has the keys {sorted(row)}: the example must '
          f'be under one of {", ".join(_EXAMPLES)}'
        )
      label = next((row[key] for key in _LABELS if key in row), None)
      row = row[found[0]]
    elif isinstance(row, tuple | list) and len(row) == 2:
      row, label = row
    x = np.asarray(row)
    if x.dtype.kind not in 'fu' or x.ndim == 0:
      raise ValueError(
        f'{self._name}[{index}] is a {type(row).__name__} of type {x.dtype} '
        f'and shape {x.shape}: must be an image, an array of uint8 or floats, '
        'a pair of it and a label, or a mapping of both'
      )
    return x, label


def _class_names(rows: Any) -> tuple[str, ...]:
  """Returns the names of the classes of PyTorch and Hugging Face datasets."""
  features = getattr(rows, 'features', None)
  if isinstance(features, Mapping):
    named = [features[key] for key in _LABELS if key in features]
    return tuple(getattr(named[0], 'names', None) or ()) if named else ()
  names = getattr(rows, 'classes', None)
  return tuple(map(str, names)) if isinstance(names, list | tuple) else ()
