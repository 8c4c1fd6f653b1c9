"""Many steps in one program: the same bits as one at a time."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import experiment, shuffle, training
from gan_jax.data import device_feed
from gan_jax.distributed import devices
from gan_jax.experiment import program as program_lib
from gan_jax.training import fused

TOY = {
  'data': {'name': 'gaussian', 'gaussian': {'size': 50}},
  'generator': {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'batch'}},
  'discriminator': {
    'name': 'mlp',
    'mlp': {'features': (8,), 'activation': 'tanh'},
  },
  'batch_size': 8,
  'latent_dim': 2,
  'log_every': 10,
}
IMAGES = {
  'data': {'name': 'digits', 'digits': {'size': 8}},
  'generator': {'name': 'dcgan', 'dcgan': {'width': 4}},
  'discriminator': {'name': 'dcgan', 'dcgan': {'width': 4, 'norm': 'none'}},
  'penalties': {'r1': {'weight': 0.1, 'every': 2}},
  'batch_size': 8,
  'latent_dim': 4,
}


def build(mapping=TOY, **more):
  return experiment.build({'num_devices': 1, **mapping, **more})


def train(built, calls, *, program=None):
  """The state after calls of so many steps each, and the metrics of all."""
  program = program or built.program()
  now, streams = program.put(built.init_state()), program.put(built.streams)
  rows, step = [], 0
  with program.feed(0) as feed:
    for count in calls:
      examples, count = feed.take(step, count, lambda: None)
      now, metrics = program.run(now, examples, streams, np.int32(count))
      rows.append({k: np.asarray(v)[:count] for k, v in metrics.items()})
      step += count
  joined = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
  return jax.device_get(now), joined


def loop(built, count):
  """As many steps by the plain loop: one compiled step, batches by host."""
  runner = built.parallel_train_step()
  now, key = runner.put(built.init_state()), runner.put(built.key)
  rows = []
  with built.batches(put=runner.put_batch) as batches:
    for _ in range(count):
      now, metrics = runner.step(now, next(batches), key)
      rows.append(jax.device_get(metrics))
  return jax.device_get(now), {
    k: np.stack([r[k] for r in rows]) for k in rows[0]
  }


@pytest.mark.parametrize('mapping', [TOY, IMAGES], ids=['toy', 'images'])
@pytest.mark.parametrize('d_steps', [1, 2])
def test_any_split_into_calls_gives_the_same_bits(mapping, d_steps):
  built = build(mapping, d_steps=d_steps)
  program = built.program()
  now, metrics = train(built, [7], program=program)
  for calls in ([1] * 7, [3, 4], [6, 1]):
    again, rows = train(built, calls, program=program)
    chex.assert_trees_all_equal(again, now)
    chex.assert_trees_all_equal(rows, metrics)
  assert int(now.step) == 7


@pytest.mark.parametrize(
  'mapping',
  [pytest.param(TOY, id='toy'), pytest.param(IMAGES, marks=pytest.mark.slow)],
)
def test_blocks_of_steps_give_the_same_bits(mapping):
  built = build(mapping)
  now, metrics = train(built, [7])
  with mock.patch.object(jax, 'default_backend', lambda: 'gpu'):
    assert program_lib.choose_block(10) == 10
    assert program_lib.choose_block(1000) == 20
  with mock.patch.object(program_lib, 'choose_block', lambda max_steps: 3):
    program = built.program()
  for calls in ([7], [2, 5]):
    again, rows = train(built, calls, program=program)
    chex.assert_trees_all_equal(again, now)
    chex.assert_trees_all_equal(rows, metrics)


@pytest.mark.parametrize('mapping', [TOY, IMAGES], ids=['toy', 'images'])
def test_the_program_and_the_loop_agree(mapping):
  """To rounding: XLA compiles the body of a loop by itself.

  By SGD: Adam makes steps of the rounding in gradients that are zero.
  """
  sgd = {'name': 'sgd', 'learning_rate': 0.05}
  built = build(mapping, d_steps=2, g_optimizer=sgd, d_optimizer=sgd)
  now, metrics = train(built, [5])
  same, rows = loop(built, 5)
  chex.assert_trees_all_close(metrics, rows, rtol=1e-4, atol=1e-5)
  chex.assert_trees_all_close(
    now.generator.params, same.generator.params, atol=2e-4
  )


def test_streamed_chunks_and_the_resident_set_agree():
  resident = build(steps_per_call=4)
  streamed = build(steps_per_call=4, resident_mb=0)
  assert isinstance(resident.program().feed(0), device_feed.ResidentFeed)
  now, _ = train(resident, [4, 4, 2])
  # Chunks end where something is due: at 10, of which 4 + 4 + 2.
  same, _ = train(streamed, [4, 4, 4])
  assert int(same.step) == 10
  chex.assert_trees_all_close(now, same, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('backend', devices.BACKENDS)
@pytest.mark.parametrize('resident_mb', [0, 1], ids=['streamed', 'resident'])
@pytest.mark.slow
def test_four_devices_are_one(backend, resident_mb):
  sgd = {'name': 'sgd', 'learning_rate': 0.05}
  options = dict(
    g_optimizer=sgd, d_optimizer=sgd, resident_mb=resident_mb, parallel=backend
  )
  one, _ = train(build(**options, steps_per_call=3), [3, 3])
  four, _ = train(build(**options, steps_per_call=3, num_devices=4), [3, 3])
  chex.assert_trees_all_close(one, four, atol=2e-6)


def test_indices_on_the_device_are_those_of_the_host():
  batch_fn = fused.gather_batch(50, 8, d_steps=2)
  feed = {'x': jnp.arange(50)}
  for first in (0, 3, 1000):
    batch_at = batch_fn(feed, jnp.int32(first), jnp.uint32(7), 4)
    for step in (first, first + 3):
      batch = batch_at(jnp.int32(step), jnp.int32(0))
      host = [shuffle.batch_indices(7, 2 * step + i, 50, 8) for i in range(2)]
      np.testing.assert_array_equal(batch['x'], np.stack(host))


def test_the_seed_of_the_order_wraps_as_on_the_host():
  streams = fused.make_streams(2**32 + 3)
  device = shuffle.batch_indices(streams.seed, jnp.int32(1), 50, 8, jnp)
  np.testing.assert_array_equal(
    device, shuffle.batch_indices(2**32 + 3, 1, 50, 8)
  )


def test_one_program_and_one_call_for_many_steps():
  """The host calls the program once, and it is traced once."""
  built, traces = build(), []

  def counted(state, batch, key):
    traces.append(batch['x'].shape)
    return built.train_step(state, batch, key)

  program = program_lib.make_train_program(
    counted, built.train, built.config, built.devices
  )
  now, streams = program.put(built.init_state()), program.put(built.streams)
  with program.feed(0) as feed:
    examples, _ = feed.take(0, 1, lambda: None)
    for count in (10, 3, 1):
      count = jax.device_put(np.int32(count))
      with jax.transfer_guard_device_to_host('disallow'):
        now, metrics = program.run(now, examples, streams, count)
  assert len(traces) == 1
  assert int(now.step) == 14
  assert metrics['d_loss'].shape == (10,)


def test_more_steps_than_there_is_room_for_are_not_lost_in_silence():
  built = build(steps_per_call=4)
  now, _ = train(built, [4])
  program = built.program()
  state, streams = program.put(built.init_state()), program.put(built.streams)
  with program.feed(0) as feed:
    examples, _ = feed.take(0, 4, lambda: None)
    same, _ = program.run(state, examples, streams, np.int32(99))
  chex.assert_trees_all_equal(jax.device_get(same), now)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (
      lambda: training.fuse_steps(None, None, max_steps=0),
      'max_steps=0, ',
    ),
    (lambda: fused.gather_batch(4, 8), 'batch_size=8: '),
  ],
)
def test_bad_arguments(call, message):
  with pytest.raises(ValueError, match=message):
    call()


def test_latents_drawn_once_are_those_of_both_steps():
  """The rule's shortcut for same_latents changes nothing."""
  built = build(same_latents=True)
  batch = {'x': jnp.asarray(built.train.x[:8])[None]}
  step = jax.jit(training.make_train_step(built.gan, same_latents=True))
  found, _ = step(built.init_state(), batch, built.key)
  d_step = jax.jit(training.make_d_step(built.gan))
  g_step = jax.jit(training.make_g_step(built.gan))
  key = jax.random.fold_in(jax.random.fold_in(built.key, 0), 0)
  one = {'x': batch['x'][0]}
  now, _ = d_step(built.init_state(), one, key)
  now, _ = g_step(now, one, key)
  chex.assert_trees_all_close(found.generator, now.generator, atol=1e-6)
  chex.assert_trees_all_close(found.discriminator, now.discriminator, atol=1e-6)
