"""Image datasets of TensorFlow Datasets, read without TensorFlow."""

import difflib
import functools
import pathlib
import shlex

import numpy as np

from gan_jax.data import classes, device_feed, images
from gan_jax.data.array_source import ArraySource


def _prepare_command(dataset: str, data_dir: str) -> str:
  where = f' --data_dir={shlex.quote(data_dir)}' if data_dir else ''
  return f'python -m gan_jax.data.prepare {dataset}{where}'


def open_builder(dataset: str, data_dir: str):
  """Finds a TFDS dataset by name.

  Args:
    dataset: 'mnist', 'cifar10', 'celeb_a', ... with an optional ':version'.
    data_dir: root directory of TFDS datasets; '' for the default of TFDS.

  Returns:
    The TFDS builder, prepared or not.

  Raises:
    ModuleNotFoundError: if tensorflow-datasets, or a package that this dataset
      needs, is not installed.
    ValueError: if the dataset is unknown (the message has the nearest names),
      or its version or variant is.
  """
  try:
    import tensorflow_datasets as tfds
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      'the data source tfds needs: pip install tensorflow-datasets '
      'importlib_resources array_record'
    ) from error
  if not dataset:
    raise ValueError(
      "data.dataset is empty: name a TFDS dataset, such as 'mnist'"
    )
  directory = str(pathlib.Path(data_dir).expanduser()) if data_dir else None
  try:
    return tfds.builder(dataset, data_dir=directory)
  except tfds.core.DatasetNotFoundError:
    # The list of community datasets is unavailable without TensorFlow.
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(dataset, known, n=3)
    hint = f' Did you mean {" or ".join(map(repr, near))}?' if near else ''
    raise ValueError(f'unknown TFDS dataset {dataset!r}.{hint}') from None
  except ModuleNotFoundError as error:
    hint = ' (pip install tensorflow-cpu)' if 'tensorflow' in str(error) else ''
    raise ModuleNotFoundError(
      f'TFDS needs another package for {dataset!r}: {first_line(error)}{hint}'
    ) from error
  except (ValueError, AssertionError) as error:
    raise ValueError(first_line(error)) from error


def first_line(error: BaseException) -> str:
  """Returns the message of an error on a single line."""
  return ' '.join(str(error).split())


def is_prepared(builder) -> bool:
  """Returns whether a TFDS dataset is on disk, readable without TensorFlow.

  Raises:
    ValueError: if it is prepared in a format that only TensorFlow can read.
  """
  if not builder.info.splits or not pathlib.Path(builder.data_path).is_dir():
    return False
  file_format = builder.info.file_format.value
  if file_format != 'array_record':
    raise ValueError(
      f'{builder.name!r} in {builder.data_path} is prepared as {file_format}; '
      'must be array_record. Prepare it again in another directory: '
      f'{_prepare_command(builder.name, "DIR")}'
    )
  return True


class _Streamed:
  """Records that are read and decoded on access."""

  distribution = None

  def __init__(self, records, features, size, channels):
    self._records, self._features = records, features
    self.label_records = records  # or the same, with images not decoded
    self.shape = (size, size, channels)
    self.declared_classes = 0

  @functools.cached_property
  def class_share(self) -> tuple[float, ...]:
    """Share of each class; reads every record once, without its image."""
    key = self._features[1]
    if not key:
      return ()
    labels = [row[key] for row in self.label_records]
    return classes.shares_of(np.array(labels, np.int32), self.declared_classes)

  @property
  def classes(self) -> int:
    """Number of classes; 0 for none."""
    return self.declared_classes

  def __len__(self):
    return len(self._records)

  def __getitem__(self, indices):
    image_key, label_key = self._features
    size, _, channels = self.shape
    rows = self._records.__getitems__([int(i) for i in indices])
    pictures = [
      images.crop_and_resize_arrays(row[image_key][None], size, channels)
      for row in rows
    ]
    batch = {'x': np.concatenate(pictures)}
    if label_key:
      batch['label'] = np.array([row[label_key] for row in rows], np.int32)
    return batch


def feature_names(builder) -> tuple[str, str | None]:
  """Returns the names of the image feature and of the class feature.

  Args:
    builder: TFDS builder, prepared or not.

  Returns:
    The two names; None for the class if the dataset has no labels.

  Raises:
    ValueError: if the dataset has no images.
  """
  import tensorflow_datasets as tfds

  features = builder.info.features
  kinds = {name: type(feature) for name, feature in features.items()}
  pictures = [n for n, kind in kinds.items() if kind is tfds.features.Image]
  labels = [n for n, kind in kinds.items() if kind is tfds.features.ClassLabel]
  if not pictures:
    raise ValueError(
      f'{builder.name} has no image feature; it has {sorted(kinds)}'
    )
  image = 'image' if 'image' in pictures else pictures[0]
  label = 'label' if 'label' in labels else (labels or [None])[0]
  return image, label


def _records(builder, split: str, train_split: str, test_split: str, **options):
  splits = builder.info.splits
  if test_split:
    names = {'train': train_split, 'test': test_split}
  elif named := [n for n in ('test', 'validation') if n in splits]:
    names = {'train': train_split, 'test': named[0]}
  else:
    names = {'train': f'{train_split}[:90%]', 'test': f'{train_split}[90%:]'}
  try:
    return builder.as_data_source(split=names[split], **options)
  except ValueError as error:
    raise ValueError(
      f'{builder.name!r} has no split {names[split]!r}; it has {sorted(splits)}'
    ) from error


def tfds(
  split: str,
  *,
  dataset: str = '',
  data_dir: str = '',
  size: int = 32,
  channels: int = 3,
  train_split: str = 'train',
  test_split: str = '',
  memory_mb: int = 2048,
) -> ArraySource | _Streamed:
  """Opens a prepared TFDS dataset of images, cropped square and resized.

  Args:
    split: 'train' or 'test'.
    dataset: name of the dataset in TFDS.
    data_dir: root directory of TFDS datasets; '' for the default of TFDS.
    size: side of the images after resizing, in pixels.
    channels: 1, 3 or 4.
    train_split: TFDS split used as 'train'.
    test_split: TFDS split used as 'test'; '' takes 'test' or 'validation' if
      one exists, and otherwise holds out the last tenth of train_split.
    memory_mb: limit in megabytes for keeping the decoded images in memory; a
      larger set is read on access.

  Returns:
    The source.

  Raises:
    ValueError: if the dataset or split is unknown, has no images, or is
      prepared in a format that only TensorFlow can read.
    FileNotFoundError: if the dataset is not prepared; the message has the
      command that prepares it.
  """
  images.check_format(size, channels)
  builder = open_builder(dataset, data_dir)
  if not is_prepared(builder):
    raise FileNotFoundError(
      f'the dataset {dataset!r} is not prepared in {builder.data_path}. '
      f'Run once: {_prepare_command(dataset, data_dir)}'
    )
  splits = split, train_split, test_split
  records = _records(builder, *splits)
  features = feature_names(builder)
  streamed = _Streamed(records, features, size, channels)
  if features[1]:
    streamed.declared_classes = builder.info.features[features[1]].num_classes
  if len(records) * size * size * channels > memory_mb * 2**20:
    skip = {features[0]: _skip_decoding()}
    streamed.label_records = _records(builder, *splits, decoders=skip)
    return streamed
  together = device_feed.read_all(streamed)
  source = ArraySource(together['x'], together.get('label'))
  source.declared_classes = streamed.declared_classes
  return source


def _skip_decoding():
  import tensorflow_datasets as tfds

  return tfds.decode.SkipDecoding()
