"""What a program reads, and how many steps its next call takes."""

import dataclasses
import threading
from unittest import mock

import numpy as np
import pytest

from gan_jax import config as config_lib
from gan_jax import data, shuffle
from gan_jax.data import device_feed, prefetch
from gan_jax.experiment import program as program_lib
from gan_jax.experiment import schedule
from gan_jax.runner import pacing
from tests.training import test_fused as test_fuse


class Counting(data.ArraySource):
  """Keeps the number of examples of each read."""

  def __init__(self, *args):
    super().__init__(*args)
    self.reads = []

  def __getitem__(self, indices):
    self.reads.append(len(indices))
    return super().__getitem__(indices)


class Slow(data.ArraySource):
  """Takes some seconds, of a clock of its own, for its first read.

  Attributes:
    now: the time, in seconds.
    begin: what the first read waits for.
    read: set where the first read is done.
  """

  def __init__(self, seconds):
    super().__init__(np.zeros((20, 1), np.float32))
    self.now, self._seconds = 0.0, seconds
    self.begin, self.read = threading.Event(), threading.Event()

  def pass_seconds(self, seconds):
    self.now += seconds

  def __getitem__(self, indices):
    if not self.read.is_set():
      assert self.begin.wait(10)
      self.pass_seconds(self._seconds)
      self.read.set()
    return super().__getitem__(indices)


