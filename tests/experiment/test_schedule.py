"""Tests of the actions that are due after a step."""

import pytest

from gan_jax import config as config_lib
from gan_jax.experiment import schedule


@pytest.mark.parametrize(
  ('step', 'stopping', 'expected'),
  [
    (1, False, ''),
    (1, True, 'log checkpoint'),
    (10, False, 'log'),
    (15, False, 'checkpoint'),
    (20, False, 'log checkpoint evaluate'),
    (20, True, 'log checkpoint'),
    (25, False, 'sample'),
    (60, False, 'log checkpoint evaluate'),
    (61, False, 'log checkpoint sample'),
  ],
)
def test_what_is_due(step, stopping, expected):
  config = config_lib.resolve(
    {
      'num_steps': 61,
      'log_every': 10,
      'checkpoint_every': 15,
      'sample_every': 25,
      'eval_every': 20,
    }
  )
  now = schedule.actions_at(config, step, stopping)
  named = [name for name, is_due in now._asdict().items() if is_due]
  assert ' '.join(named) == expected
  assert now.any_io == bool(set(named) - {'log'})


def test_what_is_due_at_the_end_alone():
  config = config_lib.resolve(
    {
      'num_steps': 200,
      'checkpoint_every': 0,
      'sample_every': 0,
    }
  )
  assert schedule.actions_at(config, 100) == (True, False, False, False)
  assert schedule.actions_at(config, 200) == (True, True, True, False)
