"""Images of Hugging Face datasets, and of parquet files."""

import concurrent.futures
import functools
import importlib.util
import json
import os
import pathlib
import re
from typing import Any, Callable, Iterator, Mapping, NamedTuple

import numpy as np

from gan_jax.data import classes as class_lib
from gan_jax.data import folder, image_files, images, own
from gan_jax.data.array_source import (
  ArraySource,
  check_pixels,
  split_indices,
)
from gan_jax.io import files

_IMAGES = ('image', 'img', 'images', 'x')
_LABELS = ('label', 'labels', 'fine_label', 'y')
_HELD_OUT = ('test', 'validation')
_SPLIT_NAME = re.compile(r'(?:^|[^a-z])(train|test|validation)(?:[^a-z]|$)')


class ImageTable(NamedTuple):
  """Encoded images and their classes, in one split of a dataset.

  Attributes:
    size: number of images.
    cell: function from an index to {'bytes', 'path'} or the bytes of an image.
    labels: classes `[size]` int32, or None.
    class_names: their names; () for none.
    directories: where images that are files of their own may lie.
    name: what it is, for messages.
  """

  size: int
  cell: Callable[[int], Any]
  labels: np.ndarray | None
  class_names: tuple[str, ...]
  directories: tuple[pathlib.Path, ...]
  name: str

  def content(self, index: int) -> bytes:
    """Returns the file of an image.

    Args:
      index: index in [0, size).

    Raises:
      OSError: if its file cannot be read.
      ValueError: if there is none, or it lies outside of the dataset.
    """
    cell = self.cell(index)
    if isinstance(cell, bytes):
      return cell
    if cell is None:
      raise ValueError('it is null')
    if cell.get('bytes') is not None:
      return cell['bytes']
    path = pathlib.Path(cell.get('path') or '')
    real = pathlib.Path(os.path.realpath(path))
    if not any(real.is_relative_to(parent) for parent in self.directories):
      raise ValueError(
        f'it has no pixels but the path {files.printable(path)}, outside of the '
        'dataset; embed the images before to_parquet: '
        "dataset.with_format('arrow').map(datasets.table.embed_table_storage, "
        'batched=True)'
      )
    return image_files.read_regular(path)


def hf(
  split: str,
  *,
  dataset: str = '',
  subset: str = '',
  revision: str = '',
  image: str = '',
  label: str = '',
  size: int = 64,
  channels: int = 3,
  train_split: str = 'train',
  test_split: str = '',
  test_fraction: float = 0.1,
  background: str = 'white',
  memory_mb: int = 2048,
  threads: int = 0,
) -> ArraySource | folder.ImageFolderSource:
  """Opens the images of a Hugging Face dataset, or of parquet files.

  Images are turned upright, cropped square and resized. Those that fit in
  `memory_mb` at their final size are decoded once, at the start; otherwise they
  are decoded on access. Parquet files need pyarrow alone, and then their
  encoded images must fit in `memory_mb`, too.

  Args:
    split: 'train' or 'test'.
    dataset: a name on the Hugging Face Hub; a directory of parquet files, of
      images (an "imagefolder") or of `save_to_disk`; or a parquet file.
    subset: name of its configuration; '' for the only one.
    revision: branch, tag or commit on the Hub; '' for the newest.
    image: column of the images; '' finds it.
    label: column of the classes, integers; '' finds it, 'none' for no classes.
    size: side of the images after resizing, in pixels.
    channels: 1, 3 or 4.
    train_split: split to train on.
    test_split: split held out; '' takes 'test' or 'validation' if there is one,
      and otherwise holds out `test_fraction` of `train_split`.
    test_fraction: fraction held out if there is no such split.
    background: color behind transparent pixels unless `channels` is 4.
    memory_mb: limit in megabytes for keeping images in memory.
    threads: number of threads that decode; 0 for one per processor.

  Returns:
    The source.

  Raises:
    FileNotFoundError: if there is no such dataset.
    ModuleNotFoundError: if a package is missing; the message has the command.
    ValueError: if a split, a column or an image cannot be used; the message has
      its index.
  """
  table, chosen = _open(
    dataset,
    split,
    subset=subset,
    revision=revision,
    columns=(image, label),
    splits=(train_split, test_split),
    test_fraction=test_fraction,
    memory_mb=memory_mb,
  )
  remarks = folder.Remarks(pathlib.Path(dataset))
  load = _make_load(table, size, channels, background, remarks.add)
  threads = threads or os.cpu_count() or 1
  labels = None if table.labels is None else table.labels[chosen]
  if len(chosen) * size * size * channels <= memory_mb * 2**20:
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
      x = np.stack(list(pool.map(load, chosen)))
    remarks.warn()
    check_pixels(x, table.name)
    source = ArraySource(x, labels)
    source.listing = own.array_digest([x] if labels is None else [x, labels])
  else:
    source = folder.ImageFolderSource(
      chosen,
      labels,
      load,
      (size, size, channels),
      threads,
      remarks=remarks,
      fingerprint=f'{table.name} {revision} {table.size}',
    )
  source.class_names = table.class_names
  kind = f'{source.classes:,} classes' if source.classes else 'no labels'
  source.description = f'{len(chosen):,} of {table.name}; {kind}'
  return source


