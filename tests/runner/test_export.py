"""export.py: what it writes and prints, and what it refuses."""

import json
import re

import jax
import numpy as np
import pytest

import gan_jax
from gan_jax import export as export_lib
from gan_jax import networks
from gan_jax.distributed import xla_setup
from gan_jax.experiment import model_folder
from gan_jax.runner import export as runner
from gan_jax.runner import onnx_environment
from tests.helpers import samplers


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  """An exported MLP with classes, which may be exported again."""
  path = tmp_path_factory.mktemp('models') / 'points'
  path.mkdir()
  facts = {
    'name': 'points',
    'weights': 'ema',
    'class_names': ['a', '</script>', 'c'],
  }
  model_folder.save_model_folder(path, samplers.make('mlp'), facts)
  return path


@pytest.fixture
def export(model, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  return lambda to, **options: runner.export(
    runner.Request(workdir=str(model), to=to, **options)
  )


def test_a_folder(export, capsys, tmp_path):
  path = export('folder', out='again')
  sampler = samplers.make('mlp')
  np.testing.assert_array_equal(gan_jax.load(path)(3), sampler(3))
  assert json.loads((path / 'config.json').read_text())['class_names'][0] == 'a'
  assert path.stat().st_mode & 0o777 == 0o755
  out = capsys.readouterr().out
  size = sum(p.stat().st_size for p in path.iterdir())
  assert f'written  again: {size:,} bytes' in out and 'bit for bit' in out
  assert [p.name for p in tmp_path.iterdir()] == ['again']


@pytest.mark.parametrize('separate_weights', [False, True])
def test_stablehlo_of_any_batch_that_can_be_differentiated(
  export, separate_weights
):
  pytest.importorskip('flatbuffers', reason='pip install flatbuffers')
  path = export('stablehlo', separate_weights=separate_weights)
  assert path.name == 'points.stablehlo'
  program = jax.export.deserialize(bytearray(path.read_bytes()))
  assert program.platforms == ('cpu', 'cuda', 'tpu')
  about = json.loads(path.with_name('points.stablehlo.json').read_text())
  assert [x['name'] for x in about['inputs']] == ['z', 'label']
  assert about['versions']['jax'] == jax.__version__
  assert re.fullmatch(r'\d{4}-\d\d-\d\d', about['written'])
  sampler = samplers.make('mlp')
  first = (sampler.weights,) if separate_weights else ()
  assert path.with_suffix('.safetensors').exists() == separate_weights
  z = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
  label = np.array([0, 1, 2, 0, 1], np.int32)
  whole = program.call(*first, z, label)
  one = program.call(*first, z[3:4], label[3:4])
  np.testing.assert_allclose(one, whole[3:4], atol=1e-6)
  slope = jax.grad(lambda z: program.call(*first, z, label).sum())(z)
  assert np.isfinite(slope).all() and np.abs(slope).max() > 1e-3


def test_a_page(export, capsys):
  path = export('page', title='<b>Points & co</b>')
  text = path.read_text()
  assert '<title>&lt;b&gt;Points &amp; co&lt;/b&gt;</title>' in text
  # A class cannot end the script that has its name.
  assert '\\u003c/script>' in text and text.count('</script>') == 4
  assert not re.findall(r'(?:src|href)="(?!data:)', text)
  assert 'GFLOP a sample' in capsys.readouterr().out
  half = export('page', float16=True, out='half.html').read_text()
  data = json.loads(re.search(r'id="data">(.*?)</script>', half)[1])
  assert data['classes'] == ['a', '</script>', 'c'] and data['kind'] == 'point'
  assert len(half) < len(text)


def test_a_large_page_warns_with_numbers(export, capsys, monkeypatch):
  monkeypatch.setattr(runner, '_LARGE_PAGE', 100)
  monkeypatch.setattr(runner, '_SLOW_PAGE', 10)
  export('page')
  lines = capsys.readouterr().out.splitlines()
  warnings = [line for line in lines if line.startswith('warning')]
  assert re.search('a page of about [0-9,]+ MB.*--float16', warnings[0])
  assert '--to=onnx' in warnings[1]


@pytest.mark.parametrize(
  ('to', 'options', 'message'),
  [
    ('gltf', {}, "'gltf'.*folder"),
    ('folder', {'float16': True}, '--float16 is for --to=page'),
    ('page', {'separate_weights': True}, 'is for --to=stablehlo'),
    (
      'folder',
      {'noise_seed': 1},
      '--noise_seed is for --to=stablehlo and onnx',
    ),
    (
      'page',
      {'noise_seed': 1},
      "noise_seed=1: the generator 'mlp' has no noise",
    ),
    ('page', {'out': 'a.htm'}, r'a.htm: must end in .html'),
    ('folder', {'member': 3}, 'member=3'),
    ('folder', {'checkpoint': 'best'}, "checkpoint='best'"),
  ],
)
def test_requests_that_do_not_fit(export, tmp_path, to, options, message):
  with pytest.raises(ValueError, match=message):
    export(to, **options)
  assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be_written(export, tmp_path):
  with pytest.raises(FileNotFoundError, match='there is no directory .*none'):
    export('page', out='none/a.html')
  (tmp_path / 'points.html').write_text('mine')
  with pytest.raises(FileExistsError, match='points.html exists; --overwrite'):
    export('page')
  assert (tmp_path / 'points.html').read_text() == 'mine'
  export('page', overwrite=True)
  assert (tmp_path / 'points.html').read_text().startswith('<!doctype html>')


def test_a_directory_with_other_files_is_never_replaced(export, tmp_path):
  export('folder', out='own')
  with pytest.raises(FileExistsError, match='own exists; --overwrite'):
    export('folder', out='own')
  export('folder', out='own', overwrite=True)
  (tmp_path / 'own' / 'thesis.tex').write_text('mine')
  with pytest.raises(FileExistsError, match='thesis.tex is not of an export'):
    export('folder', out='own', overwrite=True)
  assert (tmp_path / 'own' / 'thesis.tex').read_text() == 'mine'


def test_no_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  request = runner.Request(workdir=str(tmp_path / 'no'), to='page')
  with pytest.raises(FileNotFoundError, match='holds no run'):
    runner.export(request)
  with pytest.raises(ValueError, match='--workdir: name the directory'):
    runner.export(runner.Request(workdir='', to='page'))


@pytest.fixture
def own_run(tmp_path, monkeypatch):
  """A run of one step with a generator of the user."""
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)
  points = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)

  def apply(params, batch_stats, x, label, *, train, key, axis_name):
    return x @ params['matrix'], batch_stats

  matrix = np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
  init = lambda key, x, label: ({'matrix': jax.numpy.asarray(matrix)}, {})
  own = networks.Network(init, apply, seeded=False)
  config = {
    'num_steps': 1,
    'batch_size': 8,
    'latent_dim': 2,
    'discriminator': {'name': 'mlp', 'mlp': {'features': (4,)}},
    'eval': {'num_samples': 8},
    'num_devices': 1,
  }
  gan_jax.train(config, tmp_path / 'run', generator=own, train=points)
  return tmp_path / 'run', own


