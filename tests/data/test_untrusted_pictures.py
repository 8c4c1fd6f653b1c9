"""Pictures of others: no bombs, no other formats, no links followed unasked."""

import io
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from gan_jax import data
from gan_jax.data import image_dir

ROOT = pathlib.Path(__file__).parents[2]


def png(width, height, body=b''):
  def chunk(kind, content):
    crc = struct.pack('>I', zlib.crc32(kind + content))
    return struct.pack('>I', len(content)) + kind + content + crc

  head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  parts = chunk(b'IHDR', head), chunk(b'IDAT', body), chunk(b'IEND', b'')
  return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def saved(kind, side):
  """A small picture, to be changed."""
  stream = io.BytesIO()
  Image.new('RGB', (side, side)).save(stream, kind)
  return bytearray(stream.getvalue())


def bmp(width, height):
  content = saved('bmp', 4)
  content[18:26] = struct.pack('<ii', width, height)
  return bytes(content)


def webp(width, height):
  content = saved('webp', 4)
  at = content.index(b'\x9d\x01\x2a') + 3
  content[at : at + 4] = struct.pack('<HH', width, height)
  return bytes(content)


def jpg(width, height):
  content = saved('jpeg', 16)
  at = content.index(b'\xff\xc0') + 5
  content[at : at + 4] = struct.pack('>HH', height, width)
  return bytes(content)


def gif(width, height):
  content = saved('gif', 4)
  content[6:10] = struct.pack('<HH', width, height)
  return bytes(content)


def tiff(width, height, tile=None):
  """A TIFF of one strip, or of one tile."""
  tags = {256: width, 257: height, 258: 8, 259: 5, 262: 1, 277: 1}
  if tile is None:
    tags |= {273: 200, 278: height, 279: 9}
  else:
    tags |= {322: tile[0], 323: tile[1], 324: 200, 325: 9}
  body = struct.pack('<H', len(tags))
  for tag, value in sorted(tags.items()):
    body += struct.pack('<HHII', tag, 4, 1, value)
  return (b'II*\0\x08\0\0\0' + body).ljust(209, b'\0')


def pictures(path, *contents, suffix='png'):
  """Good pictures, and files of these contents."""
  path.mkdir(exist_ok=True)
  for i in range(4):
    Image.new('L', (8, 8), i).save(path / f'good_{i}.png')
  for i, content in enumerate(contents):
    (path / f'some_{i}.{suffix}').write_bytes(content)
  return path


def read(path, **options):
  """All of a folder's pictures, whichever half they are in."""
  spec = {'name': 'folder', 'path': str(path), 'size': 8, **options}
  halves = [data.make_source(spec, split) for split in ('train', 'test')]
  return np.concatenate([half[np.arange(len(half))]['x'] for half in halves])


# 1.1 and 2.3 times Pillow's limit, at which it warns and stops.
@pytest.mark.parametrize('sides', [(9900, 9900), (14400, 14400)])
@pytest.mark.parametrize('make', [png, bmp, webp, jpg, gif, tiff])
@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
def test_bombs_are_refused_by_name(tmp_path, make, sides):
  path = pictures(tmp_path / 'a', make(*sides), suffix=make.__name__)
  bad = path / f'some_0.{make.__name__}'
  message = f'{bad} is too large: '
  for attempt in (
    lambda: read(path),
    lambda: read(path, memory_mb=0),
    lambda: data.open_samples(path),
  ):
    with pytest.raises(ValueError, match=message):
      attempt()
  with pytest.warns(UserWarning, match=' 1 of '):
    assert len(read(path, skip_broken=True)) == 4


def test_bombs_take_no_memory(tmp_path):
  path = pictures(tmp_path / 'a')
  for make in (png, bmp, webp, jpg, gif, tiff):
    for sides in ((9900, 9900), (16000, 16000)):
      name = f'{make.__name__}_{sides[0]}.{make.__name__}'
      (path / name).write_bytes(make(*sides))
  (path / 'tile.tiff').write_bytes(tiff(64, 64, tile=(40_000, 40_000)))
  code = (
    'import pathlib, resource, sys, warnings\n'
    'from gan_jax.data import image_dir, image_files\n'
    'warnings.simplefilter("ignore")\n'
    'use = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
    'before, refused = use(), 0\n'
    'for path in image_dir.scan_images(pathlib.Path(sys.argv[1])).paths:\n'
    '  try:\n'
    '    image_files.load_image(path, lambda x: x)\n'
    '  except ValueError as error:\n'
    '    assert f"{path} is too large" in str(error), error\n'
    '    refused += 1\n'
    'print(refused, use() - before)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', code, path],
    capture_output=True,
    text=True,
    cwd=ROOT,
  )
  assert done.returncode == 0, done.stderr
  refused, kilobytes = map(int, done.stdout.split())
  assert refused == 13 and kilobytes < 50_000


def test_the_limit_is_pillows_own(tmp_path, monkeypatch):
  path = pictures(tmp_path / 'a')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)
  with pytest.raises(ValueError, match='too large'):
    read(path)
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
  assert len(read(path)) == 4


