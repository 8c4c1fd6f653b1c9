"""Tests of runner.evaluate in this process, and of evaluate.py in its own."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax.distributed import xla_setup
from gan_jax.evaluation import feature_extractors
from gan_jax.experiment import run_dir
from gan_jax.runner import config_file, console, evaluate

ROOT = pathlib.Path(__file__).parents[2]
# Options of evaluate.py that are fields of config.eval.
EVAL = ('metrics', 'features', 'feature_weights', 'protocol', 'num_samples')
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """Trains four steps on the digits, scored at each second one."""
  path = tmp_path_factory.mktemp('run')
  config = config_file.load_config(f'{ROOT}/configs/digits.py:test')
  config.num_steps, config.eval_every = 4, 2
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('COLUMNS', '200')
    patch.setenv('GAN_JAX_CACHE', str(path / 'cache'))
    patch.setattr(xla_setup, 'is_backend_initialized', lambda: True)
    patch.setattr(xla_setup, 'are_flags_set', lambda: True)
    with contextlib.redirect_stdout(io.StringIO()) as out:
      gan_jax.train(config, path)
  (path / 'stdout.txt').write_text(out.getvalue())
  return path


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
  """Returns a function from fields of a request to the printed text."""
  monkeypatch.setenv('COLUMNS', '200')
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  monkeypatch.chdir(ROOT)

  def run(**given):
    overrides = {name: given.pop(name) for name in EVAL if name in given}
    path = evaluate.evaluate(evaluate.Request(**given, eval=overrides))
    out = capsys.readouterr().out
    assert str(path) in out and path.is_file()
    return out

  return run


def refused(call, **given):
  """Returns the message with which a request is refused."""
  with pytest.raises((ValueError, OSError)) as error:
    call(**given)
  message = str(error.value)
  assert '\n' not in message
  return message


def save_pictures(folder, n, size=16, seed=0):
  folder.mkdir()
  rng = np.random.default_rng(seed)
  for i in range(n):
    pixels = rng.integers(0, 256, (size, size), np.uint8)
    Image.fromarray(pixels).save(folder / f'{i}.png')
  return str(folder)


def test_training_scores_at_intervals_and_keeps_the_best(workdir):
  out = (workdir / 'stdout.txt').read_text()
  assert '1-NN accuracy' in out and 'the best so far' in out
  lines = [
    json.loads(line)
    for line in (workdir / 'scores.jsonl').read_text().splitlines()
  ]
  assert [line['step'] for line in lines] == [2, 4]
  best = min(lines, key=lambda line: line['rank'])['step']
  assert [p.name for p in (workdir / 'best').iterdir()] == [str(best)]
  assert run_dir.load_sampler(workdir, checkpoint='best').step == best
  metrics = (workdir / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in metrics] == [2, 4]


def test_a_run(call, workdir):
  out = call(workdir=str(workdir), metrics='fd,prdc,c2st', num_samples=40)
  assert 'step 4, weights ema' in out and 'features pixels' in out
  for name in ('Frechet distance', 'coverage', 'C2ST accuracy'):
    assert name in out
  assert '40 v 1,438 train' in out and 'covariance is singular' in out
  path = workdir / 'evaluation-00000004-ema-fd-prdc-c2st.json'
  assert str(path) in out
  record = json.loads(path.read_text())
  assert [row['metric'] for row in record['scores']] == [
    'fd',
    *['prdc'] * 4,
    'c2st',
  ]
  first = record['scores'][0]
  assert first['counts']['generated'] == first['counts']['baseline'] == 40
  assert first['baseline'] < first['value'] and first['error'] > 0
  assert record['samples'] | {'workdir': ''} == {
    'workdir': '',
    'step': 4,
    'weights': 'ema',
    'seed': 1,
  }
  assert {'gan_jax', 'jax'} <= set(record['versions'])


def test_a_checkpoint_and_raw_weights(call, workdir):
  out = call(workdir=str(workdir), checkpoint='best', weights='raw')
  assert 'weights raw' in out and '1-NN accuracy' in out
  message = refused(call, workdir=str(workdir), checkpoint='3')
  assert '3' in message and '[2, 4]' in message
  message = refused(call, workdir=str(workdir), checkpoint='newest')
  for name in ("'newest'", "'latest'", "'best'"):
    assert name in message


def test_scores_do_not_depend_on_the_number_of_devices(call, workdir, tmp_path):
  values = []
  for count in (1, 0):
    out = tmp_path / f'{count}.json'
    call(
      workdir=str(workdir),
      metrics='fd',
      features='mnist',
      num_samples=50,
      num_devices=count,
      out=str(out),
    )
    values.append(json.loads(out.read_text())['scores'][0]['value'])
  np.testing.assert_allclose(*values, rtol=1e-4)


def test_a_folder_of_pictures_against_a_config(call, tmp_path):
  folder = save_pictures(tmp_path / 'mine', 40)
  out = call(samples=folder, data='configs/digits.py', metrics='nn,fd')
  assert 'samples ' + folder in out and '40 v 1,438 train' in out
  path = tmp_path / 'mine.evaluation-nn-fd.json'
  record = json.loads(path.read_text())
  assert record['data']['data']['name'] == 'digits'
  assert len(record['scores']) == 2 and len(record['samples']['digest']) == 16


def test_an_array_against_a_folder(call, tmp_path):
  real = save_pictures(tmp_path / 'real', 60)
  rng = np.random.default_rng(1)
  np.save(tmp_path / 'mine.npy', rng.uniform(0, 1, (50, 16, 16)))
  message = refused(call, samples=str(tmp_path / 'mine.npy'), data=real)
  assert '0,1' in message and 'mine.npy' in message
  out = call(
    samples=str(tmp_path / 'mine.npy'),
    data=real,
    value_range=['0', '1'],
    metrics='prdc,mmd',
  )
  assert 'squared MMD' in out and '50 v 50 all' in out


def test_the_baseline_alone(call, tmp_path):
  path = tmp_path / 'baseline.json'
  out = call(
    data='configs/digits.py', metrics='fd', num_samples=100, out=str(path)
  )
  assert '100 v 1,438 train' in out and ' - ' in out
  (row,) = json.loads(path.read_text())['scores']
  assert (
    row['value'] is None and row['baseline'] > 0 and row['baseline_error'] > 0
  )


def test_features_of_ones_own(call, tmp_path, workdir):
  own = tmp_path / 'mine.py'
  own.write_text('def means(x):\n  return x.mean(axis=(1, 2))\n')
  given = dict(workdir=str(workdir), metrics='swd', num_samples=20)
  out = call(**given, features=f'{own}:means')
  assert f'features {own}:means' in out and 'sliced Wasserstein' in out
  assert "'medians'" in refused(call, **given, features=f'{own}:medians')
  own.write_text(
    'from gan_jax.evaluation import feature_extractors\n'
    'def means():\n'
    '  return feature_extractors.FeatureExtractor(\n'
    '    "x", lambda w, x: w * x.mean(axis=(1, 2)), 2.0, sha256="abc",\n'
    '    is_reference_inception=True)\n'
    'def nothing():\n'
    '  return 3\n'
  )
  path = tmp_path / 'twice.json'
  call(**given, features=f'{own}:means', out=str(path))
  record = json.loads(path.read_text())
  assert record['features']['sha256'] == 'abc'
  assert 'nothing() returned int' in refused(
    call, **given, features=f'{own}:nothing'
  )
  with_fid = given | {'metrics': 'fid'}
  assert "'fid' needs" in refused(call, **with_fid, features=f'{own}:means')
  message = refused(call, **given, features='inceptoin')
  assert "'inceptoin'" in message and "'inception'" in message


@pytest.mark.parametrize(
  ('given', 'names'),
  [
    ({}, ['--workdir', '--samples', '--data']),
    (
      {'workdir': '{real}', 'samples': '{real}'},
      ['one of', '--workdir', '--samples'],
    ),
    ({'workdir': '/nowhere'}, ['/nowhere', 'config.json']),
    ({'samples': '{real}'}, ['--samples', '--data']),
    ({'samples': '{real}', 'data': '/nowhere'}, ['/nowhere']),
    (
      {'samples': '{real}', 'data': 'configs/non.py'},
      ['--data=configs/non.py', "'configs/non.py'", 'digits'],
    ),
    (
      {'samples': '{real}', 'data': 'configs/digits.py:non'},
      ['--data=configs/digits.py:non', "'non'", "':test'"],
    ),
    (
      {'samples': '{real}', 'data': 'configs/digits.py', 'data_dir': 'x'},
      ['--data_dir', "'digits'"],
    ),
    ({'samples': '{mixed}', 'data': '{real}'}, ['2 sizes', '5', '16', '9']),
    ({'samples': '{broken}', 'data': '{real}'}, ['0.png']),
    (
      {'samples': '{real}', 'data': '{real}', 'num_samples': 1},
      ['num_samples=1', 'at least 2'],
    ),
    ({'samples': '{one}', 'data': '{real}'}, ['at least 2']),
    (
      {'samples': '{real}', 'data': '{real}', 'value_range': ['1', '0']},
      ['--value_range=1,0'],
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'metrics': 'is,fid'}
      | {'feature_weights': '{broken}/0.png'},
      ['0.png'],
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'metrics': 'fid'}
      | {'protocol': 'cleen', 'feature_weights': '{broken}/0.png'},
      ["'cleen'", "'clean'"],
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'metrics': 'modes'},
      ["'modes'"],
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'out': '/nowhere/x.json'},
      ['/nowhere/x.json', '--out'],
    ),
  ],
)
def test_one_line_for_each_mistake(call, tmp_path, given, names):
  folders = {
    name: save_pictures(tmp_path / name, n)
    for name, n in (('real', 6), ('mixed', 5), ('broken', 5), ('one', 1))
  }
  Image.new('L', (9, 9)).save(tmp_path / 'mixed' / 'odd.png')
  first = tmp_path / 'broken' / '0.png'
  first.write_bytes(first.read_bytes()[:120])
  fill = lambda v: v.format(**folders) if isinstance(v, str) else v
  message = refused(call, **{k: fill(v) for k, v in given.items()})
  for name in names:
    assert name in message


def test_any_function_can_be_an_extractor():
  extractor = feature_extractors.from_function(
    lambda x: x.sum(axis=(1, 2)), 'sums'
  )
  assert extractor.name == 'sums' and not extractor.is_reference_inception


def test_quiet_prints_nothing(monkeypatch, capfd, tmp_path):
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  request = evaluate.Request(
    data=f'{ROOT}/configs/digits.py',
    out=str(tmp_path / 'x.json'),
    eval={'metrics': 'nn', 'num_samples': 50},
  )
  path = evaluate.evaluate(request, quiet=True)
  assert path == tmp_path / 'x.json' and path.is_file()
  assert tuple(capfd.readouterr()) == ('', '')


def run_program(*arguments, rc=0):
  """Runs evaluate.py to its end; returns what it printed."""
  done = subprocess.run(
    [sys.executable, 'evaluate.py', *arguments],
    cwd=ROOT,
    env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'COLUMNS': '200'},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == rc, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr, done.stderr
  return done.stdout + done.stderr


def test_the_program(tmp_path, workdir):
  path = tmp_path / 'x.json'
  out = run_program(
    f'--workdir={workdir}',
    '--checkpoint=2',
    '--weights=raw',
    '--metrics=nn,fd',
    '--num_samples=20',
    '--reference_split=test',
    '--num_devices=1',
    '--seed=7',
    f'--out={path}',
  )
  assert 'Frechet distance' in out and str(path) in out
  record = json.loads(path.read_text())
  facts = {'step': 2, 'weights': 'raw', 'seed': 7}
  assert record['samples'] == {'workdir': str(workdir), **facts}
  assert [row['metric'] for row in record['scores']] == ['nn', 'fd']
  assert '20 v 359 test' in out


def test_the_program_prints_errors_in_one_line():
  for arguments, names in (
    (['--workdir=/nowhere'], ['/nowhere']),
    (['runs/digits'], ["'runs/digits'"]),
    (['--workdri=x'], ['workdri', 'workdir']),
    (['--weights=emma'], ['emma', 'ema']),
  ):
    out = run_program(*arguments, rc=1)
    assert out.startswith('evaluate.py: ') and out.count('\n') == 1
    for name in names:
      assert name in out


def test_help_lists_the_flags():
  done = subprocess.run(
    [sys.executable, 'evaluate.py', '--help'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=60,
  )
  for flag in ('--workdir', '--samples', '--data', '--metrics', '--out'):
    assert flag in done.stdout


def test_photographs_of_several_sizes(call, tmp_path):
  samples = save_pictures(tmp_path / 'mine', 20, size=16)
  real = save_pictures(tmp_path / 'real', 20, size=24)
  Image.new('RGB', (90, 40)).save(tmp_path / 'real' / 'wide.png')
  given = dict(samples=samples, data=real, metrics='nn', num_samples=20)
  assert '--size=PIXELS' in refused(call, **given)
  message = refused(call, **given | {'samples': real})
  assert '--size' not in message  # which is for --data alone
  Image.new('RGB', (16, 16)).save(tmp_path / 'mine' / 'color.png')
  assert '1-NN accuracy' in call(**given, size=16)
  message = refused(call, samples=samples, data='configs/digits.py', size=16)
  assert '--size' in message


@pytest.mark.parametrize(
  ('data', 'names'),
  [
    ('configs/digits', ['--data=configs/digits.py']),
    ('configs/digits:test', ['--data=configs/digits.py:test']),
    ('configs/folder.py', ['--data=DIR --size=64']),
  ],
)
def test_advice_for_data_is_a_command(call, tmp_path, data, names):
  samples = save_pictures(tmp_path / 'mine', 6)
  message = refused(call, samples=samples, data=data)
  for name in names:
    assert name in message


def test_paths_in_the_home_directory(call, tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  save_pictures(tmp_path / 'mine', 20)
  x = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), np.uint8)
  with (tmp_path / 'REAL.NPZ').open('wb') as file:
    np.savez(file, x=x)
  call(samples='~/mine', data='~/REAL.NPZ', metrics='nn', out='~/x.json')
  assert (tmp_path / 'x.json').is_file()
  message = refused(call, samples='a\0b', data='~/REAL.NPZ')
  assert 'samples=a\\x00b' in message


def test_the_record_is_written_before_anything_of_it_is_printed(
  monkeypatch, tmp_path
):
  def fail(*unused):
    raise RuntimeError

  monkeypatch.setattr(console.ConsoleReporter, 'scores', fail)
  path = tmp_path / 'x.json'
  request = evaluate.Request(
    data=f'{ROOT}/configs/digits.py',
    out=str(path),
    eval={'metrics': 'nn', 'num_samples': 20},
  )
  with pytest.raises(RuntimeError):
    evaluate.evaluate(request, quiet=True)
  assert json.loads(path.read_text())['scores']
