"""Number and frequencies of the classes of each kind of source."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import ArraySource, classes, stacked_mnist
from gan_jax.data.own import RandomAccessSource
from tests.helpers.fakes import save_png

X = np.zeros((8, 2), np.float32)


def test_arrays():
  source = ArraySource(X, np.array([0, 0, 0, 0, 1, 1, 3, 3]))
  assert source.classes == 4 and source.class_share == (0.5, 0.25, 0.0, 0.25)
  for label in (None, np.zeros((8, 3)), np.zeros(8), {'a': np.zeros(8, int)}):
    assert ArraySource(X, label).classes == 0


def test_digits():
  source = data.make_source({'name': 'digits', 'size': 8})
  assert source.classes == 10
  label = source[np.arange(len(source))]['label']
  counted = np.bincount(label) / len(label)
  np.testing.assert_allclose(source.class_share, counted)
  assert data.class_share(source) == source.class_share


def test_mixtures_have_none():
  assert data.make_source({'name': 'ring', 'size': 64}).classes == 0


@pytest.mark.parametrize('memory_mb', [100, 0])
def test_folders(tmp_path, memory_mb):
  for name, count in (('7', 6), ('3', 3), ('cat', 3)):
    for i in range(count):
      save_png(tmp_path / name / f'{i}.png')
  options = {'size': 4, 'test_fraction': 0.25, 'memory_mb': memory_mb}
  train, test = (
    data.make_source(
      {'name': 'folder', 'path': str(tmp_path), **options}, split
    )
    for split in ('train', 'test')
  )
  assert train.classes == test.classes == 3
  assert train.class_names == ('3', '7', 'cat')
  counts = np.round(
    len(train) * np.array(train.class_share)
    + len(test) * np.array(test.class_share)
  )
  np.testing.assert_array_equal(counts, [3, 6, 3])
  assert data.match_classes(train, test) == (train, test)


def test_stacked_digits():
  index = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 2], [0, 0, 0]])
  digits = np.zeros((3, 4, 4, 1), np.uint8)
  source = stacked_mnist.StackedSource(digits, [1, 2, 3], index, None)
  assert source.classes == 1000
  share = np.array(source.class_share)
  np.testing.assert_allclose(share[[123, 321, 111]], [0.5, 0.25, 0.25])
  np.testing.assert_array_equal(
    source[np.arange(4)]['label'], [123, 321, 123, 111]
  )


def test_datasets_are_read_for_their_labels():
  rows = [(X[i], i % 2) for i in range(8)]
  assert RandomAccessSource(rows).class_share == (0.5, 0.5)

  class Torchvision(list):
    targets = [2, 2, 1, 1, 1, 1, 0, 0]
    classes = ['a', 'b', 'c']

  source = RandomAccessSource(Torchvision(rows))
  assert source.class_share == (0.25, 0.5, 0.25)
  assert RandomAccessSource([x for x, _ in rows]).classes == 0


def test_mapped_sources_are_sources():
  source = ArraySource(X, np.array([5, 5, 5, 5, 9, 9, 9, 9]))
  source.listing = 'abc'
  mapped = classes.MappedSource(source, [5, 9])
  assert mapped.class_share == (0.5, 0.5) and mapped.classes == 2
  assert mapped.class_names == ('5', '9') and mapped.listing == 'abc'
  np.testing.assert_array_equal(mapped.label, [0] * 4 + [1] * 4)
  with pytest.raises(AttributeError):
    _ = mapped.fingerprint
