"""Data that a program passes: arrays, mappings of arrays, datasets.

source = as_source(images)                     # [N, H, W, C] uint8, or [N, d]
source = as_source({'x': images, 'label': labels})
source = as_source(dataset)                    # has len() and dataset[i]
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import traceback
from typing import Any, Callable, Iterable, Mapping, Sequence

import jax
import numpy as np
from PIL import Image

from gan_jax.data import classes, images
from gan_jax.data.array_source import ArraySource
from gan_jax.io import files

_EXAMPLES = ('x', 'image', 'images', 'img', 'audio')
_LABELS = ('label', 'labels', 'y', 'fine_label')
_CHANNELS = (1, 3, 4)
_PLAIN_MODES = ('L', 'RGB', 'RGBA')
_MAX_DIGEST_BYTES = 2**28  # of arrays whose content is compared on resuming
_MAX_EXAMPLES = 2**31 - 1


def as_source(
  data: Any,
  name: str = 'data',
  *,
  convert: Callable[[Any], np.ndarray] | None = None,
  threads: int = 4,
) -> Any:
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
    convert: function from an example, an image or an array, to an array; None
      for as_array. A data.Source is not converted.
    threads: number of threads that read a dataset.

  Returns:
    A data.Source.

  Raises:
    ValueError: if an array has another type or no examples, or lengths differ.
    TypeError: if the data have no order by index, such as a stream.
  """
  if hasattr(data, 'shape') and hasattr(data, 'distribution'):
    return data
  if hasattr(data, '__array__') and hasattr(data, 'ndim'):
    return _array_source(data, None, name, convert)
  if isinstance(data, Mapping):
    return _mapping_source(data, name, convert)
  _check_random_access(data, name)
  return RandomAccessSource(data, name, threads, convert=convert)


def _mapping_source(
  data: Mapping[str, Any], name: str, convert: Any
) -> ArraySource:
  examples = [key for key in _EXAMPLES if key in data]
  labels = [key for key in _LABELS if key in data]
  others = sorted(map(str, data.keys() - {*examples, *labels}))
  if len(examples) != 1 or len(labels) > 1 or others:
    raise ValueError(
      f'{name} has the keys {sorted(map(str, data))}: the examples must be '
      "under 'x', and labels, if there are any, under 'label'"
    )
  label = data[labels[0]] if labels else None
  return _array_source(data[examples[0]], label, name, convert)


def _array_source(x: Any, label: Any, name: str, convert: Any) -> ArraySource:
  x = as_examples(np.asarray(x), name)
  if not len(x):
    raise ValueError(f'{name} has no examples: its shape is {x.shape}')
  # One that returns its example as it is would copy a mapped file to memory.
  if convert is not None and not np.shares_memory(convert(x[0]), x):
    x = as_examples(np.stack([convert(example) for example in x]), name)
  label = np.asarray(label) if isinstance(label, list) else label
  label = jax.tree.map(_as_label, label)
  for leaf in jax.tree.leaves(label):
    if len(leaf) != len(x):
      raise ValueError(f'{name}: {len(leaf)} labels for {len(x)} examples')
  source = ArraySource(x, label)
  source.listing = array_digest(jax.tree.leaves((x, label)))
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


