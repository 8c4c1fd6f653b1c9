"""Configs mean what the same settings meant to the old parser."""

import dataclasses
import importlib
import math
import warnings

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gan_jax import (
  assemble,
  data,
  experiment,
  metrics,
  settings,
  sweep,
  team,
)
from gan_jax import config as config_lib
from gan_jax.config import augment, evaluation, networks, optimizers
from gan_jax.config.schema import Ensemble
from tests.config import old_layout
from tests.config.combinations import ACCEPTED, POINTS, REFUSED
from tests.fuzzing import fuzz

VARIANTS = [
  (name, variant)
  for name in (
    *('cifar10', 'd2l_gaussian', 'digits', 'fashion_mnist', 'folder', 'grid'),
    *('mnist', 'ring', 'stacked_mnist'),
  )
  for variant in ('', 'test', 'short', 'rpgan')
  if variant in ('', 'test')
  or name in ('ring', 'grid')
  or (name, variant) == ('stacked_mnist', 'rpgan')
]


def next_config(name, variant=''):
  """Returns a config file on the new schema, as a nested dict."""
  module = importlib.import_module(f'configs_next.{name}')
  return module.get_config(variant).to_dict()


def shape_of(config):
  options = config.data.options
  if not hasattr(options, 'channels') and config.data.name != 'stacked_mnist':
    return (2,)
  return (options.size, options.size, getattr(options, 'channels', 3))


def build_old(mapping, shape):
  """Returns the old parser's settings filled in, and hyper-parameters."""
  chosen = settings.parse(old_layout.old_mapping(mapping))
  chosen = dataclasses.replace(chosen, data=data.source_options(chosen.data))
  gan, hyper, filled = assemble.build_gan(chosen, shape)
  assemble.make_step(gan, filled, 'batch')
  return filled, hyper


def check_same(config, filled, hyper):
  """Compares a config with old settings leaf by leaf, and what sweeps."""
  expected = settings.flatten(settings.as_mapping(filled))
  assert settings.flatten(old_layout.filled_in(config)) == expected
  assert old_layout.hyper(config) == pytest.approx(hyper, rel=1e-12)


@pytest.mark.filterwarnings('ignore:the penalty .* is defined for each')
@pytest.mark.parametrize(('name', 'variant'), VARIANTS)
def test_config_files_mean_the_same(name, variant):
  mapping = next_config(name, variant)
  config = config_lib.resolve(mapping)
  filled, hyper = build_old(mapping, shape_of(config))
  check_same(config, filled, hyper)

  module = importlib.import_module(f'configs.{name}')
  old = settings.parse(module.get_config(variant).to_dict())
  old = dataclasses.replace(old, data=data.source_options(old.data))
  _, old_hyper, old_filled = assemble.build_gan(old, shape_of(config))
  check_same(config, old_filled, old_hyper)


SWEEPS = {
  'rates': (
    'd2l_gaussian',
    'd_optimizer.learning_rate=geomspace(0.001,1,7);'
    'g_optimizer.learning_rate=geomspace(0.0003,0.3,7)',
  ),
  'two at once': (
    'ring:rpgan',
    'penalties.r1.weight+penalties.r2.weight=logspace(-3,0,4); '
    'd_optimizer.adam.b2=0.9,0.99',
  ),
  'renamed': ('grid', 'penalties.zero_centered.weight=0.1,1'),
  'absent from the base': ('digits', 'penalties.wgan_lp.weight=1,10'),
  'options of a penalty': ('digits', 'penalties.r1.weight=0.1; ema_decay=0,1'),
  'smoothing': ('digits', 'label_smoothing=linspace(0.1,0.2,3)'),
}


