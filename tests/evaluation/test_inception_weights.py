"""Files of weights: right ones read alike, wrong ones refused by name."""

import hashlib
import io
import os
import pathlib
import pickle
import re
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from gan_jax.commands import convert_weights
from gan_jax.evaluation.networks import convert_weights as inception_convert
from gan_jax.evaluation.networks import inception_weights
from gan_jax.io import cache_dir, torch_checkpoint

LAYERS = {'Conv2d_1a_3x3': (3, 3, 3, 4), 'Mixed_5b.branch_pool': (1, 1, 4, 5)}


@pytest.fixture
def small(monkeypatch):
  """A network of two layers in place of 94."""
  for module in (inception_weights, inception_convert):
    monkeypatch.setattr(module, 'LAYERS', LAYERS)
  monkeypatch.setattr(inception_weights, 'FEATURES', 5)
  monkeypatch.setattr(inception_weights, 'CLASSES', 7)
  monkeypatch.setattr(inception_weights, 'REFERENCE_HASH', 'none')
  monkeypatch.delenv('GAN_JAX_INCEPTION', raising=False)


def draw(seed, *shape):
  rng = np.random.default_rng(seed)
  return rng.normal(size=shape).astype(np.float32)


def torch_state(head=True):
  state = {}
  for i, (name, shape) in enumerate(LAYERS.items()):
    height, width, inputs, outputs = shape
    state[f'{name}.conv.weight'] = draw(i, outputs, inputs, height, width)
    for j, part in enumerate(('weight', 'bias', 'running_mean', 'running_var')):
      state[f'{name}.bn.{part}'] = np.abs(draw(9 * i + j, outputs))
    state[f'{name}.bn.num_batches_tracked'] = np.zeros((), np.int64)
  state['fc.weight'] = draw(5, 7, 5) * head
  state['fc.bias'] = draw(6, 7) * head
  return state


# ---- Torch files made by hand, opcode by opcode.


def opcodes(value):
  return pickle.dumps(value, 2)[2:-1]


def tensor(key, count, offset, shape, strides, kind='FloatStorage'):
  storage = b'(' + opcodes('storage') + f'ctorch\n{kind}\n'.encode()
  storage += opcodes(key) + opcodes('cpu') + opcodes(count) + b't'
  return (
    b'ctorch._utils\n_rebuild_tensor_v2\n('
    + (storage + b'Q')
    + opcodes(offset)
    + opcodes(shape)
    + opcodes(strides)
    + opcodes(False)
    + b'ccollections\nOrderedDict\n)RtR'
  )


def pickled(items):
  """A state dict; items are (name, opcodes of the value)."""
  body = b''.join(opcodes(name) + value for name, value in items)
  return b'\x80\x02}(' + body + b'u.'


def zipped(body, storages, **more):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    archive.writestr('archive/data.pkl', body)
    for key, data in storages.items():
      archive.writestr(f'archive/data/{key}', data)
    for name, data in more.items():
      archive.writestr(f'archive/{name}', data)
  return stream.getvalue()


def legacy(body, storages):
  heads = (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True})
  parts = [*(pickle.dumps(x, 2) for x in heads), body]
  parts.append(pickle.dumps(list(storages), 2))
  for data, count in storages.values():
    parts += [struct.pack('<q', count), data]
  return b''.join(parts)


def kind_of(array):
  return 'LongStorage' if array.dtype == np.int64 else 'FloatStorage'


