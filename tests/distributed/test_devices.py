"""One step, however it is run."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import collectives, distributed, networks, pixels, prng, training
from gan_jax.distributed import devices as devices_lib
from gan_jax.models import dcgan
from gan_jax.training import gan as gan_lib
from tests.helpers import tiny

needs_four = pytest.mark.skipif(
  jax.local_device_count() < 4,
  reason='needs 4 devices: JAX_PLATFORMS=cpu python -m pytest',
)


def run(way, gan, batch, count=3, **options):
  """Runs a train step some times; the final state and the last metrics."""
  now, key = tiny.init(gan), jax.random.key(3)
  if way == 'jit':
    step = jax.jit(training.make_train_step(gan, **options))
  else:
    step = training.make_train_step(
      gan, axis_name=devices_lib.AXIS_NAME, **options
    )
    if way == 'vmap':
      step = jax.jit(distributed.emulate_devices(step, 4))
    else:
      devices = devices_lib.local_devices(1 if way == 'pmap-1' else 4)
      backend = way.split('-')[0]
      runner = distributed.parallelize_step(step, devices, backend=backend)
      step, batch = runner.step, runner.put_batch(batch)
      now, key = runner.put(now), runner.put(key)
  for _ in range(count):
    now, metrics = step(now, batch, key)
  return jax.device_get((now, metrics))


@needs_four
@pytest.mark.parametrize('way', ['vmap', 'pmap', 'shard_map', 'pmap-1'])
def test_all_ways_agree_with_jit(way):
  # SGD: Adam would make much of the rounding. Batch norm is in G.
  gan, batch = tiny.gan(), tiny.batch(2)
  options = dict(d_steps=2)
  expected = run('jit', gan, batch, **options)
  chex.assert_trees_all_close(
    run(way, gan, batch, **options), expected, rtol=1e-5, atol=2e-6
  )


@needs_four
@pytest.mark.parametrize('way', ['vmap', 'pmap', 'shard_map'])
def test_micro_batches_on_several_devices(way):
  gan, batch = tiny.gan(norm='none'), tiny.batch(1)
  chex.assert_trees_all_close(
    run(way, gan, batch, micro_batches=2),
    run('jit', gan, batch),
    rtol=1e-5,
    atol=2e-6,
  )


@needs_four
def test_dcgan_on_four_devices_is_that_on_one():
  g = dcgan.Generator(shape=(8, 8, 1), width=4)
  d = dcgan.Discriminator(width=4)
  gan = gan_lib.dataclasses.replace(
    tiny.gan(),
    generator=networks.from_linen(g),
    discriminator=networks.from_linen(d),
  )
  x = jax.random.normal(jax.random.key(0), (1, 16, 8, 8, 1)) / 2
  start = pixels.to_float(x[0])

  def final(way):
    before = training.init_state(
      gan, jax.random.key(1), {'x': start}, tiny.HYPER
    )
    key = jax.random.key(3)
    if way == 'jit':
      return jax.jit(training.make_train_step(gan))(before, {'x': x}, key)
    step = training.make_train_step(gan, axis_name=devices_lib.AXIS_NAME)
    r = distributed.parallelize_step(
      step, devices_lib.local_devices(4), backend=way
    )
    return r.step(r.put(before), r.put_batch({'x': x}), r.put(key))

  expected = jax.device_get(final('jit'))
  for way in devices_lib.BACKENDS:
    chex.assert_trees_all_close(
      jax.device_get(final(way)), expected, rtol=1e-4, atol=1e-5
    )


@needs_four
def test_the_step_is_traced_once_and_moves_nothing():
  gan = tiny.gan()
  for backend in devices_lib.BACKENDS:
    chex.clear_trace_counter()
    step = training.make_train_step(gan, axis_name=devices_lib.AXIS_NAME)
    step = chex.assert_max_traces(step, n=1)
    r = distributed.parallelize_step(
      step, devices_lib.local_devices(), backend=backend
    )
    now, key = r.put(tiny.init(gan)), r.put(jax.random.key(0))
    batch = r.put_batch(tiny.batch(1))
    with jax.transfer_guard('disallow'):
      for _ in range(3):
        now, metrics = r.step(now, batch, key)
    assert metrics['d_loss'].sharding.is_fully_replicated


def test_emulation_catches_a_forgotten_mean():
  forgetful = lambda state, batch, key: (state + batch.sum(), {})
  with pytest.raises(ValueError):
    distributed.emulate_devices(forgetful, 2, batch_axis=0)(
      jnp.zeros(()), jnp.arange(4.0), jax.random.key(0)
    )


def test_devices_draw_different_latents_and_those_of_one():
  def draw(_, batch, key):
    indices = collectives.global_example_indices(
      len(batch), devices_lib.AXIS_NAME
    )
    z = prng.sample_normal(prng.per_example_keys(key, indices), 3)
    return jax.lax.all_gather(z, devices_lib.AXIS_NAME, tiled=True), {}

  key = jax.random.key(0)
  many, _ = jax.vmap(
    draw,
    axis_name=devices_lib.AXIS_NAME,
    in_axes=(None, 0, None),
    out_axes=(None, None),
  )(0, jnp.zeros((4, 2)), key)
  assert len(np.unique(many, axis=0)) == 8
  one = prng.sample_normal(
    prng.per_example_keys(key, collectives.global_example_indices(8)), 3
  )
  np.testing.assert_allclose(many, one, atol=1e-6)


def test_mean_over_leaves_integers_alone():
  tree = {'count': jnp.array([1, 2]), 'x': jnp.array([1.0, 3.0])}
  out = jax.vmap(lambda t: collectives.pmean_floats(t, 'i'), axis_name='i')(
    tree
  )
  np.testing.assert_array_equal(out['count'], [1, 2])
  np.testing.assert_array_equal(out['x'], [2.0, 2.0])


def test_batch_that_does_not_divide():
  with pytest.raises(ValueError, match=r'batch_size=30 .*\b4\b.* 28 and 32'):
    devices_lib.check_divisible(30, 4)
  with pytest.raises(ValueError, match='batch_size=3 .* nearest .* 4$'):
    devices_lib.check_divisible(3, 4)
  with pytest.raises(ValueError, match='batch_size=30'):
    devices_lib.split_batch(np.zeros((1, 30, 2)), 4)


def test_more_devices_than_there_are():
  count = jax.local_device_count()
  with pytest.raises(ValueError, match=f'num_devices=99: .*has {count} '):
    devices_lib.local_devices(99)


def test_unknown_backend():
  with pytest.raises(ValueError, match="choose one of .*'pmap', 'shard_map'"):
    distributed.parallelize_step(
      lambda *a: a, jax.local_devices(), backend='xmap'
    )


def test_members_are_scanned_a_few_at_a_time():
  """Three members on each device, two in a call: the second repeats one."""
  double = lambda members, shared: {'x': members['x'] * shared}
  scan = devices_lib.scan_members(double, jax.local_devices()[:2], 2)
  members = {'x': jnp.arange(6.0)}
  calls = list(scan(members, jnp.float32(10)))
  assert [places.tolist() for _, places in calls] == [[0, 1, 3, 4], [2, 5]]
  for found, places in calls:
    np.testing.assert_array_equal(found['x'], 10.0 * places)