def array_digest(arrays: Sequence[np.ndarray]) -> str:
  """Returns a digest of arrays, '' if reading them would take long."""
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
    all_labels: labels of all examples, `[N]` int; None if they are no classes.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
  """

  distribution, listing = None, ''

  def __init__(
    self,
    rows: Any,
    name: str = 'data',
    threads: int = 4,
    *,
    convert: Callable[[Any], np.ndarray] | None = None,
  ):
    """Reads the first example.

    Args:
      rows: the dataset.
      name: what it is, for messages.
      threads: number of threads that read a batch.
      convert: function from an image, or another example, to an array; None
        for as_array.

    Raises:
      ValueError: if an item is none of those that `as_source` names.
    """
    self._rows, self._name, self._size = rows, name, len(rows)
    self._convert = convert or as_array
    self._pool = concurrent.futures.ThreadPoolExecutor(threads)
    self.class_names = _class_names(rows)
    self.shape = self._item(self._row(0), 0)[0].shape

  @functools.cached_property
  def all_labels(self) -> np.ndarray | None:
    """Labels of all examples; each is read, and mostly its example."""
    label = getattr(self._rows, 'targets', None)  # of torchvision
    if label is None or len(label) != len(self):
      parts = np.array_split(np.arange(len(self)), -(-len(self) // 1024))
      found = [self[part].get('label') for part in parts]
      is_array = isinstance(found[0], np.ndarray)
      label = np.concatenate(found) if is_array else None
    return None if label is None else np.asarray(label)

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class; () without classes."""
    return classes.shares_of(self.all_labels, len(self.class_names))

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

  def __len__(self) -> int:
    return self._size

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    if len(self._rows) != self._size:
      raise ValueError(
        f'{self._name} has {len(self._rows)} examples, and had {self._size} '
        'when it was opened: the number must not change'
      )
    wanted = [int(i) for i in indices]  # some refuse numpy's integers
    items = self._pool.map(self._item, self._read(wanted), wanted)
    xs, labels = zip(*items)
    for i, x in zip(wanted, xs):
      if x.shape != self.shape:
        raise ValueError(
          f'{self._name}[{i}] has the shape {x.shape}, and {self._name}[0] '
          f'{self.shape}: all must be equal'
        )
    batch = {'x': np.stack(xs)}
    if all(label is None for label in labels):
      return batch
    if any(label is None for label in labels):
      i = wanted[next(k for k, label in enumerate(labels) if label is None)]
      raise ValueError(f'{self._name}[{i}] has no label, and others have')
    stacked = jax.tree.map(lambda *x: _as_label(np.stack(x)), *labels)
    return {**batch, 'label': stacked}

  def _read(self, wanted: list[int]) -> Iterable[Any]:
    """Returns items in the order of their indices."""
    several = getattr(self._rows, '__getitems__', None)
    if several is not None:
      with contextlib.suppress(Exception):  # read again, and named, one by one
        return several(wanted)
    return self._pool.map(self._row, wanted)

  def _row(self, index: int) -> Any:
    try:
      return self._rows[index]
    except Exception as error:  # the code of users raises any type
      raise ValueError(
        f'{self._name}[{index}] raised {type(error).__name__}: '
        f'{files.printable(files.short_message(error))}{where_raised(error)}'
      ) from error

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
    name = f'{self._name}[{index}]'
    try:
      x = self._convert(row)
    except Exception as error:  # Pillow raises any type
      raise ValueError(f'{name}: {files.short_message(error)}') from error
    if x.dtype.kind not in 'fu' or x.ndim == 0:
      raise ValueError(
        f'{name} is a {type(row).__name__} of type {x.dtype} and shape '
        f'{x.shape}: must be an image, an array of uint8 or floats, a pair of '
        'it and a label, or a mapping of both'
      )
    return as_examples(x[None], name)[0], label


def as_array(example: Any) -> np.ndarray:
  """Returns an example as an array.

  Args:
    example: a Pillow image, whose palette, bits or inks become gray or colors,
      or anything that NumPy makes an array of.
  """
  if isinstance(example, Image.Image) and example.mode not in _PLAIN_MODES:
    gray = example.mode == '1' or example.mode.startswith('I')
    example = images.convert_mode(example, 1 if gray else 3)
  return np.asarray(example)


def where_raised(error: BaseException) -> str:
  """Returns the line of a user's code that has raised an error.

  Args:
    error: an error that was caught in this file, or in one that called it.

  Returns:
    ' (line 7 of FILE)'; '' if nothing says it.
  """
  frames = traceback.extract_tb(error.__traceback__)[1:]
  # The user's own line, and not that of a library that it has called.
  own = [f for f in frames if 'site-packages' not in f.filename] or frames
  if not own:
    return ''
  return f' (line {own[-1].lineno} of {files.printable(own[-1].filename)})'


class SourceSubset:
  """Some of the examples of a source.

  Attributes:
    shape: shape of one example.
    distribution: None.
    class_names: names of the classes; () for none.
    class_share: share of each class; () without classes.
    classes: number of classes; 0 for none.
  """

  distribution = None

  def __init__(self, source: Any, indices: np.ndarray):
    """Chooses examples.

    Args:
      source: a data.Source.
      indices: indices of the chosen ones, `[n]`.
    """
    self._source, self._indices = source, indices
    self.shape = tuple(source.shape)
    self.class_names = tuple(getattr(source, 'class_names', ()) or ())
    self.sample_rate = getattr(source, 'sample_rate', 0)

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class; () without classes."""
    label = getattr(self._source, 'label', None)
    label = getattr(self._source, 'all_labels', label)
    if not isinstance(label, np.ndarray):
      return ()
    return classes.shares_of(label[self._indices], len(self.class_names))

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return len(self.class_share)

  def __len__(self) -> int:
    return len(self._indices)

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    return self._source[self._indices[np.asarray(indices)]]


def _class_names(rows: Any) -> tuple[str, ...]:
  """Returns the names of the classes of PyTorch and Hugging Face datasets."""
  features = getattr(rows, 'features', None)
  if isinstance(features, Mapping):
    named = [features[key] for key in _LABELS if key in features]
    return tuple(getattr(named[0], 'names', None) or ()) if named else ()
  names = getattr(rows, 'classes', None)
  return tuple(map(str, names)) if isinstance(names, list | tuple) else ()
