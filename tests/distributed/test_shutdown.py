"""Tests of how a program stops: signals, and errors in one line."""

import os
import signal
import threading
import time

import pytest

from gan_jax.distributed import shutdown

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers():
  return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def seen():
  """Installs a handler of both signals; returns the signals that it saw."""
  numbers = []
  handle = lambda number, frame: numbers.append(number)
  before = {number: signal.signal(number, handle) for number in SIGNALS}
  yield numbers
  for number, old in before.items():
    signal.signal(number, old)


@pytest.mark.parametrize('number', SIGNALS)
def test_the_first_signal_asks_to_stop_the_second_is_passed_on(
  capfd, seen, number
):
  before = handlers()
  with shutdown.GracefulShutdown() as stop:
    assert not stop() and stop.signal is None
    os.kill(os.getpid(), number)
    assert stop() and stop.signal == number and not seen
    assert handlers() == before
    os.kill(os.getpid(), number)
    assert seen == [number]
  assert handlers() == before
  assert signal.Signals(number).name in capfd.readouterr().out


def test_handlers_are_restored_whatever_happens():
  before = handlers()
  with pytest.raises(ValueError), shutdown.GracefulShutdown():
    assert all(a != b for a, b in zip(handlers(), before, strict=True))
    raise ValueError
  assert handlers() == before


def test_handlers_that_python_did_not_install_become_the_default(monkeypatch):
  install = signal.signal
  # signal.signal returns None for a handler that was installed in C.
  monkeypatch.setattr(signal, 'signal', lambda n, h: install(n, h) and None)
  with shutdown.GracefulShutdown():
    pass
  assert handlers() == [signal.SIG_DFL] * 2


def test_another_source_of_requests(seen):
  wanted = []
  with shutdown.GracefulShutdown(lambda: wanted) as stop:
    assert stop() is False
    wanted.append(1)
    assert stop() is True and stop.signal is None


def test_quiet_prints_nothing(capfd):
  with shutdown.GracefulShutdown(quiet=True) as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop()
  assert tuple(capfd.readouterr()) == ('', '')


def test_a_reader_that_is_gone_is_no_error(monkeypatch):
  def gone(*unused):
    raise BrokenPipeError

  with shutdown.GracefulShutdown() as stop:
    monkeypatch.setattr(os, 'write', gone)
    os.kill(os.getpid(), signal.SIGTERM)
    monkeypatch.undo()
    assert stop()


def test_other_threads_install_no_handlers():
  before, found = handlers(), []

  def run():
    with shutdown.GracefulShutdown(lambda: True) as stop:
      found.append((handlers(), stop()))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert found == [(before, True)] and handlers() == before


def test_errors_of_the_user_become_one_line():
  with pytest.raises(SystemExit) as end:
    with shutdown.exit_on_user_error('x.py', ValueError, OSError):
      raise FileNotFoundError('no such file')
  assert end.value.code == 'x.py: no such file'
  with pytest.raises(KeyError):
    with shutdown.exit_on_user_error('x.py', ValueError):
      raise KeyError('a bug')


def test_one_process_ends_with_its_own_error():
  for error in (SystemExit('x'), RuntimeError('y'), KeyboardInterrupt()):
    with pytest.raises(type(error)) as raised:
      with shutdown.abort_job_on_error('x.py'):
        raise error
    assert raised.value is error


@pytest.fixture
def ended(monkeypatch):
  """Records exit statuses instead of ending the process."""
  statuses = []
  monkeypatch.setattr(os, '_exit', statuses.append)
  return statuses


def wait_for(condition):
  end = time.monotonic() + 60
  while not condition() and time.monotonic() < end:
    time.sleep(0.01)
  assert condition()


@pytest.mark.parametrize('number', SIGNALS)
def test_a_signal_ends_the_process_within_compiled_code(
  capfd, seen, ended, number
):
  before = handlers()
  with shutdown.exit_on_signal(lambda: 'step 7 is saved'):
    os.kill(os.getpid(), number)
    wait_for(lambda: ended)  # by another thread
  assert ended == [shutdown.EXIT_RESUMABLE] and not seen
  name = signal.Signals(number).name
  assert f'{name}: step 7 is saved\n' in capfd.readouterr().out
  assert handlers() == before
  os.kill(os.getpid(), number)
  assert seen == [number]
  assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_came_before_ends_the_process(capfd, ended):
  with shutdown.GracefulShutdown():
    os.kill(os.getpid(), signal.SIGTERM)
    with shutdown.exit_on_signal(lambda: 'saved'):
      wait_for(lambda: ended)
  assert 'SIGTERM: saved' in capfd.readouterr().out
  with shutdown.exit_on_signal(lambda: 'again'):
    time.sleep(0.05)
  assert ended == [shutdown.EXIT_RESUMABLE]


def test_a_second_signal_does_not_wait_for_files(ended):
  written = threading.Event()
  with shutdown.exit_on_signal(lambda: str(written.wait(60))):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    assert not ended
    os.kill(os.getpid(), signal.SIGINT)
    wait_for(lambda: ended)
    written.set()
    wait_for(lambda: len(ended) == 2)
