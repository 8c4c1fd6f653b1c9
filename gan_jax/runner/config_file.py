"""Loads config files: by path, or those of the library by name.

The configs of the library are in `configs/` of a clone, and in
`gan_jax/configs/` where the wheel is installed. 'digits' names
`configs/digits.py` in both, from any directory.
"""

import contextlib
import difflib
import importlib.machinery
import importlib.util
import os
import pathlib
import re
import sys
import traceback
import types
import warnings
from typing import Any, Callable, Iterator

from gan_jax import config as config_lib
from gan_jax.io import files, terminal

PARTS = ('generator', 'discriminator', 'loss', 'train', 'test')


_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_SHARED = 'configs'  # the name by which a config imports what it shares


def library_dir() -> pathlib.Path:
  """Returns the directory of the configs of the library."""
  installed = _PACKAGE / 'configs'
  return installed if installed.is_dir() else _PACKAGE.parent / 'configs'


def library_names() -> list[str]:
  """Returns the names of the configs of the library, sorted."""
  return _names_in(library_dir())


def is_config(text: str | os.PathLike) -> bool:
  """Returns whether text names a config, in place of files of examples.

  Args:
    text: path of a file or a directory, or the name of a config of the library.
      What exists under a name without `.py` is not a config.
  """
  path = pathlib.Path(os.fspath(text))
  if '.py' in os.fspath(text):
    return not path.is_dir()
  name = os.fspath(text).partition(':')[0]
  return name in library_names() and not path.exists()


def split_path(text: str | os.PathLike) -> tuple[pathlib.Path, str]:
  """Splits 'configs/digits.py:test' or 'digits:test' into file and variant.

  Args:
    text: path of a config file, or the name of a config of the library, with
      or without a variant.

  Returns:
    The path and the variant, '' if there is none.

  Raises:
    FileNotFoundError: if there is no such file; the message lists those
      beside it.
    ValueError: if the path is empty, no file can have it, or a name is also
      that of another file in the current directory.
  """
  text = os.fspath(text)
  matched = re.fullmatch(r'(.*?)(\.py)?(:[^/]*)?', text, re.DOTALL)
  name, dot_py, variant = matched.groups(default='')
  path = files.resolve_path(f'{name}.py', 'config')
  if not name:
    raise ValueError(
      'config is empty: must be the path of a .py file, or one of '
      f'{", ".join(library_names())}'
    )
  of_library = library_dir() / f'{name}.py'
  if not dot_py and name in library_names():
    if path.is_file() and not path.samefile(of_library):
      raise ValueError(
        f'config={text}: write {f"{path}{variant}"!r} for the file in this '
        f'directory, or {f"{of_library}{variant}"!r} for that of the library'
      )
    return of_library, variant.removeprefix(':')
  if path.is_file() and not dot_py:
    shown = files.printable(path)
    raise FileNotFoundError(
      f'there is no config {text!r}. Did you mean {shown + variant!r}?'
    )
  if not path.is_file():
    raise FileNotFoundError(_missing(path, text if dot_py else '', variant))
  return path, variant.removeprefix(':')


def _names_in(directory: pathlib.Path) -> list[str]:
  """Returns the names of the configs in a directory, sorted."""
  found = {path.stem for path in directory.glob('*.py')}
  return sorted(found - {'common', '__init__'})


def _missing(path: pathlib.Path, text: str, variant: str) -> str:
  """Returns the message for a config file that is missing.

  Args:
    path: path of the file.
    text: what was typed, if it ends in .py; otherwise ''.
    variant: its variant, with the colon.
  """
  folder = path.with_suffix('') if path.with_suffix('').is_dir() else path
  folder = folder if folder.is_dir() else path.parent
  is_name = not text and folder == path.parent == pathlib.Path('.')
  names = {name: f'{folder / name}.py' for name in _names_in(folder)}
  where = f'{folder}/'
  if is_name or not names:
    names, where = {name: name for name in library_names()}, 'the library'
  near = difflib.get_close_matches(path.stem, names, n=1)
  hint = f'. Did you mean {names[near[0]] + variant!r}?' if near else ''
  wanted = text or f'{path.stem if is_name else path}{variant}'
  return f'there is no config {wanted!r}{hint}; in {where}: {", ".join(names)}'


def load_config(text: str | os.PathLike) -> Any:
  """Returns what the `get_config` of a config file returns.

  Args:
    text: path of a config file, such as 'configs/digits.py:test', or the name
      of a config of the library, such as 'digits:test'.

  Returns:
    A ConfigDict or a mapping.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the file does not load, has no get_config, or has no such
      variant.
  """
  return _call(
    text,
    lambda module, variant: (
      module.get_config(variant) if variant else module.get_config()
    ),
  )


