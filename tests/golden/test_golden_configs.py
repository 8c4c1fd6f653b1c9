"""Every config and variant: its settings, and five shrunken train steps.

That 3 steps, a checkpoint and 2 more are 5 is tested by tests/experiment/test_configs.py,
and not here.
"""

import numpy as np
import pytest

from tests.helpers import api

CONFIGS = api.configs()
STEPS = 5
# The start of these is of order 1; of the others it is 0.02, where all that a
# game is made of is still linear.
HE_NORMAL = ('ring', 'grid')
# A bias that batch norm takes away again has a gradient of rounding alone, of
# which Adam makes a whole step; the means of the norm take that up.
BEFORE_BATCH_NORM = (
  r'^(generator|average)/'
  r'(params|optimizer/0/..|stats)/.*(dense_[0-3]/bias|batch_norm_0/mean)'
)


def label(config, variant):
  return f'{config}:{variant}' if variant else config


def stand_in(shape):
  """Examples of a shape: pictures, or points."""
  # By other seeds some unit may be so near a kink that rounding decides.
  rng = np.random.default_rng(1 if len(shape) == 3 else 0)
  if len(shape) == 3:
    return api.array_source(rng.integers(0, 256, (40, *shape), np.uint8))
  return api.array_source(rng.normal(size=(40, *shape)).astype(np.float32))


def shrunken(config, variant):
  """The config on tiny networks and batches, all else as it is."""
  chosen = api.config_settings(config, variant)
  for player in ('generator', 'discriminator'):
    if f'{player}.width' in chosen:
      chosen[f'{player}.width'] = 4
    if f'{player}.features' in chosen:
      depth = len(chosen[f'{player}.features'])
      chosen[f'{player}.features'] = (8,) * depth
  return chosen | {'batch_size': 8, 'num_devices': 1}


def trained(config, variant):
  chosen = shrunken(config, variant)
  built = api.build(chosen, stand_in(api.example_shape(chosen)))
  factor = 1 if config in HE_NORMAL else 6
  start = api.initial_state(built, factor)
  return (built, *api.run_steps(built, start, STEPS))


# ':test' differs from its config in the sizes alone that are shrunken here.
LONG = [(c, v) for c, v in CONFIGS if v != 'test']


@pytest.mark.parametrize(('config', 'variant'), LONG)
def test_numbers_of_five_steps(golden, config, variant):
  built, now, metrics = trained(config, variant)
  chosen = api.config_settings(config, variant)
  unsure = '$^'
  if chosen['generator.name'] == 'mlp' and chosen['generator.norm'] == 'batch':
    unsure = BEFORE_BATCH_NORM
  leaves = api.state_leaves(now)
  name = label(config, variant)
  golden('configs').state(name, leaves, metrics, unsure=unsure)
  if config == 'digits':
    # What is drawn for pictures and scores, of both kinds of weights.
    drawn = {
      weights: np.round(api.evaluation_samples(built, now, weights, 4), 7)
      for weights in ('average', 'raw')
    }
    golden('samples').numbers(name, drawn)


@pytest.mark.parametrize(('config', 'variant'), CONFIGS)
def test_settings(golden, config, variant):
  found = api.resolved_settings(config, variant)
  golden('settings').exact(label(config, variant), found)


def test_default_settings(golden):
  golden('settings').exact('defaults', api.default_settings())


def test_no_record_is_left_over(golden):
  golden('configs').names([label(*each) for each in LONG])
  golden('settings').names(['defaults', *(label(*each) for each in CONFIGS)])
  golden('samples').names(['digits'])
