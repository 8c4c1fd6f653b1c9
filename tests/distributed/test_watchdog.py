"""A process that waits in vain is ended. No test here takes real time."""

import io
import sys
import threading

import pytest

from gan_jax.distributed import watchdog

NAME = 'gan_jax-watchdog'


class Time:
  """A clock that stands still unless a test moves it.

  Attributes:
    now: seconds.
    runs: until it is set the watchdog's thread waits; then each of its waits
      takes the seconds that it asks for, at once.
  """

  def __init__(self):
    self.now, self.runs = 0.0, threading.Event()

  def __call__(self):
    return self.now

  def wait(self, closed, seconds):
    self.runs.wait()
    self.now += seconds
    return closed.is_set()


class End:
  """Notes how it was called, in place of the end of the process."""

  def __init__(self):
    self.status, self.said = None, []
    self.done = threading.Event()

  def __call__(self, status):
    self.status = status
    self.done.set()


@pytest.fixture
def watch():
  clocks = []

  def make(seconds, slow_factor=30):
    end, clock = End(), Time()
    clocks.append(clock)
    said = lambda *words: end.said.append(words)
    dog = watchdog.Watchdog(
      *(seconds, said, 76),
      slow_factor=slow_factor,
      end=end,
      clock=clock,
      wait=clock.wait,
    )
    return clock, end, dog

  yield make
  for clock in clocks:
    clock.runs.set()  # threads that are left end


def threads():
  return {t for t in threading.enumerate() if t.name == NAME}


def test_silence_ends_the_process(watch):
  clock, end, dog = watch(10)
  with dog:
    clock.now += 7
    dog.heartbeat(7)
    clock.now += 10
    assert not dog.check() and end.status is None
    clock.now += 0.1
    assert dog.check()
  assert end.status == 76 and end.said == [(7, 10)]


def test_its_thread_looks_four_times_in_the_seconds_given(watch):
  clock, end, dog = watch(2)
  with dog:
    dog.heartbeat(7)
    clock.runs.set()
    assert end.done.wait(5)
  assert end.status == 76 and end.said == [(7, 2)]
  assert clock.now == 2.5


def test_its_thread_looks_each_second(watch):
  clock, end, dog = watch(100)
  with dog:
    dog.heartbeat(7)
    clock.runs.set()
    assert end.done.wait(5)
  assert clock.now == 101


def test_signs_of_life_and_pauses_do_not(watch):
  clock, end, dog = watch(10)
  with dog:
    clock.now += 290  # more time is given before the first sign
    assert not dog.check()
    dog.heartbeat(1)
    with dog.paused():
      clock.now += 290
      assert not dog.check()
    for step in range(5):
      dog.heartbeat(step)
      clock.now += 9
      assert not dog.check()
    dog.allow_slow()
    clock.now += 290
    assert not dog.check()
  assert end.status is None and not end.said


def test_once_it_is_left_it_watches_no_more(watch):
  before = threads()
  clock, end, dog = watch(10)
  with dog:
    dog.heartbeat(1)
    (thread,) = threads() - before
  clock.now += 1000
  clock.runs.set()
  thread.join(5)
  assert not thread.is_alive() and end.status is None


@pytest.mark.parametrize(
  'slow',
  [
    lambda dog: None,  # before the first sign
    lambda dog: (dog.heartbeat(3), dog.allow_slow()),
    lambda dog: (dog.heartbeat(3), dog.paused().__enter__()),
  ],
)
def test_what_may_take_long_may_not_take_for_ever(watch, slow):
  clock, end, dog = watch(10, slow_factor=4)
  with dog:
    slow(dog)
    clock.now += 40
    assert not dog.check()
    clock.now += 1
    assert dog.check()
  assert end.said[0][1] == 40


def test_after_a_pause_the_next_step_is_due(watch):
  clock, end, dog = watch(10)
  with dog:
    with dog.paused():
      pass
    clock.now += 290  # none has been taken yet
    assert not dog.check()
    dog.heartbeat(1)
    with dog.paused():
      clock.now += 290
    clock.now += 10
    assert not dog.check()
    clock.now += 1
    assert dog.check()
  assert end.said == [(1, 10)]


def test_it_watches_a_second_time(watch):
  clock, end, dog = watch(2)
  with dog:
    dog.heartbeat(1)
  clock.now += 1000
  with dog:
    clock.now += 59  # as before the first sign
    assert not dog.check()
    dog.heartbeat(2)
    clock.runs.set()
    assert end.done.wait(5)
  assert end.said == [(2, 2)]


def test_0_seconds_watch_for_nothing(watch):
  before = threads()
  clock, end, dog = watch(0)
  with dog:
    assert threads() <= before
    dog.heartbeat(1)
    clock.now += 1e9
    assert not dog.check()
  assert end.status is None


def test_the_stacks_of_all_threads_are_written(watch, tmp_path, monkeypatch):
  inside, leave = threading.Event(), threading.Event()

  def stuck_in_here():
    inside.set()
    leave.wait()

  other = threading.Thread(target=stuck_in_here)
  other.start()
  assert inside.wait(5)
  path = tmp_path / 'stderr'
  clock, end, dog = watch(10)
  with path.open('w') as stderr, dog:
    monkeypatch.setattr(sys, 'stderr', stderr)
    dog.heartbeat(1)
    clock.now += 11
    assert dog.check()
    monkeypatch.undo()
  leave.set()
  other.join()
  written = path.read_text()
  assert 'stuck_in_here' in written and 'in check' in written
  assert end.status == 76


@pytest.mark.parametrize('lost', [None, io.StringIO(), object()])
def test_without_stderr_stacks_go_to_that_of_the_start(
  tmp_path, monkeypatch, lost
):
  with (tmp_path / 'stderr').open('w') as first:
    monkeypatch.setattr(sys, 'stderr', lost)
    monkeypatch.setattr(sys, '__stderr__', first)
    watchdog.dump_stacks()
    monkeypatch.undo()
  assert 'in dump_stacks' in (tmp_path / 'stderr').read_text()


@pytest.mark.parametrize('lost', [None, io.StringIO(), object()])
def test_nowhere_to_write_stacks_to_is_no_error(watch, monkeypatch, lost):
  clock, end, dog = watch(10)
  with dog:
    clock.now += 301
    monkeypatch.setattr(sys, 'stderr', lost)
    monkeypatch.setattr(sys, '__stderr__', lost)
    assert dog.check()
    monkeypatch.undo()
  assert end.status == 76