def test_a_generator_of_the_user(own_run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  path, own = own_run
  with pytest.raises(
    ValueError, match='generator of its own.*get_parts.*make_page'
  ):
    runner.export(runner.Request(workdir=str(path), to='page'))
  sampler = gan_jax.load(path, generator=own)
  with pytest.raises(ValueError, match='no config rebuilds.*stablehlo'):
    model_folder.check_rebuilds(sampler.config)
  graph = export_lib.trace_page(sampler)
  assert [op.name for op in graph.operations] == ['dot_general']
  assert '<!doctype html>' in export_lib.make_page(sampler, graph=graph)


def test_onnx_needs_its_environment(export, tmp_path, monkeypatch):
  monkeypatch.delenv(onnx_environment.VARIABLE, raising=False)
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  with pytest.raises(FileNotFoundError, match=onnx_environment.COMMAND):
    export('onnx')
  monkeypatch.setenv(onnx_environment.VARIABLE, '/no/python')
  with pytest.raises(FileNotFoundError, match='=/no/python: no such file'):
    export('onnx')
  fails = tmp_path / 'python'
  fails.write_text('#!/bin/sh\necho NotImplementedError: such >&2\nexit 1\n')
  fails.chmod(0o755)
  monkeypatch.setenv(onnx_environment.VARIABLE, str(fails))
  with pytest.raises(ValueError, match='failed: NotImplementedError: such'):
    export('onnx')
