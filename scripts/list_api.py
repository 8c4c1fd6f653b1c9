"""Writes docs/api.md: every public name with the first line of its docstring.

python scripts/list_api.py
"""

import inspect
import pathlib
import sys
import types
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import gan_jax  # noqa: E402
from gan_jax.io import terminal  # noqa: E402

PAGE = ROOT / 'docs' / 'api.md'
HEAD = """# Public names

`import gan_jax` loads nothing; each package loads on first use. Names that are
not listed here may change without notice. (Written by
`python scripts/list_api.py`.)
"""


def first_line(value) -> str:
  """Returns the first line of a docstring, or the kind of other values."""
  if not callable(value) or typing.get_origin(value) is not None:
    return 'type alias' if callable(value) else type(value).__name__
  return (inspect.getdoc(value) or '').partition('\n')[0]


def defining_file(value) -> str:
  """Returns the file that defines a value, relative to the page, or ''."""
  module = sys.modules.get(getattr(value, '__module__', ''), None)
  path = getattr(module, '__file__', None)
  if not path or not pathlib.Path(path).is_relative_to(ROOT):
    return ''
  return f'../{pathlib.Path(path).relative_to(ROOT).as_posix()}'


def rows(module, names):
  """Yields the rows of the table of a module's names."""
  for name in names:
    value = getattr(module, name)
    path = defining_file(value)
    link = f'[`{name}`]({path})' if path else f'`{name}`'
    yield f'| {link} | {first_line(value)} |'


def table(module, names):
  """Returns the lines of the table of a module's names."""
  return ['', '| name | |', '|---|---|', *rows(module, names)]


def page() -> str:
  """Returns the text of the page."""
  lines = HEAD.splitlines()
  names = [name for name in dir(gan_jax) if name != '__version__']
  modules = [
    n for n in names if isinstance(getattr(gan_jax, n), types.ModuleType)
  ]
  functions = [n for n in names if n not in modules]
  lines += ['', '## gan_jax', *table(gan_jax, functions)]
  for name in modules:
    module = getattr(gan_jax, name)
    summary = module.__doc__.partition('\n')[0]
    lines += ['', f'## gan_jax.{name}', '', summary]
    lines += table(module, module.__all__)
  return '\n'.join(lines) + '\n'


if __name__ == '__main__':
  terminal.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
  PAGE.write_text(page())