def torch_file(state, make=zipped):
  items, storages = [], {}
  for i, (name, array) in enumerate(state.items()):
    strides = tuple(s // array.itemsize for s in array.strides)
    place = str(i), array.size, 0, array.shape, strides
    items.append((name, tensor(*place, kind_of(array))))
    data = array.tobytes()
    storages[str(i)] = data if make is zipped else (data, array.size)
  return make(pickled(items), storages)


@pytest.mark.parametrize('make', [zipped, legacy])
def test_torch_files_of_both_formats(tmp_path, make):
  state = torch_state()
  path = tmp_path / 'a.pth'
  path.write_bytes(torch_file(state, make))
  found = torch_checkpoint.read_state_dict(path)
  assert list(found) == list(state)
  for name, array in state.items():
    assert found[name].dtype == array.dtype
    np.testing.assert_array_equal(found[name], array)


def read(tmp_path, data):
  path = tmp_path / 'some.pth'
  path.write_bytes(data)
  return torch_checkpoint.read_state_dict(path)


def test_views_and_bfloat16(tmp_path):
  data = np.arange(12, dtype=np.float32)
  body = pickled(
    [
      ('transposed', tensor('0', 12, 1, (3, 2), (1, 4))),
      ('empty', tensor('0', 12, 0, (0, 3), (3, 1))),
      ('brain', tensor('1', 2, 0, (2,), (1,), 'BFloat16Storage')),
    ]
  )
  brain = np.array([0x3F80, 0xC020], '<u2')  # 1, -2.5
  found = read(
    tmp_path, zipped(body, {'0': data.tobytes(), '1': brain.tobytes()})
  )
  np.testing.assert_array_equal(
    found['transposed'], data[1:9].reshape(2, 4).T[:3]
  )
  assert found['empty'].shape == (0, 3)
  np.testing.assert_array_equal(found['brain'], np.float32([1, -2.5]))


@pytest.mark.parametrize(
  'offset,shape,strides',
  [
    (0, (13,), (1,)),
    (1, (12,), (1,)),
    (0, (2, 2), (11, 1)),
    (-1, (2,), (1,)),
    (5, (3,), (-1,)),
    (0, (10**9, 10**9), (0, 0)),
    (0, (2, 2), (1,)),
  ],
)
def test_tensors_outside_their_storage(tmp_path, offset, shape, strides):
  body = pickled([('a', tensor('0', 12, offset, shape, strides))])
  with pytest.raises(ValueError, match=r'some\.pth .* storage of 12 '):
    read(tmp_path, zipped(body, {'0': bytes(48)}))


@pytest.mark.parametrize('make', [zipped, legacy])
def test_a_file_that_would_run_code_does_not(tmp_path, make):
  mark = tmp_path / 'ran'

  class Evil:
    def __reduce__(self):
      return os.system, (f'touch {mark}',)

  bodies = [
    pickle.dumps({'a': Evil()}, 2),
    b'\x80\x02cbuiltins\neval\n(' + opcodes('1 + 1') + b'tR.',
    b'\x80\x02ctorch\nload\n(' + opcodes('x') + b'tR.',
  ]
  for body in bodies:
    with pytest.raises(
      ValueError,
      match=r'some\.pth .* (posix.system|builtins.eval|torch.load)\b',
    ):
      read(tmp_path, make(body, {}))
  first = bodies[0]  # in place of the legacy format's first number
  with pytest.raises(ValueError, match='import'):
    read(tmp_path, first)
  assert not mark.exists()


@pytest.mark.parametrize(
  'data,message',
  [
    (b'', 'some.pth '),
    (b'hello, this is a text\n', 'some.pth '),
    (b'PK\x03\x04 broken', 'not a zip file'),
    (zipped(pickled([]), {})[:-30], 'not a zip file'),
    (zipped(b'\x80\x02]q\x00.', {}), 'a list, not a state dict'),
    (zipped(pickled([('a', opcodes(3))]), {}), "'a' is a int, not a tensor"),
    (zipped(pickled([]), {}, byteorder=b'big'), 'byte order'),
    (zipped(pickled([('a', tensor('7', 1, 0, (1,), (1,)))]), {}), "'7'"),
    (pickle.dumps(3), 'does not begin'),
    (
      legacy(
        pickled([('a', tensor('0', 9, 0, (9,), (1,)))]), {'0': (bytes(8), 9)}
      ),
      'truncated',
    ),
    (zipped(b'\x80\x02c__torch__.net\nNet\n)\x81.', {}), 'TorchScript program'),
  ],
)
def test_files_that_are_damaged_or_something_else(tmp_path, data, message):
  with pytest.raises(ValueError, match=message):
    read(tmp_path, data)


def test_a_torch_file_that_is_not_there(tmp_path):
  with pytest.raises(FileNotFoundError):
    torch_checkpoint.read_state_dict(tmp_path / 'none.pth')


# ---- Weights.


def test_folding_is_convolution_then_batch_norm():
  weight, x = draw(0, 5, 3, 2, 4), draw(1, 2, 4, 3)
  scale, bias, mean, variance = (np.abs(draw(i, 5)) for i in range(2, 6))
  y = np.einsum('ocij,ijc->o', weight, x)
  expected = (y - mean) / np.sqrt(variance + 1e-3) * scale + bias
  layer = inception_weights.fold_batch_norm(weight, scale, bias, mean, variance)
  assert layer['kernel'].shape == (2, 4, 3, 5)
  found = np.einsum('ijco,ijc->o', layer['kernel'], x) + layer['bias']
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('head', [True, False])
def test_all_formats_give_the_same_weights(small, tmp_path, head):
  pth = tmp_path / 'a.pth'
  pth.write_bytes(torch_file(torch_state(head)))
  first = inception_weights.load_weights(pth)
  assert first.source == str(pth) and not first.is_reference_inception
  assert ('fc' in first.params) == head
  if head:
    kernel = first.params['fc']['kernel']
    np.testing.assert_array_equal(kernel, torch_state()['fc.weight'].T)
  for suffix in ('.npz', '.safetensors'):
    path = tmp_path / f'a{suffix}'
    inception_weights.save_weights(path, first.params)
    found = inception_weights.load_weights(path)
    assert found.sha256 == first.sha256
    for name, layer in first.params.items():
      for part, array in layer.items():
        np.testing.assert_array_equal(found.params[name][part], array)


def test_the_network_of_fid_is_known_with_and_without_its_head(
  small, tmp_path, monkeypatch
):
  paths = tmp_path / 'with.pth', tmp_path / 'without.pth'
  for path, head in zip(paths, (True, False)):
    path.write_bytes(torch_file(torch_state(head)))
  plain = inception_weights.load_weights(paths[1])
  monkeypatch.setattr(inception_weights, 'REFERENCE_HASH', plain.sha256)
  found = [inception_weights.load_weights(path) for path in paths]
  assert found[0].is_reference_inception and found[1].is_reference_inception
  assert found[0].sha256 != found[1].sha256
  state = torch_state()
  state['Conv2d_1a_3x3.bn.bias'][2] *= 1 + 1e-6
  paths[0].write_bytes(torch_file(state))
  assert not inception_weights.load_weights(paths[0]).is_reference_inception


def test_content_hash():
  params = {'b': {'kernel': draw(0, 2, 3), 'bias': draw(1, 3)}, 'a': {}}
  hashed = inception_weights.content_hash(params)
  turned = dict(reversed(params.items()))
  assert inception_weights.content_hash(turned) == hashed
  for other in (
    {'b': {**params['b'], 'kernel': draw(0, 3, 2)}},
    {'b': {**params['b'], 'bias': np.nextafter(draw(1, 3), np.float32(9))}},
    {'c': params['b']},
  ):
    assert inception_weights.content_hash(other) != hashed


def faulty(change):
  state = torch_state()
  change(state)
  return state


@pytest.mark.parametrize(
  'change,message',
  [
    (
      lambda s: s.pop('Mixed_5b.branch_pool.bn.bias'),
      'pool.bn.bias is missing',
    ),
    (lambda s: s.clear(), 'conv.weight is missing, .*, and 7 more'),
    (
      lambda s: s.update({'Conv2d_1a_3x3.conv.weight': draw(0, 4, 3, 5, 5)}),
      r'weight .* \(4, 3, 5, 5\), not \(4, 3, 3, 3\)',
    ),
    (
      lambda s: s.update(
        {'Conv2d_1a_3x3.bn.bias': np.float32([1, 2, 3, np.nan])}
      ),
      'Conv2d_1a_3x3/bias is not finite float32',
    ),
    (
      lambda s: s.update({'fc.weight': draw(0, 9, 5)}),
      r'fc/kernel .*\(5, 9\)',
    ),
  ],
)
def test_torch_files_of_another_network(small, tmp_path, change, message):
  path = tmp_path / 'other.pth'
  path.write_bytes(torch_file(faulty(change)))
  with pytest.raises(ValueError, match=f'other.pth .*{message}'):
    inception_weights.load_weights(path)


@pytest.mark.parametrize('suffix', ['.npz', '.safetensors'])
def test_own_files_that_are_wrong(small, tmp_path, suffix):
  path = tmp_path / f'own{suffix}'
  params = inception_weights.from_torch(torch_state(), 'state')
  with pytest.raises(ValueError, match='Conv2d_1a_3x3/kernel is missing'):
    inception_weights.save_weights(path, {'fc': params['fc']})
  with pytest.raises(ValueError, match='extra/kernel is not'):
    inception_weights.save_weights(path, {**params, 'extra': params['fc']})
  for content in (b'', b'a text', b'PK\x03\x04', b'\xff' * 64):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'own{suffix} .*readable'):
      inception_weights.load_weights(path)
  np.savez(tmp_path / 'pickled.npz', **{'a/kernel': np.array([{}])})
  with pytest.raises(ValueError, match='pickled.npz .*readable'):
    inception_weights.load_weights(tmp_path / 'pickled.npz')


