"""Pixels decide whether an image is good, and metadata do not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import image_files

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
HALF = NOISE.copy()
HALF[32:] = 0
GRAY = NOISE.copy()
GRAY[32:] = 128


def encoded(x, kind, **options):
  stream = io.BytesIO()
  Image.fromarray(x).save(stream, kind, **options)
  return stream.getvalue()


def load(path, content, **options):
  path.write_bytes(content)
  return image_files.load_image(path, np.asarray, **options)


def chunk(kind, content):
  crc = struct.pack('>I', zlib.crc32(kind + content))
  return struct.pack('>I', len(content)) + kind + content + crc


def png(rows, *, width=64, height=64, mode=2, interlace=0, before=b''):
  """A PNG with these rows and every checksum right."""
  head = struct.pack('>IIBBBBB', width, height, 8, mode, 0, 0, interlace)
  parts = [chunk(b'IHDR', head), before]
  parts += [chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')]
  return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def png_rows(x):
  return b''.join(b'\0' + row.tobytes() for row in x)


# ---- Metadata.

WRONG_CHECKSUM = chunk(b'tEXt', b'a\0b')[:-1] + b'?'
BAD_PNG_METADATA = {
  'checksum of a text': WRONG_CHECKSUM,
  'compressed text': chunk(b'zTXt', b'a\0\7not zlib'),
  'huge text': chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**21))),
  'huge profile': chunk(b'iCCP', b'a\0\0' + zlib.compress(bytes(2**21))),
  'profile': chunk(b'iCCP', b'a\0\0not zlib'),
  'short density': chunk(b'pHYs', b'1'),
  'short color space': chunk(b'sRGB', b''),
  'short gamma': chunk(b'gAMA', b'1'),
  'EXIF': chunk(b'eXIf', b'II*\0' + b'\xff' * 60),
  'EXIF as a text': chunk(b'tEXt', b'Raw profile type exif\0\n\n\n\nno hex'),
  'animation': chunk(b'acTL', b'1'),
}


@pytest.mark.parametrize('name', BAD_PNG_METADATA)
@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
def test_a_png_loads_whatever_its_metadata_hold(tmp_path, name):
  content = png(png_rows(NOISE), before=BAD_PNG_METADATA[name])
  np.testing.assert_array_equal(load(tmp_path / 'a.png', content), NOISE)
  content = content.replace(b'IEND', b'IEN_') + b'garbage'
  np.testing.assert_array_equal(load(tmp_path / 'b.png', content), NOISE)
  for attempt in (
    lambda: data.open_samples(tmp_path),
    lambda: data.make_source({'name': 'folder', 'path': str(tmp_path)}),
    lambda: data.make_source(
      {'name': 'folder', 'path': str(tmp_path), 'memory_mb': 0}
    ),
  ):
    assert attempt()[np.array([0])]['x'].shape == (1, 64, 64, 3)


def with_segment(content, kind, body):
  """A JPEG with another segment before all others."""
  head = b'\xff' + bytes([kind]) + struct.pack('>H', len(body) + 2)
  return content[:2] + head + body + content[2:]


@pytest.mark.parametrize(
  'body',
  [
    b'Exif\0\0',
    b'Exif\0\0II*\0' + b'\xff' * 60,
    b'Exif\0\0MM\0*\0\0\0\x08\xff\xff' + b'\x01\x12' * 50,
    b'http://ns.adobe.com/xap/1.0/\0\xff\xfe',
  ],
)
@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
def test_a_jpeg_loads_whatever_its_metadata_hold(tmp_path, body):
  whole = encoded(NOISE, 'jpeg')
  expected = load(tmp_path / 'a.jpg', whole)
  for kind in (0xE1, 0xE2, 0xED, 0xFE):
    content = with_segment(whole, kind, body) + b'garbage'
    found = load(tmp_path / 'a.jpg', content)
    np.testing.assert_array_equal(found, expected)
    (tmp_path / 'b.jpg').write_bytes(content)
    spec = {'name': 'folder', 'path': str(tmp_path), 'size': 8}
    assert len(data.make_source(spec)) == 1


@pytest.mark.parametrize('kind', ['gif', 'bmp', 'tiff', 'webp'])
def test_what_follows_the_pixels_does_not_matter(tmp_path, kind):
  content = encoded(NOISE, kind)
  expected = load(tmp_path / 'a', content)
  found = load(tmp_path / 'a', content + b'garbage')
  np.testing.assert_array_equal(found, expected)


# ---- Pixel data that end early.


def test_a_png_of_too_few_rows_is_broken(tmp_path):
  for rows in (10, 63):
    for more in (b'', b'\0' * 100):  # a part of a row
      with pytest.raises(ValueError, match='a.png: .* end early|truncated'):
        load(tmp_path / 'a.png', png(png_rows(NOISE[:rows]) + more))
  for x in (HALF, 0 * NOISE):  # black at the bottom, and whole
    np.testing.assert_array_equal(load(tmp_path / 'a.png', png(png_rows(x))), x)


def test_an_interlaced_png_of_too_few_rows_is_broken(tmp_path):
  x = np.full((5, 2), 7, np.uint8)
  passes = x[::8, ::8], x[4::8, ::8], x[::4, 1::2][:0], x[2::4, ::2]
  passes += x[::2, 1::2], x[1::2]
  rows = b''.join(png_rows(part) for part in passes)
  options = {'width': 2, 'height': 5, 'mode': 0, 'interlace': 1}
  found = load(tmp_path / 'a.png', png(rows, **options))
  np.testing.assert_array_equal(found, x)
  with pytest.raises(ValueError, match='end early'):
    load(tmp_path / 'a.png', png(rows[:-3], **options))


JPEGS = {
  'baseline': {},
  'progressive': {'progressive': True},
  'restarts': {'restart_marker_rows': 1},
}


@pytest.mark.parametrize('kind', JPEGS)
@pytest.mark.parametrize('draft', [None, ('RGB', 16)])
def test_a_jpeg_that_ends_early_is_broken(tmp_path, kind, draft):
  content = encoded(NOISE, 'jpeg', **JPEGS[kind])
  for fraction in (0.3, 0.6, 0.9):
    cut = content[: int(len(content) * fraction)].rstrip(b'\xff')
    missing = len(content) - len(cut)
    for ending in (b'', b'\xff\xd9', bytes(missing), b'\xff\xd9garbage'):
      with pytest.raises(ValueError, match='a.jpg'):
        load(tmp_path / 'a.jpg', cut + ending, draft=draft)


def test_a_progressive_jpeg_without_its_last_scans_is_broken(tmp_path):
  content = encoded(NOISE, 'jpeg', **JPEGS['progressive'])
  at = content.rindex(b'\xff\xc4')  # before the tables of a later scan
  with pytest.raises(ValueError, match='end early'):
    load(tmp_path / 'a.jpg', content[:at] + b'\xff\xd9')


@pytest.mark.parametrize('kind', JPEGS)
@pytest.mark.parametrize('x', [NOISE, HALF, GRAY, 0 * NOISE, 0 * NOISE + 128])
def test_a_whole_jpeg_is_good_whatever_its_end(tmp_path, kind, x):
  content = encoded(x, 'jpeg', **JPEGS[kind])
  expected = load(tmp_path / 'a.jpg', content)
  for other in (content[:-2], content + bytes(100)):
    found = load(tmp_path / 'a.jpg', other)
    np.testing.assert_array_equal(found, expected)


def test_a_gif_that_ends_early_is_broken(tmp_path):
  content = bytearray(encoded(NOISE[:10, :, 0] | 1, 'gif'))
  at = content.index(struct.pack('<HHHH', 0, 0, 64, 10))
  content[8:10] = content[at + 6 : at + 8] = struct.pack('<H', 64)
  with pytest.raises(ValueError, match='a.gif: .* end early|truncated'):
    load(tmp_path / 'a.gif', bytes(content))
  # A frame may be a part of the picture.
  content[at + 6 : at + 8] = struct.pack('<H', 10)
  assert load(tmp_path / 'a.gif', bytes(content)).shape == (64, 64)


def test_a_tiff_without_its_last_rows_is_broken(tmp_path):
  content = bytearray(encoded(NOISE[:10], 'tiff'))
  tag = struct.pack('<HHI', 257, 4, 1)  # the number of rows
  at = content.index(tag) + len(tag)
  content[at : at + 2] = struct.pack('<H', 64)
  with pytest.raises(ValueError, match='a.tif'):
    load(tmp_path / 'a.tif', bytes(content))


@pytest.mark.parametrize('kind', ['gif', 'bmp', 'tiff', 'webp'])
def test_files_cut_short_are_broken(tmp_path, kind):
  content = encoded(NOISE, kind)
  with pytest.raises(ValueError, match=f'a.{kind}'):
    load(tmp_path / f'a.{kind}', content[:-500])
  assert load(tmp_path / 'b', encoded(0 * NOISE, kind)).max() == 0


def test_a_streamed_image_is_verified_the_first_time(tmp_path):
  for name in 'abc':
    Image.fromarray(NOISE).save(tmp_path / f'{name}.png')
  (tmp_path / 'b.png').write_bytes(png(png_rows(NOISE[:10])))
  source = data.open_samples(tmp_path)
  for _ in range(2):
    assert source[np.array([0, 2])]['x'].shape == (2, 64, 64, 3)
    with pytest.raises(ValueError, match='b.png.*end early'):
      source[np.arange(3)]


# ---- What is decided for the user is said.


def read(path, **options):
  return data.make_source(
    {'name': 'folder', 'path': str(path), 'size': 8, **options}
  )


def test_of_an_animation_the_first_frame_is_read(tmp_path):
  frames = [Image.new('L', (8, 8), level) for level in (10, 200)]
  for name in ('a.gif', 'b.gif'):
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
  with pytest.warns(UserWarning, match='several frames .* the first') as said:
    assert read(tmp_path, channels=1).x.tolist() == [[[[10]] * 8] * 8]
  assert len(said) == 1


def test_a_warning_made_an_error_breaks_no_image(tmp_path):
  for name in 'abc':
    Image.new('RGBA', (8, 8)).save(tmp_path / f'{name}.png')
  with pytest.raises(UserWarning, match='transparent'):
    read(tmp_path, skip_broken=True)


@pytest.mark.parametrize('memory_mb', [0, 64])
def test_remarks_are_warned_of_once(tmp_path, memory_mb):
  for name in 'abc':
    Image.new('RGBA', (8, 8)).save(tmp_path / f'{name}.png')
  with pytest.warns(UserWarning, match='transparent pixels') as said:
    source = read(tmp_path, memory_mb=memory_mb)
    for _ in range(2):
      source[np.arange(2)]
  assert len(said) == 1
  assert len(read(tmp_path, channels=4, memory_mb=memory_mb)) == 2


def test_dark_16_bit_images_are_warned_of(tmp_path):
  for level in (4095, 4096):
    for name in 'ab':
      x = np.full((8, 8), level, np.uint16)
      Image.fromarray(x).save(tmp_path / f'{name}.png')
    if level == 4096:
      assert read(tmp_path, channels=1).x.max() == 16
    else:
      with pytest.warns(UserWarning, match='dark.*4,095'):
        read(tmp_path, channels=1)


@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_32_bit_images_are_refused(tmp_path, dtype):
  for name in 'ab':
    x = np.full((8, 8), 0.5, np.float32) * 2
    Image.fromarray(x.astype(dtype)).save(tmp_path / f'{name}.tif')
  with pytest.raises(ValueError, match='[ab].tif.* 32 bits'):
    read(tmp_path)
