"""Steps that are not taken where something would not be finite."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import distributed, training
from gan_jax.distributed import devices
from gan_jax.training import nonfinite
from tests.helpers import tiny


def poisoned(step, bad):
  """A step whose metrics, or state, are not finite at some steps."""

  def poison(state, batch, key):
    new, metrics = step(state, batch, key)
    is_bad = jnp.isin(state.step, jnp.array(bad))
    hparams = {n: jnp.where(is_bad, jnp.inf, x) for n, x in new.hparams.items()}
    return new.replace(hparams=hparams), metrics

  poison.axis_name = getattr(step, 'axis_name', None)
  return poison


def test_a_skipped_update_leaves_all_but_the_number_of_the_step():
  gan, batch, key = tiny.gan(), tiny.batch(1), jax.random.key(3)
  plain = training.make_train_step(gan)
  step = jax.jit(nonfinite.skip_nonfinite(poisoned(plain, [1])))
  first, metrics = step(tiny.init(gan), batch, key)
  assert metrics['skipped'] == 0 and metrics['d_loss'] > 0
  second, metrics = step(first, batch, key)
  assert metrics['skipped'] == 1 and metrics['d_loss'] == 0
  assert second.step == 2
  chex.assert_trees_all_equal(second.replace(step=first.step), first)
  third, metrics = step(second, batch, key)
  assert metrics['skipped'] == 0 and third.step == 3
  expected, _ = jax.jit(plain)(second, batch, key)
  chex.assert_trees_all_close(third, expected, rtol=1e-6)


def test_nothing_is_skipped_that_is_finite():
  gan, batch, key = tiny.gan(), tiny.batch(1), jax.random.key(3)
  plain = jax.jit(training.make_train_step(gan))
  guarded = jax.jit(nonfinite.skip_nonfinite(training.make_train_step(gan)))
  now, other = tiny.init(gan), tiny.init(gan)
  for _ in range(3):
    now, _ = plain(now, batch, key)
    other, _ = guarded(other, batch, key)
  chex.assert_trees_all_close(now, other, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(
  jax.local_device_count() < 4,
  reason='needs 4 devices: JAX_PLATFORMS=cpu python -m pytest',
)
def test_all_devices_skip_where_one_has_bad_data():
  gan, batch = tiny.gan(norm='none'), tiny.batch(1)
  batch['x'] = batch['x'].at[0, 13].set(jnp.nan)  # of the last device alone
  step = nonfinite.skip_nonfinite(
    training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  )
  for backend in devices.BACKENDS:
    placed = distributed.parallelize_step(
      step, devices.local_devices(4), backend=backend
    )
    before = tiny.init(gan)
    kept = jax.device_get(before)
    now, metrics = placed.step(
      placed.put(before),
      placed.put_batch(batch),
      placed.put(jax.random.key(0)),
    )
    assert metrics['skipped'] == 1
    chex.assert_trees_all_equal(
      jax.device_get(now), kept.replace(step=np.int32(1))
    )
