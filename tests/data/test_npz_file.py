"""Arrays of a file as data to train on."""

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import check
from gan_jax.data.array_source import split_indices

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 6, 5, 3), np.uint8)
LABELS = np.arange(20) % 3


def read(path, split='train', **options):
  return data.make_source({'name': 'npz', 'path': str(path), **options}, split)


def save(path, **arrays):
  np.savez(path, **arrays)
  return path


@pytest.mark.parametrize('names', [('x', 'label'), ('arr_0', 'arr_1')])
def test_images_and_classes(tmp_path, names):
  path = save(tmp_path / 'a.npz', **dict(zip(names, (IMAGES, LABELS))))
  for split in ('train', 'test'):
    source = read(path, split, test_fraction=0.25)
    chosen = split_indices(20, split, 0.25)
    np.testing.assert_array_equal(source.x, IMAGES[chosen])
    np.testing.assert_array_equal(source.label, LABELS[chosen])
    assert source.classes == 3


def test_an_npy_file_and_gray_images(tmp_path):
  np.save(tmp_path / 'a.npy', IMAGES[..., 0])
  source = read(tmp_path / 'a.npy')
  assert source.shape == (6, 5, 1) and source.label is None
  chosen = split_indices(20, 'train', 0.1)
  np.testing.assert_array_equal(source.x[..., 0], IMAGES[chosen][..., 0])


@pytest.mark.parametrize(
  'names', [('x_{}', 'y_{}'), ('{}_images', '{}_labels')]
)
def test_the_splits_of_the_file(tmp_path, names):
  arrays = {
    names[0].format('train'): IMAGES[:15],
    names[0].format('test'): IMAGES[15:],
    names[1].format('train'): LABELS[:15, None],
    names[1].format('test'): LABELS[15:, None],
  }
  path = save(tmp_path / 'a.npz', **arrays)
  np.testing.assert_array_equal(read(path).x, IMAGES[:15])
  test = read(path, 'test')
  np.testing.assert_array_equal(test.x, IMAGES[15:])
  np.testing.assert_array_equal(test.label, LABELS[15:])
  # An array that is named is divided, whatever its name.
  named = read(path, x=names[0].format('train'), label=names[1].format('train'))
  assert len(named) == 13  # 15 - round(1.5)


@pytest.mark.parametrize('value_range', [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)])
def test_floats_of_a_range_become_those_from_minus_1_to_1(
  tmp_path, value_range
):
  low, high = value_range
  x = np.linspace(low, high, 20 * 6 * 5).reshape(20, 6, 5, 1)
  path = save(tmp_path / 'a.npz', x=x)
  source = read(path, value_range=value_range)
  scaled = np.linspace(-1, 1, 600).reshape(20, 6, 5, 1)
  chosen = split_indices(20, 'train', 0.1)
  assert source.x.dtype == np.float32
  np.testing.assert_allclose(source.x, scaled[chosen], atol=1e-6)


def test_points_and_sound(tmp_path):
  points = RNG.normal(size=(20, 2)) * 9
  path = save(tmp_path / 'a.npz', x=points)
  chosen = split_indices(20, 'train', 0.1)
  np.testing.assert_allclose(read(path).x, points[chosen], rtol=1e-6)
  clips = RNG.uniform(-1, 1, (20, 64, 1)).astype(np.float32)
  path = save(tmp_path / 'b.npz', x=clips)
  source = read(path, sample_rate=8000)
  assert data.sample_rate(source) == 8000
  np.testing.assert_array_equal(source.x, clips[chosen])


def test_another_content_is_noticed_on_resuming(tmp_path):
  path = save(tmp_path / 'a.npz', x=IMAGES)
  first = read(path).listing
  assert first and read(path).listing == first
  assert read(save(path, x=IMAGES[::-1])).listing != first


@pytest.mark.parametrize(
  'arrays, options, message',
  [
    ({'pixels': IMAGES}, {}, r"has the arrays \['pixels'\].* data\.npz\.x"),
    ({'x': IMAGES}, {'x': 'y'}, r"data\.npz\.x='y': it has the arrays \['x'\]"),
    ({'x': IMAGES.astype(int)}, {}, 'int64'),
    ({'x': IMAGES / 255}, {}, r'none .* negative.*data\.npz\.value_range=0,1'),
    ({'x': IMAGES / 1.0}, {}, r'from 0 to 255; float images must be from -1'),
    ({'x': IMAGES, 'label': LABELS / 2}, {}, 'float64'),
    ({'x': IMAGES, 'label': LABELS - 1}, {}, 'classes from -1'),
    ({'x': IMAGES, 'label': LABELS[1:]}, {}, r'\(19,\)'),
    ({'x': IMAGES / 1.0}, {'value_range': (1.0, 0.0)}, r'\(1\.0, 0\.0\): must'),
    ({'x': np.zeros((9, 64, 1))}, {}, r'data\.npz\.sample_rate'),
    ({'x': np.ones((9, 64, 1)) * 5}, {'sample_rate': 8000}, 'samples up to 5'),
    ({'x': IMAGES}, {'sample_rate': 8000}, 'clips must be'),
  ],
)
def test_what_cannot_be_trained_on_is_named(tmp_path, arrays, options, message):
  path = save(tmp_path / 'a.npz', **arrays)
  with pytest.raises(ValueError, match=message):
    read(path, **options)


def test_files_that_are_none(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'data\.npz\.path is empty'):
    read('')
  with pytest.raises(FileNotFoundError, match='there is no such file'):
    read(tmp_path / 'a.npz')
  (tmp_path / 'a.txt').write_text('')
  with pytest.raises(ValueError, match=r'must be an \.npz or an \.npy'):
    read(tmp_path / 'a.txt')
  path = save(tmp_path / 'a.npz', x=IMAGES)
  path.write_bytes(path.read_bytes()[:-200])
  with pytest.raises(ValueError, match=r'a\.npz cannot be read as an array'):
    read(path)


def test_all_of_a_file_is_checked(tmp_path):
  path = save(tmp_path / 'a.npz', x=IMAGES, label=LABELS)
  done = []
  track = lambda description, total: done.append
  spec = {'name': 'npz', 'path': str(path)}
  assert list(check.find_problems(spec, track)) == [] and sum(done) == 20
