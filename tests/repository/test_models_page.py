"""The table of docs/models.md is that of the networks."""

import pathlib
import runpy

import pytest

from gan_jax import models

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def script():
  return runpy.run_path(str(ROOT / 'scripts' / 'list_models.py'))


@pytest.mark.slow
def test_the_table_is_current(script):
  text = (ROOT / 'docs' / 'models.md').read_text()
  assert script['page'](text) == text, 'run python scripts/list_models.py'
  for name in models.MODELS:
    assert f'`{name}`' in text, name


def test_parameters_and_operations_of_a_dcgan(script):
  """8 pixels of 3 channels, maps of 4 x 4, kernels of 4 x 4."""
  row = script['Row']('DCGAN', 'dcgan', 8, 5, g={'width': 2}, d={'width': 8})
  # G: dense, batch norm, transposed convolution.
  found = script['count'](row, 'generator')
  assert found == (5 * 32 + 2 * 2 + 16 * 2 * 3 + 3, 2 * (5 * 32 + 16 * 96))
  # D: convolution, dense.
  found = script['count'](row, 'discriminator')
  assert found == (16 * 3 * 8 + 8 + 128 + 1, 2 * (16 * 384 + 128))