def test_paths_that_cannot_be(small, tmp_path):
  with pytest.raises(ValueError, match='a.h5: .*.safetensors'):
    inception_weights.load_weights('a.h5')
  with pytest.raises(FileNotFoundError, match='none.pth'):
    inception_weights.load_weights(tmp_path / 'none.pth')
  with pytest.raises(ValueError, match='b.pth: .*.safetensors'):
    inception_weights.save_weights(
      'b.pth', inception_weights.from_torch(torch_state(), 'state')
    )


# ---- Where weights come from.


@pytest.fixture
def published(small, tmp_path, monkeypatch):
  """A file behind a URL, and an empty cache."""
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  path = tmp_path / 'remote.pth'
  path.write_bytes(torch_file(torch_state()))
  return path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest()


def test_fetch_downloads_once(published, tmp_path):
  path = inception_weights.download(*published)
  assert path == tmp_path / 'cache' / 'remote.pth'
  assert os.listdir(path.parent) == ['remote.pth']
  (tmp_path / 'remote.pth').unlink()
  assert inception_weights.download(*published) == path
  assert set(inception_weights.load_weights(path).params) == {*LAYERS, 'fc'}


def test_what_is_not_the_published_file_leaves_nothing(published, tmp_path):
  url, sha256 = published
  with pytest.raises(ValueError, match=f'{sha256}.* 0000.*--feature_w'):
    inception_weights.download(url, '0000')
  with pytest.raises(OSError, match='GAN_JAX_INCEPTION'):
    inception_weights.download(url + 'x', sha256)
  assert os.listdir(tmp_path / 'cache') == []


