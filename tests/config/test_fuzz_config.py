"""Configs with a few leaves changed at random run, or are refused clearly."""

import importlib
import math
import warnings

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given

from gan_jax import augment, experiment, losses, models, training
from gan_jax import config as config_lib
from tests.helpers.fuzzing import fuzz

pytestmark = pytest.mark.slow

BASES = ('d2l_gaussian', 'ring', 'grid', 'digits')
NAMES = {
  'loss': list(losses.LOSSES),
  'augment.name': ['none', *augment.AUGMENTS],
  'data.name': ['gaussian', 'ring', 'grid', 'digits', 'folder', 'tfds'],
  'generator.name': sorted(models.MODELS),
  'discriminator.name': sorted(models.MODELS),
  'g_optimizer.name': list(training.OPTIMIZERS),
  'd_optimizer.name': list(training.OPTIMIZERS),
  'update_rule': list(training.UPDATE_RULES),
  'parallel': ['pmap', 'shard_map'],
  'compute_dtype': ['float32', 'bfloat16'],
  'loss_reduction': ['mean', 'sum'],
}
# A larger one of these is a program that no test has the time for.
MOST = {'d_steps': 3, 'num_devices': 5, 'latent_dim': 64, 'packing': 8}
INTEGERS = (0, -1, 1, 2, 3, 4, 8, 64)
FLOATS = (0.0, -1.0, 0.5, 1.0, 2.0, 1e-30, 1e30, math.inf, -math.inf, math.nan)
TUPLES = ((), (8,), (4, 4, 4), (0,), (-1,), (1.5,), ('a',), (True,), (None,))
WRONG = (None, 'nope', [], {}, (1, 2), 1.5, 10**9)


def base(name):
  config = importlib.import_module(f'configs.{name}').get_config('test')
  mapping = config.to_dict()
  if name != 'digits':
    mapping['data'][mapping['data']['name']]['size'] = 100
  return mapping


LEAVES = {name: config_lib.flatten(base(name)) for name in BASES}
# Those of parts that are chosen, and the weights of all penalties.
CHOSEN = {
  name: sorted(
    {
      *config_lib.flatten(config_lib.to_dict(config_lib.resolve(base(name)))),
      *(f'penalties.{penalty}.weight' for penalty in training.PENALTIES),
    }
  )
  for name in BASES
}


def values(leaf, default):
  """Returns values for a leaf: in range, out of it, and of other types."""
  if leaf in NAMES:
    return st.sampled_from([*NAMES[leaf], '', 'nope'])
  size = leaf.startswith(('data.', 'generator.', 'discriminator.'))
  if isinstance(default, bool):
    good = st.booleans()
  elif isinstance(default, int):
    good = st.sampled_from([n for n in INTEGERS if n <= MOST.get(leaf, 64)])
  elif isinstance(default, float):
    good = st.sampled_from(FLOATS)
  elif isinstance(default, list):
    good = st.sampled_from(TUPLES)
  else:
    good = st.sampled_from(['', 'nope', 'none', 'batch', 'spectral', 'test'])
  wrong = WRONG[:-1] if size or leaf in MOST else WRONG
  return st.one_of(good, good, good, st.sampled_from(wrong))


@st.composite
def overrides(draw):
  name = draw(st.sampled_from(BASES))
  chosen = st.sampled_from(CHOSEN[name])
  every = st.sampled_from(sorted(LEAVES[name]))
  leaves = draw(
    st.lists(st.one_of(chosen, chosen, every), min_size=1, max_size=4)
  )
  return name, {
    leaf: draw(values(leaf, LEAVES[name][leaf])) for leaf in set(leaves)
  }


def changed(name, leaves):
  mapping = base(name)
  for leaf, value in leaves.items():
    *path, last = leaf.split('.')
    part = mapping
    for key in path:
      part = part.setdefault(key, {})
    part[last] = value
  return mapping


def build(name, leaves):
  """Builds, or returns None if the error names a leaf or its value."""
  try:
    with warnings.catch_warnings():
      warnings.filterwarnings('ignore', '.* is defined for each')
      return experiment.build(changed(name, leaves))
  except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
    message = str(error)
    words = [part for leaf in leaves for part in leaf.split('.')]
    words += map(str, leaves.values())
    assert any(word in message for word in words), message
    return None


def run(built):
  """Runs one train step; its metrics may be infinite or NaN."""
  placed = built.parallel_train_step()
  state = placed.put(built.init_state())
  with built.batches(0, placed.put_batch) as batches:
    state, metrics = placed.step(state, next(batches), placed.put(built.key))
  assert int(jax.device_get(state.step).reshape(-1)[0]) == 1
  for name, value in metrics.items():
    assert np.issubdtype(np.asarray(value).dtype, np.floating), name


@pytest.mark.parametrize(
  'name, leaf, value',
  [
    ('d2l_gaussian', 'd_optimizer.learning_rate', math.inf),
    ('d2l_gaussian', 'g_optimizer.adam.b1', 1.0),
    ('d2l_gaussian', 'g_optimizer.learning_rate', -3),
    ('d2l_gaussian', 'instance_noise.sigma', math.inf),
    ('d2l_gaussian', 'ema_half_life', math.inf),
    ('d2l_gaussian', 'data.gaussian.seed', -1),
    ('d2l_gaussian', 'augment.name', 'diff_augment'),
    ('d2l_gaussian', 'penalties.bcr.weight', 1.0),
    ('d2l_gaussian', 'discriminator.mlp.features', (1.5,)),
    ('d2l_gaussian', 'batch_size', 10**9),
    ('ring', 'generator.mlp.features', ('a',)),
    ('ring', 'generator.mlp.features', (-1,)),
    ('ring', 'data.ring.sigma', math.nan),
    ('grid', 'data.grid.spacing', math.inf),
    ('digits', 'generator.dcgan.width', 0),
  ],
)
def test_values_that_built_or_failed_unclearly_once(name, leaf, value):
  assert build(name, {leaf: value}) is None


@fuzz(25)
@given(overrides())
def test_a_config_builds_or_is_refused_clearly(case):
  build(*case)


@pytest.mark.slow
@fuzz(8)
@given(overrides())
def test_a_config_that_builds_runs(case):
  built = build(*case)
  if built is not None:
    run(built)
