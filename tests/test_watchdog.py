"""A process that waits in vain is ended."""

import threading
import time

from gan_jax.distributed import watchdog


class End:
  """Notes how it was called, in place of the end of the process."""

  def __init__(self):
    self.status, self.said = None, []
    self.done = threading.Event()

  def __call__(self, status):
    self.status = status
    self.done.set()


def watch(seconds, patience=30):
  end = End()
  said = lambda *words: end.said.append(words)
  return end, watchdog.Watchdog(seconds, said, 76, patience=patience, end=end)


def test_silence_ends_the_process():
  end, dog = watch(0.2)
  with dog:
    dog.alive(7)
    assert end.done.wait(5)
  assert end.status == 76 and end.said == [(7, 0.2)]


def test_signs_of_life_and_pauses_do_not():
  end, dog = watch(0.5)
  with dog:
    time.sleep(0.7)  # more time is given before the first sign
    dog.alive(1)
    with dog.paused():
      time.sleep(0.8)
    for step in range(5):
      dog.alive(step)
      time.sleep(0.1)
    dog.rest()
    time.sleep(0.7)
    assert not end.done.is_set()
  time.sleep(0.8)
  assert not end.done.is_set()


def test_what_may_take_long_may_not_take_for_ever():
  for slow in (
    lambda dog: None,  # before the first sign
    lambda dog: (dog.alive(3), dog.rest()),
    lambda dog: (dog.alive(3), dog.paused().__enter__()),
  ):
    end, dog = watch(0.1, patience=4)
    with dog:
      slow(dog)
      assert not end.done.wait(0.25)
      assert end.done.wait(5)
    assert end.said[0][1] == 0.4


def test_after_a_pause_the_next_step_is_due():
  end, dog = watch(0.2)
  with dog:
    with dog.paused():
      pass
    time.sleep(0.5)
    assert not end.done.is_set()
    dog.alive(1)
    with dog.paused():
      pass
    assert end.done.wait(5)


def test_it_watches_a_second_time():
  end, dog = watch(0.2)
  with dog:
    dog.alive(1)
  with dog:
    time.sleep(0.4)
    assert not end.done.is_set()
    dog.alive(2)
    assert end.done.wait(5)
  assert end.said == [(2, 0.2)]


def test_0_seconds_watch_for_nothing():
  end, dog = watch(0)
  with dog:
    dog.alive(1)
    time.sleep(0.2)
  assert not end.done.is_set()
