"""A process that waits in vain is ended."""

import threading
import time

from gan_jax import watchdog


class End:
  """Notes how it was called, in place of the end of the process."""

  def __init__(self):
    self.status, self.said = None, []
    self.done = threading.Event()

  def __call__(self, status):
    self.status = status
    self.done.set()


def watch(seconds):
  end = End()
  return end, watchdog.Watchdog(seconds, end.said.append, 76, end=end)


def test_silence_ends_the_process():
  end, dog = watch(0.2)
  with dog:
    dog.alive(7)
    assert end.done.wait(5)
  assert end.status == 76 and end.said == [7]


def test_signs_of_life_and_pauses_do_not():
  end, dog = watch(0.5)
  with dog:
    time.sleep(0.7)  # nothing is expected before the first sign
    dog.alive(1)
    with dog.paused():
      time.sleep(0.8)
    for step in range(5):
      dog.alive(step)
      time.sleep(0.1)
    assert not end.done.is_set()
  time.sleep(0.8)
  assert not end.done.is_set()


def test_a_pause_before_the_first_sign_starts_no_clock():
  end, dog = watch(0.2)
  with dog:
    with dog.paused():
      pass
    time.sleep(0.5)
    assert not end.done.is_set()


def test_0_seconds_watch_for_nothing():
  end, dog = watch(0)
  with dog:
    dog.alive(1)
    time.sleep(0.2)
  assert not end.done.is_set()
