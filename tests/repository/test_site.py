"""Tests of the site: its reference, links and chapters, and what was built."""

import html.parser
import pathlib
import re
import types
import zlib

import pytest

import gan_jax
from docs.site_builder import docstrings, links, reference

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / 'docs'
BUILT = DOCS / '_build' / 'html'
built = pytest.mark.skipif(
  not (BUILT / 'objects.inv').exists(), reason='make docs builds the site'
)


def public_names():
  """Yields every public name, dotted."""
  for name in gan_jax.__all__:
    module = getattr(gan_jax, name)
    if isinstance(module, types.ModuleType):
      yield from (f'gan_jax.{name}.{inner}' for inner in module.__all__)
    elif name != '__version__':
      yield f'gan_jax.{name}'


def test_the_reference_has_every_public_name():
  pages = [reference.FIRST, *reference.packages()]
  text = '\n'.join(reference.page(page) for page in pages)
  documented = set(re.findall(r'^\.\. auto\w+:: (.*)$', text, re.MULTILINE))
  data = re.findall(r'^\.\. py:data:: (.*)\n   :module: (.*)$', text, re.M)
  documented |= {f'{module}.{name}' for name, module in data}
  names = set(public_names())
  assert names <= documented
  assert len(names) > 250
  assert 'gan_jax.models.stylegan2.Generator' in documented


def test_pages_are_written_once_and_old_ones_removed(tmp_path):
  (tmp_path / 'gone.rst').write_text('x')
  reference.write_pages(tmp_path)
  written = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
  assert 'losses.rst' in written and 'gone.rst' not in written
  reference.write_pages(tmp_path)
  assert written == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}


@pytest.mark.parametrize(
  ('file', 'text', 'expected'),
  [
    ('README.md', '[a](docs/losses.md#x)', '[a](/losses.md#x)'),
    ('README.md', '![a](docs/digits.png)', '![a](/digits.png)'),
    ('docs/howto/x.md', '[a](../running.md)', '[a](/running.md)'),
    ('docs/howto/x.md', '[a](../not_yet.md)', 'a'),
    ('docs/x.md', '[a](../README.md#b)', '[a](/overview.md#b)'),
    ('README.md', '[`x`](gan_jax/losses/hinge.py)', '[`x`](/api/losses.rst)'),
    ('README.md', '[a](gan_jax/runner)', 'a'),
    ('README.md', '[a](LICENSE) [b](tests/conftest.py)', 'a b'),
    ('README.md', '[a](examples/own_loop.py)', '[a](/../examples/own_loop.py)'),
    ('README.md', '[a](https://x.y) [b](#c)', '[a](https://x.y) [b](#c)'),
    ('README.md', '```py\nx[0](LICENSE)\n```', '```py\nx[0](LICENSE)\n```'),
    (
      'docs/api.md',
      '## gan_jax.losses\n| [`hinge`](../gan_jax/losses/base.py) | x |',
      '## gan_jax.losses\n| {py:obj}`hinge <gan_jax.losses.hinge>` | x |',
    ),
  ],
)
def test_links_lead_to_pages_of_the_site(file, text, expected):
  assert links.rewrite(text, file) == expected


def test_pages_that_are_not_there_are_left_out_of_the_contents():
  text = 'export\n\n```{toctree}\n:glob:\n\nlosses\nexport\nhowto/*\n```\n'
  assert links.without_missing(text, ['losses']) == text.replace(
    'losses\nexport\n', 'losses\n'
  )


def test_every_page_is_in_the_contents():
  lines = (DOCS / 'index.md').read_text().splitlines()
  entries = [line.rpartition('<')[2].rstrip('>') for line in lines]
  assert 'howto/*' in entries and 'api/*' in entries
  for path in DOCS.glob('*.md'):
    assert path.stem == 'index' or path.stem in entries, path.name


def test_docstrings_become_restructured_text():
  lines = [
    'Computes |x| of all *x*, to the power of `a*b` and of x_.',
    '',
    'y = f(x)',
    '  + g(x)',
    '',
    '  >>> f(1)',
    '  2',
    '',
    '* one',
    '  point',
    '',
    'Args:',
    '  x: values, or',
    '      a list',
    '  y: more.',
    '',
    'Returns:',
    '  The sum.',
  ]
  assert docstrings.as_rst(lines) == [
    r'Computes \|x\| of all \*x\*, to the power of `a*b` and of x\_.',
    '',
    '::',
    '',
    '  y = f(x)',
    '    + g(x)',
    '',
    '  >>> f(1)',
    '  2',
    '',
    '* one',
    '  point',
    '',
    'Args:',
    '  x: values, or',
    '    a list',
    '  y: more.',
    '',
    'Returns:',
    '  The sum.',
    '',
  ]


def code_cells(name):
  text = (DOCS / f'{name}.md').read_text()
  return re.findall(r'^```\{code-cell\}\n(.*?)^```', text, re.DOTALL | re.M)


def test_both_languages_have_the_same_code():
  cells = code_cells('chapter')
  assert len(cells) == 15 and cells == code_cells('chapter_zh')
  for cell in cells:
    compile(cell, 'cell', 'exec')


def test_the_notebooks_first_install_the_library(tmp_path):
  pytest.importorskip('jupytext', reason='pip install jupytext')
  import nbformat

  from docs.site_builder import notebooks

  notebooks.write_notebooks(DOCS, tmp_path)
  for name in notebooks.CHAPTERS:
    notebook = nbformat.read(tmp_path / f'{name}.ipynb', as_version=4)
    nbformat.validate(notebook)
    code = [c.source for c in notebook.cells if c.cell_type == 'code']
    assert code[0] == '!pip install -q gan_jax'
    assert [c + '\n' for c in code[1:]] == code_cells(name)


class Resources(html.parser.HTMLParser):
  """Collects the addresses that a page loads, not those that it links to."""

  def __init__(self, page):
    super().__init__()
    self.found = []
    self.feed(page.read_text())

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag == 'link' and attrs.get('rel') in ('stylesheet', 'icon', 'preload'):
      self.found.append(attrs['href'])
    elif tag != 'a' and attrs.get('src'):
      self.found.append(attrs['src'])


@built
def test_built_pages_load_nothing_from_the_network():
  pages = sorted(BUILT.rglob('*.html'))
  assert len(pages) > 40
  for page in pages:
    for address in Resources(page).found:
      assert not re.match(r'(https?:)?//', address), f'{page.name}: {address}'
      if not address.startswith('data:'):
        path = page.parent / address.partition('?')[0]
        assert path.exists(), f'{page.name}: {address}'


@built
def test_the_built_inventory_has_every_public_name():
  raw = (BUILT / 'objects.inv').read_bytes()
  body = raw.split(b'\n', 4)[4]
  entries = zlib.decompress(body).decode().splitlines()
  found = {line.split()[0] for line in entries}
  assert set(public_names()) <= found
