"""Writes the notebooks of the site as files for Jupyter and Colab."""

import pathlib

import jupytext
import nbformat

INSTALL = '!pip install -q gan_jax'
CHAPTERS = ('chapter', 'chapter_zh')


def write_notebooks(pages: pathlib.Path, out: pathlib.Path) -> None:
  """Writes each chapter as an .ipynb that first installs gan_jax.

  Args:
    pages: directory of the chapters, MyST notebooks.
    out: directory of the notebooks.
  """
  out.mkdir(parents=True, exist_ok=True)
  for name in CHAPTERS:
    notebook = jupytext.read(pages / f'{name}.md')
    notebook.cells.insert(0, nbformat.v4.new_code_cell(INSTALL))
    for i, cell in enumerate(notebook.cells):
      cell['id'] = f'cell-{i}'  # else random, and another file each time
    jupytext.write(notebook, out / f'{name}.ipynb')
