"""Tests of docs/migration.md: what it names exists."""

import pathlib
import re

import pytest

from gan_jax import config as config_lib
from gan_jax import layers, losses
from gan_jax.config import evaluation
from gan_jax.runner import config_file

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'migration.md').read_text()
ROWS = [
  line.strip('| ').split(' | ')
  for line in TEXT.splitlines()
  if line.startswith('| ')
]
# What is named here, in code marks.
HERE = [
  name for row in ROWS for name in re.findall('`([^`]+)`', ' '.join(row[1:]))
]
FIELDS = sorted(config_lib.defaults())
TYPED = re.findall(r'--config\.([a-z_]\w*(?:\.\w+)*)', TEXT)
NAMED = [
  name.partition('=')[0]
  for name in HERE
  if name.partition('.')[0].partition('=')[0] in FIELDS
]


@pytest.mark.parametrize('name', sorted({*TYPED, *NAMED}))
def test_fields_exist(name):
  config_lib.check_name(name.replace('NAME', 'sngan'))


def test_there_is_something_to_check():
  assert all(len(row) == 2 for row in ROWS) and len(ROWS) > 60
  assert len({*TYPED, *NAMED}) > 40


def test_losses_configs_metrics_and_layers_exist():
  for name in re.findall(r'`loss=(\w+)', TEXT):
    assert name in losses.LOSSES
  for name in re.findall(r'--config=(\w+)[`:]', TEXT):
    assert name in config_file.library_names()
  for names in re.findall(r'metrics=([\w,]+)', TEXT):
    for name in names.split(','):
      assert name in evaluation.METRICS
  for name in re.findall(r'`layers\.(\w+)`', TEXT):
    assert hasattr(layers, name)


def test_flags_exist():
  source = ''.join(
    (ROOT / 'gan_jax' / 'commands' / name).read_text()
    for name in ('train.py', 'evaluate.py')
  )
  known = {*re.findall(r"DEFINE_\w+\(\s*'(\w+)'", source), 'config'}
  for name in HERE:
    for flag in re.findall(r'--([a-z_]+)', name):
      assert flag in known, name
