"""The command `gan-jax`: all programs under one name.

  gan-jax train --config=digits
  gan-jax train --help

In a clone, `python train.py` is the same program as `gan-jax train`.
"""

import difflib
import importlib
import sys
from typing import NoReturn

from gan_jax import __version__
from gan_jax.io import terminal

# Program -> (its module in gan_jax.commands, one line about it).
COMMANDS = {
  'train': ('train', 'train a GAN, or an ensemble, from a config'),
  'evaluate': ('evaluate', 'score a run or samples beside real data'),
  'sample': ('sample', 'draw samples: pictures, films, projections'),
  'export': ('export', 'export a generator: folder, StableHLO, ONNX, page'),
  'report': ('report', 'show runs as one HTML page'),
  'list': ('list', 'list configs, models, losses, penalties, metrics'),
  'status': ('status', 'list runs: step, time left, who trains, warnings'),
  'prepare': ('prepare', 'prepare a dataset, once'),
  'extract': ('extract', 'make a run of one member of an ensemble'),
  'convert-weights': ('convert_weights', "convert weights of authors' code"),
}


def help_text() -> str:
  """Returns the usage and a line for each program."""
  width = max(map(len, COMMANDS))
  lines = [f'  {name:{width}}  {line}' for name, (_, line) in COMMANDS.items()]
  return '\n'.join(
    [
      f'usage: {terminal.COMMAND} PROGRAM ...',
      '',
      *lines,
      '',
      f'{terminal.COMMAND} PROGRAM --help lists the options of a program. '
      '--config=NAME takes a',
      'config of the library: --config=digits, --config=digits:test.',
    ]
  )


def run() -> NoReturn:
  """Runs the program that the first argument names.

  The program finds its name in `sys.argv[0]`, such as 'gan-jax train'.

  Raises:
    SystemExit: with the exit status of the program; or with a line and status
      1 if there is no such program.
  """
  name, arguments = (sys.argv[1:2] or ['--help'])[0], sys.argv[2:]
  if name in ('--help', '-h', '-help', 'help'):
    print(help_text())
    sys.exit(0)
  if name == '--version':
    print(f'gan_jax {__version__}')
    sys.exit(0)
  if name not in COMMANDS:
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f'Did you mean {near[0]!r}? ' if near else ''
    sys.exit(
      f'{terminal.COMMAND}: there is no program {name!r}. {hint}There are: '
      f'{", ".join(COMMANDS)}'
    )
  sys.argv = [f'{terminal.COMMAND} {name}', *arguments]
  module = importlib.import_module(f'gan_jax.commands.{COMMANDS[name][0]}')
  sys.exit(module.run())


if __name__ == '__main__':
  run()
