"""Loads config files by path."""

import difflib
import importlib.util
import os
import pathlib
import re
import sys
import traceback
import warnings
from typing import Any, Callable

from gan_jax import config as config_lib
from gan_jax.io import files, terminal

PARTS = ('generator', 'discriminator', 'loss', 'train', 'test')


def split_path(text: str | os.PathLike) -> tuple[pathlib.Path, str]:
  """Splits 'configs/digits.py:test' into the file and the variant.

  Args:
    text: path of a config file, with or without a variant.

  Returns:
    The path and the variant, '' if there is none.

  Raises:
    FileNotFoundError: if there is no such file; the message lists those
      beside it.
    ValueError: if the path is empty, or no file can have it.
  """
  text = os.fspath(text)
  matched = re.fullmatch(r'(.*?)(\.py)?(:[^/]*)?', text, re.DOTALL)
  name, dot_py, variant = matched.groups(default='')
  path = files.resolve_path(f'{name}.py', 'config')
  shown = files.printable(path)
  if not name:
    raise ValueError('config is empty: must be the path of a .py file')
  if path.is_file() and not dot_py:
    raise FileNotFoundError(
      f'there is no config {text!r}. Did you mean {shown + variant!r}?'
    )
  if not path.is_file():
    folder = path.with_suffix('') if path.with_suffix('').is_dir() else path
    folder = folder if folder.is_dir() else path.parent
    others = sorted(p.stem for p in folder.glob('*.py'))
    others = [other for other in others if other not in ('common', '__init__')]
    near = difflib.get_close_matches(path.stem, others, n=1)
    hint = f'. Did you mean {str(folder / near[0]) + ".py"!r}?' if near else ''
    listed = f'; in {folder}/: {", ".join(others)}' if others else ''
    wanted = text if dot_py else f'{name}.py{variant}'
    raise FileNotFoundError(f'there is no config {wanted!r}{hint}{listed}')
  return path, variant.removeprefix(':')


def load_config(text: str | os.PathLike) -> Any:
  """Returns what the `get_config` of a config file returns.

  Args:
    text: path of a config file, such as 'configs/digits.py:test'.

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


def _call(text: str | os.PathLike, function: Callable[..., Any]) -> Any:
  """Returns function(module, variant) of a config file."""
  path, variant = split_path(text)
  path = path.resolve()
  # A config imports what it shares with others from its parent's directory.
  root = str(path.parent.parent)
  sys.path.insert(0, root)
  try:
    spec = importlib.util.spec_from_file_location(f'_config_{path.stem}', path)
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
  finally:
    sys.path.remove(root)


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
