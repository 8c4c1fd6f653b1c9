"""Datasets that a config names by a function of a file or a module."""

import sys

import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data
from gan_jax.data import check, custom
from gan_jax.data.array_source import split_indices

CODE = """
import numpy as np
from PIL import Image
import beside

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 6, 3), np.uint8)


class Photos:
  classes = ['cat', 'dog']

  def __init__(self, first, last):
    self.range = range(first, last)

  def __len__(self):
    return len(self.range)

  def __getitem__(self, i):
    assert type(i) is int
    return Image.fromarray(PIXELS[self.range[i]]), int(self.range[i] < 8)


def divided(split):
  return Photos(0, 15) if split == 'train' else Photos(15, 20)


def whole():
  return Photos(0, 20)


def mappings():
  return [{'image': x.transpose(2, 0, 1), 'label': 1} for x in PIXELS]


def arrays():
  return {'x': PIXELS, 'label': (np.arange(20) < 8).astype(int)}


def floats():
  return [(x / 255).astype(np.float32) for x in PIXELS]


def sizes():
  return [Image.fromarray(x[: 4 + i % 4]) for i, x in enumerate(PIXELS)]


def palettes():
  return [Image.fromarray(x).convert('P') for x in PIXELS]


class Broken(Photos):
  def __getitem__(self, i):
    if i == 7:
      raise KeyError('the 7th')
    return super().__getitem__(i)


def broken():
  return Broken(0, 20)


def ragged():
  return [x[: 8 - (i == 7)] for i, x in enumerate(PIXELS)]


class Growing(Photos):
  def __getitem__(self, i):
    self.range = range(0, len(self.range) + 1)
    return super().__getitem__(i)


def growing():
  return Growing(0, 10)


def half_labeled():
  return [(x, None if i == 7 else 1) for i, x in enumerate(PIXELS)]


def stream():
  return (x for x in PIXELS)


def fails():
  raise RuntimeError('no disk')


NUMBER = 3
"""
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 6, 3), np.uint8)


@pytest.fixture
def mine(tmp_path):
  (tmp_path / 'mine.py').write_text(CODE)
  (tmp_path / 'beside.py').write_text('')
  return str(tmp_path / 'mine.py')


def read(function, split='train', **options):
  spec = {'name': 'custom', 'function': function, **options}
  return data.make_source(spec, split)


def test_a_function_of_the_split(mine):
  before = list(sys.path)
  train, test = (read(f'{mine}:divided', s) for s in ('train', 'test'))
  assert sys.path == before
  assert (len(train), len(test)) == (15, 5)
  batch = test[np.array([4, 0])]
  np.testing.assert_array_equal(batch['x'], PIXELS[[19, 15]])
  np.testing.assert_array_equal(batch['label'], [0, 0])
  assert train.class_names == ('cat', 'dog') and train.classes == 2
  np.testing.assert_allclose(train.class_share, [7 / 15, 8 / 15])


@pytest.mark.parametrize('name', ['whole', 'arrays', 'mappings'])
def test_a_function_of_everything_is_divided(mine, name):
  for split in ('train', 'test'):
    source = read(f'{mine}:{name}', split, test_fraction=0.3)
    chosen = split_indices(20, split, 0.3)
    batch = source[np.arange(len(source))]
    np.testing.assert_array_equal(batch['x'], PIXELS[chosen])
    labels = np.arange(20) < (20 if name == 'mappings' else 8)
    np.testing.assert_array_equal(batch['label'], labels[chosen])
    share = np.bincount(labels[chosen]) / len(chosen)
    np.testing.assert_allclose(source.class_share, share)


def test_an_installed_module(mine, monkeypatch, tmp_path):
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.delitem(sys.modules, 'mine', raising=False)
  assert len(read('mine:divided')) == 15


