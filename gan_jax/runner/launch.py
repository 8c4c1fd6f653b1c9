"""Runs `train` as a program: exit status, one-line errors, processes."""

import functools
import os
import sys
from typing import Any, Mapping

from gan_jax import config as config_lib
from gan_jax import distributed
from gan_jax.distributed import multihost, shutdown
from gan_jax.distributed.watchdog import Watchdog
from gan_jax.io import terminal

PROGRAM = 'train.py'


def launch(
  config: config_lib.Config,
  workdir: str | os.PathLike,
  *,
  parts: Mapping[str, Any] | None = None,
  config_file: str = '',
  init_from: str = '',
  init_options: Mapping[str, Any] | None = None,
  coordinator: str = '',
  num_processes: int = 0,
  process_id: int = -1,
) -> int:
  """Trains, and returns the exit status of the program.

  Args:
    config: resolved config.
    workdir: directory of the run.
    parts: networks, loss and data in place of the config's, arguments of
      `train` by name.
    config_file: config file that they come from.
    init_from: directory of another run, or file of convert_weights, to take
      the weights from; '' for none.
    init_options: init_parts and init_skip_mismatched of `train`, by name.
    coordinator: host:port of process 0; see multihost.initialize.
    num_processes: number of processes of the job; 0 to detect it.
    process_id: index of this process; -1 to detect it.

  Returns:
    0 at the end of the run, EXIT_RESUMABLE if it was stopped and saved.

  Raises:
    SystemExit: with a line and status 1 for a user's error. Of several
      processes the one that fails ends at once, with status 1 or
      EXIT_PEER_LOST.
  """
  _start(config, coordinator, num_processes, process_id)
  from gan_jax.runner import console, loop, meters
  from gan_jax.runner.train import train

  errors = (
    *shutdown.USER_ERRORS,
    loop.TrainingError,
    meters.NonFiniteError,
  )
  stall = config.stall_seconds if multihost.process_count() > 1 else 0
  watchdog = Watchdog(
    stall, functools.partial(_on_timeout, stall), shutdown.EXIT_PEER_LOST
  )
  with shutdown.abort_job_on_error(PROGRAM), watchdog:
    with shutdown.exit_on_user_error(PROGRAM, *errors):
      _check_data_named(config)
      result = train(
        config,
        workdir,
        **(parts or {}),
        config_file=config_file if parts else '',
        init_from=init_from,
        **(init_options or {}),
        watchdog=watchdog,
        reporter=console.ConsoleReporter(
          quiet=not multihost.is_chief(), program=True
        ),
      )
    if not result.finished:
      sys.exit(shutdown.EXIT_RESUMABLE)
  return 0


def dry_run(
  config: config_lib.Config,
  workdir: str | os.PathLike,
  *,
  parts: Mapping[str, Any] | None = None,
  init_from: str = '',
  init_options: Mapping[str, Any] | None = None,
) -> None:
  """Prints what a train step costs; trains, compiles and writes nothing.

  Args:
    config: resolved config.
    workdir: directory of the run.
    parts: networks, loss and data in place of the config's, as in `launch`.
    init_from: directory of another run, or file of convert_weights, to take
      the weights from; '' for none.
    init_options: init_parts and init_skip_mismatched of `train`, by name.

  Raises:
    SystemExit: with a line and status 1 for a user's error, as `launch`.
  """
  _start(config, '', 1, -1)
  from gan_jax.experiment import own_parts
  from gan_jax.runner import dry_run as dry

  with shutdown.exit_on_user_error(PROGRAM, *shutdown.USER_ERRORS):
    _check_data_named(config)
    own = own_parts.make_own_parts(**(parts or {}))
    lines = dry.dry_run(
      config,
      workdir,
      parts=own,
      init_from=init_from,
      **(init_options or {}),
    )
    print(*lines, sep='\n')


def _check_data_named(config: config_lib.Config) -> None:
  """Refuses a folder without a path, in the words of this command line."""
  if config.data.name == 'folder' and not config.data.options.path:
    raise ValueError(
      'data.folder.path is empty: name your directory of images, '
      '--config.data.folder.path=DIR'
    )


def check_data(
  config: config_lib.Config, parts: Mapping[str, Any] | None = None
) -> int:
  """Reads all data of a config; trains and writes nothing.

  Args:
    config: resolved config.
    parts: networks, loss and data in place of the config's, as in `launch`.

  Returns:
    0 if all examples can be used, 1 if not.

  Raises:
    SystemExit: with a line and status 1 for a user's error.
  """
  _start(config, '', 1, -1)
  from gan_jax.experiment import own_parts
  from gan_jax.runner import check_data as check_data_lib

  with shutdown.exit_on_user_error(PROGRAM, *shutdown.USER_ERRORS):
    _check_data_named(config)
    own = own_parts.make_own_parts(**(parts or {}))
    return int(check_data_lib.check_data(config, own) > 0)


def _start(config, coordinator, num_processes, process_id) -> None:
  """Prepares JAX and joins the other processes of the job."""
  with shutdown.exit_on_user_error(PROGRAM, ValueError, RuntimeError):
    distributed.configure_jax(
      members=config_lib.is_ensemble(config),
      deterministic=config.deterministic,
      limit_malloc=True,
    )
    distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      stall_seconds=config.stall_seconds,
    )


def _on_timeout(stall: int, step: int, seconds: float) -> None:
  """Prints why the watchdog is terminating the process."""
  print(
    f'{terminal.program_name(PROGRAM)}: no train step for {seconds:.0f} s after step {step}: another '
    f'process died or hangs (or stall_seconds={stall} is less than a call of '
    'steps_per_call takes, or a thirtieth of what compiling or scoring take). '
    'Start all of them again to continue from the last checkpoint.',
    file=sys.stderr,
    flush=True,
  )
