"""Labels of samples: frequencies, rows of a picture, what a caller asks for."""

import dataclasses

import numpy as np
import pytest

from gan_jax import sampling
from gan_jax.sampling import class_labels
from tests.helpers import tiny

SHARE = (0.5, 0.25, 0.0, 0.25)


def labels(share, count):
  gan = dataclasses.replace(tiny.gan(classes=4), class_share=share)
  return sampling.label_fn(gan)(np.arange(count))


@pytest.mark.parametrize('count', [100, 1000])
def test_any_number_of_samples_has_the_frequencies_of_the_data(count):
  found = labels(SHARE, count)
  assert found.dtype == np.int32 and found.shape == (count,)
  counted = np.bincount(found, minlength=4)
  np.testing.assert_allclose(counted / count, SHARE, atol=3 / count)
  np.testing.assert_array_equal(found[:50], labels(SHARE, 50))
  even = np.bincount(labels((), count), minlength=4)
  np.testing.assert_allclose(even / count, 0.25, atol=3 / count)


def test_no_classes_have_no_labels():
  assert sampling.label_fn(tiny.gan())(np.arange(3)) is None


def test_rows_of_a_picture():
  found, columns = sampling.labels_in_rows(10, 64)
  np.testing.assert_array_equal(found, np.repeat(np.arange(10), 6))
  assert columns == 6
  found, columns = sampling.labels_in_rows(1000, 64)
  assert columns == 8 and len(found) == 64
  rows = found.reshape(8, 8)
  assert (rows == rows[:, :1]).all() and (rows[0, 0], rows[-1, 0]) == (0, 999)
  found, columns = sampling.labels_in_rows(5, 1)
  assert columns == 1 and len(found) == 1


def test_labels_that_a_caller_asks_for():
  np.testing.assert_array_equal(class_labels.check_label(3, 2, 4), [3, 3])
  np.testing.assert_array_equal(class_labels.check_label([3, 0], 2, 4), [3, 0])


@pytest.mark.parametrize('label', [4, -1, 1.0, [1, 2, 3], [[1, 2]], 'a', True])
def test_labels_that_are_refused(label):
  with pytest.raises(ValueError, match='integer from 0 to 3, or 2 of them'):
    class_labels.check_label(label, 2, 4)
