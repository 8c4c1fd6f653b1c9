"""Tests of the layout: levels, confined libraries, public names."""

import ast
import importlib
import inspect
import pathlib
import pkgutil
import re
import runpy
import subprocess
import sys
import types
import typing

import pytest

import gan_jax

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / 'gan_jax'
# The first is gan_jax/__init__.py.
FILES = sorted(
  PACKAGE.rglob('*.py'), key=lambda p: (p != PACKAGE / '__init__.py', p)
)

# A module imports its own package and lower levels, never sideways.
LEVELS = (
  {'tracing', 'precision'},
  {'prng', 'shuffle', 'pixels', 'validation', 'collectives', 'networks'}
  | {'diagnostics', 'io'},
  {'config', 'losses', 'penalties', 'augment', 'layers', 'metrics'}
  | {'distributed', 'report'},
  {'models', 'data', 'training'},
  {'sampling', 'conversion'},
  {'evaluation', 'export'},
  {'experiment'},
  {'runner'},
  {'commands'},
)
LEVEL = {name: i for i, names in enumerate(LEVELS) for name in names}

# Libraries besides the standard library, jax, numpy, chex and optax, and the
# places that may import them. Some places may not even import jax.
CONFINED = {
  'flax': ('networks/', 'layers/', 'models/', 'training/state'),
  'equinox': ('networks/equinox',),
  'orbax': ('io/',),
  'safetensors': ('evaluation/networks/', 'io/'),
  # In an environment of its own, which gan_jax does not run in.
  **dict.fromkeys(
    ('jax2onnx', 'onnx', 'onnxruntime'), ('export/graph_replay',)
  ),
  'tensorboardX': ('io/',),
  'wandb': ('io/trackers',),
  'rich': ('runner/console', 'report/'),
  'matplotlib': ('report/',),
  'tensorflow_datasets': ('data/',),
  'tensorflow': ('data/',),
  'datasets': ('data/',),
  'pyarrow': ('data/',),
  'sklearn': ('data/',),
  'PIL': ('data/', 'report/'),
  'scipy': ('data/', 'report/'),
  'requests': ('data/',),
  'absl': ('runner/cli', 'commands/'),
  'ml_collections': ('runner/cli',),
}
ANYWHERE = {'jax', 'jaxlib', 'numpy', 'chex', 'optax'}
WITHOUT_JAX = (
  *('config', 'validation', 'runner/cli', 'runner/config_file'),
  *('runner/status', 'io/lock', 'io/files', 'io/terminal', 'io/jsonl'),
  'commands/',
)
# Attributes of jax that only `distributed` may use.
DEVICE_ATTRIBUTES = {'pmap', 'shard_map', 'process_count', 'process_index'}


def relative(path):
  return path.relative_to(PACKAGE).as_posix()


def is_within(path, places):
  return relative(path).startswith(places)


