"""Every architecture in every export gives the examples that Python gives.

The largest differences, in standard deviations of the output, are a table that
`-s` prints. Those of weights in float16 are root mean squares. Columns whose
program is absent are skipped, and named with what installs it.
"""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from gan_jax import export, models, sampling, training
from gan_jax.experiment import model_folder
from gan_jax.export import generator as generator_lib
from gan_jax.export import page
from gan_jax.runner import export as runner
from gan_jax.runner import onnx_environment
from tests.helpers import browser, samplers

pytestmark = [
  pytest.mark.slow,
  pytest.mark.filterwarnings('ignore:.*:DeprecationWarning'),
]
NAMES = sorted(models.MODELS)
ASSETS = pathlib.Path(page.__file__).parent / 'page'
NOISE_SEED = 3


def has_onnx():
  try:
    return bool(onnx_environment.find_python())
  except FileNotFoundError:
    return False


def has_module(name):
  try:
    __import__(name)
  except ImportError:
    return False
  return True


def has_program(command):
  try:
    return not subprocess.run(command, capture_output=True).returncode
  except FileNotFoundError:
    return False


# Column -> whether it can run here, and what installs its program.
COLUMNS = {
  'folder': (True, ''),
  'graph': (True, ''),
  'stablehlo': (has_module('flatbuffers'), 'pip install flatbuffers'),
  'onnx': (has_onnx(), onnx_environment.COMMAND),
  'torch': (has_module('torch'), 'pip install torch'),
  'node': (has_program(['node', '--version']), 'apt-get install nodejs'),
  'float16': (has_program(['node', '--version']), 'apt-get install nodejs'),
  'chromium': (bool(browser.find_chromium()), browser.COMMAND),
}


@pytest.mark.parametrize('column', COLUMNS)
def test_the_program_of_a_column_is_here(column):
  is_here, command = COLUMNS[column]
  if not is_here:
    pytest.skip(f'column {column} of the table does not run: {command}')


class Case:
  """One architecture: its sampler, inputs, and what Python makes of them."""

  def __init__(self, name):
    self.name = name
    self.sampler = samplers.make(name)
    self.noise = NOISE_SEED if name in samplers.NOISY else None
    self.generator = export.make_generator(self.sampler, noise_seed=self.noise)
    self.inputs = runner.example_inputs(self.sampler, self.generator)
    self.named = dict(zip(self.generator.inputs, self.inputs))
    gan, weights = self.sampler.gan, self.generator.weights
    keys = None if self.noise is None else jax.random.key(self.noise)[None]

    def own(z, label, psi):  # as samplers trace it, gradients on CPU and all
      if psi is None:
        return training.make_sample_fn(gan)(weights, z, label, keys)
      w = training.make_mapping_fn(gan)(weights, z, label)
      mean = sampling.mean_style(weights)
      w = sampling.truncate_styles(w, mean, psi)
      return training.make_synthesis_fn(gan)(weights, w, keys)

    values = [self.named.get(name) for name in ('z', 'label', 'psi')]
    lowered = jax.jit(own).lower(*values)
    levels = [
      lowered.compile({'xla_backend_optimization_level': level})(*values)
      for level in (0, 3)
    ]
    self.expected = np.asarray(levels[0])
    least = np.finfo(np.float32).eps * np.abs(self.expected).max()
    self.floor = max(
      self.difference(levels[1]), float(least / self.expected.std())
    )

  def difference(self, found):
    found = np.asarray(found).reshape(self.expected.shape)
    return float(np.abs(found - self.expected).max() / self.expected.std())

  def mean_difference(self, found):
    found = np.asarray(found).reshape(self.expected.shape)
    squares = np.square(found - self.expected)
    return float(np.sqrt(squares.mean()) / self.expected.std())

  def row(self, i):
    """The inputs of example i, as numbers of JSON."""
    return {
      name: (x[i] if np.ndim(x) else x[None]).reshape(-1).tolist()
      for name, x in self.named.items()
    }

  def limit(self, column):
    if column == 'float16':
      return 1e-3
    return 1e-5 if self.name in ('dcgan', 'sngan') else 10 * self.floor


@pytest.fixture(scope='module')
def cases():
  return {name: Case(name) for name in NAMES}


def folder(cases, path):
  found = {}
  for name, case in cases.items():
    (path / name).mkdir()
    facts = {'name': name, 'weights': 'ema'}
    model_folder.save_model_folder(path / name, case.sampler, facts)
    again = model_folder.load_model_folder(path / name)
    equal = jax.tree.map(np.array_equal, case.sampler.weights, again.weights)
    assert all(jax.tree.leaves(equal)), name
    generator = export.make_generator(again, noise_seed=case.noise)
    jaxprs = [
      str(jax.make_jaxpr(g.function)(g.weights, *case.inputs))
      for g in (generator, case.generator)
    ]
    assert jaxprs[0] == jaxprs[1], name
    found[name] = 0.0
  return found


def graph(cases, path):
  found = {}
  for name, case in cases.items():
    traced = export.trace_graph(
      case.generator.function,
      case.generator.weights,
      case.generator.specs(generator_lib.symbolic_batch()),
    )
    fields = traced._asdict()
    run = jax.jit(
      lambda *x, f=fields, c=traced.constants: export.replay(f, c, x)
    )
    found[name] = case.difference(run(*case.inputs))
  return found


