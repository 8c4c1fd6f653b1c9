"""Warnings of a run that is shortened on the command line."""

import pytest

from gan_jax import config as config_lib


def warnings_of(recwarn, num_steps, **options):
  config = config_lib.resolve({'num_steps': num_steps, **options})
  config_lib.warn_if_shortened(config, 30_000)
  return [str(w.message) for w in recwarn]


@pytest.mark.filterwarnings('always')
@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (
      {'ema_decay': 0.9995},
      'num_steps=3000, and 30000 in the config file: with ema_decay=0.9995, 22% '
      'of the average of the generator, which is scored, are still the weights '
      'that it starts from; ema_decay=0.995 is as fast in proportion',
    ),
    (
      {'ema_half_life': 64_000.0, 'batch_size': 64},
      'num_steps=3000, and 30000 in the config file: with ema_half_life=64000, '
      '12% of the average of the generator, which is scored, are still the '
      'weights that it starts from; ema_half_life=6.4e+03 is as fast in proportion',
    ),
    (
      {'schedules': 'd_optimizer.learning_rate=linear(1e-3, 0, steps=40000)'},
      'num_steps=3000, and 30000 in the config file: the schedule of '
      'd_optimizer.learning_rate takes 40000 steps and comes to 8% of its way; '
      'give it steps in proportion',
    ),
  ],
)
def test_what_cannot_follow(recwarn, options, message):
  assert warnings_of(recwarn, 3000, **options) == [message]


@pytest.mark.parametrize(
  ('num_steps', 'options'),
  [
    (3000, {'ema_decay': 0.99}),
    (3000, {'ema_decay': 0.0}),
    (3000, {'schedules': 'd_optimizer.learning_rate=linear(1e-3, 0)'}),
    (
      3000,
      {'schedules': 'ema_decay=linear(0.9, 0.9999, steps=3000)'},
    ),
    (30_000, {'ema_decay': 0.99999}),
    (60_000, {'ema_decay': 0.99999}),
  ],
)
def test_no_warning(recwarn, num_steps, options):
  assert warnings_of(recwarn, num_steps, **options) == []