def check_hf(
  *,
  size: int = 64,
  channels: int = 3,
  background: str = 'white',
  threads: int = 0,
  track: Callable[[str, int], Callable[[int], None]],
  **options: Any,
) -> Iterator[str]:
  """Decodes all images of a dataset and yields what is wrong with them.

  Args:
    size: as for `hf`, as the other options are.
    channels: 1, 3 or 4.
    background: color behind transparent pixels.
    threads: number of threads that decode.
    track: function (description, total) -> advance, where advance(n) adds n to
      what is done.
    **options: other options of `hf`.

  Yields:
    A sentence for each image that cannot be read, which names it.

  Raises:
    Exception: as `hf` does, but not for images.
  """
  columns = options.pop('image', ''), options.pop('label', '')
  splits = options.pop('train_split', 'train'), options.pop('test_split', '')
  options = {'test_fraction': 0.1, 'memory_mb': 2048, **options}
  options |= dict(columns=columns, splits=splits)
  dataset = options.pop('dataset', '')
  for split in ('train', 'test'):
    table, chosen = _open(dataset, split, **options)
    remarks = folder.Remarks(pathlib.Path(dataset))
    load = _make_load(table, size, channels, background, remarks.add)
    shares = class_lib.shares_of(table.labels, len(table.class_names))
    kind = f'{len(shares)} classes' if shares else 'no labels'
    advance = track(
      f'{len(chosen):,} {split} images of {table.name}; {kind}', len(chosen)
    )
    yield from folder.check_images(load, chosen, table.name, advance, threads)
    remarks.warn()


def is_installed(package: str) -> bool:
  """Returns whether a package can be imported."""
  return importlib.util.find_spec(package) is not None


def _make_load(
  table: ImageTable,
  size: int,
  channels: int,
  background: str,
  remark: Callable[[str], None],
) -> Callable[..., np.ndarray]:
  """Returns the function (index, verify=True) that decodes an image."""
  images.check_format(size, channels)
  convert = functools.partial(
    images.crop_and_resize,
    size=size,
    channels=channels,
    background=images.parse_color(background),
    remark=remark,
  )
  draft = 'RGB' if channels > 1 else 'L', size

  def load(index, verify=True):
    with image_files.naming_errors(f'{table.name}[{index}]'):
      return image_files.decode_image(
        table.content(int(index)),
        convert,
        draft=draft,
        verify=verify,
        remark=remark,
      )

  return load


