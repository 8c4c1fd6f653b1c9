"""Files of others: nothing in them is run, believed or followed unasked."""

import ast
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from gan_jax import data, feature_store, files, jsonl, npz
from gan_jax.data import folder, samples
from gan_jax.evaluation import mnist_classifier, torch_files, weights
from tests.test_weights import opcodes, pickled, tensor, torch_file, zipped

ROOT = pathlib.Path(__file__).parent.parent


def test_nothing_in_the_source_unpickles_or_runs_a_file():
  """configs and the files of --features and --data are code, and run."""
  paths = [*(ROOT / 'gan_jax').rglob('*.py'), ROOT / 'train.py']
  refused = {'pickle', 'marshal', 'shelve', 'dill', 'joblib', 'yaml', 'torch'}
  for path in paths:
    for node in ast.walk(ast.parse(path.read_text())):
      names = []
      if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
      elif isinstance(node, ast.ImportFrom):
        names = [node.module]
      elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        assert node.func.id not in ('eval', 'exec'), path
      elif isinstance(node, ast.Attribute):
        assert ast.unparse(node) not in ('np.load', 'numpy.load'), path
      elif isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
        assert ast.unparse(node.value) == 'False', path
      assert not refused & {name.split('.')[0] for name in names}, path


# ---- Torch files.


def load(path, body, **storages):
  path = path / 'hostile.pth'
  path.write_bytes(zipped(b'\x80\x04' + body + b'.', storages))
  return torch_files.read_state_dict(path)


