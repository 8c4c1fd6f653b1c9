"""Tests of docs/data.md: its options exist, and its example is executed."""

import pathlib
import re

import numpy as np
from PIL import Image

from gan_jax import config as config_lib
from gan_jax import data
from gan_jax.config import data as data_options

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'data.md').read_text()


def test_options_are_those_of_the_config():
  named = set(re.findall(r'--config\.(data[\w.]*)', PAGE))
  assert len(named) > 10
  for name in named:
    config_lib.check_name(name)


def test_every_source_of_files_is_named():
  table = PAGE.partition('| your data |')[2].partition('\n\n')[0]
  synthetic = {'gaussian', 'ring', 'grid', 'digits', 'stacked_mnist', 'tones'}
  for name in {*data_options.SOURCES} - synthetic - {'own'}:
    assert f'| `{name}`' in table, name


def test_the_example_of_own_code_runs(tmp_path, monkeypatch):
  (code,) = re.findall(r'```python\n(import pathlib\n.*?)```', PAGE, re.DOTALL)
  (tmp_path / 'mine.py').write_text(code)
  for i in range(20):
    path = tmp_path / 'photos' / ('cat', 'dog')[i // 10] / f'{i:02}.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (9, 7), (i, i, i)).save(path)
  monkeypatch.chdir(tmp_path)
  spec = {'name': 'custom', 'function': 'mine.py:photos', 'size': 4}
  train, test = (data.make_source(spec, s) for s in ('train', 'test'))
  assert (len(train), len(test)) == (18, 2) and train.shape == (4, 4, 3)
  batch = test[np.array([0, 1])]
  np.testing.assert_array_equal(batch['x'][:, 0, 0, 0], [0, 10])
  np.testing.assert_array_equal(batch['label'], [0, 1])
  assert train.class_names == ('cat', 'dog')
