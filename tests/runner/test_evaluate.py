"""evaluate.py as its users call it."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

import evaluate
from gan_jax.evaluation import feature_extractors
from gan_jax.experiment import run_dir

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A run of four steps on the digits, scored at each second one."""
  path = tmp_path_factory.mktemp('run')
  done = subprocess.run(
    [
      sys.executable,
      'train.py',
      '--config=configs/digits.py:test',
      f'--workdir={path}',
      '--config.num_steps=4',
      '--config.eval_every=2',
    ],
    cwd=ROOT,
    env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'COLUMNS': '200'},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  (path / 'stdout.txt').write_text(done.stdout)
  return path


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
  """evaluate.py in this process: (flags) -> what it printed."""
  monkeypatch.setenv('COLUMNS', '200')
  monkeypatch.setenv('GAN_JAX_CACHE', str(tmp_path / 'cache'))
  monkeypatch.chdir(ROOT)

  def run(**given):
    if not flags.FLAGS.is_parsed():
      flags.FLAGS(['evaluate.py'])
    with flagsaver.flagsaver(**given):
      evaluate.main([])
    return capsys.readouterr().out

  return run


def refused(call, **given):
  with pytest.raises(SystemExit) as error:
    call(**given)
  assert isinstance(error.value.code, str), 'a message, not a number'
  assert error.value.code.startswith('evaluate.py: ')
  return error.value.code


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
  assert 'no checkpoint of step 3; it has [2, 4]' in message
  message = refused(call, workdir=str(workdir), checkpoint='newest')
  assert "must be 'latest', 'best' or a step" in message


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
  assert '--value_range=0,1' in message
  out = call(
    samples=str(tmp_path / 'mine.npy'),
    data=real,
    value_range=['0', '1'],
    metrics='prdc,mmd',
  )
  assert 'squared MMD' in out and '50 v 50 all' in out


def test_the_floor_alone(call, tmp_path):
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
  assert 'no function' in refused(call, **given, features=f'{own}:medians')
  message = refused(call, **given, features='inceptoin')
  assert "Did you mean 'inception'" in message


@pytest.mark.parametrize(
  'given, message',
  [
    ({}, 'give --workdir (a run) or --samples (files); or --data alone'),
    (
      {'workdir': '{real}', 'samples': '{real}'},
      'give one of --workdir (a run) and --samples (files)',
    ),
    ({'workdir': '/nowhere'}, '/nowhere holds no run'),
    ({'samples': '{real}'}, '--samples needs --data'),
    ({'samples': '{real}', 'data': '/nowhere'}, '/nowhere is neither'),
    (
      {'samples': '{real}', 'data': 'configs/non.py'},
      'there is no such config',
    ),
    ({'samples': '{mixed}', 'data': '{real}'}, 'images of 2 sizes: 5 of 16'),
    ({'samples': '{broken}', 'data': '{real}'}, 'broken image'),
    ({'samples': '{real}', 'data': '{real}', 'num_samples': 1}, 'at least 2'),
    ({'samples': '{one}', 'data': '{real}'}, 'at least 2'),
    (
      {'samples': '{real}', 'data': '{real}', 'value_range': ['1', '0']},
      '--value_range=1,0',
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'metrics': 'is,fid'}
      | {'feature_weights': '{broken}/0.png'},
      '0.png',
    ),
    (
      {'samples': '{real}', 'data': '{real}', 'metrics': 'fid'}
      | {'protocol': 'cleen', 'feature_weights': '{broken}/0.png'},
      "Did you mean 'clean'",
    ),
    ({'samples': '{real}', 'data': '{real}', 'metrics': 'modes'}, 'a known'),
  ],
)
def test_one_line_for_what_is_wrong(call, tmp_path, given, message):
  folders = {
    name: save_pictures(tmp_path / name, n)
    for name, n in (('real', 6), ('mixed', 5), ('broken', 5), ('one', 1))
  }
  Image.new('L', (9, 9)).save(tmp_path / 'mixed' / 'odd.png')
  first = tmp_path / 'broken' / '0.png'
  first.write_bytes(first.read_bytes()[:120])
  fill = lambda v: v.format(**folders) if isinstance(v, str) else v
  found = refused(call, **{k: fill(v) for k, v in given.items()})
  assert message in found and '\n' not in found


def test_own_is_an_extractor_of_any_function():
  extractor = feature_extractors.from_function(
    lambda x: x.sum(axis=(1, 2)), 'sums'
  )
  assert extractor.name == 'sums' and not extractor.is_reference_inception
