"""gan_jax.evaluate: arrays, files, runs and results."""

import numpy as np
import pytest
from PIL import Image

import gan_jax
from gan_jax import data
from gan_jax.distributed import xla_setup

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 5, 5, 1), np.uint8)
POINTS = RNG.normal(size=(80, 2)).astype(np.float32)
CONFIG = {
  'data': {'name': 'ring', 'ring': {'size': 64}},
  'generator': {'name': 'mlp', 'mlp': {'features': (4,), 'norm': 'none'}},
  'discriminator': {'name': 'mlp', 'mlp': {'features': (4,)}},
  'num_steps': 2,
  'batch_size': 8,
  'latent_dim': 2,
  'eval': {'num_samples': 8, 'metrics': 'prdc'},
}


@pytest.fixture(autouse=True)
def flags_are_set(monkeypatch):
  """Other tests may have run JAX before: that warning is tested elsewhere."""
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)


def values(found):
  return [row.value for row in found.rows]


def test_the_same_examples_in_every_form(tmp_path):
  floats = IMAGES.astype(np.float32) / 127.5 - 1
  np.savez(tmp_path / 'x.npz', x=IMAGES[:30])
  np.save(tmp_path / 'x.npy', IMAGES[:30])
  (tmp_path / 'folder').mkdir()
  for i, x in enumerate(IMAGES[30:]):
    Image.fromarray(x[..., 0]).save(tmp_path / f'folder/{i:02d}.png')
  expected = gan_jax.evaluate(IMAGES[:30], IMAGES[30:], metrics='nn,prdc')
  assert [row.metric for row in expected.rows] == ['nn'] + 4 * ['prdc']
  for samples, real in (
    (floats[:30], floats[30:]),
    (IMAGES[:30, ..., 0], {'x': IMAGES[30:]}),
    (data.ArraySource(IMAGES[:30]), list(IMAGES[30:])),
    (tmp_path / 'x.npz', tmp_path / 'folder'),
    (str(tmp_path / 'x.npy'), str(tmp_path / 'folder')),
  ):
    found = gan_jax.evaluate(samples, real, metrics=('nn', 'prdc'))
    assert values(found) == values(expected)
  zero_one = IMAGES.astype(np.float32) / 255
  found = gan_jax.evaluate(
    zero_one[:30], zero_one[30:], metrics=['nn', 'prdc'], value_range=(0, 1)
  )
  assert values(found) == values(expected)


def test_results_are_found_by_name_and_printed():
  found = gan_jax.evaluate(POINTS[:40], POINTS[40:], metrics='nn,prdc')
  assert found['nn'] == found.rows[0] and found['recall'].name == 'recall'
  assert repr(found).splitlines()[0].startswith('1-NN accuracy: 0.')
  assert 'real data' in repr(found)
  assert found['nn'].baseline_error > 0
  with pytest.raises(KeyError, match="'fid'.*nn.*prdc"):
    found['fid']
  rows, notes = found
  assert found[0] is rows and notes == found.notes


def test_a_run_by_its_result_directory_and_sampler(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path.parent))
  result = gan_jax.train(CONFIG, tmp_path, quiet=True)
  found = gan_jax.evaluate(result)
  assert values(found) == [row.value for row in result.scores]
  home = f'~/{tmp_path.name}'
  for samples in (tmp_path, str(tmp_path), home, gan_jax.load(home)):
    assert values(gan_jax.evaluate(samples)) == values(found)
  other = gan_jax.evaluate(result, metrics='nn', num_samples=16, num_real=16)
  assert [row.metric for row in other.rows] == ['nn']
  assert other['nn'].counts['generated'] == 16


def test_a_run_against_a_config(tmp_path):
  config = tmp_path / 'ring.py'
  config.write_text(f'def get_config():\n  return {CONFIG!r}\n')
  result = gan_jax.train(str(config), quiet=True)
  by_config = gan_jax.evaluate(
    result, str(config), metrics='prdc', num_samples=8
  )
  assert values(by_config) == [row.value for row in result.scores]


def test_a_run_with_own_networks_finds_them_by_its_config_file(tmp_path):
  config = tmp_path / 'mine.py'
  config.write_text(
    'import flax.linen as nn\nimport numpy as np\n'
    f'def get_config():\n  return {CONFIG!r}\n'
    'def get_parts(config):\n'
    '  points = np.random.default_rng(0).normal(size=(64, 2))\n'
    "  return {'generator': nn.Dense(2), 'train': points}\n"
  )
  result = gan_jax.train(str(config), tmp_path / 'run', quiet=True)
  found = gan_jax.evaluate(tmp_path / 'run')
  assert values(found) == [row.value for row in result.scores]
  # A run's directory is data: what lies in it is not executed.
  config.rename(tmp_path / 'run' / 'mine.py')
  record = tmp_path / 'run' / 'config.json'
  record.write_text(
    record.read_text().replace(str(config), f'{tmp_path}/run/mine.py')
  )
  with pytest.raises(ValueError, match='not executed'):
    gan_jax.evaluate(tmp_path / 'run')


@pytest.mark.parametrize(
  'samples, real, options, message',
  [
    (IMAGES, None, {}, 'real=None'),
    (IMAGES, IMAGES, {'metrics': 'fdi'}, "'fdi'.*fd"),
    (IMAGES, IMAGES, {'num_reel': 3}, 'num_real'),
    (IMAGES[:, :2], IMAGES, {}, r'\(2, 5, 1\).*\(5, 5, 1\)'),
    (IMAGES / 255.0, IMAGES, {}, 'none of them negative'),
    ('nowhere', IMAGES, {}, 'nowhere'),
    (IMAGES, 'nowhere.py', {}, 'nowhere.py'),
  ],
)
def test_refused(samples, real, options, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    gan_jax.evaluate(samples, real, **options)


def test_what_a_notebook_shows_is_short():
  result = gan_jax.train(CONFIG, quiet=True)
  experiment = result.experiment
  ensemble = gan_jax.experiment.build_ensemble(
    CONFIG | {'ensemble': {'seeds': 2}}
  )
  state = result.state
  for shown in (experiment, ensemble, state, state.generator, result):
    assert len(repr(shown)) < 200 and '\n' not in repr(shown)
  assert repr(result.scores[0]).startswith('precision: ')
  assert 'step=2' in repr(state) and '2 members' in repr(ensemble)