@pytest.mark.parametrize('case', SWEEPS)
def test_members_of_sweeps_mean_the_same(case):
  (name, _, variant), text = SWEEPS[case][0].partition(':'), SWEEPS[case][1]
  mapping = next_config(name, variant)
  mapping['ensemble'].update(seeds=2, sweep=text)
  config = config_lib.resolve(mapping)
  filled, _ = build_old(mapping, shape_of(config))
  alone = dataclasses.replace(config, ensemble=Ensemble())
  old_members = sweep.members(filled)
  assert len(old_members) > 2
  names = config_lib.swept_names(text)
  for member in old_members:
    point = {name: member.point[old_layout.old_leaf(name)] for name in names}
    new = config_lib.with_values(alone, {**point, 'seed': member.settings.seed})
    _, hyper, old = assemble.build_gan(member.settings, shape_of(config))
    check_same(new, old, hyper)


# ------------------------------------------------------------ random configs

BASES = ('d2l_gaussian', 'ring', 'grid', 'digits')
NAMES = {
  'loss': list(config_lib.LOSSES),
  'augment.name': list(augment.AUGMENTS),
  'data.name': ['gaussian', 'ring', 'grid', 'digits'],
  'generator.name': list(networks.MODELS),
  'discriminator.name': list(networks.MODELS),
  'g_optimizer.name': list(optimizers.OPTIMIZERS),
  'd_optimizer.name': list(optimizers.OPTIMIZERS),
  'g_optimizer.schedule': list(optimizers.SCHEDULES),
  'd_optimizer.schedule': list(optimizers.SCHEDULES),
  'update_rule': list(optimizers.UPDATE_RULES),
  'parallel': ['pmap', 'shard_map'],
  'compute_dtype': ['float32', 'bfloat16'],
  'loss_reduction': ['mean', 'sum'],
  'nonfinite': ['halt', 'skip', 'rollback'],
  'eval.metrics': [*metrics.METRICS, 'nn,kd'],
}
INTEGERS = (0, -1, 1, 2, 3, 4, 8, 64)
FLOATS = (0.0, -1.0, 0.5, 1.0, 2.0, 1e-30, 1e30, math.inf, -math.inf, math.nan)
TUPLES = ((), (8,), (4, 4, 4), (0,), (-1,), (1.5,), ('a',), (True,), (None,))
WRONG = (None, 'nope', [], {}, (1, 2), 1.5, 10**10)
# Leaves that change nothing before a run starts, or take arrays to check.
SKIPPED = (
  *('num_devices', 'resident_mb', 'ensemble.sweep', 'ensemble.seeds'),
  *('eval.feature_weights', 'eval.features'),
)


def base(name):
  mapping = next_config(name, 'test')
  for source in ('gaussian', 'ring', 'grid'):
    mapping['data'][source]['size'] = 100
  return mapping


LEAVES = {
  leaf: value
  for leaf, value in config_lib.flatten(config_lib.defaults()).items()
  if leaf not in SKIPPED
}
_USUAL = [leaf for leaf in LEAVES if not leaf.startswith(('penalties', 'data'))]


def values(leaf, default):
  """Draws values for a leaf: in range, out of it, and of other types."""
  if leaf in NAMES:
    return st.sampled_from([*NAMES[leaf], 'nope'])
  if isinstance(default, bool):
    good = st.booleans()
  elif isinstance(default, int):
    good = st.sampled_from(INTEGERS)
  elif isinstance(default, float):
    good = st.sampled_from(FLOATS)
  elif isinstance(default, list):
    good = st.sampled_from(TUPLES)
  else:
    good = st.sampled_from(['', 'nope', 'none', 'batch', 'spectral', 'test'])
  return st.one_of(good, good, good, good, st.sampled_from(WRONG))


@st.composite
def cases(draw):
  leaves = draw(
    st.lists(
      st.one_of(
        st.sampled_from(sorted(NAMES)),
        st.sampled_from(_USUAL),
        st.sampled_from(sorted(LEAVES)),
      ),
      min_size=1,
      max_size=5,
    )
  )
  changed = {leaf: draw(values(leaf, LEAVES[leaf])) for leaf in leaves}
  return draw(st.sampled_from(BASES)), changed


def set_leaf(mapping, leaf, value):
  *path, last = leaf.split('.')
  for name in path:
    mapping = mapping[name]
  mapping[last] = value


