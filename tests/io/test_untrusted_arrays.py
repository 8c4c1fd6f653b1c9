"""Arrays and torch files of others: nothing in them is run or believed."""

import io
import os
import pathlib
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from gan_jax import data
from gan_jax.evaluation import feature_cache
from gan_jax.evaluation.networks import inception_weights, mnist_classifier
from gan_jax.io import npz, torch_checkpoint
from tests.evaluation.test_inception_weights import (
  opcodes,
  pickled,
  tensor,
  torch_file,
  zipped,
)

ROOT = pathlib.Path(__file__).parents[2]


def load(path, body, **storages):
  path = path / 'hostile.pth'
  path.write_bytes(zipped(b'\x80\x04' + body + b'.', storages))
  return torch_checkpoint.read_state_dict(path)


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
    with pytest.raises(ValueError, match=r'hostile\.pth '):
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
  'a place in the memo': (b'Nr\xff\xff\xff\x7f', 'NoneType'),
  'long text': (b'\x8d' + struct.pack('<Q', 2**40), 'expected 1099511627776'),
  'long bytes': (b'\x8e' + struct.pack('<Q', 2**40), 'expected 10995116277'),
  'a buffer': (b'\x96' + struct.pack('<Q', 2**40), 'expected 10995116277'),
  'a long number': (b'\x8b' + struct.pack('<i', 2**31 - 1), 'long4'),
  'a large number': (b'\x8b\x00\x00\x10\x00' + b'\x7f' * 2**20, '128 bits'),
  'a name of tuples': (b'}(' + TOWER + b'tK\x01s', 'has a tuple '),
  'a tuple of tuples': (b'(' + TOWER + b't', ' a tuple, '),
  'a value of tuples': (
    b'}' + opcodes('a') + b'(' + TOWER + b'ts',
    ' a tuple, ',
  ),
  'a call of tuples': (b'(' + TOWER + b't)R', ' call'),
  'a reference of tuples': (b'(' + TOWER + b'tQ', ' refer'),
  'too many': (b'N' * (10**6 + 9), '1,000,000 operations'),
  'pairs of pairs': (
    b'}'
    + (opcodes('a') + b']q\x09(' + b'N' * 10**5 + b'es' + opcodes('b'))
    + (b'ccollections\nOrderedDict\n](' + b'h\x09' * 10**5 + b'e\x85Rs'),
    ' call',
  ),
  'a long name': (
    b'c__torch__.' + b'a' * 10**6 + b'\nA\n',
    ' name of more than 1000 ',
  ),
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
  took, message = peak(lambda: torch_checkpoint.read_torchscript(path))
  assert took < 20 and 'deep.pt' in message and '1000 ' in message


def test_entries_larger_than_their_file(tmp_path):
  path = tmp_path / 'a.pth'
  state = {'a': np.arange(600, dtype=np.float32)}
  content = bytearray(torch_file(state))
  at = content.rindex(b'PK\x01\x02') + 20
  content[at : at + 8] = struct.pack('<II', 9000, 9000)
  path.write_bytes(content)
  with pytest.raises(ValueError, match='a.pth .*larger'):
    torch_checkpoint.read_state_dict(path)


def test_one_storage_many_times(tmp_path):
  part = tensor('0', 2**18, 0, (2**18,), (1,))
  items = b''.join(opcodes(str(i)) + part for i in range(200))
  took, message = peak(
    lambda: load(tmp_path, b'}(' + items + b'u', **{'0': bytes(2**20)})
  )
  assert took < 10 and 'hostile.pth' in message and 'tensors' in message


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
  for name in ('a.pth', 'a.npz', 'a.safetensors'):
    path = tmp_path / name
    with path.open('wb') as file:
      file.truncate(2**31)
    took, message = peak(lambda: inception_weights.load_weights(path))
    assert took < 1 and f'{name} ' in message and '2,147,483,648' in message
  took, message = peak(lambda: mnist_classifier.load_digit_classifier(path))
  assert took < 1 and '2,147,483,648' in message


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
  took, message = peak(lambda: data.open_samples(path))
  assert took < 10 and f'lying.{suffix} ' in message
  assert not pathlib.Path('ran').exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
  path, count = tmp_path / 'bomb.npz', 2**28
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    with archive.open('x.npy', 'w') as entry:
      entry.write(npy(described((count,), "'|u1'")))
      for _ in range(count // 2**22):
        entry.write(bytes(2**22))
  took, message = peak(lambda: data.open_samples(path))
  assert took < 10 and 'bomb.npz' in message


def test_what_is_plain_compresses(tmp_path):
  x = np.zeros((1000, 32, 32, 3), np.uint8)
  np.savez_compressed(tmp_path / 'a.npz', x=x)
  np.testing.assert_array_equal(data.open_samples(tmp_path / 'a.npz').x, x)


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
  with pytest.raises(ValueError, match="a.npz .*'x.npy' .*twice"):
    data.open_samples(tmp_path / 'a.npz')


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
    with pytest.raises(ValueError, match='a.npz '):
      data.open_samples(path)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_images_without_pixels(tmp_path, dtype):
  np.save(tmp_path / 'a.npy', np.zeros((2, 0, 0, 3), dtype))
  with pytest.raises(ValueError, match=r'a.npy: .* \(2, 0, 0, 3\)'):
    data.open_samples(tmp_path / 'a.npy')


def test_a_classifier_that_is_damaged(tmp_path):
  path = tmp_path / 'mine.npz'
  content = bytearray(mnist_classifier.WEIGHTS.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  with pytest.raises(ValueError, match='mine.npz .*readable'):
    mnist_classifier.load_digit_classifier(path)
  params, _ = mnist_classifier.load_digit_classifier()
  bad = {k: np.full_like(v, np.nan) for k, v in params.items()}
  np.savez(path, **bad)
  with pytest.raises(ValueError, match='mine.npz .*not finite'):
    mnist_classifier.load_digit_classifier(path)


def test_a_damaged_entry_of_the_store_is_as_if_not_there(tmp_path):
  store, key = feature_cache.FeatureCache(tmp_path), {'kind': 'a'}
  store.put(key, {'mean': np.ones(3)})
  np.testing.assert_array_equal(store.get(key)['mean'], np.ones(3))
  (path,) = tmp_path.glob('*.npz')
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('mean.npy', LYING['terabytes'])
  assert store.get(key) is None


def test_a_state_dict_in_the_place_of_another(tmp_path):
  """The size of a tensor is not what its storage says, but what is there."""
  state = {'a': np.arange(6, dtype=np.float32).reshape(2, 3)}
  path = tmp_path / 'a.pth'
  path.write_bytes(torch_file(state))
  np.testing.assert_array_equal(
    torch_checkpoint.read_state_dict(path)['a'], state['a']
  )
  body = pickled([('a', tensor('0', 2**40, 0, (2**40,), (1,)))])
  path.write_bytes(zipped(body, {'0': bytes(64)}))
  took, message = peak(lambda: torch_checkpoint.read_state_dict(path))
  assert took < 1 and 'storage of 16 ' in message
