"""Files of others: nothing in them is run or believed."""

import ast
import hashlib
import json
import os
import pathlib

import pytest

from gan_jax.evaluation.networks import inception_weights
from gan_jax.io import files, jsonl

ROOT = pathlib.Path(__file__).parents[2]


def test_nothing_in_the_source_unpickles_or_runs_a_file():
  """configs and the files of --features and --data are code, and run."""
  paths = [*(ROOT / 'gan_jax').rglob('*.py'), *ROOT.glob('*.py')]
  refused = {'pickle', 'marshal', 'shelve', 'dill', 'joblib', 'yaml', 'torch'}
  # Its unpickler has stand-ins for three names of numpy, and no other name.
  converter = ROOT / 'gan_jax' / 'evaluation' / 'networks' / 'lpips.py'
  # Reads a file of its own process, in an environment without gan_jax.
  replay = ROOT / 'gan_jax' / 'export' / 'graph_replay.py'
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
        is_load = ast.unparse(node) in ('np.load', 'numpy.load')
        assert not is_load or path == replay, path
      elif isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
        assert ast.unparse(node.value) == 'False', path
      found = refused & {name.split('.')[0] for name in names}
      assert found <= ({'pickle'} if path == converter else set()), path


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
  with pytest.raises(ValueError, match=f'line 2 of {path}'):
    jsonl.read_jsonl(path)
  path.write_text(f'{good}\n{line}', encoding='latin-1')
  assert jsonl.read_jsonl(path) == [{'step': 1}]


def test_a_line_without_what_it_must_have(tmp_path):
  path = tmp_path / 'scores.jsonl'
  lines = [{'step': 1, 'rank': 2}, {'step': 2}, {'step': 3, 'rank': 4}]
  path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
  assert jsonl.read_jsonl(path) == lines
  with pytest.raises(ValueError, match=f"line 2 of {path} .*'rank'"):
    jsonl.JsonlWriter(path, start=3, kinds={'rank': int})
  with pytest.raises(ValueError, match=f'line 1 of {path} .*rank .*dict'):
    jsonl.read_jsonl(path, {'rank': dict})
  assert jsonl.read_jsonl(path) == lines


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
  with pytest.raises(ValueError, match=str(path)):
    files.read_json(path)
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(ValueError, match=f'{path} .*regular file'):
    files.read_json(path)


def test_a_download_without_end(tmp_path, monkeypatch):
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  monkeypatch.setattr(inception_weights, '_MAX_BYTES', 2**22)
  (tmp_path / 'remote.pth').write_bytes(bytes(2**22 + 1))
  head = hashlib.sha256(bytes(2**22)).hexdigest()
  with pytest.raises(ValueError, match=f'SHA256 {head}'):
    inception_weights.download((tmp_path / 'remote.pth').as_uri(), '0')
  assert os.listdir(tmp_path / 'cache') == []
