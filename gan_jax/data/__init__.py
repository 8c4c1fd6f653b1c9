"""Data sources, and the pipeline that feeds batches to a train step.

A source is any object with the interface of `Source`: a length, and batches by
index array. `SOURCES` lists the sources that a config can name. Each is a
function (split, **options) with split 'train' or 'test', and imports its own
library when called.
"""

import inspect
from typing import Any, Mapping, Protocol

import numpy as np

from gan_jax import validation
from gan_jax.data import (
  audio,
  custom,
  device_feed,
  digits,
  folder,
  hf,
  npz_file,
  stacked_mnist,
  synthetic,
  tfds,
  tones,
)
from gan_jax.data.array_source import ArraySource
from gan_jax.data.batches import BatchIterator
from gan_jax.data.classes import class_share, match_classes
from gan_jax.data.own import as_source
from gan_jax.data.sample_files import open_samples

__all__ = [
  'ArraySource',
  'SOURCES',
  'BatchIterator',
  'Source',
  'as_source',
  'class_share',
  'make_source',
  'match_classes',
  'open_samples',
  'sample_rate',
  'source_options',
]


class Source(Protocol):
  """Interface of a set of examples, in memory or on disk.

  Attributes:
    shape: shape of one example; (size, size, channels) for images, (length, 1)
      for sound.
    distribution: the exact distribution, if it is known (data.synthetic);
      otherwise None.
    classes: number of classes of the labels, which are 0 .. classes - 1; 0 for
      none. A source of one's own may lack it and class_share.
    class_share: share of each class among the examples; () for none.

  A source of sound has an attribute `sample_rate`, in Hz; see sample_rate.
  """

  shape: tuple[int, ...]
  distribution: Any
  classes: int
  class_share: tuple[float, ...]

  def __len__(self) -> int: ...

  def __getitem__(self, indices: np.ndarray) -> dict[str, Any]:
    """Returns `{'x': [n, *shape] uint8 or float32, 'label'?: [n] int32}`.

    For networks of one's own, the label may be any tree of arrays `[n, ...]`.
    """


SOURCES = {
  'gaussian': synthetic.gaussian,
  'ring': synthetic.ring,
  'grid': synthetic.grid,
  'digits': digits.digits,
  'tfds': tfds.tfds,
  'stacked_mnist': stacked_mnist.stacked_mnist,
  'folder': folder.folder,
  'npz': npz_file.npz,
  'hf': hf.hf,
  'custom': custom.custom,
  'audio': audio.audio,
  'tones': tones.tones,
}


def sample_rate(source: Any) -> int:
  """Returns the sample rate of a source of sound in Hz; 0 for other data.

  Args:
    source: a data.Source.
  """
  return getattr(source, 'sample_rate', 0)


def source_options(spec: Mapping[str, Any]) -> dict[str, Any]:
  """Checks the options of a data spec and fills in the defaults.

  Args:
    spec: {'name': a key of SOURCES, and options of that source}.

  Returns:
    All options, including 'name'.

  Raises:
    ValueError: if the source or an option is unknown, or a value has the wrong
      type.
  """
  name = spec.get('name')
  if name not in SOURCES:
    raise ValueError(
      validation.unknown_name_message(str(name), SOURCES, 'data source')
    )
  parameters = inspect.signature(SOURCES[name]).parameters.values()
  allowed = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
  given = {key: value for key, value in spec.items() if key != 'name'}
  options = validation.fill_options(f'the data source {name}', given, allowed)
  return {'name': name, **options}


def make_source(spec: Mapping[str, Any], split: str = 'train') -> Source:
  """Opens a source by name.

  Args:
    spec: {'name': a key of SOURCES, and options of that source}.
    split: 'train' or 'test'.

  Returns:
    The source.

  Raises:
    ValueError: if the source, an option or the split is unknown, or a value is
      invalid.
    FileNotFoundError: if the data do not exist.
  """
  if split not in ('train', 'test'):
    raise ValueError(f"split={split!r}: choose one of ('train', 'test')")
  options = source_options(spec)
  return SOURCES[options.pop('name')](split, **options)
