"""Makes reStructuredText of docstrings, which are written to be read as text."""

import re

_SECTION = re.compile(r'(Args|Attributes|Raises|Returns|Yields|References):$')
_NAMED = ('Args', 'Attributes', 'Raises')  # sections of `name: description`
_CODE = re.compile(r'(`[^`]*`)')
_SPECIAL = re.compile(r'([*|])|(?<=\w)_(?!\w)')


def process_docstring(app, kind, name, value, options, lines) -> None:
  """Rewrites the lines of a docstring in place; an event of Sphinx.

  Args:
    app: the application of Sphinx.
    kind: kind of the object.
    name: its dotted name.
    value: the object.
    options: options of the directive.
    lines: lines of the docstring.
  """
  del app, kind, name, value, options
  lines[:] = as_rst(lines)


def as_rst(lines: list[str]) -> list[str]:
  """Returns the lines of a docstring as reStructuredText.

  Paragraphs of several indentations, formulas and code, become literal blocks.
  In sections, which Napoleon reads, lines are not indented further than
  descriptions. Characters that reStructuredText would interpret are escaped.

  Args:
    lines: lines of a docstring.
  """
  made: list[str] = []
  section = ''
  for paragraph in _paragraphs(lines):
    header = _SECTION.match(paragraph[0])
    section = header[1] if header else section
    if section:
      made += [_escape(line) for line in _flatten(paragraph, section)]
    elif _is_literal(paragraph):
      made += ['::', '', *('  ' + line for line in paragraph)]
    else:
      made += [
        line if '>>>' in paragraph[0] else _escape(line) for line in paragraph
      ]
    made.append('')
  return made


def _paragraphs(lines: list[str]) -> list[list[str]]:
  """Returns the paragraphs; a section begins one."""
  found: list[list[str]] = [[]]
  for line in lines:
    if not line.strip() or _SECTION.match(line):
      found.append([])
    if line.strip():
      found[-1].append(line)
  return [paragraph for paragraph in found if paragraph]


def _is_literal(paragraph: list[str]) -> bool:
  first, *rest = paragraph
  if first.lstrip().startswith(('* ', '- ', '>>>')):
    return False
  return any(line.startswith(' ') for line in paragraph)


def _flatten(paragraph: list[str], section: str) -> list[str]:
  """Returns lines of a section, none indented further than descriptions."""
  most = 4 if section in _NAMED else 2
  indent = lambda line: len(line) - len(line.lstrip())
  return [' ' * min(indent(line), most) + line.lstrip() for line in paragraph]


def _escape(line: str) -> str:
  """Escapes a line, but not its code or the bullet of a list."""
  bullet = re.match(r'\s*\* ', line)
  start = bullet[0] if bullet else ''
  parts = _CODE.split(line[len(start) :])
  parts[::2] = [_SPECIAL.sub(r'\\\g<0>', part) for part in parts[::2]]
  return start + ''.join(parts)


def skip_member(app, what, name, obj, skip, options):
  """Leaves out fields of named tuples, which the class describes.

  This is a listener of autodoc-skip-member.
  """
  del app, what, name, options
  return True if type(obj).__name__ == '_tuplegetter' else skip