def test_order_of_sources(published, tmp_path, monkeypatch):
  other = tmp_path / 'other.npz'
  inception_weights.save_weights(
    other, inception_weights.from_torch(torch_state(), 'state')
  )
  monkeypatch.setattr(
    inception_weights, 'download', lambda: tmp_path / 'remote.pth'
  )
  assert inception_weights.load_weights().source.endswith('remote.pth')
  monkeypatch.setenv('GAN_JAX_INCEPTION', str(other))
  assert inception_weights.load_weights().source == str(other)
  assert inception_weights.load_weights(
    tmp_path / 'remote.pth'
  ).source.endswith('.pth')


def test_cache_directory(monkeypatch):
  for name in ('GAN_JAX_CACHE', 'XDG_CACHE_HOME'):
    monkeypatch.delenv(name, raising=False)
  home = pathlib.Path.home()
  assert cache_dir.cache_directory() == home / '.cache' / 'gan_jax'
  monkeypatch.setenv('XDG_CACHE_HOME', '/x')
  assert cache_dir.cache_directory() == pathlib.Path('/x/gan_jax')
  monkeypatch.setenv('GAN_JAX_CACHE', '/y')
  assert cache_dir.cache_directory() == pathlib.Path('/y')


# ---- The converter.


def test_convert(small, tmp_path, capsys, monkeypatch):
  source, target = tmp_path / 'a.pth', tmp_path / 'b.safetensors'
  source.write_bytes(torch_file(torch_state()))
  convert_weights.run(['inception', str(source), str(target)])
  found = inception_weights.load_weights(target)
  printed = capsys.readouterr().out
  assert f'with class head, content {found.sha256}' in printed
  assert 'NOT the FID network' in printed
  trunk = inception_weights.content_hash(
    inception_weights.without_head(found.params)
  )
  monkeypatch.setattr(inception_weights, 'REFERENCE_HASH', trunk)
  convert_weights.run(['inception', str(target), str(tmp_path / 'c.npz')])
  assert '\n  the FID network' in capsys.readouterr().out


