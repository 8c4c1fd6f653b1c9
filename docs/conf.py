"""Configures the site of the documents, which `make docs` builds.

The pages are the Markdown files of this directory, README.md, CHANGELOG.md and
CONTRIBUTING.md; a page for each public package, which site/reference.py writes;
and the chapter, a notebook that is executed once and then kept in _build.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from site_builder import (  # noqa: E402
  docstrings,
  links,
  mathjax,
  notebooks,
  reference,
)

import gan_jax  # noqa: E402

project = 'gan_jax'
author = copyright = 'the authors of gan_jax'
version = release = gan_jax.__version__
extensions = [
  'myst_nb',
  'sphinx.ext.autodoc',
  'sphinx.ext.mathjax',
  'sphinx.ext.napoleon',
  'sphinx.ext.viewcode',
  'sphinx_copybutton',
]
exclude_patterns = ['_build', '**.ipynb_checkpoints', '.jupyter_cache']
default_role = 'code'  # `name` in a docstring

html_theme = 'furo'
html_title = f'gan_jax {release}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_search_scorer = str(HERE / '_static' / 'scorer.js')
html_extra_path = ['_build/notebooks']
html_show_sphinx = False
html_copy_source = html_show_sourcelink = False

myst_enable_extensions = ['colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 4
nb_execution_mode = 'cache'
nb_execution_cache_path = str(HERE / '_build' / 'jupyter_cache')
nb_execution_excludepatterns = ['[!c]*']
nb_execution_timeout = 300  # seconds of a cell
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_number_source_lines = False

autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # Args of docstrings say more
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
mathjax_path = mathjax.PATH
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True


def setup(app):
  app.connect('source-read', links.rewrite_source)
  # Before Napoleon, which reads the sections.
  event = 'autodoc-process-docstring'
  app.connect(event, docstrings.process_docstring, priority=400)
  app.connect('autodoc-skip-member', docstrings.skip_member)
  app.connect('build-finished', mathjax.copy_files)
  reference.write_pages(HERE / 'api')
  notebooks.write_notebooks(HERE, HERE / '_build' / 'notebooks')
