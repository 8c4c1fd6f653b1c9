"""Answers Ctrl-C at once where no train step would be lost.

While a program compiles or scores, its checkpoints are as good as they will be
when that has ended, which may take minutes.
"""

import contextlib
import pathlib
from typing import Callable, ContextManager

from gan_jax.distributed import multihost, shutdown
from gan_jax.experiment import run_dir
from gan_jax.runner import console


def exiting_at_once(
  reporter: console.ConsoleReporter,
  workdir: pathlib.Path | None,
  doing: str,
  wait: Callable[[], None] = lambda: None,
) -> ContextManager[None]:
  """Lets a signal end the process at once, with a line on what is saved.

  Args:
    reporter: reporter of a program; in the process of a caller, and in a job of
      several processes, signals are answered after the next step.
    workdir: directory of the run; None if nothing is written.
    doing: what the program does in the context, such as 'while scoring'.
    wait: waits for files that are being written.

  Returns:
    The context.
  """
  if not reporter.is_program or multihost.process_count() > 1:
    return contextlib.nullcontext()

  def describe() -> str:
    wait()
    step = workdir and run_dir.latest_step(workdir)
    if not step:
      return f'stopped {doing}: there is nothing to save yet'
    return (
      f'stopped {doing}: step {step} is saved in {workdir}; the same command '
      'continues'
    )

  return shutdown.exit_on_signal(describe)
