"""Pictures of samples: grids of images and scatter plots of points."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.report import images as images_lib


@pytest.mark.parametrize('channels, mode', [(1, 'L'), (3, 'RGB'), (4, 'RGBA')])
def test_grid_shows_every_image_in_its_place(tmp_path, channels, mode):
  images = np.full((6, 4, 5, channels), -1.0)
  images[4] = 1
  path = tmp_path / 'deep' / 'grid.png'
  images_lib.save_image_grid(path, images, columns=3, least=1)
  with Image.open(path) as picture:
    assert picture.mode == mode and picture.size == (3 * 6 + 1, 2 * 5 + 1)
    pixels = np.asarray(picture).reshape(11, 19, channels)
  assert (pixels[6:10, 7:12] == 255).all()  # second row, second column
  assert (pixels[1:5, 1:6] == 0).all()
  assert not list(path.parent.glob('*.tmp'))


def test_grid_clips_and_enlarges(tmp_path):
  path = tmp_path / 'grid.png'
  images_lib.save_image_grid(path, np.full((1, 2, 2, 1), 7.0), least=40)
  with Image.open(path) as picture:
    assert picture.size == (40, 40) and np.asarray(picture).max() == 255


def test_grid_refuses_other_shapes(tmp_path):
  for shape in ((4, 4, 3), (1, 4, 4, 2)):
    with pytest.raises(ValueError, match=r'\[N, H, W, C\]'):
      images_lib.save_image_grid(tmp_path / 'x.png', np.zeros(shape))


def test_scatter_has_both_colors(tmp_path):
  rng = np.random.default_rng(0)
  path = tmp_path / 'scatter.png'
  real, fake = rng.normal(size=(2, 100, 2))
  images_lib.save_scatter(path, real, np.concatenate([fake, [[99.0, 0]]]))
  with Image.open(path) as picture:
    pixels = np.asarray(picture.convert('RGB')).astype(int)
  assert (pixels[..., 2] - pixels[..., 0] > 40).sum() > 500  # blue
  assert (pixels[..., 0] - pixels[..., 2] > 40).sum() > 500  # orange
  with pytest.raises(ValueError, match=r'\[n, 2\]'):
    images_lib.save_scatter(path, real, np.zeros((3, 3)))


def colors(path):
  with Image.open(path) as picture:
    pixels = np.asarray(picture.convert('RGB')).astype(int)
  blue = (pixels[..., 2] - pixels[..., 0] > 40).sum()
  orange = (pixels[..., 0] - pixels[..., 2] > 40).sum()
  return blue, orange


def test_real_points_are_drawn_once_and_called_real(tmp_path):
  real = np.random.default_rng(0).normal(size=(100, 2))
  images_lib.save_samples(tmp_path / 'real.png', real)
  images_lib.save_samples(tmp_path / 'both.png', real, real)
  blue, orange = colors(tmp_path / 'real.png')
  assert blue > 500 and orange == 0
  assert colors(tmp_path / 'both.png')[1] > 500


@pytest.mark.parametrize('value', [-1.0, 1.0])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_lines_of_the_grid_are_seen(tmp_path, value, channels):
  path = tmp_path / 'x.png'
  images_lib.save_image_grid(path, np.full((4, 2, 2, channels), value), least=1)
  with Image.open(path) as picture:
    pixels = np.asarray(picture.convert('L')).astype(int)
  inside, line = pixels[1, 1], pixels[3, 3]
  assert abs(inside - line) > 60
  if channels == 4:
    with Image.open(path) as picture:
      assert np.asarray(picture)[3, 3, 3] == 255


@pytest.mark.parametrize(
  'shape, drawn',
  [
    ((2,), True),
    ((8, 8, 3), True),
    ((7,), False),
    ((16, 1), False),
    ((8, 8, 5), False),
  ],
)
def test_what_can_be_drawn(shape, drawn):
  assert images_lib.can_draw(shape) == drawn
