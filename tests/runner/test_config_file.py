"""Tests of finding config files, and of what they import."""

import shutil
import sys

import pytest

from gan_jax import config as config_lib
from gan_jax.runner import config_file

MINE = (
  'from configs import common\n'
  'def get_config():\n'
  '  config = common.base("")\n'
  '  config.num_steps = 7\n'
  '  return config\n'
)


@pytest.fixture
def directory(tmp_path, monkeypatch):
  """An empty current directory; `configs` is imported anew in it."""
  for name in [n for n in sys.modules if n.split('.')[0] == 'configs']:
    monkeypatch.delitem(sys.modules, name)
  monkeypatch.chdir(tmp_path)
  before = list(sys.path)
  yield tmp_path
  assert sys.path == before
  for name in [n for n in sys.modules if n.split('.')[0] == 'configs']:
    del sys.modules[name]


@pytest.fixture
def installed(directory, monkeypatch):
  """A directory of modules as a wheel has them: configs in the package."""
  package = directory / 'site-packages' / 'gan_jax'
  shutil.copytree(config_file.library_dir(), package / 'configs')
  (package / 'configs' / 'probe.py').write_text(
    'import sys\ndef get_config(variant=""):\n  return {"path": [*sys.path]}\n'
  )
  monkeypatch.setattr(config_file, '_PACKAGE', package)
  return package / 'configs'


def test_a_config_of_the_library_by_name(directory):
  path = config_file.library_dir() / 'digits.py'
  assert config_file.split_path('digits') == (path, '')
  assert config_file.split_path('digits:test') == (path, 'test')
  assert config_file.load_config('digits:test').num_steps == 2
  assert 'common' not in config_file.library_names()


def test_every_config_of_a_wheel_loads_in_any_directory(installed):
  names = config_file.library_names()
  names.remove('probe')
  assert len(names) > 20 and config_file.library_dir() == installed
  for name in names:
    assert config_file.split_path(name)[0] == installed / f'{name}.py'
    config_lib.resolve(config_file.load_config(f'{name}:test'))
  assert sys.modules['configs.common'].__file__.startswith(str(installed))
  # Modules of the package must not hide others of their names.
  assert str(installed.parent) not in config_file.load_config('probe')['path']


def test_a_name_that_is_also_a_file_here_is_refused(directory):
  (directory / 'digits.py').write_text(MINE)
  with pytest.raises(ValueError, match="write 'digits.py:a' for the file in"):
    config_file.split_path('digits:a')
  assert config_file.load_config('digits.py').num_steps == 7


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('digits', True),
    ('digits:test', True),
    ('photographs', False),
    ('x.py', True),
    ('a/x.py:test', True),
    ('x.npz', False),
    ('digits/', False),
    ('', False),
  ],
)
def test_what_is_a_config(directory, text, expected):
  assert config_file.is_config(text) == expected


def test_a_directory_of_the_name_of_a_config_is_data(directory):
  (directory / 'digits').mkdir()
  (directory / 'odd.py').mkdir()
  assert not config_file.is_config('digits')
  assert not config_file.is_config('odd.py')


@pytest.mark.parametrize('where', ['.', 'configs', 'deep/er'])
def test_own_configs_import_those_of_the_library(directory, where):
  (directory / where).mkdir(parents=True, exist_ok=True)
  (directory / where / 'mine.py').write_text(MINE)
  assert config_file.load_config(f'{where}/mine.py').num_steps == 7


def test_own_shared_modules_come_first_and_do_not_stay(directory):
  """Two directories named `configs`, each with its `common`."""
  assert config_file.load_config('digits:test').num_steps == 2
  of_library = sys.modules['configs.common']
  for steps in (3, 4):
    own = directory / str(steps) / 'configs'
    own.mkdir(parents=True)
    (own / 'common.py').write_text(f'STEPS = {steps}\n')
    (own / 'mine.py').write_text(
      'from configs import common, digits\n'
      'def get_config():\n'
      '  return {"num_steps": common.STEPS, "data": digits.__name__}\n'
    )
    loaded = config_file.load_config(own / 'mine.py')
    assert loaded['num_steps'] == steps
    assert loaded['data'] == 'configs.digits'
    assert sys.modules['configs.common'] is of_library
