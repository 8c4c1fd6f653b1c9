"""How a program ends: its statuses, signals, errors told in a line."""

import contextlib
import os
import signal
import sys
import traceback
from typing import Iterator

EXIT_RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h
EXIT_PEER_LOST = 76  # another process died or hangs
USER_ERRORS = (ValueError, OSError, ModuleNotFoundError)
# How errors of the runtime begin that are not of another process.
_BUG_ERRORS = ('RESOURCE_EXHAUSTED', 'INVALID_ARGUMENT', 'UNIMPLEMENTED')


class GracefulShutdown:
  """Remembers the first SIGINT or SIGTERM; a second one ends at once."""

  def __init__(self):
    self.signal = None
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, self._on_signal)

  def __call__(self) -> bool:
    """Whether there was one."""
    return self.signal is not None

  def _on_signal(self, number, _):
    self.signal = number
    for each in (signal.SIGINT, signal.SIGTERM):
      signal.signal(each, signal.SIG_DFL)
    # Not print: it may have been interrupted itself.
    said = f'\n{signal.Signals(number).name}: saving after this step\n'
    with contextlib.suppress(OSError):  # a reader in a pipe gets it, too
      os.write(1, said.encode())


@contextlib.contextmanager
def exit_on_user_error(program: str, *kinds: type[Exception]) -> Iterator[None]:
  """Errors that a user can mend end the program with a line.

  Args:
    program: its name, for the line.
    *kinds: of errors.

  Raises:
    SystemExit: with the line, which is the status 1.
  """
  try:
    yield
  except kinds as error:
    sys.exit(f'{program}: {error}')


@contextlib.contextmanager
def abort_job_on_error(program: str) -> Iterator[None]:
  """Ends one of several processes at once for an error: others may hang.

  At the end, and where all stop for a signal, it leaves the end to the
  runtime, which waits for the others. One process alone is not touched.

  Args:
    program: its name, for the line.
  """
  from jax import errors

  from gan_jax.distributed import multihost

  try:
    yield
    return
  except SystemExit as error:
    if multihost.process_count() == 1 or error.code == EXIT_RESUMABLE:
      raise
    said, status = error.code, 1
  except Exception as error:
    if multihost.process_count() == 1:
      raise
    reason = (str(error).splitlines() or [''])[0]
    said, status = (
      f'{program}: another process was lost: {reason}',
      EXIT_PEER_LOST,
    )
    lost = isinstance(error, errors.JaxRuntimeError)
    if not lost or reason.startswith(_BUG_ERRORS):
      said, status = traceback.format_exc(), 1
  with contextlib.suppress(OSError):
    print(said, file=sys.stderr)
    sys.stderr.flush()
    sys.stdout.flush()
  os._exit(status)
