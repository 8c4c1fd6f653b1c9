"""Many runs in one program, and what is read of runs on disk."""

import numpy as np
import pytest

from tests.helpers import api

STEPS = 5
CREW = {
  'num_steps': 20,
  'batch_size': 8,
  'num_devices': 1,
  'latent_dim': 3,
  'generator.name': 'mlp',
  'generator.features': (8,),
  'generator.norm': 'none',
  'discriminator.name': 'mlp',
  'discriminator.features': (8,),
  'discriminator.activation': 'tanh',
  'penalties.r1.weight': 0.1,
  'ensemble.seeds': 2,
  'ensemble.sweep': (
    'g_optimizer.learning_rate=1e-3,1e-2; penalties.r1.weight=0.1,1'
  ),
}
LAST = 7


def source():
  points = 1 + np.random.default_rng(0).normal(size=(40, 2))
  return api.array_source(points.astype(np.float32))


@pytest.mark.parametrize('way', ['vmap', 'map'])
@pytest.mark.slow
def test_members(golden, way, tmp_path):
  crew = api.build_team(CREW, source())
  now, metrics = api.run_team(crew, STEPS, way)
  for index in (0, LAST):
    one, found = api.member(now, metrics, index)
    name = f'member {index} by {way}'
    golden('runs').state(name, api.state_leaves(one), found)
  if way == 'map':
    one = api.extracted_member(crew, now, LAST, tmp_path)
    golden('runs').state('extracted', api.state_leaves(one), {})


def test_points_of_members(golden):
  crew = api.build_team(CREW, source())
  golden('runs').exact('points', api.member_points(crew))


def test_which_checkpoint_is_read(golden, tmp_path):
  alone = {k: v for k, v in CREW.items() if not k.startswith('ensemble')}
  built = api.build(alone, source())
  start = api.initial_state(built, 1)
  found = api.restored_steps(built, start, tmp_path)
  golden('runs').exact('checkpoints', found)


def test_no_record_is_left_over(golden):
  members = [f'member {i} by {w}' for i in (0, LAST) for w in ('vmap', 'map')]
  golden('runs').names([*members, 'extracted', 'points', 'checkpoints'])
