"""Exported folders: what is in them, the same samples, damaged ones."""

import hashlib
import json
import re

import numpy as np
import pytest

import gan_jax
from gan_jax.experiment import model_folder
from tests.helpers import samplers

FACTS = {
  'name': 'a "run" <script>',
  'weights': 'raw',
  'class_names': ['one', '<b>', 'c|d'],
  'scores': [
    {
      'metric': 'fid',
      'name': 'FID',
      'value': 12.5,
      'error': 0.5,
      'baseline': 2,
    },
    {'metric': 'kid', 'name': 'KID', 'value': None, 'error': None},
  ],
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('model')
  model_folder.save_model_folder(path, samplers.make('mlp'), FACTS)
  return path


def changed(folder, path, **changes):
  """A copy of the folder with other entries of config.json."""
  for file in folder.iterdir():
    (path / file.name).write_bytes(file.read_bytes())
  about = json.loads((path / 'config.json').read_text()) | changes
  (path / 'config.json').write_text(json.dumps(about))
  return path


def test_the_same_samples(folder):
  sampler, again = samplers.make('mlp'), gan_jax.load(folder)
  assert (again.step, again.shape) == (7, (2,))
  assert again.gan.class_share == (0.5, 0.25, 0.25)
  np.testing.assert_array_equal(again(5, seed=3), sampler(5, seed=3))
  one = again(5, seed=3, label=1)
  np.testing.assert_array_equal(one, sampler(5, seed=3, label=1))
  assert np.abs(one - again(5, seed=3, label=2)).max() > 1e-3


def test_other_latents_are_recorded(tmp_path):
  latents = {'name': 'truncated_normal', 'truncated_normal': {'threshold': 0.5}}
  sampler = samplers.make.__wrapped__('linear', latents=latents)
  model_folder.save_model_folder(
    tmp_path, sampler, {'name': 'a', 'weights': 'ema'}
  )
  again = gan_jax.load(tmp_path)
  assert again.config.latents == sampler.config.latents
  np.testing.assert_array_equal(again(4), sampler(4))
  text = (tmp_path / 'README.md').read_text()
  assert (
    "truncated_normal {'threshold': 0.5}" in text and '0 classes' not in text
  )


def test_the_model_card(folder):
  text = (folder / 'README.md').read_text()
  head, yaml, page = re.split('^---$', text, flags=re.MULTILINE)
  assert head == '' and 'library_name: gan_jax' in yaml
  # Strings of JSON are strings of YAML; a score that is no number is left out.
  assert '- name: "a \\"run\\" <script>"' in yaml
  assert 'type: "fid", name: "FID", value: 12.5}' in yaml and 'KID' not in yaml
  assert (
    '# a "run" \\<script\\>' in page and '| 3: one, \\<b\\>, c\\|d |' in page
  )
  assert '| FID | 12.5 ± 0.5 | 2 |' in page and '| KID | none ± none |' in page
  (digest,) = re.findall('[0-9a-f]{64}', page)
  content = (folder / 'model.safetensors').read_bytes()
  assert hashlib.sha256(content).hexdigest() == digest
  names = sorted(model_folder.weight_arrays(samplers.make('mlp')))
  assert names[0] == 'batch_stats/Norm_0/BatchNorm_0/mean'
  assert 'params/Dense_0/kernel' in names


def test_files_can_be_read_by_others(folder):
  assert all(path.stat().st_mode & 0o044 for path in folder.iterdir())


def test_a_folder_has_one_generator(folder):
  with pytest.raises(ValueError, match="checkpoint='best', member=None"):
    gan_jax.load(folder, checkpoint='best')
  with pytest.raises(ValueError, match='member=2'):
    gan_jax.load(folder, member=2)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'library_name': 'diffusers'}, "library_name is 'diffusers'"),
    ({'format': 2}, 'format 2'),
    ({'shape': [0]}, r'config.json is not as it was written: shape=\(0,\)'),
    ({'shape': [3]}, 'other weights than its config'),
    ({'config': {'generator': {'name': 'gpt'}}}, 'gpt'),
    ({'class_share': 'a'}, 'config.json is not as it was written'),
    ({'config': {'generator': {'name': 'own'}}}, 'not as it was written'),
  ],
)
def test_a_damaged_folder_is_named(folder, tmp_path, changes, message):
  path = changed(folder, tmp_path, **changes)
  with pytest.raises(ValueError, match=message) as caught:
    gan_jax.load(path)
  assert str(path) in str(caught.value)


def test_damaged_weights_are_named(folder, tmp_path):
  path = changed(folder, tmp_path)
  content = (path / 'model.safetensors').read_bytes()
  (path / 'model.safetensors').write_bytes(content[:-9])
  with pytest.raises(ValueError, match='model.safetensors is not a readable'):
    gan_jax.load(path)
