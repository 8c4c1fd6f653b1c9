"""The repository as a whole: layering, packaging, documents."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / 'gan_jax'
MODULES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob('*.py'))

MATHS = {'jax', 'chex', 'optax', 'numpy'}
NETS = {'jax', 'chex', 'flax'}
# What a module may import of gan_jax, and from outside (beside the standard
# library). A folder stands for its files; the longest match counts.
LAYERS = {
  '__init__.py': (set(), set()),
  'options.py': (set(), set()),
  'settings.py': ({'options'}, set()),
  'losses': ({'losses'}, MATHS),
  'penalties': ({'latents', 'penalties'}, MATHS),
  'augment': ({'augment', 'latents'}, MATHS),
  'diagnostics.py': (set(), MATHS),
  'latents.py': (set(), MATHS),
  'ema.py': (set(), MATHS),
  'order.py': (set(), MATHS),
  'evaluation': ({'evaluation'}, MATHS),
  'evaluation/convert.py': ({'evaluation'}, {'numpy'}),
  'evaluation/mnist_classifier.py': ({'files', 'npz'}, MATHS),
  'evaluation/torch_files.py': ({'evaluation', 'files'}, {'numpy'}),
  'evaluation/torch_opcodes.py': (set(), set()),
  'evaluation/weights.py': (
    {'evaluation', 'files', 'npz'},
    {'numpy', 'safetensors'},
  ),
  'networks.py': (set(), NETS),
  'models': ({'models', 'networks'}, NETS),
  'optimizers.py': (set(), MATHS),
  'state.py': (set(), MATHS | {'flax'}),
  'game.py': ({'losses', 'networks'}, MATHS),
  'play.py': (
    {'augment', 'game', 'latents', 'losses', 'networks', 'state'},
    MATHS,
  ),
  'gradients.py': ({'game', 'latents', 'losses', 'play', 'state'}, MATHS),
  'rules.py': ({'game', 'gradients', 'latents', 'play', 'state'}, MATHS),
  'steps.py': (
    {'diagnostics', 'ema', 'game', 'gradients', 'rules', 'state'},
    MATHS,
  ),
  'fuse.py': ({'game', 'latents', 'order', 'rules', 'state'}, MATHS),
  'guards.py': ({'rules', 'state'}, MATHS),
  'ensemble.py': ({'fuse', 'state'}, MATHS),
  'sweep.py': ({'settings'}, {'numpy'}),
  'points.py': ({'scoring', 'sweep'}, {'numpy'}),
  'standing.py': ({'ema', 'game', 'latents'}, MATHS),
  'terms.py': (
    {'augment', 'game', 'losses', 'optimizers', 'penalties'},
    MATHS,
  ),
  'compose.py': (
    {'augment', 'game', 'losses', 'optimizers', 'settings', 'terms'},
    MATHS,
  ),
  'parallel.py': (set(), {'jax', 'numpy'}),
  'processes.py': ({'parallel'}, {'jax', 'numpy'}),
  'watchdog.py': (set(), set()),
  'due.py': ({'settings'}, set()),
  'data': (
    {'data', 'files', 'npz', 'order', 'settings'},
    {'numpy', 'PIL', 'sklearn', 'tensorflow_datasets'},
  ),
  'data/prepare.py': (
    {'data'},
    {'numpy', 'PIL', 'tensorflow_datasets', 'tensorflow', 'requests'},
  ),
  'checkpoint.py': ({'files'}, {'jax', 'orbax'}),
  'files.py': (set(), set()),
  'jsonl.py': ({'files'}, set()),
  'npz.py': (set(), {'numpy'}),
  'writers.py': ({'files', 'jsonl'}, {'numpy', 'PIL', 'tensorboardX'}),
  'extractors.py': ({'evaluation', 'options', 'steps'}, {'jax'}),
  'feature_store.py': ({'evaluation', 'npz'}, {'numpy'}),
  'features.py': (
    {'data', 'evaluation', 'extractors', 'feature_store', 'parallel'},
    {'jax', 'numpy'},
  ),
  'measures.py': (
    {'evaluation', 'extractors', 'features'},
    {'jax', 'numpy'},
  ),
  'metrics.py': ({'data', 'evaluation', 'features', 'measures'}, {'jax'}),
  'references.py': ({'data'}, {'numpy'}),
  'scoring.py': (
    {
      '__version__',
      'data',
      'evaluation',
      'extractors',
      'features',
      'metrics',
      'options',
    },
    {'jax', 'numpy'},
  ),
  'judge.py': (
    {
      'data',
      'extractors',
      'feature_store',
      'features',
      'metrics',
      'references',
      'scoring',
    },
    {'jax', 'numpy'},
  ),
  'tables.py': (set(), {'rich'}),
  'window.py': ({'guards', 'state'}, {'jax', 'numpy'}),
  'plots.py': ({'files'}, {'matplotlib', 'numpy'}),
  'startup.py': ({'evaluation'}, {'jax'}),
  'programs.py': (
    {'data', 'due', 'fuse', 'order', 'parallel', 'processes', 'settings'},
    {'jax'},
  ),
  'progress.py': (
    {'processes', 'scoring', 'tables', 'window', 'writers'},
    {'jax', 'numpy', 'rich'},
  ),
  'continuation.py': ({'settings'}, set()),
  'parts.py': (
    {'compose', 'models', 'optimizers', 'settings'},
    {'flax', 'jax'},
  ),
  'assemble.py': (
    {
      'compose',
      'ema',
      'game',
      'networks',
      'parts',
      'rules',
      'settings',
      'state',
      'steps',
      'terms',
    },
    {'jax'},
  ),
  'health.py': (
    {'diagnostics', 'game', 'losses', 'sampling', 'state', 'steps'},
    {'jax', 'numpy'},
  ),
  'sampling.py': (
    {'game', 'latents', 'parallel', 'settings', 'steps'},
    {'jax', 'numpy'},
  ),
  'runs.py': (None, {'jax', 'numpy'}),
  'loop.py': (None, {'numpy'}),
  'resume.py': (None, {'jax', 'numpy'}),
  'exits.py': ({'processes'}, {'jax'}),
  'records.py': (None, set()),
  'experiment.py': (None, {'jax', 'numpy'}),
  'best.py': ({'checkpoint', 'jsonl', 'runs', 'scoring'}, set()),
  'team.py': (None, {'jax', 'numpy'}),
  'train_team.py': (None, {'jax', 'numpy'}),
  'extract.py': (None, set()),
  'dry_run.py': ({'assemble', 'data', 'programs'}, {'jax', 'numpy'}),
}


def layer(module):
  parts = module.as_posix()
  return LAYERS[max((k for k in LAYERS if parts.startswith(k)), key=len)]


def imported(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      if node.module == 'gan_jax':
        yield from (f'gan_jax.{alias.name}' for alias in node.names)
      else:
        yield node.module


@pytest.mark.parametrize('module', MODULES, ids=str)
def test_layering(module):
  inside, outside = layer(module)
  for name in imported(PACKAGE / module):
    top, _, rest = name.partition('.')
    if top == 'gan_jax':
      assert inside is None or rest.split('.')[0] in inside, name
    elif top not in sys.stdlib_module_names:
      assert top in outside, f'{module} imports {name}'


def test_public_names_have_docstrings():
  for path in [*PACKAGE.rglob('*.py'), ROOT / 'train.py']:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), path
    for node in tree.body:
      named = isinstance(node, ast.FunctionDef | ast.ClassDef)
      if named and not node.name.startswith('_') and node.name != 'main':
        assert ast.get_docstring(node), f'{path.name}: {node.name}'


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
def test_readme_example_runs(number):
  exec(compile(readme_examples()[number], 'README.md', 'exec'), {})


def test_links_of_the_documents_lead_somewhere():
  for document in [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]:
    for target in re.findall(r'\]\(([^)#]+)', document.read_text()):
      if not target.startswith('http'):
        assert (document.parent / target).exists(), f'{document}: {target}'