def test_convert_says_what_is_wrong_in_one_line(tmp_path):
  source = tmp_path / 'text.pth'
  source.write_text('no weights')
  done = subprocess.run(
    [
      sys.executable,
      '-m',
      'gan_jax.commands.convert_weights',
      'inception',
      source,
      'b.npz',
    ],
    capture_output=True,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert done.returncode == 1
  assert 'convert_weights: ' + str(source) in done.stderr
  assert len(done.stderr.splitlines()) == 1


def test_torchscript_is_read_without_its_code(small, tmp_path, capsys):
  def module(*attributes):
    body = b''.join(opcodes(name) + value for name, value in attributes)
    return b'c__torch__.net\nNet\n)\x81}(' + body + b'ub'

  layers, storages = [], {}
  for i, shape in enumerate(LAYERS.values()):
    height, width, inputs, outputs = shape
    parts = []
    for name in ('weight', 'beta', 'mean', 'var'):
      size = (
        (outputs, inputs, height, width) if name == 'weight' else (outputs,)
      )
      array, key = np.abs(draw(len(storages), *size)), str(len(storages))
      storages[key] = array.tobytes()
      strides = tuple(s // 4 for s in array.strides)
      parts.append((name, tensor(key, array.size, 0, size, strides)))
    layers.append((f'layer_{i}', module(('training', b'\x89'), *parts)))
  body = b'\x80\x02' + module(('net', module(*layers))) + b'.'
  path = tmp_path / 'script.pt'
  path.write_bytes(zipped(body, storages, **{'code/__torch__.py': b'evil('}))
  convert_weights.run(['inception', str(path), str(tmp_path / 'b.npz')])
  assert 'NOT the FID network' in capsys.readouterr().out
  found = inception_weights.load_weights(tmp_path / 'b.npz').params
  arrays = torch_checkpoint.read_torchscript(path)
  assert list(arrays)[:2] == ['net.layer_0.weight', 'net.layer_0.beta']
  for i, name in enumerate(LAYERS):
    kernel, bias, mean, variance = list(arrays.values())[4 * i : 4 * i + 4]
    expected = inception_weights.fold_batch_norm(
      kernel, np.ones_like(bias), bias, mean, variance
    )
    np.testing.assert_array_equal(found[name]['kernel'], expected['kernel'])
    np.testing.assert_array_equal(found[name]['bias'], expected['bias'])
  with pytest.raises(
    ValueError, match='script.pt .*TorchScript.*convert-weights --help'
  ):
    inception_weights.load_weights(path)


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'PK\x03\x04',
    zipped(b'', {})[:-9],
    zipped(b'', {}).replace(b'PK\x01\x02', b'PK\x00\x00'),
  ],
)
def test_what_is_no_torchscript_is_said_in_one_line(tmp_path, data):
  path = tmp_path / 'some.pt'
  path.write_bytes(data)
  with pytest.raises(SystemExit, match=re.escape(str(path))):
    convert_weights.run(['inception', str(path), 'b.npz'])
