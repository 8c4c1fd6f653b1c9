"""Writes a page for each public package, from its `__all__`."""

import inspect
import pathlib
import re
import types
import typing
from typing import Any, Iterator

import gan_jax

FIRST = 'gan_jax'  # the page of the functions of gan_jax itself
_HEAD = '.. Written by docs/site_builder/reference.py.\n'


def packages() -> list[str]:
  """Returns the names of the public packages."""
  return [name for name in gan_jax.__all__ if _is_module(gan_jax, name)]


def _is_module(owner: Any, name: str) -> bool:
  return isinstance(getattr(owner, name), types.ModuleType)


def _directive(module: str, name: str, value: Any) -> Iterator[str]:
  """Yields the lines that document a public name."""
  yield ''
  if inspect.isclass(value):
    yield f'.. autoclass:: {module}.{name}'
    yield '   :members:'
    if issubclass(value, tuple):  # counts and indices of fields
      yield '   :exclude-members: count, index'
  elif callable(value) and typing.get_origin(value) is None:
    yield f'.. autofunction:: {module}.{name}'
  else:
    yield f'.. py:data:: {name}'
    yield f'   :module: {module}'
    yield ''
    yield f'   {_describe(value)}'


def _describe(value: Any) -> str:
  """Describes a table, a number or an alias of a type."""
  if isinstance(value, dict):
    listed = ', '.join(f'``{key}``' for key in value)
    return f'Table with the keys {listed}.'
  if isinstance(value, type | types.GenericAlias) or callable(value):
    text = re.sub(r'\b(?:\w+\.)+(\w+)', r'\1', str(value))
    return f'Type ``{text}``.'
  return f'``{value!r}``'


def page(package: str) -> str:
  """Returns the text of a page.

  Args:
    package: name of a public package, or FIRST.
  """
  if package == FIRST:
    module, title = gan_jax, 'gan_jax'
    names = [n for n in gan_jax.__all__ if n not in packages()]
  else:
    module, title = getattr(gan_jax, package), f'gan_jax.{package}'
    names = module.__all__
  lines = [_HEAD, title, '=' * len(title), '', f'.. automodule:: {title}']
  for name in names:
    lines += _directive(title, name, getattr(module, name))
  if package == 'models':
    for name in module.MODELS:
      lines += ['', name, '-' * len(name), '']
      lines += [f'.. automodule:: gan_jax.models.{name}']
      for player in ('Generator', 'Discriminator'):
        lines += ['', f'.. autoclass:: gan_jax.models.{name}.{player}']
        lines += ['   :no-index-entry:']
  return '\n'.join(lines) + '\n'


def write_pages(out: pathlib.Path) -> None:
  """Writes the pages that have changed, and removes those of old packages.

  Args:
    out: directory of the pages.
  """
  out.mkdir(exist_ok=True)
  pages = {out / f'{name}.rst': page(name) for name in [FIRST, *packages()]}
  for path in set(out.glob('*.rst')) - set(pages):
    path.unlink()
  for path, text in pages.items():
    if not path.exists() or path.read_text() != text:
      path.write_text(text)
