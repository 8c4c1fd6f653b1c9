"""Pictures of many kinds in a directory."""

import concurrent.futures

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import folder
from gan_jax.data.array_source import split_indices

SPLITS = ('train', 'test')
GREEN, RED = (0, 255, 0), (255, 0, 0)


def read(path, split='train', **options):
  return data.make_source(
    {'name': 'folder', 'path': str(path), 'size': 8, **options}, split
  )


def read_one(path, image, suffix='png', channels=3, **save):
  """What a picture becomes, by way of a file."""
  for name in 'ab':
    image.save(path / f'{name}.{suffix}', **save)
  return read(path, channels=channels).x[0]


def plain(level, mode='L', size=(8, 8)):
  return Image.new(mode, size, level)


def fill(path, count, suffix='png', classes=('',)):
  """Plain pictures of levels 0, 1, ..., dealt to directories in turn."""
  for i in range(count):
    folder = path / classes[i % len(classes)]
    folder.mkdir(exist_ok=True, parents=True)
    plain(i).save(folder / f'{i:03}.{suffix}')
  return path


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'JPEG', 'webp', 'bmp'])
def test_reads_every_format(tmp_path, suffix):
  fill(tmp_path, 10, suffix)
  (tmp_path / 'notes.txt').write_text('not a picture, and not looked at')
  for split in SPLITS:
    source = read(tmp_path, split, channels=1, test_fraction=0.3)
    chosen = split_indices(10, split, 0.3)
    assert source.x.shape == (len(chosen), 8, 8, 1)
    assert source.x.dtype == np.uint8 and source.label is None
    levels = source.x.mean((1, 2, 3))
    np.testing.assert_allclose(levels, chosen, atol=2)  # webp and jpg lose


def test_directories_are_classes(tmp_path):
  fill(tmp_path, 12, classes=('wolf/young', 'ant', 'bee', '.hidden'))
  source = read(tmp_path, channels=1, test_fraction=0.3)
  names = source.x[:, 0, 0, 0] % 4
  np.testing.assert_array_equal(source.label, np.array([2, 0, 1])[names])
  assert source.label.dtype == np.int32
  assert len(source) + len(read(tmp_path, 'test', test_fraction=0.3)) == 9


def test_no_classes_where_a_picture_lies_beside_the_directories(tmp_path):
  fill(tmp_path, 6, classes=('ant', 'bee', ''))
  with pytest.warns(UserWarning, match='no labels: 2 images .* ant, bee'):
    assert read(tmp_path).label is None
  with pytest.raises(ValueError, match='2 images .* ant, bee'):
    read(tmp_path, classes='directories')
  assert read(tmp_path, classes='none').label is None


def test_grey_becomes_colour_and_back(tmp_path):
  assert (read_one(tmp_path, plain(77)) == 77).all()
  luma = read_one(tmp_path, plain(GREEN, 'RGB'), channels=1)
  assert (luma == 150).all()  # 0.587 * 255, ITU-R 601


def test_transparent_is_laid_on_a_color_and_said_once(tmp_path):
  half_red = plain((*RED, 128), 'RGBA')
  with pytest.warns(UserWarning, match='transparent pixels .*#ffffff') as said:
    assert (read_one(tmp_path, half_red)[0, 0] == (255, 127, 127)).all()
  assert len(said) == 1
  with pytest.warns(UserWarning, match='#ffffff'):
    assert (read_one(tmp_path, half_red, channels=1)[0, 0] == 165).all()
  for color, expected in (('black', (128, 0, 0)), ('#00ff00', (128, 127, 0))):
    with pytest.warns(UserWarning, match='transparent pixels'):
      assert (read(tmp_path, background=color).x[0, 0, 0] == expected).all()
  for wrong in ('', 'whit', '#12345678'):
    with pytest.raises(ValueError, match=f'background={wrong!r}.*#808080'):
      read(tmp_path, background=wrong)
  kept = read_one(tmp_path, half_red, channels=4)
  assert (kept[0, 0] == (*RED, 128)).all()
  opaque = read_one(tmp_path, plain(RED, 'RGB'), channels=4)
  assert (opaque[0, 0] == (*RED, 255)).all()
  read_one(tmp_path, plain((*RED, 255), 'RGBA'))  # nothing is transparent


def test_palette(tmp_path):
  image = plain(1, 'P')
  image.putpalette([*RED, *GREEN])
  assert (read_one(tmp_path, image) == GREEN).all()
  with pytest.warns(UserWarning, match='transparent'):
    assert (read_one(tmp_path, image, transparency=1) == 255).all()


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
  image = Image.fromarray(np.full((8, 8), 200 * 256 + 255, np.uint16))
  assert (read_one(tmp_path, image, channels=1) == 200).all()


def test_turns_upright_by_exif(tmp_path):
  image = plain(0, size=(32, 16))
  image.paste(255, (16, 0, 32, 16))  # right half, the lower one once upright
  exif = Image.Exif()
  exif[0x0112] = 6
  upright = read_one(tmp_path, image, 'jpg', channels=1, exif=exif)
  assert upright[:2].max() < 30 and upright[-2:].min() > 225


