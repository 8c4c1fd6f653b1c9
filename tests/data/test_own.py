"""Data that a program passes: arrays, mappings, datasets with len and [i]."""

import numpy as np
import pytest
from PIL import Image

from gan_jax import data

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 6, 5, 3), np.uint8)
LABELS = RNG.integers(0, 3, 20)
INDICES = np.array([3, 3, 19, 0])


class Dataset:
  """As of PyTorch: pairs, and only Python's integers."""

  classes = ['a', 'b', 'c']

  def __len__(self):
    return len(IMAGES)

  def __getitem__(self, index):
    assert type(index) is int
    if index >= len(self):
      raise IndexError(index)
    return Image.fromarray(IMAGES[index]), int(LABELS[index])


class Batched(Dataset):
  """As of PyTorch and Hugging Face: several at a time."""

  def __getitems__(self, indices):
    return [{'image': IMAGES[i], 'label': LABELS[i]} for i in indices]


@pytest.mark.parametrize(
  'given',
  [
    {'x': IMAGES, 'label': LABELS},
    {'images': IMAGES, 'labels': list(LABELS)},
    Dataset(),
    Batched(),
    [(image, label) for image, label in zip(IMAGES, LABELS)],
    [(x.transpose(2, 0, 1), y) for x, y in zip(IMAGES, LABELS)],
    [{'x': x, 'label': y} for x, y in zip(IMAGES, LABELS)],
  ],
  ids=['mapping', 'names', 'pairs', 'batched', 'list', 'channels', 'rows'],
)
def test_images_with_labels(given):
  source = data.as_source(given)
  batch = source[INDICES]
  np.testing.assert_array_equal(batch['x'], IMAGES[INDICES])
  np.testing.assert_array_equal(batch['label'], LABELS[INDICES])
  assert batch['label'].dtype == np.int32
  assert (len(source), source.shape) == (20, (6, 5, 3))
  assert source.distribution is None


def test_names_of_the_classes():
  assert data.as_source(Dataset()).class_names == ('a', 'b', 'c')
  assert data.as_source({'x': IMAGES, 'label': LABELS}).class_names == ()


@pytest.mark.parametrize(
  'given, shape, dtype',
  [
    (IMAGES, (6, 5, 3), np.uint8),
    (IMAGES[..., 0], (6, 5, 1), np.uint8),
    (IMAGES.transpose(0, 3, 1, 2), (6, 5, 3), np.uint8),
    (RNG.normal(size=(20, 2)), (2,), np.float32),
    (RNG.normal(size=(20, 100, 1)).astype(np.float16), (100, 1), np.float32),
    (list(RNG.normal(size=(20, 7))), (7,), np.float32),
  ],
)
def test_arrays_without_labels(given, shape, dtype):
  source = data.as_source(given)
  batch = source[INDICES]
  assert batch.keys() == {'x'} and source.shape == shape
  assert batch['x'].dtype == dtype and batch['x'].shape == (4, *shape)


def test_labels_of_any_shape_are_kept():
  label = {'edges': IMAGES[..., 0], 'angle': RNG.normal(size=(20, 2))}
  batch = data.as_source({'x': IMAGES, 'label': label})[INDICES]
  np.testing.assert_array_equal(
    batch['label']['edges'], IMAGES[..., 0][INDICES]
  )
  assert batch['label']['edges'].dtype == np.uint8
  assert batch['label']['angle'].dtype == np.float32
  angle = np.linspace(0, 1, 20)  # of numbers, not classes
  batch = data.as_source({'x': IMAGES, 'label': angle})[INDICES]
  np.testing.assert_allclose(batch['label'], angle[INDICES], rtol=1e-6)
  rows = [(x, {'angle': np.float32(i)}) for i, x in enumerate(IMAGES)]
  batch = data.as_source(rows)[INDICES]
  np.testing.assert_array_equal(batch['label']['angle'], INDICES)


def test_a_source_stays_as_it_is():
  source = data.ArraySource(IMAGES)
  assert data.as_source(source) is source


def test_other_content_is_noticed_on_resuming():
  other = IMAGES.copy()
  other[7, 0, 0, 0] ^= 1
  digests = [data.as_source(x).listing for x in (IMAGES, IMAGES.copy(), other)]
  assert digests[0] == digests[1] != digests[2]


class Stream:
  """As of PyTorch's IterableDataset, tf.data or WebDataset."""

  def __iter__(self):
    return iter(IMAGES)


class Infinite(Dataset):
  """As of grain's MapDataset after repeat()."""

  def __len__(self):
    return 2**62


@pytest.mark.parametrize(
  'given, message',
  [
    (Stream(), 'Stream.*the seed and the step.*arrays'),
    ((x for x in IMAGES), 'generator.*the seed and the step'),
    (Infinite(), 'repeat'),
    ('photographs', "'folder'"),
    ([], '0 examples'),
    (IMAGES[:0], 'no examples'),
    (LABELS, 'int64'),
    (np.full((4, 2), np.nan), '8 values not finite'),
    ({'pixels': IMAGES}, r"\['pixels'\].*'x'"),
    ({'x': IMAGES, 'weight': LABELS}, 'weight'),
    ({'x': IMAGES, 'label': LABELS[:7]}, '7 labels for 20 examples'),
    ([{'pixels': x} for x in IMAGES], r"data\[0\].*\['pixels'\]"),
    (['a.png', 'b.png'], r'data\[0\] is a str'),
    ([IMAGES[0], IMAGES[1][:3]], r'data\[1\] has the shape \(3, 5, 3\)'),
  ],
)
def test_what_cannot_be_read_is_refused(given, message):
  with pytest.raises((TypeError, ValueError), match=message):
    data.as_source(given)[np.arange(2)]


def test_a_conversion_that_changes_nothing_does_not_copy_a_mapped_file(
  tmp_path,
):
  x = np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3)
  np.save(tmp_path / 'x.npy', x)
  mapped = np.load(tmp_path / 'x.npy', mmap_mode='r')
  for given in (mapped, {'image': mapped, 'label': np.arange(5)}):
    source = data.as_source(given, convert=lambda example: example)
    assert np.shares_memory(source.x, mapped)
    np.testing.assert_array_equal(source[np.array([4, 0])]['x'], x[[4, 0]])
  source = data.as_source(mapped, convert=lambda example: example + 1)
  np.testing.assert_array_equal(source.x, x + 1)
