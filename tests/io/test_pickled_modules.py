"""Pickles of modules: read without running what they name."""

import os
import pickle

import numpy as np
import pytest

from gan_jax.io import torch_checkpoint
from tests.evaluation.test_inception_weights import zipped
from tests.helpers import torch_pickles
from tests.io.test_untrusted_arrays import HOSTILE, TOWER, peak

STATES = {
  'G': {
    'a.weight': np.arange(6, dtype=np.float32).reshape(2, 3).T,
    'a.b.noise_const': np.float32([1, 2]),
    'scale': np.float32(3),
  },
  'D': {'a.weight': np.float32([[4]])},
}


def read(path, content):
  path = path / 'some.pkl'
  path.write_bytes(content)
  return torch_checkpoint.read_pickled_modules(path)


@pytest.mark.parametrize('persistent', [True, False])
@pytest.mark.parametrize('protocol', [3, 4, 5])
def test_modules_are_their_state_dicts(
  tmp_path, monkeypatch, persistent, protocol
):
  monkeypatch.chdir(tmp_path)
  content = torch_pickles.snapshot(
    STATES, persistent=persistent, protocol=protocol
  )
  assert (b'_reconstruct_persistent_obj' in content) == persistent
  found = read(tmp_path, content)
  assert {name: {*state} for name, state in found.items()} == {
    'G': {'a.weight', 'a.b.noise_const', 'scale'},
    'D': {'a.weight'},
  }
  for name, state in STATES.items():
    for leaf, array in state.items():
      np.testing.assert_array_equal(found[name][leaf], array)
  assert os.listdir(tmp_path) == ['some.pkl']  # the source was not run


@pytest.mark.parametrize('name', HOSTILE)
def test_what_hostile_pickles_call_is_not_run(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  body = b'\x80\x04' + HOSTILE[name] + b'.'
  for content in (body, zipped(body, {'0': bytes(4)})):
    with pytest.raises(ValueError, match=r'some\.pkl is not a readable'):
      read(tmp_path, content)
  assert os.listdir(tmp_path) == ['some.pkl']


@pytest.mark.parametrize(
  'value, message',
  [
    ({'a': 1}, 'no module with tensors'),
    ([1], 'a list, not modules'),
    ({'G': {'weight': b'a'}}, 'no module with tensors'),
  ],
)
def test_pickles_of_something_else(tmp_path, value, message):
  with pytest.raises(ValueError, match=f'some.pkl .*{message}'):
    read(tmp_path, pickle.dumps(value))


def test_a_storage_must_be_one(tmp_path):
  load = b'ctorch.storage\n_load_from_bytes\n'
  for inner in (b'', pickle.dumps(3), torch_pickles.legacy(b'\x80\x02N.', {})):
    body = b'\x80\x04' + load + pickle.dumps(inner, 4)[2:-1] + b'\x85R.'
    with pytest.raises(ValueError, match='some.pkl'):
      read(tmp_path, body)


def test_a_damaged_snapshot_is_named(tmp_path):
  content = torch_pickles.snapshot(STATES)
  for cut in range(0, len(content), len(content) // 40):
    with pytest.raises(ValueError, match='some.pkl'):
      read(tmp_path, content[:cut])


def test_a_tower_of_modules_takes_little_time(tmp_path):
  pair = (
    b'}(X\x08\x00\x00\x00_modules}(X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%cuu'
  )
  tower = b'cx\ny\n)\x81q\x00'
  for i in range(99):
    tower += b'cx\ny\n)\x81' + pair % (i, i) + b'bq%c' % (i + 1)
  took, message = peak(lambda: read(tmp_path, b'\x80\x04' + tower + b'.'))
  assert took < 20 and 'no module with tensors' in message
  took, message = peak(lambda: read(tmp_path, b'\x80\x04' + TOWER + b'.'))
  assert took < 20 and 'some.pkl' in message