COMMAND = opcodes('touch ran')
SYSTEM = opcodes('os') + opcodes('system') + b'\x93'
TENSOR = b'ctorch._utils\n_rebuild_tensor_v2\n'
HOSTILE = {
  'GLOBAL': b'cos\nsystem\n(' + COMMAND + b'tR',
  'GLOBAL of the C module': b'cposix\nsystem\n(' + COMMAND + b'tR',
  'STACK_GLOBAL': SYSTEM + b'(' + COMMAND + b'tR',
  'INST': b'(' + COMMAND + b'ios\nsystem\n',
  'OBJ': b'(' + SYSTEM + COMMAND + b'o',
  'OBJ of what is allowed': b'(' + TENSOR + COMMAND + b'o',
  'NEWOBJ': SYSTEM + b'(' + COMMAND + b't\x81',
  'NEWOBJ of a class': b'csubprocess\nPopen\n(' + COMMAND + b't\x81',
  'NEWOBJ_EX': SYSTEM + b'(' + COMMAND + b't}\x92',
  'EXT': b'\x82\x01',
  'getattr': b'cbuiltins\ngetattr\n(' + TENSOR + opcodes('__globals__') + b'tR',
  'a dotted name': opcodes('torch')
  + opcodes('FloatStorage.dtype.__class__')
  + b'\x93',
  'a dotted module': b'ctorch._utils\nos.system\n(' + COMMAND + b'tR',
  'torch itself': b'ctorch\nload\n(' + COMMAND + b'tR',
  'a call of a tensor': tensor('0', 1, 0, (1,), (1,)) + b')R',
  'a call of text': COMMAND + b')R',
  'a call of the result': TENSOR + b')R)R',
  'other arguments': TENSOR + b'(' + COMMAND + b'tR',
  'a dict of anything': b'ccollections\nOrderedDict\n(' + COMMAND + b'tR',
  'a state that sets': TENSOR + b'}' + opcodes('__code__') + b'K\x01sb',
  'a state of a class': b'ccollections\nOrderedDict\nN}'
  + (opcodes('get') + b'K\x01s\x86b'),
  'nested': b'}'
  + opcodes('a')
  + (b']' + SYSTEM + b'(' + COMMAND + b'tRa' + b's'),
  'a pickle in a pickle': b'c_pickle\nloads\n('
  + (opcodes(pickle.dumps(3, 2).decode('latin-1')) + b'tR'),
  'another reference': b'(' + opcodes('module') + SYSTEM + b'tQ',
  'a reference that calls': b'(' + opcodes('storage') + SYSTEM + b'K\x00NNtQ',
  'a set': b'\x8f',
  'bytes': b'C\x01a',
  'a buffer': b'\x97',
  'a dict in place of a list': b'}K\x01a',
  'a number in place of a dict': b'K\x01K\x02K\x03s',
  'a list for a name': b'}]K\x01s',
  'nothing on the stack': b'(a',
  'what was never named': b'h\x09',
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_torch_files_are_refused(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  for wrap in (
    lambda value: value,
    lambda value: b'}' + opcodes('x') + value + b's',
  ):
    with pytest.raises(ValueError, match=r'hostile\.pth is not a readable'):
      load(tmp_path, wrap(HOSTILE[name]), **{'0': bytes(4)})
  assert os.listdir(tmp_path) == ['hostile.pth']


def peak(function):
  """Megabytes that a call takes, and the message of what it raises."""
  tracemalloc.start()
  start = time.process_time()
  try:
    with pytest.raises(ValueError) as error:
      function()
    assert time.process_time() - start < 20
    return tracemalloc.get_traced_memory()[1] / 2**20, str(error.value)
  finally:
    tracemalloc.stop()


# Each level is two of the one below: 2 ** 99 leaves.
TOWER = b')q\x00' + b''.join(
  b'h%c' % i + b'h%c' % i + b'\x86q%c' % (i + 1) for i in range(99)
)
BOMBS = {
  'a place in the memo': (b'Nr\xff\xff\xff\x7f', 'NoneType, not a state dict'),
  'long text': (b'\x8d' + struct.pack('<Q', 2**40), 'expected 1099511627776'),
  'long bytes': (b'\x8e' + struct.pack('<Q', 2**40), 'expected 10995116277'),
  'a buffer': (b'\x96' + struct.pack('<Q', 2**40), 'expected 10995116277'),
  'a long number': (b'\x8b' + struct.pack('<i', 2**31 - 1), 'long4'),
  'a large number': (b'\x8b\x00\x00\x10\x00' + b'\x7f' * 2**20, '128 bits'),
  'a name of tuples': (b'}(' + TOWER + b'tK\x01s', 'has a tuple for a name'),
  'a tuple of tuples': (b'(' + TOWER + b't', 'holds a tuple'),
  'a value of tuples': (
    b'}' + opcodes('a') + b'(' + TOWER + b'ts',
    'is a tuple, not a tensor',
  ),
  'a call of tuples': (b'(' + TOWER + b't)R', 'it calls something else'),
  'a reference of tuples': (b'(' + TOWER + b'tQ', 'it refers to something'),
  'too many': (b'N' * (10**6 + 9), 'more than 1,000,000 operations'),
  'pairs of pairs': (
    b'}'
    + (opcodes('a') + b']q\x09(' + b'N' * 10**5 + b'es' + opcodes('b'))
    + (b'ccollections\nOrderedDict\n](' + b'h\x09' * 10**5 + b'e\x85Rs'),
    'it calls something else',
  ),
  'a long name': (b'c__torch__.' + b'a' * 10**6 + b'\nA\n', '1000 letters'),
}


@pytest.mark.parametrize('name', BOMBS)
def test_small_torch_files_take_little_memory_and_time(tmp_path, name):
  body, expected = BOMBS[name]
  took, message = peak(lambda: load(tmp_path, body))
  assert took < 100 and 'hostile.pth' in message and len(message) < 1000
  assert expected in message


def test_modules_below_modules(tmp_path):
  module = b'c__torch__.a\nA\n)\x81}' + opcodes('a' * 50)
  body = module * 5000 + b'N' + b'sb' * 5000
  path = tmp_path / 'deep.pt'
  path.write_bytes(zipped(b'\x80\x04' + body + b'.', {}))
  took, message = peak(lambda: torch_files.read_modules(path))
  assert took < 20 and 'deep.pt' in message and '1000 letters' in message


def test_entries_larger_than_their_file(tmp_path):
  path = tmp_path / 'a.pth'
  state = {'a': np.arange(600, dtype=np.float32)}
  content = bytearray(torch_file(state))
  at = content.rindex(b'PK\x01\x02') + 20
  content[at : at + 8] = struct.pack('<II', 9000, 9000)
  path.write_bytes(content)
  with pytest.raises(ValueError, match='a.pth .* are larger than itself'):
    torch_files.read_state_dict(path)


def test_one_storage_many_times(tmp_path):
  part = tensor('0', 2**18, 0, (2**18,), (1,))
  items = b''.join(opcodes(str(i)) + part for i in range(200))
  took, message = peak(
    lambda: load(tmp_path, b'}(' + items + b'u', **{'0': bytes(2**20)})
  )
  assert took < 10 and 'its tensors have more than' in message


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
  for name in ('a.pth', 'a.npz', 'a.safetensors'):
    path = tmp_path / name
    with path.open('wb') as file:
      file.truncate(2**31)
    took, message = peak(lambda: weights.load_weights(path))
    assert took < 1 and f'{name} has 2,147,483,648 bytes' in message
  took, message = peak(lambda: mnist_classifier.load_digit_classifier(path))
  assert took < 1 and '2,147,483,648 bytes' in message


# ---- Arrays.


def npy(header, body=b'', version=1):
  header = header.encode()
  length = struct.pack('<H' if version == 1 else '<I', len(header))
  return b'\x93NUMPY' + bytes([version, 0]) + length + header + body


def described(shape, descr="'<f4'"):
  return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


LYING = {
  'terabytes': npy(described((10**13,)), bytes(64)),
  'more than there are': npy(described((17,)), bytes(64)),
  'less than there are': npy(described((15,)), bytes(64)),
  'a product that overflows': npy(described((2**32, 2**32)), bytes(64)),
  'a negative side': npy(described((-4, -4)), bytes(64)),
  'objects': npy(described((1,), "'|O'"), pickle.dumps([{}])),
  'records of objects': npy(described((1,), "[('a', '|O')]"), bytes(8)),
  'text': npy(described((16,), "'<U1'"), bytes(64)),
  'nothing each': npy(described((10**12,), "'|V0'")),
  'a long header': npy('', b'', 2)[:8] + struct.pack('<I', 2**32 - 1),
  'another version': npy(described((16,)), bytes(64), 3),
  'code': npy("__import__('os').system('touch ran')", bytes(64)),
  'depth': npy('(' * 9000 + ')' * 9000),
}


@pytest.mark.parametrize('name', LYING)
@pytest.mark.parametrize('suffix', ['npy', 'npz'])
def test_headers_are_not_believed(tmp_path, monkeypatch, name, suffix):
  monkeypatch.chdir(tmp_path)
  path = tmp_path / f'lying.{suffix}'
  content = LYING[name]
  if suffix == 'npz':
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
      archive.writestr('x.npy', content)
    content = stream.getvalue()
  path.write_bytes(content)
  took, message = peak(lambda: samples.open_samples(path))
  assert took < 10 and f'lying.{suffix} cannot be read' in message
  assert not pathlib.Path('ran').exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
  path, count = tmp_path / 'bomb.npz', 2**28
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    with archive.open('x.npy', 'w') as entry:
      entry.write(npy(described((count,), "'|u1'")))
      for _ in range(count // 2**22):
        entry.write(bytes(2**22))
  took, message = peak(lambda: samples.open_samples(path))
  assert took < 10 and 'the most that is believed' in message


def test_what_is_plain_compresses(tmp_path):
  x = np.zeros((1000, 32, 32, 3), np.uint8)
  np.savez_compressed(tmp_path / 'a.npz', x=x)
  np.testing.assert_array_equal(samples.open_samples(tmp_path / 'a.npz').x, x)


@pytest.mark.parametrize(
  'array',
  [
    np.arange(24, dtype=np.int64).reshape(2, 3, 4),
    np.asfortranarray(np.arange(24.0).reshape(4, 6)),
    np.arange(3, dtype='>f4'),
    np.array(2.5),
    np.zeros((0, 3), np.float16),
    np.array([True, False]),
  ],
  ids=str,
)
def test_arrays_are_read_as_numpy_does(tmp_path, array):
  np.save(tmp_path / 'a.npy', array)
  np.savez_compressed(tmp_path / 'a.npz', some=array, other=np.ones(2))
  with (tmp_path / 'a.npy').open('rb') as file:
    found = [npz.read_npy(file)]
  with (tmp_path / 'a.npz').open('rb') as file:
    found.append(npz.read_npz(file, lambda names: names[:1])['some'])
  for x in found:
    assert x.dtype == array.dtype and x.shape == array.shape
    np.testing.assert_array_equal(x, array)
    assert x.flags.writeable


def test_entries_of_one_name(tmp_path):
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
    archive.writestr('x.npy', npy(described((16,)), bytes(64)))
    with pytest.warns(UserWarning, match='Duplicate name'):
      archive.writestr('x.npy', npy(described((16,)), bytes(64)))
  with pytest.raises(ValueError, match="a.npz .*'x.npy' .* there twice"):
    samples.open_samples(tmp_path / 'a.npz')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_classes_are_not_lost_with_the_list_of_arrays(tmp_path, save):
  path = tmp_path / 'a.npz'
  save(path, x=np.zeros((4, 2)), label=np.arange(4))
  good = path.read_bytes()
  renamed = good[::-1].replace(b'lebal', b'lebam', 1)[::-1]
  shorter = bytearray(good)
  first = good.index(b'PK\x01\x02')
  length = good.rindex(b'PK\x01\x02') - first
  shorter[-10:-2] = struct.pack('<II', length, first)
  shorter = shorter[: first + length] + shorter[-22:]  # of the list alone
  for content in (renamed, shorter):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.npz cannot be read'):
      samples.open_samples(path)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_images_without_pixels(tmp_path, dtype):
  np.save(tmp_path / 'a.npy', np.zeros((2, 0, 0, 3), dtype))
  with pytest.raises(ValueError, match=r'a.npy: an array of .* \(2, 0, 0, 3\)'):
    samples.open_samples(tmp_path / 'a.npy')


def test_a_classifier_that_is_damaged(tmp_path):
  path = tmp_path / 'mine.npz'
  content = bytearray(mnist_classifier.WEIGHTS.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  with pytest.raises(ValueError, match='mine.npz is not a readable .npz'):
    mnist_classifier.load_digit_classifier(path)
  params, _ = mnist_classifier.load_digit_classifier()
  bad = {k: np.full_like(v, np.nan) for k, v in params.items()}
  np.savez(path, **bad)
  with pytest.raises(
    ValueError, match='mine.npz holds values that are not fin'
  ):
    mnist_classifier.load_digit_classifier(path)


def test_a_damaged_entry_of_the_store_is_as_if_not_there(tmp_path):
  store, key = feature_store.Store(tmp_path), {'kind': 'a'}
  store.put(key, {'mean': np.ones(3)})
  np.testing.assert_array_equal(store.get(key)['mean'], np.ones(3))
  (path,) = tmp_path.glob('*.npz')
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('mean.npy', LYING['terabytes'])
  assert store.get(key) is None


# ---- Pictures.


def png(width, height, body=b''):
  def chunk(kind, content):
    crc = struct.pack('>I', zlib.crc32(kind + content))
    return struct.pack('>I', len(content)) + kind + content + crc

  head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  parts = chunk(b'IHDR', head), chunk(b'IDAT', body), chunk(b'IEND', b'')
  return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def bmp(width, height):
  stream = io.BytesIO()
  Image.new('RGB', (4, 4)).save(stream, 'bmp')
  content = bytearray(stream.getvalue())
  content[18:26] = struct.pack('<ii', width, height)
  return bytes(content)


def webp(width, height):
  stream = io.BytesIO()
  Image.new('RGB', (4, 4)).save(stream, 'webp')
  content = bytearray(stream.getvalue())
  at = content.index(b'\x9d\x01\x2a') + 3
  content[at : at + 4] = struct.pack('<HH', width, height)
  return bytes(content)


def jpg(width, height):
  stream = io.BytesIO()
  Image.new('RGB', (16, 16)).save(stream, 'jpeg')
  content = bytearray(stream.getvalue())
  at = content.index(b'\xff\xc0') + 5
  content[at : at + 4] = struct.pack('>HH', height, width)
  return bytes(content)


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
@pytest.mark.parametrize('make', [png, bmp, webp, jpg])
@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
def test_bombs_are_refused_by_name(tmp_path, make, sides):
  path = pictures(tmp_path / 'a', make(*sides), suffix=make.__name__)
  bad = path / f'some_0.{make.__name__}'
  message = f'picture {bad} is too large: '
  for attempt in (
    lambda: read(path),
    lambda: read(path, memory_mb=0),
    lambda: samples.open_samples(path),
  ):
    with pytest.raises(ValueError, match=message):
      attempt()
  with pytest.warns(UserWarning, match='skipped 1 of the'):
    assert len(read(path, skip_broken=True)) == 4


def test_bombs_take_no_memory(tmp_path):
  path = pictures(tmp_path / 'a')
  for make in (png, bmp, webp, jpg):
    for sides in ((9900, 9900), (16000, 16000)):
      name = f'{make.__name__}_{sides[0]}.{make.__name__}'
      (path / name).write_bytes(make(*sides))
  code = (
    'import pathlib, resource, sys, warnings\n'
    'from gan_jax.data import folder\n'
    'warnings.simplefilter("ignore")\n'
    'use = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
    'before, refused = use(), 0\n'
    'for path in folder.find(pathlib.Path(sys.argv[1])):\n'
    '  try:\n'
    '    folder._load(path, 8, 3)\n'
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
  assert refused == 8 and kilobytes < 50_000


def test_the_limit_is_pillows_own(tmp_path, monkeypatch):
  path = pictures(tmp_path / 'a')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)
  with pytest.raises(ValueError, match='too large'):
    read(path)
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
  assert len(read(path)) == 4


def other_format(suffix):
  stream = io.BytesIO()
  Image.new('L', (8, 8)).save(stream, suffix)
  return stream.getvalue()


@pytest.mark.parametrize('suffix', ['gif', 'tiff', 'ppm', 'pcx', 'ico', 'eps'])
def test_only_the_four_formats_are_opened(tmp_path, suffix):
  path = pictures(tmp_path / 'a', other_format(suffix))
  message = 'broken picture .*some_0.png: it is none of PNG, JPEG, WEBP, BMP'
  with pytest.raises(ValueError, match=message):
    read(path)
  with pytest.raises(ValueError, match=message):
    samples.open_samples(path)


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
  with pytest.raises(ValueError, match=f'broken picture .*x.png.*{message}'):
    read(path, memory_mb=memory_mb)
  with pytest.warns(UserWarning, match='skipped 1 of the .*x.png'):
    assert len(read(path, skip_broken=True, memory_mb=memory_mb)) == 4
  with pytest.raises(ValueError, match='x.png'):
    source = samples.open_samples(path)
    source[np.arange(len(source))]


def test_a_directory_with_the_name_of_a_picture(tmp_path):
  path = pictures(tmp_path / 'a')
  pictures(path / 'x.png')
  assert len(read(path)) == 8


def test_a_large_picture_file_is_not_read(tmp_path):
  path = pictures(tmp_path / 'a', b'')
  with (path / 'some_0.png').open('wb') as file:
    file.truncate(2**31)
  with pytest.raises(ValueError, match='some_0.png: it has 2,147,483,648'):
    read(path)


# ---- Links.


@pytest.fixture
def linked(tmp_path):
  """A folder, and another that it links to."""
  inside, outside = pictures(tmp_path / 'in'), pictures(tmp_path / 'out')
  return inside, outside


def both(path, **options):
  """How the two readers of folders see one."""
  source = samples.open_samples(path, **options)
  return len(read(path, **options)), len(source)


@pytest.mark.parametrize('what', ['good_0.png', ''])
def test_links_out_of_the_folder_need_asking(linked, what):
  inside, outside = linked
  link = inside / 'link.png'
  link.symlink_to(outside / what)
  message = f'{link} is a link to {outside / what}, out of .*follow_symlinks'
  for reader in (read, samples.open_samples):
    with pytest.raises(ValueError, match=message):
      reader(inside)
  count = 5 if what else 8
  assert both(inside, follow_symlinks=True) == (count, count)


def test_a_link_out_of_it_by_way_of_another(linked, tmp_path):
  inside, outside = linked
  (inside / 'b.png').symlink_to(inside / 'c.txt')
  (inside / 'c.txt').symlink_to(outside / 'good_0.png')
  with pytest.raises(ValueError, match='b.png is a link to .*out/good_0.png'):
    read(inside)


def test_links_within_the_folder_are_read(linked):
  inside, _ = linked
  pictures(inside / 'below')
  (inside / 'again.png').symlink_to('good_1.png')
  (inside / 'also').symlink_to('below')  # its pictures are there already
  (inside / 'loop').symlink_to('.')
  (inside / 'below' / 'up').symlink_to('..')
  assert both(inside) == both(inside, follow_symlinks=True) == (9, 9)
  assert {path.parent.name for path in folder.find(inside)} == {'in', 'below'}


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


# ---- Lines of JSON, and downloads.


@pytest.mark.parametrize(
  'line',
  [
    '{"step": 2',
    '[1]',
    '2',
    '"step"',
    '{"stop": 2}',
    '{"step": "2"}',
    '{"step": 2.5}',
    '{"step": true}',
    '{"step": null}',
    '[' * 100_000,
    '{"step": ' + '9' * 5000 + '}',
    '\x00' * 20,
    '\xff',
    '',
  ],
)
def test_a_line_that_is_no_line_of_a_run(tmp_path, line):
  path = tmp_path / 'scores.jsonl'
  good = json.dumps({'step': 1})
  path.write_text(f'{good}\n{line}\n{good}\n', encoding='latin-1')
  with pytest.raises(ValueError, match=f'line 2 of {path} is not as it was'):
    jsonl.read(path)
  path.write_text(f'{good}\n{line}', encoding='latin-1')
  assert jsonl.read(path) == [{'step': 1}]


def test_a_line_without_what_it_must_have(tmp_path):
  path = tmp_path / 'scores.jsonl'
  lines = [{'step': 1, 'rank': 2}, {'step': 2}, {'step': 3, 'rank': 4}]
  path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
  assert jsonl.read(path) == lines
  with pytest.raises(ValueError, match=f"line 2 of {path} .*'rank'"):
    jsonl.Lines(path, start=3, names=('rank',))
  assert jsonl.read(path) == lines


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'{',
    b'[]',
    b'3',
    b'null',
    b'\xff',
    b'[' * 100_000,
    b'{"a": ' + b'9' * 5000 + b'}',
  ],
)
def test_an_object_of_json_is_one_or_named(tmp_path, content):
  path = tmp_path / 'config.json'
  path.write_text('{"a": [1, null]}')
  assert files.read_json(path) == {'a': [1, None]}
  path.write_bytes(content)
  with pytest.raises(ValueError, match=f'{path} is not as it was written'):
    files.read_json(path)
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(ValueError, match=f'{path} is not a regular file'):
    files.read_json(path)


def test_a_download_without_end(tmp_path, monkeypatch):
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  monkeypatch.setattr(weights, '_MOST_BYTES', 2**22)
  (tmp_path / 'remote.pth').write_bytes(bytes(2**22 + 1))
  head = hashlib.sha256(bytes(2**22)).hexdigest()
  with pytest.raises(ValueError, match=f'has the SHA256 {head}, not 0'):
    weights.fetch((tmp_path / 'remote.pth').as_uri(), '0')
  assert os.listdir(tmp_path / 'cache') == []


def test_a_state_dict_in_the_place_of_another(tmp_path):
  """The size of a tensor is not what its storage says, but what is there."""
  state = {'a': np.arange(6, dtype=np.float32).reshape(2, 3)}
  path = tmp_path / 'a.pth'
  path.write_bytes(torch_file(state))
  np.testing.assert_array_equal(
    torch_files.read_state_dict(path)['a'], state['a']
  )
  body = pickled([('a', tensor('0', 2**40, 0, (2**40,), (1,)))])
  path.write_bytes(zipped(body, {'0': bytes(64)}))
  took, message = peak(lambda: torch_files.read_state_dict(path))
  assert took < 1 and 'not within its storage of 16 numbers' in message
