"""Puts MathJax beside the pages, so that formulas need no network."""

import importlib.util
import pathlib
import shutil

PATH = 'mathjax/tex-chtml.js'
_PACKAGE = 'sphinx-mathjax-offline'  # holds MathJax 3.2.2, and nothing else
_FONTS = 'output/chtml/fonts/woff-v2'


def copy_files(app, exception) -> None:
  """Copies the program and its fonts, 2 of MathJax's 24 megabytes.

  Args:
    app: the application of Sphinx.
    exception: error that ended the build, or None.
  """
  if exception is not None or app.builder.format != 'html':
    return
  package = importlib.util.find_spec(_PACKAGE)
  source = pathlib.Path(package.origin).parent / 'static' / 'mathjax'
  target = pathlib.Path(app.outdir) / '_static' / 'mathjax'
  shutil.copytree(source / _FONTS, target / _FONTS, dirs_exist_ok=True)
  shutil.copy(source / 'tex-chtml.js', target)