STRANGER = """
  import json, sys, pathlib, numpy, jax
  from jax import export
  for path in sorted(pathlib.Path(sys.argv[1]).glob('*.npz')):
    program = path.with_suffix('.stablehlo').read_bytes()
    inputs = numpy.load(path)
    found = export.deserialize(bytearray(program)).call(*inputs.values())
    numpy.save(path.with_suffix('.npy'), found)
  assert not {'gan_jax', 'flax'} & {*sys.modules}
"""


def stablehlo(cases, path):
  for name, case in cases.items():
    program = export.make_stablehlo(case.generator)
    (path / f'{name}.stablehlo').write_bytes(program)
    np.savez(path / f'{name}.npz', *case.inputs)
  script = textwrap.dedent(STRANGER)
  command = [sys.executable, '-c', script, str(path)]
  subprocess.run(command, check=True, cwd=path)
  found = {name: np.load(path / f'{name}.npy') for name in cases}
  return {name: case.difference(found[name]) for name, case in cases.items()}


def onnx(cases, path):
  found = {}
  for name, case in cases.items():
    traced = export.trace_graph(
      case.generator.function,
      case.generator.weights,
      case.generator.specs(generator_lib.symbolic_batch()),
    )
    _, facts = onnx_environment.convert(traced, case.inputs, case.expected)
    found[name] = facts['difference']
  return found


NODE = """
  const {load, run} = require(process.argv[1]), fs = require('fs');
  const cases = JSON.parse(fs.readFileSync(process.argv[2])), found = {};
  for (const [name, {graph, rows}] of Object.entries(cases)) {
    const loaded = load(graph);
    found[name] = rows.map((row) => Array.from(run(loaded, row)));
  }
  console.log(JSON.stringify(found));
"""


def node(cases, path, float16=False):
  content = {}
  for name, case in cases.items():
    traced = export.trace_graph(
      case.generator.function,
      case.generator.weights,
      case.generator.specs(1),
    )
    as_json = page.graph_to_json(traced, float16=float16)
    rows = [case.row(i) for i in range(len(case.expected))]
    content[name] = {'graph': as_json, 'rows': rows}
  (path / 'cases.json').write_text(json.dumps(content))
  script = [str(ASSETS / 'interpreter.js'), str(path / 'cases.json')]
  done = subprocess.run(
    ['node', '-e', NODE, *script], check=True, capture_output=True, text=True
  )
  found = json.loads(done.stdout)
  compare = Case.mean_difference if float16 else Case.difference
  return {name: compare(case, found[name]) for name, case in cases.items()}


def float16(cases, path):
  return node(cases, path, float16=True)


def chromium_column(cases, path):
  found = {}
  with browser.chromium(path / 'profile') as tab:
    for name, case in cases.items():
      traced = export.trace_page(case.sampler, noise_seed=case.noise)
      text = export.make_page(case.sampler, graph=traced)
      (path / f'{name}.html').write_text(text)
      tab.open((path / f'{name}.html').as_uri())
      psi = float(case.named.get('psi', 1))
      labels = case.named.get('label', np.zeros(len(case.expected), int))
      rows = [
        tab.evaluate(f'generate(0, {i}, {{label: {label}, psi: {psi}}})')
        for i, label in enumerate(labels.tolist())
      ]
      found[name] = case.difference(rows)
      assert not tab.errors, (name, tab.errors)
      assert not tab.requests_of_others(), name
  return found


def torch_column(cases, path):
  from tests.helpers import torch_generators

  return {
    name: cases[name].difference(
      torch_generators.generate(
        name,
        model_folder.weight_arrays(cases[name].sampler),
        cases[name].inputs[0],
      )
    )
    for name in torch_generators.GENERATORS
  }


RUN = {
  **{'folder': folder, 'graph': graph, 'stablehlo': stablehlo, 'onnx': onnx},
  **{'torch': torch_column, 'node': node, 'float16': float16},
  'chromium': chromium_column,
}


def test_exports_agree(cases, tmp_path):
  only = os.environ.get('GAN_JAX_EXPORT_COLUMNS', ','.join(COLUMNS)).split(',')
  table = {}
  for column, (is_here, _) in COLUMNS.items():
    if is_here and column in only:
      (tmp_path / column).mkdir()
      table[column] = RUN[column](cases, tmp_path / column)
  names = list(COLUMNS)
  print('\n| network | float32 floor |', ' | '.join(names), '|')
  print('|---|---|' + '---|' * len(names))
  for name, case in cases.items():
    cells = [table.get(column, {}).get(name) for column in names]
    texts = ['' if x is None else f'{x:.1e}' for x in cells]
    print(f'| {name} | {case.floor:.1e} |', ' | '.join(texts), '|')
  for column, (is_here, command) in COLUMNS.items():
    if column not in table:
      print(f'{column} did not run: {command if not is_here else "left out"}')
  for column, found in table.items():
    for name, difference in found.items():
      case = cases[name]
      assert difference <= case.limit(column), (column, name, case.floor)
