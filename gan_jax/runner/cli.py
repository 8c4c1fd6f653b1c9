"""Command line of the root scripts: the config flag and one-line errors."""

import pathlib
import re
import signal
import sys
from typing import Any, Callable, NoReturn

from absl import app, flags
from ml_collections import config_flags

from gan_jax import config as config_lib
from gan_jax.runner import config_file

_PARSE_ERRORS = (
  flags.Error,
  AttributeError,
  KeyError,
  OSError,
  TypeError,
  ValueError,
)


class ConfigFlag:
  """The flags `--config=FILE.py:VARIANT` and `--config.FIELD=VALUE`."""

  def __init__(self, default: pathlib.Path):
    """Defines the flags.

    Args:
      default: config file that is used if none is named.
    """
    self._default = default
    self._holder = config_flags.DEFINE_config_file(
      'config',
      None,
      f'Path of a config file, with a variant after a colon; default: {default}.'
      ' --config.FIELD=VALUE overrides a field; --print_config lists them.',
    )

  def resolve(self) -> config_lib.Config:
    """Returns the resolved config.

    Raises:
      ValueError: if a field is unknown, has a wrong value, or was typed for a
        part that is not chosen.
    """
    typed = config_flags.get_override_values(flags.FLAGS['config'])
    own = config_lib.with_own_parts(self._holder.value, self.parts())
    return config_lib.resolve(own, typed)

  def path(self) -> str:
    """Returns the config file, with its variant."""
    return config_flags.get_config_filename(flags.FLAGS['config'])

  def parts(self) -> dict[str, Any]:
    """Returns what `get_parts` of the config file returns, {} without one.

    Raises:
      ValueError: if it fails, or returns what is no part.
    """
    return config_file.load_parts(self.path(), self._holder.value)

  def run_name(self) -> str:
    """Returns 'digits' for configs/digits.py, 'digits-test' for its :test."""
    stem, _, variant = pathlib.Path(self.path()).name.partition('.py')
    return stem + variant.replace(':', '-')

  def parse(self, argv: list[str]) -> list[str]:
    """Parses flags as absl does, with the default config and short errors."""
    program = pathlib.Path(argv[0]).name
    try:
      rest = flags.FLAGS(self._with_default(argv))
      self._holder.value.to_dict()  # a file that does not load raises here
    except _PARSE_ERRORS as error:
      sys.exit(f'{program}: {first_cause(error)}')
    refuse_positional(program, rest)
    return rest

  def _with_default(self, argv: list[str]) -> list[str]:
    """Returns arguments that name a config, after a look at their names."""
    is_named = False
    for argument, following in zip(argv[1:], [*argv[2:], '']):
      name, equals, value = argument.lstrip('-').partition('=')
      if not argument.startswith('-'):
        continue
      if name == 'config':
        config_file.split_path(value if equals else following)
        is_named = True
      elif name.startswith('config.'):
        config_lib.check_name(name.removeprefix('config.'))
    if is_named:
      return argv
    return [argv[0], f'--config={self._default}', *argv[1:]]


def refuse_positional(program: str, rest: list[str]) -> None:
  """Ends the program if arguments are left that no flag took.

  Args:
    program: name of the program, for the message.
    rest: what absl's parser left, the program's path first.
  """
  if len(rest) > 1:
    hint = ''
    if rest[1].partition(':')[0].endswith('.py'):
      hint = f'; a config is named by --config={rest[1]}'
    sys.exit(f'{program}: unexpected argument {rest[1]!r}{hint}')


def first_cause(error: Exception) -> str:
  """Returns the one line of a flag parser's error that a person needs."""
  text = str(error.args[-1] if error.args else error).replace('\\n', '\n')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  if not lines:
    return type(error).__name__
  if 'Did you mean' in lines[-1]:
    return lines[-1].strip('"\'')
  if isinstance(error, AttributeError | KeyError):
    return f'unknown config field {text}'
  line = lines[-1] if 'Traceback' in text else ' '.join(lines)
  return re.sub(r'^\w+Error: ', '', line)


def run(
  main: Callable[[list[str]], Any],
  parser: Callable[[list[str]], list[str]] | None = None,
) -> NoReturn:
  """Runs a program with its flags parsed, and exits with what main returns.

  Args:
    main: takes the arguments that are left; returns an exit status or None.
    parser: parses the flags; None for absl's own, without positional
      arguments.
  """
  # As a Python exception a Ctrl-C may be lost in a callback of JAX.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  app.run(main, flags_parser=parser or _parse)


def _parse(argv: list[str]) -> list[str]:
  program = pathlib.Path(argv[0]).name
  try:
    rest = flags.FLAGS(argv)
  except flags.Error as error:
    sys.exit(f'{program}: {first_cause(error)}')
  refuse_positional(program, rest)
  return rest
