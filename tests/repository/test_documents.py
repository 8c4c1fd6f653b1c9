"""Tests of docs/losses.md and scores.md: their formulas are evaluated."""

import functools
import operator
import pathlib
import re
import shlex

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import augment, evaluation, losses, networks, training
from gan_jax import config as config_lib
from gan_jax.evaluation import feature_extractors
from gan_jax.evaluation.networks import preprocess
from gan_jax.runner import config_file
from tests.losses import test_losses

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'losses.md').read_text()


def tables():
  """Returns section title -> {name in the first cell: cells of the row}."""
  found = {}
  for section in TEXT.split('\n## ')[1:]:
    title, _, body = section.partition('\n')
    rows = [
      [cell.strip() for cell in line.strip('|').split(' | ')]
      for line in body.splitlines()
      if line.startswith('| `')
    ]
    found[title] = {row[0].strip('|` '): row for row in rows}
  return found


TABLES = tables()
LOSSES = {
  name: row
  for name, row in TABLES['Adversarial losses'].items()
  if len(row) == 6
}
relu = lambda x: np.maximum(x, 0)
FUNCTIONS = {
  'softplus': lambda x: np.log(1 + np.exp(x)),
  'relu': relu,
  'logsumexp': lambda x: np.log(np.exp(x).sum()),
  'mean': np.mean,
  'sum': np.sum,
  'exp': np.exp,
  'log': np.log,
  'sqrt': np.sqrt,
  'sign': np.sign,
  'gaussians': test_losses.gaussians,
  'quadratics': test_losses.quadratics,
  'mmd2': lambda r, f, kernel: kernel[1](r, f),
  'mean_distance2': lambda r, f: np.full(len(r), (r.mean() - f.mean()) ** 2),
}


def formula(cell):
  """Returns the code of a cell that holds nothing else, or None."""
  match = re.fullmatch(r'`([^`]+)`', cell)
  return match and match[1]


def evaluate(code, **names):
  return eval(code, {**FUNCTIONS, **names, '__builtins__': {}})


def test_every_name_is_in_its_table():
  assert list(LOSSES) == list(losses.LOSSES)
  assert list(TABLES['Penalties and regularizers']) == list(training.PENALTIES)
  assert list(TABLES['Augmentation']) == list(augment.AUGMENTS)
  assert list(TABLES['Update rules']) == list(training.UPDATE_RULES)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_formulas_of_both_players(name):
  r, f = np.float64([0.3, 2.0, -1.0]), np.float64([0.2, -1.0, 1.5])
  players = 'discriminator', 'generator'
  each = [test_losses.player_loss(name, player) for player in players]
  found = jax.jit(lambda r, f: [loss(r, f) for loss in each])(r, f)
  for value, cell in zip(found, LOSSES[name][1:3]):
    expected = evaluate(formula(cell), r=r, f=f)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  'name', [n for n in losses.LOSSES if formula(LOSSES[n][3])]
)
def test_best_logit_and_the_loss_there(name):
  p, q = test_losses.P, test_losses.Q
  best = evaluate(formula(LOSSES[name][3]), p=p, q=q)
  discriminator = test_losses.player_loss(name, 'discriminator')
  at = jax.jit(functools.partial(test_losses.expected_loss, discriminator))
  for seed in range(5):
    other = best + 0.2 * np.random.default_rng(seed).normal(size=3)
    assert at(other) >= at(best) - 1e-6
  value = formula(LOSSES[name][4])
  if value is None:
    assert name == 'rpgan'
    return
  distances = {'JS': float(test_losses.js()), 'TV': abs(p - q).sum() / 2}
  expected = evaluate(value, p=p, q=q, **distances)
  np.testing.assert_allclose(at(best), expected, rtol=1e-4)


