"""Many steps in one program: the same bits as one at a time."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import experiment, fuse, order, parallel, programs, settings, steps
from gan_jax.data import arrays, feeds

TOY = {
  'data': {'name': 'gaussian', 'size': 50},
  'generator': {'name': 'mlp', 'features': (8,), 'norm': 'batch'},
  'discriminator': {'name': 'mlp', 'features': (8,), 'activation': 'tanh'},
  'batch_size': 8,
  'latent_dim': 2,
  'log_every': 10,
}
IMAGES = {
  'data': {'name': 'digits', 'size': 8},
  'generator': {'name': 'dcgan', 'width': 4},
  'discriminator': {'name': 'dcgan', 'width': 4, 'norm': 'none'},
  'penalties': {'r1': {'weight': 0.1, 'every': 2}},
  'batch_size': 8,
  'latent_dim': 4,
}


def build(mapping=TOY, **more):
  return experiment.build({'num_devices': 1, **mapping, **more})


def train(built, calls, *, program=None):
  """The state after calls of so many steps each, and the metrics of all."""
  program = program or built.program()
  now, draws = program.put(built.init_state()), program.put(built.draws)
  rows, step = [], 0
  with program.feed(0) as feed:
    for count in calls:
      examples, count = feed.take(step, count, lambda: None)
      now, metrics = program.run(now, examples, draws, np.int32(count))
      rows.append({k: np.asarray(v)[:count] for k, v in metrics.items()})
      step += count
  joined = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
  return jax.device_get(now), joined


def loop(built, count):
  """As many steps by the plain loop: one compiled step, batches by host."""
  runner = built.parallelise()
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
  assert isinstance(resident.program().feed(0), feeds.Resident)
  now, _ = train(resident, [4, 4, 2])
  # Chunks end where something is due: at 10, of which 4 + 4 + 2.
  same, _ = train(streamed, [4, 4, 4])
  assert int(same.step) == 10
  chex.assert_trees_all_close(now, same, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('backend', parallel.BACKENDS)
@pytest.mark.parametrize('resident_mb', [0, 1], ids=['streamed', 'resident'])
def test_four_devices_are_one(backend, resident_mb):
  sgd = {'name': 'sgd', 'learning_rate': 0.05}
  options = dict(
    g_optimizer=sgd, d_optimizer=sgd, resident_mb=resident_mb, parallel=backend
  )
  one, _ = train(build(**options, steps_per_call=3), [3, 3])
  four, _ = train(build(**options, steps_per_call=3, num_devices=4), [3, 3])
  chex.assert_trees_all_close(one, four, atol=2e-6)


def test_indices_on_the_device_are_those_of_the_host():
  pick = fuse.from_resident(50, 8, d_steps=2)
  feed = {'x': jnp.arange(50)}
  for step in (0, 2, 3, 1000):
    batch = pick(feed, jnp.int32(step), jnp.int32(0), jnp.uint32(7))
    host = [order.batch_indices(7, 2 * step + i, 50, 8) for i in range(2)]
    np.testing.assert_array_equal(batch['x'], np.stack(host))


def test_the_seed_of_the_order_wraps_as_on_the_host():
  draws = fuse.make_draws(2**32 + 3)
  device = order.batch_indices(draws.seed, jnp.int32(1), 50, 8, jnp)
  np.testing.assert_array_equal(
    device, order.batch_indices(2**32 + 3, 1, 50, 8)
  )


def test_one_program_and_one_call_for_many_steps():
  """The host calls the program once, and it is traced once."""
  built, traces = build(), []

  def counted(state, batch, key):
    traces.append(batch['x'].shape)
    return built.train_step(state, batch, key)

  program = programs.make_program(
    counted, built.train, built.settings, built.devices
  )
  now, draws = program.put(built.init_state()), program.put(built.draws)
  with program.feed(0) as feed:
    examples, _ = feed.take(0, 1, lambda: None)
    for count in (10, 3, 1):
      count = jax.device_put(np.int32(count))
      with jax.transfer_guard_device_to_host('disallow'):
        now, metrics = program.run(now, examples, draws, count)
  assert len(traces) == 1
  assert int(now.step) == 14
  assert metrics['d_loss'].shape == (10,)


def test_more_steps_than_there_is_room_for_are_not_lost_in_silence():
  built = build(steps_per_call=4)
  now, _ = train(built, [4])
  program = built.program()
  state, draws = program.put(built.init_state()), program.put(built.draws)
  with program.feed(0) as feed:
    examples, _ = feed.take(0, 4, lambda: None)
    same, _ = program.run(state, examples, draws, np.int32(99))
  chex.assert_trees_all_equal(jax.device_get(same), now)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda: fuse.fuse(None, None, limit=0), 'limit=0: must be at least 1'),
    (lambda: fuse.from_resident(4, 8), 'batch_size=8: must be between 1 and'),
  ],
)
def test_bad_arguments(call, message):
  with pytest.raises(ValueError, match=message):
    call()


class TestFeeds:
  def source(self):
    x = np.arange(20, dtype=np.float32)[:, None]
    return arrays.ArraySource(x, np.arange(20) % 3)

  def chunks(self, until, **more):
    options = dict(seed=0, batch_size=4, d_steps=2, start=0, size=3)
    return feeds.Chunks(
      self.source(), until=until, put=lambda x: x, **options | more
    )

  def test_chunks_end_where_something_is_due(self):
    with self.chunks(lambda step: 5 - step % 5) as feed:
      lengths, step = [], 0
      for _ in range(4):
        chunk, count = feed.take(step, 99, lambda: None)
        assert chunk['x'].shape == (3, 2, 4, 1)
        lengths.append(count)
        step += count
    assert lengths == [3, 2, 3, 2]

  def test_a_chunk_holds_the_batches_of_its_steps(self):
    source = self.source()
    with self.chunks(lambda _: 3, start=6) as feed:
      chunk, _ = feed.take(6, 1, lambda: None)
    for place in range(3):
      for i in range(2):
        indices = order.batch_indices(0, 2 * (6 + place) + i, 20, 4)
        np.testing.assert_array_equal(
          chunk['x'][place, i], source[indices]['x']
        )
        np.testing.assert_array_equal(
          chunk['label'][place, i], source[indices]['label']
        )

  def test_a_chunk_for_another_step_is_refused(self):
    with self.chunks(lambda _: 3) as feed:
      with pytest.raises(ValueError, match='step 2 asked for the chunk of'):
        feed.take(2, 1, lambda: None)

  def test_waiting_counts_from_when_the_device_is_done(self):
    """A slow source: what is waited beside the device's own time counts."""
    import time

    class Slow(arrays.ArraySource):
      def __getitem__(self, indices):
        time.sleep(0.2)
        return super().__getitem__(indices)

    options = dict(seed=0, batch_size=4, d_steps=1, start=0, size=1, ahead=1)
    slow = Slow(np.zeros((20, 1), np.float32))
    for device_seconds, low, high in ((0, 0.1, 1.0), (0.4, 0, 0.1)):
      with feeds.Chunks(
        slow, until=lambda _: 9, put=lambda x: x, **options
      ) as feed:
        feed.take(0, 1, lambda: time.sleep(device_seconds))
        assert low <= feed.waited <= high

  def test_all_of_a_source_lives_on_the_device(self):
    feed = feeds.Resident(self.source(), lambda x: x)
    examples, count = feed.take(0, 17, lambda: None)
    np.testing.assert_array_equal(examples['x'], self.source().x)
    np.testing.assert_array_equal(examples['label'], np.arange(20) % 3)
    assert count == 17 and feed.waited == 0
    assert feeds.nbytes(self.source()) == 20 * 8


