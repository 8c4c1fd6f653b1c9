"""Films: every frame as it was, in its time."""

import numpy as np
import pytest
from PIL import Image

from gan_jax.report import film, images

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('suffix', ['.webp', '.png', '.apng', '.gif'])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_frames_are_kept(tmp_path, suffix, channels):
  frames = RNG.integers(0, 256, (5, 8, 6, channels), np.uint8)
  frames[..., 3:] = 255
  path = tmp_path / 'deep' / f'x{suffix}'
  film.save_film(path, iter(frames), 25)
  with Image.open(path) as found:
    assert (found.n_frames, found.info['loop']) == (5, 0)
    for i, frame in enumerate(frames):
      found.seek(i)
      shown = np.asarray(found.convert('RGBA'))[..., :3]
      # 48 colors in a frame of GIF, which has room for 256.
      tolerance = 32 if suffix == '.gif' else 0
      np.testing.assert_allclose(
        shown.astype(int),
        np.broadcast_to(frame[..., :3], (8, 6, 3)),
        atol=tolerance,
      )
    assert round(found.info['duration']) == 40


def test_films_that_are_refused(tmp_path):
  with pytest.raises(ValueError, match='at least one frame'):
    film.save_film(tmp_path / 'x.webp', [], 25)
  with pytest.raises(ValueError, match='fps=0: must be above 0'):
    film.check_film(tmp_path / 'x.webp', 0)
  with pytest.raises(ValueError, match='at most 50 for a .gif'):
    film.check_film(tmp_path / 'x.gif', 60)
  with pytest.raises(ValueError, match='must end in one of'):
    film.check_film(tmp_path / 'x.avi', 25)


def test_transparency_becomes_white_in_an_mp4():
  frame = np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8)
  np.testing.assert_array_equal(
    film._opaque(frame), [[[255, 255, 255], [10, 20, 30]]]
  )


def test_captions_and_facts(tmp_path):
  path = tmp_path / 'x.png'
  x = np.stack([np.full((8, 8, 1), v, np.float32) for v in (-1, 0, 1)])
  about = {'name': '<script>\n\x1b', 'n': 3}
  images.save_captioned_grid(
    path, x, ['a', '', 'b'], columns=2, least=16, about=about
  )
  assert images.read_about(path) == about
  found = images.read_picture(path)
  assert found.shape == (2 * (16 + 16 + 6) + 6, 2 * 22 + 6, 3)
  assert (found[6:22, 6:22] == 0).all() and (found[6:22, 28:44] == 128).all()
  caption = found[22:38, 6:22]
  assert caption.min() < 128 and found[22:38, 28:44].min() == 255
  with pytest.raises(ValueError, match=r'\[N, H, W, C\]'):
    images.save_captioned_grid(path, x[..., 0], [''] * 3, columns=1)


def test_facts_that_are_none(tmp_path):
  path = tmp_path / 'x.png'
  images.save_png(Image.new('L', (3, 3)), path)
  assert images.read_about(path) == {}
  assert images.read_picture(path).shape == (3, 3, 1)