@pytest.mark.parametrize('name', ['sizes', 'arrays', 'mappings'])
def test_images_are_resized_if_a_size_is_set(mine, name):
  source = read(f'{mine}:{name}', size=4, channels=1)
  assert source.shape == (4, 4, 1)
  assert source[np.arange(18)]['x'].shape == (18, 4, 4, 1)


def test_palettes_become_colors(mine):
  assert read(f'{mine}:palettes').shape == (8, 6, 3)


def test_floats_of_a_range(mine):
  with pytest.raises(ValueError, match=r'data\.custom\.value_range=0,1'):
    read(f'{mine}:floats')
  source = read(f'{mine}:floats', value_range=(0.0, 1.0))
  chosen = split_indices(20, 'train', 0.1)
  np.testing.assert_allclose(
    source[np.arange(18)]['x'], PIXELS[chosen] / 127.5 - 1, atol=1e-6
  )
  with pytest.raises(ValueError, match='from 0 to 1; .* from 0 to 0.5'):
    read(f'{mine}:floats', value_range=(0.0, 0.5))


@pytest.mark.parametrize(
  'name, message',
  [
    (
      'broken',
      r"broken\(\)\[7\] raised KeyError: 'the 7th' \(line \d+ of .*mi",
    ),
    (
      'ragged',
      r'ragged\(\)\[7\] has the shape \(7, 6, 3\), and .*\[0\] \(8, 6',
    ),
    ('growing', r'has 11 examples, and had 10 when it was opened'),
    ('half_labeled', r'half_labeled\(\)\[7\] has no label, and others have'),
  ],
)
def test_an_example_that_cannot_be_read_is_named(mine, name, message):
  with pytest.raises(ValueError, match=message):
    source = read(f'{mine}:{name}', test_fraction=0.01)
    for _ in range(2):
      source[np.arange(min(len(source), 10))]


def test_all_that_cannot_be_read_is_listed(mine):
  done = []
  track = lambda description, total: done.append
  spec = {'name': 'custom', 'function': f'{mine}:broken'}
  (problem,) = check.find_problems(spec, track)
  assert 'broken()[7] raised' in problem and sum(done) == 20


@pytest.mark.parametrize(
  'function, error, message',
  [
    ('', ValueError, r"function='': must be FILE\.py:FUNCTION or module:func"),
    ('{}', ValueError, r'must be FILE\.py:FUNCTION'),
    ('{}:none', ValueError, "mine.py has no function 'none'"),
    ('{}:NUMBER', ValueError, "mine.py has no function 'NUMBER'"),
    ('{}:fails', ValueError, r'fails raised RuntimeError: no disk \(line \d+'),
    ('{}:stream', TypeError, r'generator.*the seed and the step'),
    ('/none/mine.py:whole', FileNotFoundError, 'no file /none/mine.py'),
    (
      'none_such.data:f',
      ModuleNotFoundError,
      "module 'none_such': pip install",
    ),
  ],
)
def test_functions_that_are_none(mine, function, error, message):
  with pytest.raises(error, match=message):
    read(function.format(mine))


def test_a_package_that_the_file_needs_is_named(tmp_path):
  path = tmp_path / 'needs.py'
  path.write_text('import none_such\ndef f(): return []\n')
  with pytest.raises(ModuleNotFoundError, match='none_such'):
    read(f'{path}:f')


def test_a_file_in_the_directory_of_a_run_is_not_executed(mine, tmp_path):
  with pytest.raises(
    ValueError, match=r'mine\.py as its data: .* not executed'
  ):
    custom.check_outside(f'{mine}:whole', tmp_path)
  custom.check_outside(f'{mine}:whole', tmp_path / 'run')
  custom.check_outside('mine:whole', tmp_path)


def test_it_is_named_in_a_config(mine):
  spec = {'data': {'name': 'custom', 'custom': {'function': f'{mine}:whole'}}}
  config = config_lib.resolve(spec)
  assert config.data.options.function == f'{mine}:whole'