def _open(
  dataset: str,
  split: str,
  *,
  subset: str = '',
  revision: str = '',
  columns: tuple[str, str],
  splits: tuple[str, str],
  test_fraction: float,
  memory_mb: int,
) -> tuple[ImageTable, np.ndarray]:
  """Returns the table that holds a split, and the indices of the split."""
  if not dataset:
    raise FileNotFoundError(
      'data.hf.dataset is empty: name a dataset of the Hugging Face Hub, a '
      'directory or a parquet file'
    )
  if is_installed('datasets'):
    found = _open_datasets(dataset, subset, revision)
  else:
    found = _open_parquet(dataset, memory_mb)
  train_split, test_split = splits
  if not test_split:
    test_split = next((name for name in _HELD_OUT if name in found), '')
  wanted = (test_split if split == 'test' else '') or train_split
  if wanted not in found:
    raise ValueError(
      f'data.hf.dataset={dataset!r} has no split {wanted!r}; it has '
      f'{sorted(found)}'
    )
  table = found[wanted](columns)
  if test_split:
    return table, np.arange(table.size)
  return table, split_indices(table.size, split, test_fraction)


# Of each split, a function from the columns of images and labels to the table.
_Splits = Mapping[str, Callable[[tuple[str, str]], ImageTable]]


def _open_datasets(dataset: str, subset: str, revision: str) -> _Splits:
  """Opens a dataset by the package `datasets`."""
  import datasets

  path = files.resolve_path(dataset, 'data.hf.dataset')
  parents = [pathlib.Path(os.path.realpath(datasets.config.HF_CACHE_HOME))]
  options: dict[str, Any] = {'name': subset or None}
  try:
    if path.is_dir():
      parents.append(pathlib.Path(os.path.realpath(path)))
      if any((path / name).is_file() for name in _SAVED):
        found = datasets.load_from_disk(str(path))
      else:
        found = datasets.load_dataset(str(path), **options)
    elif path.suffix == '.parquet' and path.is_file():
      found = datasets.load_dataset('parquet', data_files=str(path))
    else:
      options['revision'] = revision or None
      found = datasets.load_dataset(dataset, **options)
  except Exception as error:  # datasets raises any type
    text = files.printable(' '.join(str(error).split())[:400])
    kind = FileNotFoundError if isinstance(error, OSError) else ValueError
    raise kind(
      f'data.hf.dataset={dataset!r}: {type(error).__name__}: {text}'
    ) from error
  if isinstance(found, datasets.Dataset):
    found = {'train': found}
  return {
    split: functools.partial(
      _table_of_dataset, rows, f'{dataset} {split}', tuple(parents)
    )
    for split, rows in found.items()
  }


_SAVED = ('state.json', 'dataset_dict.json')  # files of save_to_disk


def _table_of_dataset(
  rows: Any,
  name: str,
  directories: tuple[pathlib.Path, ...],
  columns: tuple[str, str],
) -> ImageTable:
  """Returns the columns of a datasets.Dataset."""
  schema = rows.features.arrow_schema
  image, label = _choose_columns(schema, name, columns)
  arrow = rows.with_format('arrow')
  pictures = arrow.select_columns([image])
  labels, names = None, ()
  if label:
    labels = _as_labels(
      arrow.select_columns([label])[:].column(label), f'{name}.{label}'
    )
    names = tuple(getattr(rows.features[label], 'names', None) or ())
  cell = lambda index: pictures[index].column(image)[0].as_py()
  return ImageTable(len(rows), cell, labels, names, directories, name)


def _open_parquet(dataset: str, memory_mb: int) -> _Splits:
  """Opens parquet files by pyarrow alone."""
  path = files.resolve_path(dataset, 'data.hf.dataset')
  if not is_installed('pyarrow'):
    raise ModuleNotFoundError(
      'the data source hf needs: pip install datasets (for parquet files '
      'alone: pip install pyarrow)'
    )
  found = [path] if path.is_file() else sorted(path.rglob('*.parquet'))
  if not found or not path.exists():
    raise ModuleNotFoundError(
      f'data.hf.dataset={dataset!r}: is no parquet file, and no directory of '
      'them; other datasets need: pip install datasets'
    )
  by_split: dict[str, list[pathlib.Path]] = {}
  for file in found:
    matched = _SPLIT_NAME.search(str(file.relative_to(path.parent)).lower())
    by_split.setdefault(matched[1] if matched else 'train', []).append(file)
  return {
    split: functools.partial(
      _table_of_parquet, paths, f'{dataset} {split}', memory_mb
    )
    for split, paths in by_split.items()
  }


