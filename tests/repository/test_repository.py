"""Tests of the repository as a whole: packaging and documents."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from gan_jax.distributed import xla_setup

ROOT = pathlib.Path(__file__).parents[2]


def test_requirements_hold_what_the_package_needs():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  lines = (ROOT / 'requirements.txt').read_text().splitlines()
  needed = project['dependencies'] + project['optional-dependencies']['tfds']
  assert set(needed) <= set(lines)
  heavy = re.compile('tensorflow[-_]cpu|^tensorflow[>=]|torch|wandb')
  assert not [line for line in lines if heavy.search(line.split('#')[0])]


def test_import_and_help_are_quick():
  """Neither `import gan_jax` nor `train.py --help` imports JAX."""
  code = 'import sys, gan_jax, gan_jax.config; assert "jax" not in sys.modules'
  subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)
  code = (
    'import sys; sys.argv = ["train.py", "--help"]\n'
    'import runpy\n'
    'try: runpy.run_path("train.py", run_name="__main__")\n'
    'except SystemExit: pass\n'
    'assert "jax" not in sys.modules'
  )
  subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, check=True, capture_output=True
  )


def readme_examples():
  text = (ROOT / 'README.md').read_text()
  return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


@pytest.mark.parametrize('number', range(len(readme_examples())))
def test_readme_example_runs(number, monkeypatch):
  # Other tests have run JAX before.
  monkeypatch.setattr(xla_setup, 'are_flags_set', lambda: True)
  exec(
    compile(readme_examples()[number], 'README.md', 'exec'),
    {'__name__': 'readme'},
  )


def test_links_of_the_documents_exist():
  for document in [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]:
    for target in re.findall(r'\]\(([^)#]+)', document.read_text()):
      if not target.startswith('http'):
        assert (document.parent / target).exists(), f'{document}: {target}'
