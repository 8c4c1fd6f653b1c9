"""Arrays that are no sets of images are noticed."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import ArraySource

ZERO_ONE = np.random.default_rng(0).integers(0, 2, (600, 5, 5, 3), np.uint8)


def test_uint8_images_of_0_and_1_are_refused(tmp_path):
  np.save(tmp_path / 'a.npy', ZERO_ONE)
  np.save(tmp_path / 'b.npy', ZERO_ONE[..., 0])
  for attempt in (
    lambda: ArraySource(ZERO_ONE),
    lambda: data.open_samples(tmp_path / 'a.npy'),
    lambda: data.open_samples(tmp_path / 'b.npy'),
  ):
    with pytest.raises(ValueError, match='0 or 1.*multiply by 255'):
      attempt()


def test_other_images_of_few_values_are_not(tmp_path):
  last = ZERO_ONE.copy()
  last[-1, -1, -1] = 2
  for x in (last, ZERO_ONE * 255, 0 * ZERO_ONE, 0 * ZERO_ONE + 1):
    assert len(ArraySource(x)) == 600
  assert len(ArraySource(ZERO_ONE.astype(np.float32))) == 600
  assert len(ArraySource(np.zeros((0, 4, 4, 3), np.uint8))) == 0


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_one_image_is_not_taken_for_a_set(tmp_path, channels):
  x = np.random.default_rng(0).integers(0, 256, (9, 8, channels), np.uint8)
  np.save(tmp_path / 'a.npy', x)
  np.save(tmp_path / 'b.npy', x / 127.5 - 1)
  for attempt in (
    lambda: ArraySource(x),
    lambda: data.open_samples(tmp_path / 'a.npy'),
    lambda: data.open_samples(tmp_path / 'b.npy'),
  ):
    with pytest.raises(ValueError, match=r'one image .*x\[None\]'):
      attempt()
  np.save(tmp_path / 'c.npy', x[None])
  assert data.open_samples(tmp_path / 'c.npy').shape == (9, 8, channels)
  # Sounds, not images.
  assert ArraySource(np.zeros((9, 8, channels), np.float32)).shape[0] == 8


def test_one_gray_image_is_not_taken_for_points(tmp_path):
  np.save(tmp_path / 'a.npy', np.zeros((9, 8), np.uint8))
  with pytest.raises(ValueError, match=r'\[H, W\].*float32'):
    data.open_samples(tmp_path / 'a.npy')


def test_suffixes_of_arrays_in_any_case(tmp_path):
  x = np.full((4, 5, 6, 3), 7, np.uint8)
  with (tmp_path / 'A.NPZ').open('wb') as file:
    np.savez(file, x=x)
  with (tmp_path / 'A.Npy').open('wb') as file:
    np.save(file, x)
  for name in ('A.NPZ', 'A.Npy'):
    assert data.open_samples(tmp_path / name).x.shape == x.shape
