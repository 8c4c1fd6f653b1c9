"""Loads config files by path."""

import importlib.util
import os
import pathlib
import sys
from typing import Any, Callable

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
  """
  name, dot_py, variant = str(text).partition('.py')
  path = pathlib.Path(name + '.py').expanduser()
  if path.is_file() and not dot_py:
    raise FileNotFoundError(
      f'there is no config {name!r}. Did you mean {str(path)!r}?'
    )
  if not path.is_file():
    others = sorted(p.stem for p in path.parent.glob('*.py'))
    others = [other for other in others if other not in ('common', '__init__')]
    listed = f'; in {path.parent}/: {", ".join(others)}' if others else ''
    raise FileNotFoundError(f'there is no config {str(path)!r}{listed}')
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
    config: config that get_parts receives.

  Returns:
    Arguments of experiment.build by name: some of 'generator', 'discriminator',
    'loss', 'train' and 'test'. {} if the file has no get_parts.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if the file does not load, or get_parts returns anything else.
  """

  def get(module, variant):
    return module.get_parts(config) if hasattr(module, 'get_parts') else {}

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
    return function(module, variant)
  except (Exception, SyntaxError) as error:
    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
    raise ValueError(f'{text} is no config: {kind}{error}') from error
  finally:
    sys.path.remove(root)