class TestFeeds:
  def source(self):
    x = np.arange(20, dtype=np.float32)[:, None]
    return data.ArraySource(x, np.arange(20) % 3)

  def chunks(self, steps_until_boundary, **more):
    options = dict(seed=0, batch_size=4, d_steps=2, start=0, size=3)
    return device_feed.ChunkedFeed(
      self.source(),
      steps_until_boundary=steps_until_boundary,
      put=lambda x: x,
      **options | more,
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
        indices = shuffle.batch_indices(0, 2 * (6 + place) + i, 20, 4)
        np.testing.assert_array_equal(
          chunk['x'][place, i], source[indices]['x']
        )
        np.testing.assert_array_equal(
          chunk['label'][place, i], source[indices]['label']
        )

  def test_a_chunk_for_another_step_is_refused(self):
    with self.chunks(lambda _: 3) as feed:
      with pytest.raises(ValueError, match='step=2'):
        feed.take(2, 1, lambda: None)

  def test_waiting_counts_once_the_device_is_done(self):
    """A source that takes 5 s longer than the device."""
    slow = Slow(5)

    def clock():
      now = slow.now
      slow.begin.set()  # the source goes on after the first look at the clock
      return now

    with self.slow_chunks(slow, clock) as feed:
      feed.take(0, 1, lambda: slow.pass_seconds(7))
      assert feed.waited == 5

  def test_the_time_of_the_device_is_not_waited_for(self):
    """A source that is read while the device computes."""
    slow = Slow(5)

    def wait():
      slow.begin.set()
      assert slow.read.wait(10)
      slow.pass_seconds(2)

    with self.slow_chunks(slow, lambda: slow.now) as feed:
      feed.take(0, 1, wait)
      assert feed.waited == 0 and slow.now == 7

  def slow_chunks(self, source, clock):
    options = dict(seed=0, batch_size=4, d_steps=1, start=0, size=1, ahead=1)
    return device_feed.ChunkedFeed(
      source,
      steps_until_boundary=lambda _: 9,
      put=lambda x: x,
      clock=clock,
      **options,
    )

  def test_the_device_goes_on_where_an_item_is_ready(self):
    second = threading.Event()

    def items():
      yield 'first'
      second.set()  # asked for once the first is ready
      yield 'second'

    def wait():
      raise AssertionError('waited for the device')

    with prefetch.Prefetcher(items()) as ahead:
      assert second.wait(10)
      assert ahead.next_item(wait) == 'first'

  def test_all_of_a_source_lives_on_the_device(self):
    feed = device_feed.ResidentFeed(self.source(), lambda x: x)
    examples, count = feed.take(0, 17, lambda: None)
    np.testing.assert_array_equal(examples['x'], self.source().x)
    np.testing.assert_array_equal(examples['label'], np.arange(20) % 3)
    assert count == 17 and feed.waited == 0
    assert device_feed.source_nbytes(self.source()) == 20 * 8

  @pytest.mark.parametrize('size', [1, 2048, 2049, 5000])
  def test_all_of_a_source_is_read_in_parts(self, size):
    source = Counting(np.arange(size)[:, None], np.arange(size) % 3)
    whole = device_feed.read_all(source)
    assert max(source.reads) <= 2048 and sum(source.reads) == size
    assert all(source.reads)
    np.testing.assert_array_equal(whole['x'], source.x)
    np.testing.assert_array_equal(whole['label'], source.label)


class TestPace:
  def settings(self, **more):
    return config_lib.resolve({'num_steps': 100, 'log_every': 40, **more})

  def test_calls_end_where_something_is_due(self):
    config = self.settings(steps_per_call=16, checkpoint_every=50)
    pace, step, ends = pacing.CallPacer(config, 16), 0, []
    while step < 100:
      step += pace.count(step)
      ends.append(step)
    assert ends == [16, 32, 40, 50, 66, 80, 96, 100]

  def test_the_first_call_is_one_step_and_later_ones_fill_the_time(self):
    pace = pacing.CallPacer(self.settings(), 1000)
    assert pace.count(0) == 1
    pace.seconds = 0.05
    assert pace.count(1) == 5  # 0.25 s
    pace.seconds = 1e-5
    assert pace.count(1) == 39  # to the line of the log
    pace.seconds = 3.0
    assert pace.count(1) == 1

  @pytest.mark.parametrize('returns_at_once', [False, True])
  def test_calls_of_one_length_follow(self, monkeypatch, returns_at_once):
    clock = mock.Mock(now=0.0)
    monkeypatch.setattr(pacing.time, 'perf_counter', lambda: clock.now)

    class Result:  # of a call that ends at a time
      def __init__(self, end):
        self.end = end

      def is_ready(self):
        return clock.now >= self.end

      def block_until_ready(self):
        clock.now = max(clock.now, self.end)
        return self

    settings = self.settings(num_steps=10_000, log_every=1000)
    pace, step, end, counts = pacing.CallPacer(settings, 1000), 0, 0.0, []
    while len(counts) < 12:
      counts.append(pace.count(step))
      step += counts[-1]
      end = max(end, clock.now) + 0.01 * counts[-1]
      if not returns_at_once:
        clock.now = end
      pace.dispatched(counts[-1], Result(end))
    assert counts[:2] == [1, 1] and set(counts[-4:]) == {25}

  def test_due_at_the_end(self):
    assert schedule.steps_to_next_action(self.settings(), 99) == 1
    assert schedule.steps_to_next_action(self.settings(), 100) == 0


def test_limits():
  built = test_fuse.build()
  size = len(built.train)
  max_steps = lambda of: program_lib.choose_max_steps(
    of, device_feed.source_nbytes(built.train), size
  )
  config = dataclasses.replace(built.config, log_every=5000)
  assert max_steps(config) == 1000
  assert max_steps(built.config) == 10
  streamed = dataclasses.replace(config, resident_mb=0)
  assert max_steps(streamed) == 1  # on CPU
  fixed = dataclasses.replace(streamed, steps_per_call=7)
  assert max_steps(fixed) == 7


@pytest.mark.parametrize('resident_mb', [0, 1])
def test_a_program_reads_one_example_before_its_feed(resident_mb):
  built = test_fuse.build(resident_mb=resident_mb)
  source = Counting(built.train.x)
  program = program_lib.make_train_program(
    built.train_step, source, built.config, built.devices
  )
  assert source.reads == [1]
  assert program.max_steps == (10 if resident_mb else 1)