def other_format(suffix):
  stream = io.BytesIO()
  Image.new('L', (8, 8)).save(stream, {'jp2': 'jpeg2000'}.get(suffix, suffix))
  return stream.getvalue()


@pytest.mark.parametrize('suffix', ['ppm', 'pcx', 'ico', 'eps', 'avif', 'jp2'])
def test_other_formats_are_not_opened(tmp_path, suffix):
  path = pictures(tmp_path / 'a', other_format(suffix))
  message = 'some_0.png: .*PNG, JPEG, WEBP, BMP, GIF, TIFF'
  with pytest.raises(ValueError, match=message):
    read(path)
  with pytest.raises(ValueError, match=message):
    data.open_samples(path)


def make_fifo(path):
  os.mkfifo(path)


def make_loop(path):
  path.symlink_to(path.name)


def make_dangling(path):
  path.symlink_to('nothing.png')


def make_flipped(path):
  """In the sum of the pixels, at which decoding does not look."""
  content = bytearray(other_format('png'))
  content[-13] ^= 1
  path.write_bytes(content)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (make_fifo, 'not a regular file'),
    (make_loop, 'symbolic links'),
    (make_dangling, 'No such file'),
    (pathlib.Path.touch, 'none of PNG'),
    (lambda path: path.write_bytes(png(8, 8, b'x')), ''),
    (lambda path: path.write_bytes(other_format('png')[:-20]), ''),
    (make_flipped, 'checksum'),
  ],
)
@pytest.mark.parametrize('memory_mb', [0, 64])
def test_what_is_no_picture_is_named(tmp_path, make, message, memory_mb):
  path = pictures(tmp_path / 'a')
  make(path / 'x.png')
  with pytest.raises(ValueError, match=f'x.png.*{message}'):
    read(path, memory_mb=memory_mb)
  with pytest.warns(UserWarning, match=' 1 of .*x.png'):
    assert len(read(path, skip_broken=True, memory_mb=memory_mb)) == 4
  with pytest.raises(ValueError, match='x.png'):
    source = data.open_samples(path)
    source[np.arange(len(source))]


def test_a_directory_with_the_name_of_a_picture(tmp_path):
  path = pictures(tmp_path / 'a')
  pictures(path / 'x.png')
  assert len(read(path)) == 8


def test_a_large_picture_file_is_not_read(tmp_path):
  path = pictures(tmp_path / 'a', b'')
  with (path / 'some_0.png').open('wb') as file:
    file.truncate(2**31)
  with pytest.raises(ValueError, match='some_0.png.* 2,147,483,648'):
    read(path)


# ---- Links.


@pytest.fixture
def linked(tmp_path):
  """A folder, and another that it links to."""
  inside, outside = pictures(tmp_path / 'in'), pictures(tmp_path / 'out')
  return inside, outside


def both(path, **options):
  """How the two readers of folders see one."""
  source = data.open_samples(path, **options)
  return len(read(path, **options)), len(source)


@pytest.mark.parametrize('what', ['good_0.png', ''])
def test_links_out_of_the_folder_need_asking(linked, what):
  inside, outside = linked
  link = inside / 'link.png'
  link.symlink_to(outside / what)
  message = f'{link} .*{outside / what}.*follow_symlinks'
  for reader in (read, data.open_samples):
    with pytest.raises(ValueError, match=message):
      reader(inside)
  count = 5 if what else 8
  assert both(inside, follow_symlinks=True) == (count, count)


def test_a_link_out_of_it_by_way_of_another(linked, tmp_path):
  inside, outside = linked
  (inside / 'b.png').symlink_to(inside / 'c.txt')
  (inside / 'c.txt').symlink_to(outside / 'good_0.png')
  with pytest.raises(ValueError, match='b.png .*out/good_0.png'):
    read(inside)


def test_links_within_the_folder_are_read(linked):
  inside, _ = linked
  pictures(inside / 'below')
  (inside / 'again.png').symlink_to('good_1.png')
  (inside / 'also').symlink_to('below')  # its pictures are there already
  (inside / 'loop').symlink_to('.')
  (inside / 'below' / 'up').symlink_to('..')
  assert both(inside) == both(inside, follow_symlinks=True) == (9, 9)
  assert {path.parent.name for path in image_dir.scan_images(inside).paths} == {
    'in',
    'below',
  }


def test_links_of_directories_that_lead_round_in_a_ring(linked):
  inside, outside = linked
  (inside / 'there').symlink_to(outside)
  (outside / 'back').symlink_to(inside)
  (outside / 'round').symlink_to(outside)
  (outside / 'there').symlink_to(inside / 'there')
  assert both(inside, follow_symlinks=True) == (8, 8)


def test_the_folder_itself_may_be_a_link(linked, tmp_path):
  (tmp_path / 'named').symlink_to(linked[0])
  assert both(tmp_path / 'named') == (4, 4)


def test_other_links_do_not_matter(linked):
  inside, outside = linked
  (inside / 'notes.txt').symlink_to(outside / 'notes.txt')
  (inside / '.hidden').symlink_to(outside)
  assert both(inside) == (4, 4)