def _table_of_parquet(
  paths: list[pathlib.Path],
  name: str,
  memory_mb: int,
  columns: tuple[str, str],
) -> ImageTable:
  """Reads the columns of parquet files into memory."""
  import pyarrow
  import pyarrow.parquet

  try:
    opened = [pyarrow.parquet.ParquetFile(path) for path in paths]
    schema = opened[0].schema_arrow
    image, label = _choose_columns(schema, name, columns)
    size = sum(
      file.metadata.row_group(i).total_byte_size
      for file in opened
      for i in range(file.num_row_groups)
    )
    if size > memory_mb * 2**20:
      raise ValueError(
        f'{name} has {size / 2**20:,.0f} MB, and data.hf.memory_mb={memory_mb}: '
        'must be more, or pip install datasets, which reads from disk'
      )
    wanted = [image] + [label] * bool(label)
    table = pyarrow.concat_tables([file.read(wanted) for file in opened])
  except pyarrow.ArrowException as error:
    raise ValueError(
      f'{name} cannot be read as parquet: {files.short_message(error)}'
    ) from error
  pictures = table.column(image)
  labels = label and _as_labels(table.column(label), f'{name}.{label}')
  return ImageTable(
    len(table),
    lambda index: pictures[index].as_py(),
    labels if label else None,
    _class_names(schema, label),
    (),
    name,
  )


def _choose_columns(
  schema: Any, name: str, columns: tuple[str, str]
) -> tuple[str, str]:
  """Returns the columns of images and of classes, '' for no classes.

  Args:
    schema: pyarrow schema of the table.
    name: what it is, for messages.
    columns: names that the user gave; '' to find them.
  """
  import pyarrow

  of = pyarrow.types
  kinds = dict(zip(schema.names, schema.types))
  for column, option in zip(columns, ('image', 'label')):
    if column not in ('', 'none', *kinds):
      raise ValueError(
        f'data.hf.{option}={column!r}: {name} has the columns {schema.names}'
      )
  is_image = lambda kind: (
    of.is_binary(kind)
    or of.is_large_binary(kind)
    or (of.is_struct(kind) and kind.get_field_index('bytes') >= 0)
  )
  found = [n for n, kind in kinds.items() if is_image(kind)]
  image = columns[0] or next((n for n in _IMAGES if n in found), '')
  image = image or (found[0] if found else '')
  if not image:
    raise ValueError(
      f'{name} has no column of images; it has the columns {schema.names}'
    )
  if image not in found:
    raise ValueError(
      f'data.hf.image={image!r}: a column of type {kinds[image]}; must hold '
      'images'
    )
  label = columns[1]
  if label == 'none':
    return image, ''
  if label and not of.is_integer(kinds[label]):
    raise ValueError(
      f'data.hf.label={label!r}: a column of type {kinds[label]}; classes must '
      'be integers'
    )
  classes = [n for n in _LABELS if n in kinds and of.is_integer(kinds[n])]
  return image, label or (classes[0] if classes else '')


def _as_labels(column: Any, name: str) -> np.ndarray:
  """Returns a column of integers as classes."""
  if column.null_count:
    index = next(i for i, x in enumerate(column) if not x.is_valid)
    raise ValueError(f'{name}[{index}] is null; set data.hf.label to none')
  labels = np.asarray(column.to_numpy()).astype(np.int64)
  wrong = np.flatnonzero((labels < 0) | (labels > class_lib.MAX_CLASS))
  if len(wrong):
    raise ValueError(
      f'{name}[{wrong[0]}] is {labels[wrong[0]]}; classes must be integers from '
      f'0 to {class_lib.MAX_CLASS:,} (set data.hf.label to none to ignore them)'
    )
  return labels.astype(np.int32)


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
  """Returns the names of the classes that a parquet file notes."""
  noted = (schema.metadata or {}).get(b'huggingface', b'{}')
  try:
    features = json.loads(noted)['info']['features']
    names = features[label]['names']
  except (KeyError, TypeError, ValueError):
    return ()
  is_list = isinstance(names, list)
  return tuple(map(str, names)) if is_list else ()
