"""Ending a program: exit statuses, signals, one-line errors."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from typing import Any, Callable, Iterator

from gan_jax.io import terminal

EXIT_RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h
EXIT_PEER_LOST = 76  # another process of the job died or hangs
USER_ERRORS = (ValueError, OSError, ModuleNotFoundError)
# Prefixes of runtime errors that are not caused by another process.
_BUG_ERRORS = ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT', 'UNIMPLEMENTED')
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_pending: list[int] = []  # signals that ask a GracefulShutdown to stop


class GracefulShutdown:
  """Turns the first SIGINT or SIGTERM into a request to stop.

  A second signal goes to the handlers that were installed before. Handlers are
  installed on entering the context, in the main thread only, and restored on
  leaving it. Calling the object returns whether to stop.
  """

  def __init__(
    self,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    quiet: bool = False,
  ):
    """Initializes without installing handlers.

    Args:
      should_stop: another source of requests to stop.
      quiet: whether to print nothing when a signal arrives.
    """
    self.signal: int | None = None
    self._should_stop, self._quiet = should_stop, quiet
    self._before: dict[int, Any] = {}

  def __call__(self) -> bool:
    """Returns whether a signal has arrived or `should_stop` returns True."""
    return self.signal is not None or bool(self._should_stop())

  def __enter__(self) -> 'GracefulShutdown':
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        self._before[number] = signal.signal(number, self._on_signal)
    return self

  def __exit__(self, *unused):
    self._restore()
    _pending.clear()

  def _restore(self) -> None:
    while self._before:
      number, handler = self._before.popitem()
      # None means that the handler was not installed from Python.
      signal.signal(number, signal.SIG_DFL if handler is None else handler)

  def _on_signal(self, number, _):
    self.signal = number
    _pending.append(number)
    self._restore()
    if self._quiet:
      return
    # os.write instead of print, which the signal may have interrupted.
    message = f'\n{signal.Signals(number).name}: saving after this step\n'
    with contextlib.suppress(OSError):  # the reader of a pipe may be gone
      os.write(1, message.encode())


@contextlib.contextmanager
def exit_on_signal(describe: Callable[[], str]) -> Iterator[None]:
  """Ends the process at the first SIGINT or SIGTERM, with EXIT_RESUMABLE.

  Python calls handlers between its own instructions, after a compilation or a
  computation that may take minutes. Here a thread waits for the signal, or finds
  the one that a GracefulShutdown has received. Does nothing outside of the main
  thread. A second signal does not wait for `describe`.

  Args:
    describe: returns the text to print; called in another thread.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  watcher = threading.Thread(target=_exit, args=(reader, describe), daemon=True)
  wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  # The interpreter writes the numbers of signals that have a handler.
  before = {n: signal.signal(n, lambda *unused: None) for n in _SIGNALS}
  os.write(writer, bytes(_pending[:1]))
  watcher.start()
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, signal.SIG_DFL if handler is None else handler)
    signal.set_wakeup_fd(wakeup)
    os.close(writer)
    watcher.join()
    os.close(reader)


def _exit(reader: int, describe: Callable[[], str]) -> None:
  """Ends the process when a signal is written to a pipe."""

  def leave(number):
    text = f'\n{signal.Signals(number).name}: {describe()}\n'
    with contextlib.suppress(OSError, ValueError):
      sys.stdout.flush()
    with contextlib.suppress(OSError):  # the reader of a pipe may be gone
      os.write(1, text.encode())
    os._exit(EXIT_RESUMABLE)

  leaving = False
  for found in iter(lambda: os.read(reader, 1), b''):
    if found[0] not in _SIGNALS:
      continue
    if leaving:
      os._exit(EXIT_RESUMABLE)
    else:
      leaving = True
      threading.Thread(target=leave, args=(found[0],), daemon=True).start()


@contextlib.contextmanager
def exit_on_user_error(program: str, *kinds: type[Exception]) -> Iterator[None]:
  """Turns user errors into a one-line message and exit status 1.

  Args:
    program: name of the script, for the message; see terminal.program_name.
    *kinds: types of errors.

  Raises:
    SystemExit: with the message.
  """
  try:
    yield
  except kinds as error:
    name = terminal.program_name(program)
    sys.exit(f'{name}: {terminal.error_message(error)}')


@contextlib.contextmanager
def abort_job_on_error(program: str) -> Iterator[None]:
  """Terminates this process immediately on an unhandled error.

  Otherwise its peers would block in a collective. Normal exits and coordinated
  preemption go through the shutdown barrier of the JAX runtime. Does nothing in
  a single-process job.

  Args:
    program: name of the script, for the message; see terminal.program_name.
  """
  from jax import errors

  from gan_jax.distributed import multihost

  try:
    yield
    return
  except SystemExit as error:
    if multihost.process_count() == 1 or error.code == EXIT_RESUMABLE:
      raise
    message, status = error.code, 1
  except Exception as error:
    if multihost.process_count() == 1:
      raise
    reason = (str(error).splitlines() or [''])[0]
    name = terminal.program_name(program)
    message = f'{name}: another process was lost: {reason}'
    status = EXIT_PEER_LOST
    is_lost = isinstance(error, errors.JaxRuntimeError)
    if not is_lost or reason.startswith(_BUG_ERRORS):
      message, status = traceback.format_exc(), 1
  with contextlib.suppress(OSError):
    print(message, file=sys.stderr)
    sys.stderr.flush()
    sys.stdout.flush()
  os._exit(status)