class TestPace:
  def settings(self, **more):
    return settings.parse({'num_steps': 100, 'log_every': 40, **more})

  def test_calls_end_where_something_is_due(self):
    chosen = self.settings(steps_per_call=16, checkpoint_every=50)
    pace, step, ends = programs.Pace(chosen, 16), 0, []
    while step < 100:
      step += pace.count(step)
      ends.append(step)
    assert ends == [16, 32, 40, 50, 66, 80, 96, 100]

  def test_the_first_call_is_one_step_and_later_ones_fill_the_time(self):
    pace = programs.Pace(self.settings(), 1000)
    assert pace.count(0) == 1
    pace.seconds = 0.05
    assert pace.count(1) == 5  # 0.25 s
    pace.seconds = 1e-5
    assert pace.count(1) == 39  # to the line of the log
    pace.seconds = 3.0
    assert pace.count(1) == 1

  def test_due_at_the_end(self):
    assert settings.until_due(self.settings(), 99) == 1
    assert settings.until_due(self.settings(), 100) == 0


def test_limits():
  built = build()
  chosen = dataclasses.replace(built.settings, log_every=5000)
  assert programs.limit_of(chosen, built.train) == 1000
  assert programs.limit_of(built.settings, built.train) == 10
  streamed = dataclasses.replace(chosen, resident_mb=0)
  assert programs.limit_of(streamed, built.train) == 1  # on CPU
  fixed = dataclasses.replace(streamed, steps_per_call=7)
  assert programs.limit_of(fixed, built.train) == 7


def test_latents_drawn_once_are_those_of_both_steps():
  """The rule's shortcut for same_latents changes nothing."""
  built = build(same_latents=True)
  batch = {'x': jnp.asarray(built.train.x[:8])[None]}
  step = jax.jit(steps.make_train_step(built.gan, same_latents=True))
  found, _ = step(built.init_state(), batch, built.key)
  d_step = jax.jit(steps.make_d_step(built.gan))
  g_step = jax.jit(steps.make_g_step(built.gan))
  key = jax.random.fold_in(jax.random.fold_in(built.key, 0), 0)
  one = {'x': batch['x'][0]}
  now, _ = d_step(built.init_state(), one, key)
  now, _ = g_step(now, one, key)
  chex.assert_trees_all_close(found.generator, now.generator, atol=1e-6)
  chex.assert_trees_all_close(found.discriminator, now.discriminator, atol=1e-6)