@pytest.mark.parametrize('size', [(60, 20), (20, 60)])
def test_crops_the_central_square(tmp_path, size):
  image = plain(RED, 'RGB', size)
  left, top = ((side - 20) // 2 for side in size)
  image.paste(GREEN, (left, top, left + 20, top + 20))
  x = read_one(tmp_path, image)
  # The filter reaches a little beyond the square, as it does inside it.
  np.testing.assert_allclose(x, np.broadcast_to(GREEN, x.shape), atol=25)
  assert (x[2:-2, 2:-2] == GREEN).all()


@pytest.mark.parametrize('classes', [('',), ('ant', 'bee')])
def test_streamed_equals_resident(tmp_path, classes):
  fill(tmp_path, 20, 'jpg', classes)
  resident = read(tmp_path)
  streamed = read(tmp_path, memory_mb=0, threads=2)
  assert not hasattr(streamed, 'x') and streamed.shape == (8, 8, 3)
  assert len(streamed) == len(resident) == 18
  indices = np.array([5, 17, 0, 5], np.int32)
  got, expected = streamed[indices], resident[indices]
  assert got.keys() == expected.keys()
  for key in got:
    np.testing.assert_array_equal(got[key], expected[key])


def cut_short(path):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
  Image.fromarray(noise).save(path)
  path.write_bytes(path.read_bytes()[:2000])


def make_text(path):
  path.write_bytes(b'not a picture')


@pytest.mark.parametrize(
  ('spoil', 'memory_mb'), [(cut_short, 64), (make_text, 64), (make_text, 0)]
)
def test_broken_picture_is_named(tmp_path, spoil, memory_mb):
  bad = sorted(fill(tmp_path, 4).iterdir())[split_indices(4, 'train', 0.1)[1]]
  spoil(bad)
  with pytest.raises(ValueError, match=str(bad)):
    read(tmp_path, memory_mb=memory_mb)


def test_streamed_picture_cut_short_is_named_when_it_is_read(tmp_path):
  bad = sorted(fill(tmp_path, 4).iterdir())[split_indices(4, 'train', 0.1)[1]]
  cut_short(bad)
  source = read(tmp_path, memory_mb=0)
  assert source[np.array([0, 2])]['x'].shape == (2, 8, 8, 3)
  with pytest.raises(ValueError, match=str(bad)):
    source[np.array([0, 1])]


@pytest.mark.parametrize('memory_mb', [0, 64])
def test_broken_pictures_can_be_skipped(tmp_path, memory_mb):
  classes = ('ant', 'bee')
  paths = sorted(fill(tmp_path, 20, classes=classes).rglob('*.png'))
  levels = np.array([int(path.stem) for path in paths])
  first, *good = split_indices(20, 'train', 0.5)
  last = good.pop()
  cut_short(paths[first])
  make_text(paths[last])
  options = {'skip_broken': True, 'memory_mb': memory_mb, 'channels': 1}
  message = f'skipped 2 of the 10 train .*: {paths[first]}, {paths[last]}$'
  with pytest.warns(UserWarning, match=message):
    source = read(tmp_path, test_fraction=0.5, **options)
  batch = source[np.arange(len(source))]
  np.testing.assert_array_equal(batch['x'][:, 0, 0, 0], levels[good])
  np.testing.assert_array_equal(batch['label'], levels[good] % 2)


def test_none_readable(tmp_path):
  for name in 'abc':
    (tmp_path / f'{name}.png').write_bytes(b'not a picture')
  with pytest.raises(ValueError, match='2 train '):
    read(tmp_path, skip_broken=True)


@pytest.mark.parametrize(
  ('path', 'message'),
  [
    ('{}', '{} .*.png, .jpg'),
    ('{}/missing', "'{}/missing' is not a directory"),
    ('', 'data.folder.path is empty'),
  ],
)
def test_nothing_to_read(tmp_path, path, message):
  with pytest.raises(FileNotFoundError, match=message.format(tmp_path)):
    read(path.format(tmp_path))


@pytest.mark.parametrize(
  'wrong',
  [
    {'size': 0},
    {'channels': 2},
    {'threads': -1},
    {'test_fraction': 1},
    {'classes': 'some'},
  ],
)
def test_refuses_bad_options(tmp_path, wrong):
  fill(tmp_path, 4)
  ((name, value),) = wrong.items()
  with pytest.raises(ValueError, match=f'{name}={value!r}'):
    read(tmp_path, **wrong)


def test_one_picture_cannot_be_divided(tmp_path):
  with pytest.raises(ValueError, match=': 1 image; a division'):
    read(fill(tmp_path, 1))


def test_a_run_knows_its_files_again_wherever_they_are(tmp_path):
  listing = lambda name, **options: read(tmp_path / name, **options).listing
  for name in ('a', 'b', 'c'):
    fill(tmp_path / name, 10)
  assert listing('a') == listing('b') == listing('a', memory_mb=0) != ''
  (tmp_path / 'b/003.png').rename(tmp_path / 'b/x.png')
  plain(3, size=(50, 50)).save(tmp_path / 'c/003.png')
  assert len({listing('a'), listing('b'), listing('c')}) == 3


def test_many_images_are_mapped_in_parts(monkeypatch):
  monkeypatch.setattr(folder, '_AT_A_TIME', 3)
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    done = []
    mapped = folder.map_in_parts(pool, lambda i: done.append(i) or -i, range(8))
    assert next(mapped) == 0
    assert set(done) <= {0, 1, 2}
    assert list(mapped) == [-1, -2, -3, -4, -5, -6, -7]
