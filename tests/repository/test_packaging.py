"""Tests of the package: its requirements, lock, wheel and citation."""

import importlib.metadata
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

import gan_jax
from gan_jax.runner import config_file

ROOT = pathlib.Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())
# What only tests, benchmarks or one user of many need, by an extra's name.
OPTIONAL_ONLY = {'parity'}
TESTS_ONLY = {'pytest', 'pytest-xdist', 'hypothesis', 'ruff', 'setuptools'}
INDEX = {'https://pypi.org', 'https://files.pythonhosted.org'}
LOCK_COMMAND = 'uv lock --no-config --default-index https://pypi.org/simple'
PACKAGE_DATA = (
  *('.npz', '.json', '.css', '.js', '.html', '.txt', '.sha256', '.LICENSE'),
)


def requirements(lines):
  """Returns name -> bound of requirements."""
  found = {}
  for line in lines:
    name, bound = re.fullmatch(r'([\w.-]+)(?:\[\w+\])?(.*)', line).groups()
    found[name.lower().replace('_', '-')] = bound
  return found


def required():
  return requirements(PYPROJECT['project']['dependencies'])


def extras():
  """Returns name -> bound of those extras that requirements.txt has, too."""
  optional = PYPROJECT['project']['optional-dependencies']
  return [requirements(optional[n]) for n in optional if n not in OPTIONAL_ONLY]


def test_both_lists_of_requirements_agree():
  text = (ROOT / 'requirements.txt').read_text()
  lines = [line for line in text.splitlines() if line and line[0] != '#']
  listed = requirements(lines)
  for name, bound in required().items():
    assert listed.get(name) == bound, f'{name} in requirements.txt'
  optional = {k: v for extra in extras() for k, v in extra.items()}
  for name in listed.keys() - required().keys() - TESTS_ONLY:
    assert optional.get(name) == listed[name], f'{name} in pyproject.toml'


def test_what_the_package_imports_is_required():
  for name in ('absl-py', 'ml-collections', 'jax', 'flax', 'optax', 'rich'):
    assert name in required()


def test_the_lock_has_addresses_of_the_public_index_alone():
  text = (ROOT / 'uv.lock').read_text()
  assert set(re.findall(r'\w+://[^/"\s]+', text)) == INDEX, LOCK_COMMAND
  assert not re.search(r'(path|directory|git) = "', text)


def test_the_lock_is_of_these_requirements():
  lock = tomllib.loads((ROOT / 'uv.lock').read_text())
  (own,) = [p for p in lock['package'] if p['name'] == 'gan-jax']
  found = {
    (each['name'], each.get('specifier', ''))
    for each in own['metadata']['requires-dist']
  }
  optional = PYPROJECT['project']['optional-dependencies'].values()
  needed = [required(), *map(requirements, optional)]
  expected = {item for each in needed for item in each.items()}
  assert found == expected, LOCK_COMMAND
  assert lock['requires-python'] == PYPROJECT['project']['requires-python']
  for package in lock['package']:
    for file in package.get('wheels', []):
      assert re.fullmatch('sha256:[0-9a-f]{64}', file['hash']), package


def test_the_citation_has_this_version():
  text = (ROOT / 'CITATION.cff').read_text()
  assert f'\nversion: {gan_jax.__version__}\n' in text
  assert 'cff-version: 1.2.0' in text and '\nlicense: Apache-2.0\n' in text


@pytest.mark.parametrize(
  'name', ['Dockerfile', '.devcontainer/devcontainer.json']
)
def test_what_was_not_built_says_so(name):
  assert 'Not built here' in (ROOT / name).read_text().splitlines()[0]


def packaged():
  """Returns the names in a wheel that the sources call for."""
  files = subprocess.run(
    ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split('\0')
  files = [name for name in files if (ROOT / name).is_file()]
  suffixes = ('.py', '.typed', *PACKAGE_DATA)
  own = [n for n in files if n.startswith('gan_jax/') and n.endswith(suffixes)]
  configs = [f'gan_jax/{n}' for n in files if re.match(r'configs/\w+\.py$', n)]
  return files, {*own, *configs}


@pytest.mark.slow
def test_the_wheel(tmp_path):
  """Built from a copy, because setuptools leaves files beside the sources."""
  found = importlib.util.find_spec('setuptools') is not None
  version = importlib.metadata.version('setuptools') if found else '0'
  if int(version.split('.')[0]) < 77:
    pytest.skip("pip install 'setuptools>=77' builds the wheel")
  files, expected = packaged()
  for name in files:
    (tmp_path / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / name, tmp_path / 'source' / name)
  command = ['wheel', '--no-deps', '--no-build-isolation', '--no-index']
  subprocess.run(
    [sys.executable, '-m', 'pip', *command, '-w', tmp_path, './source'],
    cwd=tmp_path,
    check=True,
    capture_output=True,
  )
  (wheel,) = tmp_path.glob('*.whl')
  assert wheel.name == f'gan_jax-{gan_jax.__version__}-py3-none-any.whl'
  with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
    (entry,) = [n for n in names if n.endswith('entry_points.txt')]
    assert 'gan-jax = gan_jax.commands.main:run' in archive.read(entry).decode()
    archive.extractall(tmp_path / 'site')
  info = {name for name in names if '.dist-info/' in name}
  assert names - info == expected
  assert any(name.endswith('/LICENSE') for name in info)
  assert 'gan_jax/py.typed' in names
  assert 'gan_jax/evaluation/networks/mnist_classifier.npz' in names
  run = (
    'import gan_jax; from gan_jax.runner import config_file\n'
    'print(gan_jax.__file__, *config_file.library_names())\n'
    'print(config_file.load_config("digits:test").num_steps)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', run],
    cwd=tmp_path,
    env={'PYTHONPATH': str(tmp_path / 'site')},
    capture_output=True,
    text=True,
    check=True,
  )
  where, *found, steps = done.stdout.split()
  assert where == str(tmp_path / 'site' / 'gan_jax' / '__init__.py')
  assert found == config_file.library_names() and steps == '2'
