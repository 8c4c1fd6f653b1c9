"""Makes links of Markdown files, written for the repository, fit for the site.

A link to another page stays one. A link to code of a public package leads to
the package's page of the reference. Examples and configs are files to download.
Of a link to anything else the text is kept.
"""

import pathlib
import posixpath
import re
from typing import Collection

import gan_jax

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Page of the site -> the file outside docs/ that it shows.
SHOWN = {
  'overview': 'README.md',
  'changelog': 'CHANGELOG.md',
  'contributing': 'CONTRIBUTING.md',
}
_PAGES = {file: f'/{page}.md' for page, file in SHOWN.items()}
_LINK = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)')
_FENCE = re.compile(r'(^```.*?^```$)', re.DOTALL | re.MULTILINE)


def rewrite_source(app, docname: str, source: list[str]) -> None:
  """Replaces the links of a page, in place; an event of Sphinx.

  Args:
    app: the application of Sphinx.
    docname: name of the page.
    source: its text, a list of one.
  """
  path = app.env.doc2path(docname, base=False)
  if pathlib.Path(path).suffix != '.md':
    return
  file = SHOWN.get(docname, f'docs/{pathlib.Path(path).as_posix()}')
  if docname in SHOWN:
    app.env.note_dependency(ROOT / file)
    source[0] = (ROOT / file).read_text()
  source[0] = rewrite(source[0], file)
  if docname == 'index':
    source[0] = without_missing(source[0], app.env.found_docs)


def rewrite(text: str, file: str) -> str:
  """Returns Markdown with links for the site.

  Args:
    text: the Markdown.
    file: path of the file that it comes from, in the repository.
  """
  parts = _FENCE.split(text)
  for i in range(0, len(parts), 2):
    parts[i] = _rewrite_prose(parts[i], file)
  return ''.join(parts)


def _rewrite_prose(text: str, file: str) -> str:
  if file == 'docs/api.md':
    text = _with_reference(text)
  directory = posixpath.dirname(file)
  return _LINK.sub(lambda m: _replace(m, directory), text)


def _with_reference(text: str) -> str:
  """Makes the names of docs/api.md links to the reference."""
  sections = re.split(r'(^## .*$)', text, flags=re.MULTILINE)
  for i in range(1, len(sections), 2):
    module = sections[i].removeprefix('## ').strip()
    sections[i + 1] = re.sub(
      r'^\| (?:\[`(\w+)`\]\([^)]*\)|`(\w+)`) \|',
      lambda m: f'| {{py:obj}}`{m[1] or m[2]} <{module}.{m[1] or m[2]}>` |',
      sections[i + 1],
      flags=re.MULTILINE,
    )
  return ''.join(sections)


def without_missing(text: str, pages: Collection[str]) -> str:
  """Drops the entries of tables of contents that no page has.

  Args:
    text: the page with the tables.
    pages: names of all pages.
  """
  is_there = lambda line: not re.fullmatch(r'\w+', line) or line in pages
  inside, kept = False, []
  for line in text.splitlines():
    inside = line.startswith('```{') or inside and line != '```'
    if not inside or is_there(line):
      kept.append(line)
  return '\n'.join(kept) + '\n'


def _replace(match: re.Match, directory: str) -> str:
  mark, text, target = match.groups()
  if re.match(r'[a-z]+:|#|/', target):
    return match[0]
  path, hash_mark, anchor = target.partition('#')
  path = posixpath.normpath(posixpath.join(directory, path))
  anchor = hash_mark + anchor
  if path in _PAGES:
    return f'[{text}]({_PAGES[path]}{anchor})'
  if path.startswith('docs/') and (ROOT / path).is_file():
    return f'{mark}[{text}](/{path.removeprefix("docs/")}{anchor})'
  if path.startswith(('examples/', 'configs/')) and (ROOT / path).is_file():
    return f'[{text}](/../{path})'
  package = path.split('/')[1].removesuffix('.py') if '/' in path else ''
  if path.startswith('gan_jax/') and package in gan_jax.__all__:
    return f'[{text}](/api/{package}.rst)'
  return text