def load_parts(text: str | os.PathLike, config: Any) -> dict[str, Any]:
  """Returns what the `get_parts` of a config file returns.

  Args:
    text: path of a config file.
    config: config that get_parts receives, resolved: a config.Config, or a
      mapping of its fields.

  Returns:
    Arguments of experiment.build by name: some of 'generator', 'discriminator',
    'loss', 'train' and 'test'. {} if the file has no get_parts.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the file does not load, or get_parts returns anything else.
  """

  def get(module, variant):
    del variant
    if not hasattr(module, 'get_parts'):
      return {}
    with warnings.catch_warnings():  # the whole config warns, later
      warnings.simplefilter('ignore')
      resolved = config_lib.resolve(config)
    return module.get_parts(resolved)

  found = _call(text, get)
  if not isinstance(found, dict) or not found.keys() <= set(PARTS):
    named = sorted(map(str, found)) if isinstance(found, dict) else found
    raise ValueError(
      f'{text}: get_parts returned {named!r}; must be a dict with some of '
      f'{", ".join(PARTS)}'
    )
  return {name: part for name, part in found.items() if part is not None}


def read_points(name: str) -> tuple[str, ...]:
  """Reads the points of an ensemble from a file.

  Args:
    name: path of a file of JSON lines, one point each.

  Returns:
    The lines, for `ensemble.points`.

  Raises:
    ValueError: if there is no such file, it has no lines, or is no text.
  """
  path = files.resolve_path(name, 'ensemble.points')
  if not path.is_file():
    raise ValueError(
      f'ensemble.points={name}: there is no such file; must be a file of JSON '
      'lines, one point each'
    )
  try:
    lines = path.read_text(encoding='utf-8').splitlines()
  except UnicodeDecodeError:
    raise ValueError(f'ensemble.points={name} is no text file') from None
  lines = tuple(line for line in lines if line.strip())
  if not lines:
    raise ValueError(f'ensemble.points={name} has no points: it is empty')
  return lines


def _call(text: str | os.PathLike, function: Callable[..., Any]) -> Any:
  """Returns function(module, variant) of a config file."""
  path, variant = split_path(text)
  path = path.resolve()
  try:
    with _shared_modules(path):
      spec = importlib.util.spec_from_file_location(
        f'_config_{path.stem}', path
      )
      module = importlib.util.module_from_spec(spec)
      spec.loader.exec_module(module)
      if not callable(getattr(module, 'get_config', None)):
        raise ValueError('it defines no function get_config')
      return function(module, variant)
  except Exception as error:
    where = _line_of(error, path)
    raise ValueError(
      f'{files.printable(text)} is no config: {where}'
      f'{files.printable(terminal.error_message(error))}'
    ) from error


@contextlib.contextmanager
def _shared_modules(path: pathlib.Path) -> Iterator[None]:
  """Lets a config import what it shares with others.

  `configs` is the directory of that name beside the config's own, if there is
  one, and then that of the library: `from configs import common` works in any
  config, wherever the library is installed.

  Args:
    path: absolute path of the config file.
  """
  root = path.parent.parent
  searched = [root / _SHARED, library_dir()]
  searched = [str(p) for p in dict.fromkeys(searched) if p.is_dir()]
  before = {
    name: module
    for name, module in sys.modules.items()
    if name.partition('.')[0] == _SHARED
  }
  is_other = list(getattr(before.get(_SHARED), '__path__', [])) != searched
  if is_other:
    for name in before:
      del sys.modules[name]
    sys.modules[_SHARED] = _namespace(_SHARED, searched)
  # Not of the library: modules of gan_jax would hide those of the same name.
  added = [] if path.parent == library_dir() else [str(root)]
  sys.path[:0] = added
  try:
    yield
  finally:
    for entry in added:
      sys.path.remove(entry)
    if before and is_other:
      for name in [n for n in sys.modules if n.partition('.')[0] == _SHARED]:
        del sys.modules[name]
      sys.modules.update(before)


def _namespace(name: str, searched: list[str]) -> types.ModuleType:
  """Returns a package whose modules are the files of directories."""
  spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
  spec.submodule_search_locations = searched
  return importlib.util.module_from_spec(spec)


def _line_of(error: Exception, path: pathlib.Path) -> str:
  """Returns 'line 3: ' for an error that line 3 of a file has raised.

  A ValueError is the file's own refusal, such as of a variant.
  """
  if isinstance(error, SyntaxError):
    return f'line {error.lineno}: '
  frames = traceback.extract_tb(error.__traceback__)
  lines = [f.lineno for f in frames if f.filename == str(path)]
  if isinstance(error, ValueError) or not lines:
    return ''
  return f'line {lines[-1]}: '