def imports(path):
  """Yields the dotted names that a file imports, also inside functions."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module == 'gan_jax':
      yield from (f'gan_jax.{alias.name}' for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield node.module


def package_of(path):
  """Returns the package, or the flat module, that a file belongs to."""
  return path.relative_to(PACKAGE).with_suffix('').parts[0]


def packages():
  return {package_of(path) for path in FILES[1:]}


def test_few_modules_are_flat():
  flat = [p.stem for p in PACKAGE.glob('*.py') if p.stem != '__init__']
  assert len(flat) <= 8, flat


def test_imports_run_downwards():
  for path in FILES[1:]:
    own = package_of(path)
    for name in imports(path):
      top, _, rest = name.partition('.')
      other = rest.split('.')[0]
      if top == 'gan_jax' and other not in ('', own, '__version__'):
        assert LEVEL[other] < LEVEL[own], f'{relative(path)} imports {name}'


def test_libraries_are_confined():
  for path in FILES:
    for name in imports(path):
      top = name.partition('.')[0]
      if top in ('gan_jax', *sys.stdlib_module_names):
        continue
      where = f'{relative(path)} imports {name}'
      if is_within(path, WITHOUT_JAX):
        assert top not in ANYWHERE, where
      places = CONFINED.get(top, ())
      assert top in ANYWHERE or is_within(path, places), where


def test_only_distributed_maps_over_devices():
  # orbax needs to know which process writes.
  allowed = ('distributed/', 'io/checkpoint')
  for path in FILES:
    for node in ast.walk(ast.parse(path.read_text())):
      if (
        not isinstance(node, ast.Attribute)
        or node.attr not in DEVICE_ATTRIBUTES
      ):
        continue
      of_jax = isinstance(node.value, ast.Name) and node.value.id == 'jax'
      where = f'{relative(path)}:{node.lineno} jax.{node.attr}'
      assert not of_jax or is_within(path, allowed), where


def longest_chain():
  """Returns the packages of the longest chain of imports, highest first."""
  below = {name: set() for name in packages()}
  for path in FILES[1:]:
    for name in imports(path):
      parts = name.split('.')
      if parts[0] == 'gan_jax' and len(parts) > 1 and parts[1] in below:
        below[package_of(path)].add(parts[1])

  def chain(name):
    others = [chain(other) for other in below[name] - {name}]
    return [name, *max(others, key=len, default=[])]

  return max(map(chain, below), key=len)


def test_chains_of_imports_are_short():
  assert len(longest_chain()) <= len(LEVELS) + 1, longest_chain()


def test_every_package_has_a_level():
  assert packages() <= set(LEVEL)


# ---- Public names.


def test_dir_lists_the_public_names():
  assert set(dir(gan_jax)) == {
    *('augment', 'config', 'data', 'diagnostics', 'distributed'),
    *('evaluation', 'experiment', 'export', 'io', 'layers', 'losses'),
    *('metrics', 'models', 'networks', 'penalties', 'prng', 'sampling'),
    'training',
    *('evaluate', 'load', 'train', '__version__'),
  }


def public_modules():
  """Yields the public packages and modules."""
  for name in dir(gan_jax):
    found = getattr(gan_jax, name)
    if isinstance(found, types.ModuleType):
      yield found


def public_names():
  for module in public_modules():
    for name in module.__all__:
      yield module, name


def test_public_modules_list_their_names():
  for module in public_modules():
    assert module.__doc__ and module.__all__, module.__name__
    assert len(set(module.__all__)) == len(module.__all__), module.__name__


def test_names_and_submodules_do_not_collide():
  """A public name is the same object before and after its modules load."""
  before = {(m.__name__, n): getattr(m, n) for m, n in public_names()}
  for info in pkgutil.walk_packages(gan_jax.__path__, 'gan_jax.'):
    importlib.import_module(info.name)
  for module, name in public_names():
    assert getattr(module, name) is before[module.__name__, name], name


def test_submodules_are_attributes():
  code = 'import gan_jax; gan_jax.models.dcgan.Generator; gan_jax.training.ema'
  subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)


def test_an_unknown_name_is_an_attribute_error():
  with pytest.raises(AttributeError, match='gan_jax has no attribute .tarin.'):
    gan_jax.tarin  # noqa: B018


def test_public_names_have_docstrings():
  for module, name in public_names():
    found = getattr(module, name)
    if callable(found) and typing.get_origin(found) is None:
      assert inspect.getdoc(found), f'{module.__name__}.{name}'


def test_public_names_are_in_the_docs():
  command = 'python scripts/list_api.py'
  page = runpy.run_path(str(ROOT / 'scripts' / 'list_api.py'))['page']()
  assert (ROOT / 'docs' / 'api.md').read_text() == page, f'run {command}'


def test_everything_public_in_a_file_has_a_docstring():
  for path in [*FILES, *ROOT.glob('*.py')]:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), path
    for node in tree.body:
      named = isinstance(node, ast.FunctionDef | ast.ClassDef)
      if named and not node.name.startswith('_') and node.name != 'main':
        assert ast.get_docstring(node), f'{relative(path)}: {node.name}'


def test_functions_take_few_positional_arguments():
  for path in FILES:
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.FunctionDef):
        names = [a.arg for a in node.args.posonlyargs + node.args.args]
        count = len(names) - (names[:1] in (['self'], ['cls']))
        # A Network's apply follows its protocol.
        assert count <= 6, f'{relative(path)}:{node.lineno} {node.name}'


def test_losses_are_listed_in_the_docstring():
  listed = re.findall(r'^  `(\w+)`', gan_jax.losses.__doc__, re.MULTILINE)
  assert listed == list(gan_jax.losses.LOSSES)


def test_root_scripts_are_thin():
  for path in ROOT.glob('*.py'):
    assert len(path.read_text().splitlines()) < 100, path.name
