"""A check of all data names what cannot be trained on."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import ArraySource, check


class Track:
  """Counts what was checked."""

  def __init__(self):
    self.descriptions, self.done, self.total = [], 0, 0

  def __call__(self, description, total):
    self.descriptions.append(description)
    self.total += total
    return self.advance

  def advance(self, count):
    self.done += count


def problems(**spec):
  track = Track()
  found = list(check.find_problems(spec, track))
  assert track.done == track.total > 0
  return found


def save(path, levels):
  for i, level in enumerate(levels):
    Image.new('L', (8, 8), level).save(path / f'{i}.png')


@pytest.mark.parametrize('memory_mb', [0, 64])
def test_all_broken_images_of_a_folder_are_listed(tmp_path, memory_mb):
  save(tmp_path, range(9))
  (tmp_path / '3.png').write_bytes(b'no image')
  whole = (tmp_path / '8.png').read_bytes()
  (tmp_path / '8.png').write_bytes(whole[:-20])
  spec = {'name': 'folder', 'path': str(tmp_path), 'memory_mb': memory_mb}
  found = problems(**spec)
  assert [text.split(': ')[0] for text in found] == [
    f'broken image {tmp_path / name}' for name in ('3.png', '8.png')
  ]
  for name in ('3.png', '8.png'):
    (tmp_path / name).unlink()
  assert problems(**spec) == []


def test_a_folder_of_masks_is_black(tmp_path):
  save(tmp_path, [0, 1, 1])
  (text,) = problems(name='folder', path=str(tmp_path))
  assert str(tmp_path) in text and 'multiply by 255' in text


def test_a_folder_that_cannot_be_opened(tmp_path):
  save(tmp_path, [7])
  for path, kind in (
    (tmp_path / 'no', FileNotFoundError),
    (tmp_path, ValueError),
  ):
    with pytest.raises(kind):
      problems(name='folder', path=str(path))


@pytest.mark.parametrize('name', ['digits', 'ring'])
def test_other_sources_are_read_to_their_end(name):
  assert problems(name=name) == []


class Failing(ArraySource):
  """Fails for some examples."""

  bad = {66, 69}

  def __getitem__(self, indices):
    if self.bad & set(indices.tolist()):
      raise OSError('the disk\nis gone')
    return super().__getitem__(indices)


def test_examples_that_cannot_be_read_are_named():
  source = Failing(np.zeros((70, 2), np.float32))
  assert list(check.check_source(source, 'train', Track())) == [
    'train example 66: the disk',
    'train example 69: the disk',
  ]


def test_values_that_cannot_be_trained_on_are_named():
  x = np.zeros((70, 4, 4, 1), np.float32)
  x[5], x[67] = np.nan, 255
  label = np.arange(70) - 1
  found = list(check.check_source(ArraySource(x, label), 'test', Track()))
  assert found[0] == 'test example 0: the label -1'
  assert 'example 5: values that are not finite' in found[1]
  assert 'example 67: values from 255 to 255' in found[2]
  assert len(found) == 3


class Ragged(ArraySource):
  """Has an example of another shape than it says."""

  def __getitem__(self, indices):
    batch = super().__getitem__(indices)
    return {'x': batch['x'][:, :1]} if 3 in indices else batch


def test_shapes_that_are_not_those_of_the_source_are_named():
  (text,) = check.check_source(Ragged(np.zeros((9, 2))), 'all', Track())
  assert 'example 3' in text and '(1,)' in text and '(2,)' in text