def limits():
  """Returns loss -> limit of the logits, from the table of overflows."""
  rest, found = None, {}
  for line in TEXT.splitlines():
    cells = [cell.strip() for cell in line.strip(' |').split(' | ')]
    if len(cells) != 3 or not re.fullmatch(r'[\d.e]+', cells[2]):
      continue
    names = re.findall(r'`([a-z]\w+)`', cells[0])
    if 'forms' in cells[0]:
      names += [f'{n}_non_saturating' for n in names]
    found |= dict.fromkeys(names, float(cells[2]))
    rest = float(cells[2])
  return {name: found.get(name, rest) for name in losses.LOSSES}


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
@pytest.mark.parametrize('name, limit', limits().items())
def test_losses_overflow_where_the_table_says(name, limit, dtype):
  if dtype == 'float16':
    limit = {80: 10, 6e18: 80, 8e37: 1.6e4}[limit]
  loss = losses.LOSSES[name]
  if loss.output == 'features':
    return  # bounded by the kernel
  wrap = lambda x: x
  if loss.output == 'scores':
    wrap = lambda x: networks.DiscriminatorOutput(x, x[:, None])

  def values_and_gradients(r, f):
    found = []
    for player in ('discriminator', 'generator'):
      call = lambda r, f, player=player: losses.player_loss(
        loss, player, wrap(r), wrap(f), None
      )
      value, pullback = jax.vjp(call, r, f)
      found += [value, *pullback(jnp.ones_like(value))]
    return found

  if loss.output == 'logits':
    # A mean of features is squared as a sum if compiled, and overflows earlier.
    values_and_gradients = jax.jit(values_and_gradients)
  found = []
  for size in (limit, 4 * limit):
    values = []
    for r, f in ((size, size), (size, -size), (-size, size), (-size, -size)):
      values += values_and_gradients(np.full(2, r, dtype), np.full(2, f, dtype))
    found.append(all(np.isfinite(x).all() for x in values))
  assert found == [True, False]


@pytest.mark.parametrize('name', training.PENALTIES)
def test_players_of_penalties(name):
  _, player, _, weight, _ = TABLES['Penalties and regularizers'][name]
  assert player == training.PENALTIES[name].player
  assert float(weight) > 0


def test_papers_are_cited_in_the_code():
  source = '\n'.join(
    path.read_text() for path in (ROOT / 'gan_jax').rglob('*.py')
  )
  for number in set(re.findall(r'arxiv.org/abs/([\d.]+)\)', TEXT)):
    assert f'arxiv.org/abs/{number}' in source, number


def test_all_scores_are_documented():
  text = (ROOT / 'docs' / 'scores.md').read_text()
  rows = [line for line in text.splitlines() if line.startswith('| `')]
  named = lambda names: [
    row for row in rows if any(f'`{n}`' in row.split('|')[1] for n in names)
  ]
  for name in evaluation.METRICS:
    assert len(named([name])) == 1, name
  assert len(named(feature_extractors.FEATURE_EXTRACTORS)) == len(
    feature_extractors.FEATURE_EXTRACTORS
  )
  assert len(named(preprocess.PREPROCESSORS)) == len(preprocess.PREPROCESSORS)


def test_example_of_scores_runs(capsys):
  text = (ROOT / 'docs' / 'scores.md').read_text()
  (example,) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
  exec(compile(example, 'scores.md', 'exec'), {})
  assert 'coverage' in capsys.readouterr().out


def commands():
  """Yields the arguments of each command in the documents that trains."""
  for path in [ROOT / 'README.md', *sorted(ROOT.glob('docs/*.md'))]:
    blocks = re.findall(r'```sh\n(.*?)```', path.read_text(), re.DOTALL)
    for line in '\n'.join(blocks).replace('\\\n', ' ').splitlines():
      match = re.search(r'(?:^|\s)(?:python train\.py|gan-jax train)(.*)', line)
      if match:
        words = shlex.split(match[1], comments=True)
        yield [word.rstrip(';') for word in words if word.startswith('--')]


@pytest.mark.parametrize('arguments', list(commands()), ids=' '.join)
def test_commands_of_the_documents_resolve(arguments):
  """The config of a command is valid, and every field exists."""
  options = dict(a.removeprefix('--').partition('=')[::2] for a in arguments)
  named = options.pop('config', 'digits')
  path = ROOT / named if named.startswith('configs/') else named
  mapping = config_file.load_config(path).to_dict()
  leaves = config_lib.flatten(mapping)
  typed = []
  for option, text in options.items():
    if option.startswith('config.'):
      *sections, name = option.split('.')[1:]
      typed.append(option.removeprefix('config.'))
      kind = type(leaves[typed[-1]])
      section = functools.reduce(operator.getitem, sections, mapping)
      if kind in (tuple, list):
        section[name] = tuple(text.split(','))
      else:
        section[name] = text == 'True' if kind is bool else kind(text)
  config_lib.resolve(mapping, typed)
