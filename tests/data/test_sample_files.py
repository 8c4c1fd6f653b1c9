"""Anybody's samples: folders of pictures, files of arrays."""

import numpy as np
import pytest

from gan_jax import data
from tests.helpers.fakes import save_png


def test_a_folder_is_read_as_it_is(tmp_path):
  first = save_png(tmp_path / 'b' / '1.png')
  save_png(tmp_path / 'a' / '22.png')
  source = data.open_samples(tmp_path)
  assert len(source) == 2 and source.shape == (5, 4, 3)
  batch = source[np.array([1])]
  np.testing.assert_array_equal(batch['x'], first[None])
  np.testing.assert_array_equal(batch['label'], [1])


def test_grey_pictures_stay_grey_unless_one_is_not(tmp_path):
  save_png(tmp_path / '1.png', mode='L')
  assert data.open_samples(tmp_path).shape == (5, 4, 1)
  save_png(tmp_path / '2.png')
  source = data.open_samples(tmp_path)
  assert source[np.arange(2)]['x'].shape == (2, 5, 4, 3)


def test_a_folder_of_several_sizes_is_refused_with_their_numbers(tmp_path):
  for i in range(3):
    save_png(tmp_path / f'{i}.png')
  save_png(tmp_path / 'odd.png', shape=(7, 7))
  with pytest.raises(ValueError, match='3 of 4 x 5 .* 1 of 7 x 7 .such as'):
    data.open_samples(tmp_path)


def test_a_picture_that_breaks_when_decoded_is_named(tmp_path):
  save_png(tmp_path / '1.png', shape=(90, 90))
  content = (tmp_path / '1.png').read_bytes()
  (tmp_path / '2.png').write_bytes(content[: len(content) // 2])
  source = data.open_samples(tmp_path)
  with pytest.raises(ValueError, match='2.png'):
    source[np.arange(2)]


@pytest.mark.parametrize('name', ['x', 'samples', 'images', 'arr_0'])
def test_arrays_of_a_file(tmp_path, name):
  x = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3), np.uint8)
  np.savez(tmp_path / 'a.npz', **{name: x}, label=np.arange(4))
  source = data.open_samples(tmp_path / 'a.npz')
  np.testing.assert_array_equal(source.x, x)
  np.testing.assert_array_equal(source.label, np.arange(4))


def test_float_images_become_uint8_in_the_range_that_is_said(tmp_path):
  levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
  np.save(tmp_path / 'a.npy', levels / 127.5 - 1)
  source = data.open_samples(tmp_path / 'a.npy')
  np.testing.assert_array_equal(source.x, levels[..., None])
  np.save(tmp_path / 'b.npy', (levels / 255).astype(np.float32))
  source = data.open_samples(tmp_path / 'b.npy', value_range=(0, 1))
  np.testing.assert_array_equal(source.x, levels[..., None])
  with pytest.raises(ValueError, match='value_range=0,1'):
    data.open_samples(tmp_path / 'b.npy')
  points_ = np.random.default_rng(0).normal(size=(5, 2))
  np.save(tmp_path / 'c.npy', points_)
  np.testing.assert_allclose(
    data.open_samples(tmp_path / 'c.npy').x, points_, rtol=1e-6
  )


@pytest.mark.parametrize(
  'x, message',
  [
    (np.zeros((4, 3, 9, 9), np.uint8), r'look like \[N, C, H, W\]'),
    (np.zeros((4, 9, 9, 2), np.uint8), r'with C of 1, 3 or 4'),
    (np.zeros((0, 9, 9, 3), np.uint8), r'shape \(0, 9, 9, 3\)'),
    (np.zeros((4, 9, 9, 3), np.int64), 'type int64'),
    (np.zeros(4, np.float32), r'shape \(4,\)'),
    (np.full((4, 9, 9, 3), np.nan), '972 .*not finite'),
    (np.full((4, 9, 9, 3), 255.0), 'from 255 to 255.* from -1 to 1'),
  ],
)
def test_arrays_that_are_no_examples(tmp_path, x, message):
  np.save(tmp_path / 'a.npy', x)
  with pytest.raises(ValueError, match=message):
    data.open_samples(tmp_path / 'a.npy')


def test_files_that_are_no_arrays(tmp_path):
  with pytest.raises(FileNotFoundError, match=str(tmp_path)):
    data.open_samples(tmp_path / 'nothing')
  (tmp_path / 'a.txt').write_text('')
  with pytest.raises(ValueError, match='directory of images'):
    data.open_samples(tmp_path / 'a.txt')
  for name in ('b.npz', 'b.npy'):
    (tmp_path / name).write_bytes(b'no array at all')
    with pytest.raises(ValueError, match=name):
      data.open_samples(tmp_path / name)
  np.save(tmp_path / 'c.npy', np.array([{}], object))
  with pytest.raises(ValueError, match='c.npy '):
    data.open_samples(tmp_path / 'c.npy')
  np.savez(tmp_path / 'd.npz', other=np.zeros(3))
  with pytest.raises(ValueError, match=r"\['other'\]"):
    data.open_samples(tmp_path / 'd.npz')
  np.savez(tmp_path / 'e.npz', x=np.zeros((3, 2)), label=np.zeros(2, int))
  with pytest.raises(ValueError, match=r'integers.* \(3,\)'):
    data.open_samples(tmp_path / 'e.npz')
  np.savez(tmp_path / 'f.npz', x=np.zeros((3, 2)), label=[-1, 0, 1])
  with pytest.raises(ValueError, match='classes from -1 to 1'):
    data.open_samples(tmp_path / 'f.npz')
