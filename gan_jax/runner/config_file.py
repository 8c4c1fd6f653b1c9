"""Loads config files by path."""

import importlib.util
import os
import pathlib
import sys
from typing import Any


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
  path, variant = split_path(text)
  path = path.resolve()
  # A config imports what it shares with others from its parent's directory.
  root = str(path.parent.parent)
  sys.path.insert(0, root)
  try:
    spec = importlib.util.spec_from_file_location(f'_config_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant) if variant else module.get_config()
  except (Exception, SyntaxError) as error:
    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
    raise ValueError(f'{text} is no config: {kind}{error}') from error
  finally:
    sys.path.remove(root)
