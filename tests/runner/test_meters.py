"""Tests of the timer of train steps and the meters of metrics."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.runner import meters


@pytest.fixture
def now(monkeypatch):
  """Returns the time, in a list of one that a test may change."""
  seconds = [100.0]
  monkeypatch.setattr(meters.time, 'perf_counter', lambda: seconds[0])
  return seconds


def test_the_timer_leaves_out_pauses_and_unrecorded_steps(now):
  clock = meters.StepTimer()
  assert clock.rate == 0 and clock.rates == []
  clock.add(3)
  clock.add(5)
  now[0] += 2
  with clock.paused():
    now[0] += 50
  assert clock.seconds == 2 == clock.lap()
  clock.restart()
  clock.add(7)
  clock.restart()
  now[0] += 1
  assert clock.lap() == 1  # without a step there is no rate
  assert clock.rate == 4 and clock.rates == [4]


def test_a_window_is_measured_by_the_timer(now):
  class Feed:
    waited = property(lambda self: (now[0] - 100) / 10)

  log = meters.MetricMeter(8)
  log.reset(Feed())
  log.add(1, {'loss': jnp.ones(1)}, 1)
  now[0] += 3
  assert log.wait() == 3
  log.add(5, {'loss': jnp.arange(9.0)}, 4)
  now[0] += 1
  with log.paused():
    now[0] += 6
  now[0] += 1
  means = log.compute_and_reset()
  assert means['loss'] == pytest.approx((1 + 0 + 1 + 2 + 3) / 5)
  assert log.rates == [2.0] and log.rate == 2.0
  assert log.examples_per_second == means['examples_per_second'] == 16
  assert means['data_wait'] == pytest.approx(1.1 / 2)


def test_means_of_members_are_of_the_steps_that_were_taken(now):
  curves = meters.MemberMeter()
  curves.add(2, {'loss': jnp.array([[1.0, 2.0, 99], [3.0, 5.0, 99]])}, 2)
  curves.add(3, {'loss': jnp.array([[6.0, 99, 99], [jnp.nan, 99, 99]])}, 1)
  now[0] += 3
  np.testing.assert_array_equal(
    curves.compute_and_reset()['loss'], [3.0, np.nan]
  )
  for step in range(4, 7):  # the first is taken from the device early
    curves.add(step, {'loss': jnp.array([[step, 99.0], [1, 99]])}, 1)
  now[0] += 1
  np.testing.assert_array_equal(curves.compute_and_reset()['loss'], [5, 1])
  assert curves.rates == [1.0, 3.0]
  curves.add(7, {'loss': jnp.zeros((2, 3))}, 3)
  curves.reset(None)
  now[0] += 1
  curves.add(8, {'loss': jnp.ones((2, 3))}, 3)
  np.testing.assert_array_equal(curves.compute_and_reset()['loss'], [1, 1])


def test_skipped_steps_are_counted_and_in_no_mean():
  log = meters.MetricMeter(8)
  log.add(4, {'loss': jnp.arange(4.0), 'skipped': jnp.array([0, 1, 1, 0.0])}, 4)
  means = log.compute_and_reset()
  assert means['loss'] == 1.5 and means['skipped'] == 2
  log.add(6, {'loss': jnp.zeros(2), 'skipped': jnp.ones(2)}, 2)
  means = log.compute_and_reset()
  assert np.isnan(means['loss']) and means['skipped'] == 2
  for step in range(97):
    log.add(7 + step, {'loss': jnp.zeros(()), 'skipped': jnp.ones(())})
  log.compute_and_reset()
  log.add(104, {'loss': jnp.zeros(()), 'skipped': jnp.ones(())})
  with pytest.raises(meters.NonFiniteError, match=r'\b100 steps'):
    log.compute_and_reset()


def test_a_meter_that_is_reset_forgets_metrics_that_were_not_finite():
  class Feed:
    waited = 0.0

  log = meters.MetricMeter(8)
  log.add(1, {'loss': jnp.array(jnp.nan)}, 1)
  log.reset(Feed())
  log.add(1, {'loss': jnp.array(2.0)}, 1)
  assert log.compute_and_reset()['loss'] == 2