def has_effect(mapping, leaf):
  """Returns whether a leaf is of a part that a mapping chooses."""
  head, *path = leaf.split('.')
  if head == 'loss_options':
    return mapping['loss'] == path[0]
  if head == 'penalties':
    weight = mapping['penalties'][path[0]]['weight']
    return not isinstance(weight, float) or weight > 0 or path[1] == 'weight'
  return len(path) < 2 or mapping[head]['name'] == path[0]


def mapping_of(name, changed):
  mapping = base(name)
  for leaf, value in changed.items():
    set_leaf(mapping, leaf, value)
  unused = [leaf for leaf in changed if not has_effect(mapping, leaf)]
  for leaf in unused:
    set_leaf(mapping, leaf, config_lib.flatten(base(name))[leaf])
  return mapping


def is_stricter(mapping):
  """Returns whether a value is wrong that the old parser did not look at."""
  return mapping['eval']['protocol'] not in evaluation.PROTOCOLS or any(
    isinstance(steps := mapping[f'{player}_optimizer']['schedule_steps'], int)
    and steps < 0
    for player in 'gd'
  )


def refusal(function, *arguments):
  """Returns (result, None), or (None, the error) of a refusal."""
  try:
    return function(*arguments), None
  except ValueError as error:
    return None, error


def build_all(mapping):
  """Builds and traces the old experiment, and what scores it."""
  old = old_layout.old_mapping(mapping)
  scored, many = dict(old['eval']), mapping['ensemble']['seeds'] > 1
  if scored['metrics'] in ('fid', 'kid', 'is') and not scored['features']:
    scored['metrics'] = ''  # their weights may not be here
  build = team.build if many else experiment.build
  built = build({**old, 'eval': scored, 'num_devices': 1})
  (built.base if many else built).judge()


@fuzz(300)
@given(cases())
def test_random_configs_mean_the_same(case):
  mapping = mapping_of(*case)
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'the penalty .* is defined for each')
    config, refused = refusal(config_lib.resolve, mapping)
    shape = (2,) if config is None else shape_of(config)
    old, old_refused = refusal(build_old, mapping, shape)
    if refused is None:
      assert old_refused is None, old_refused
      check_same(config, *old)
    elif old_refused is None and not is_stricter(mapping):
      _, old_refused = refusal(build_all, mapping)
      assert old_refused is not None, refused


@fuzz(100)
@given(cases())
def test_errors_name_an_option_or_its_value(case):
  name, changed = case
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'the penalty .* is defined for each')
    config, refused = refusal(config_lib.resolve, mapping_of(name, changed))
  if config is None:
    words = [part for leaf in changed for part in leaf.split('.')]
    said = [*words, *map(str, changed.values())]
    assert any(word in str(refused) for word in said), refused
  else:
    written = config_lib.to_dict(config)
    with warnings.catch_warnings():
      warnings.filterwarnings('ignore', 'the penalty .* is defined for each')
      assert config_lib.to_dict(config_lib.resolve(written)) == written


@pytest.mark.filterwarnings('ignore:the penalty .* is defined for each')
@pytest.mark.parametrize('case', REFUSED)
def test_what_is_refused_was_refused(case):
  mapping = changed_points(REFUSED[case][0])
  with pytest.raises(ValueError):
    build_old(mapping, (2,))
    build_all(mapping)


@pytest.mark.parametrize('case', ACCEPTED)
def test_what_is_accepted_was_accepted(case):
  build_all(changed_points(ACCEPTED[case]))


def changed_points(changes):
  mapping = config_lib.defaults()
  for leaf, value in _set_leaves({**POINTS, **changes}).items():
    set_leaf(mapping, leaf, value)
  return mapping


def _set_leaves(mapping, prefix=''):
  leaves = {}
  for name, value in mapping.items():
    if isinstance(value, dict):
      leaves |= _set_leaves(value, f'{prefix}{name}.')
    else:
      leaves[prefix + name] = value
  return leaves
