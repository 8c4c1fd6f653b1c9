"""Lists runs: step, time left, last checkpoint, who trains, last warning.

  gan-jax status                       the runs in runs/
  gan-jax status runs/digits           one run
  gan-jax status runs/* other/sweep    several, as a table
  gan-jax status --json runs/digits    for programs

A directory that holds runs stands for all of them. Runs may be under way: only
their files are read, and nothing is written.
"""

import argparse
import json
import pathlib

from gan_jax.io import files, terminal
from gan_jax.runner import status


def run() -> int:
  """Runs the program with the arguments of this process.

  Returns:
    The exit status: 1 if a directory holds no run, or cannot be read.
  """
  terminal.start_program('status')
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.commands.status',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
    'workdirs',
    metavar='WORKDIR',
    nargs='*',
    default=['runs'],
    help='directory of a run, or of several; default: runs',
  )
  parser.add_argument(
    '--json', action='store_true', help='print a list of JSON objects'
  )
  options = parser.parse_args()
  found, messages = _read(options.workdirs)
  if options.json:
    print(json.dumps([run._asdict() for run in found], indent=2))
  elif len(found) == 1:
    print('\n'.join(status.describe(found[0])))
  elif found:
    print('\n'.join(status.table(found)))
  output = terminal.output_status()
  if messages:
    parser.exit(1, ''.join(f'{parser.prog}: {text}\n' for text in messages))
  return output


def _read(workdirs: list[str]) -> tuple[list[status.RunStatus], list[str]]:
  """Returns the runs, and messages about directories that are not readable."""
  found, messages = [], []
  for text in workdirs:
    try:
      runs = status.find_runs(files.resolve_path(text, 'WORKDIR'))
    except (OSError, ValueError) as error:
      # `runs/*` names files, too; among others they are left out.
      if len(workdirs) == 1 or not pathlib.Path(text).is_file():
        messages.append(terminal.error_message(error))
      continue
    for run in runs:
      try:
        found.append(status.read_status(run))
      except (OSError, ValueError) as error:
        messages.append(terminal.error_message(error))
  return found, messages


if __name__ == '__main__':
  raise SystemExit(run())
