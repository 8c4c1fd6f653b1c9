"""Command line of the programs: the config flag and one-line errors."""

import difflib
import functools
import gc
import os
import pathlib
import re
import signal
import sys
from typing import Any, Callable, NoReturn

import ml_collections
from absl import app, flags
from ml_collections import config_flags

from gan_jax import config as config_lib
from gan_jax import validation
from gan_jax.io import terminal
from gan_jax.runner import config_file

_OBJECTS_PER_COLLECTION = 50_000  # new ones, before Python looks for garbage
_PARSE_ERRORS = (flags.Error, OSError, ValueError)
# Messages of the parsers of flags, and what a person can do with them.
_REWRITTEN = (
  (r'invalid literal for int\(\) with base 10: .*', 'a whole number'),
  (r'could not convert string to float: .*', 'a number'),
  (r"\('Non-boolean argument to boolean flag', .*\)", 'true or false'),
)


class ConfigFlag:
  """The flags `--config=FILE.py:VARIANT` and `--config.FIELD=VALUE`."""

  def __init__(self, default: str | os.PathLike):
    """Defines the flags.

    Args:
      default: config that is used if none is named.
    """
    self._default = default
    self._holder = config_flags.DEFINE_config_file(
      'config',
      None,
      'Path of a config file, or the name of a config of the library, with a '
      f'variant after a colon; default: {default}. --config.FIELD=VALUE '
      'overrides a field; --print_config lists them.',
    )
    self._file = _ConfigFileParser({})
    flags.FLAGS['config'].parser = self._file

  def resolve(self) -> config_lib.Config:
    """Returns the resolved config.

    Raises:
      ValueError: if a field is unknown, has a wrong value, or was typed for a
        part that is not chosen.
    """
    typed = config_flags.get_override_values(flags.FLAGS['config'])
    own = config_lib.with_own_parts(self._fields(), self.parts)
    config = config_lib.resolve(own, typed)
    config_lib.warn_if_shortened(config, self._file.num_steps[self.path()])
    return config

  def _fields(self) -> ml_collections.ConfigDict:
    """Returns all fields; points of an ensemble may be named by their file."""
    ensemble = self._holder.value.ensemble
    match ensemble.points:
      case (str(name),) if not name.lstrip().startswith('{'):
        ensemble.points = config_file.read_points(name)
    return self._holder.value

  def path(self) -> str:
    """Returns the config file, with its variant."""
    return config_flags.get_config_filename(flags.FLAGS['config'])

  @functools.cached_property
  def parts(self) -> dict[str, Any]:
    """What `get_parts` of the config file returns, {} without one.

    Raises:
      ValueError: if it fails, or returns what is no part.
    """
    return config_file.load_parts(self.path(), self._fields())

  def run_name(self) -> str:
    """Returns 'digits' for configs/digits.py, 'digits-test' for its :test."""
    path, variant = config_file.split_path(self.path())
    return f'{path.stem}-{variant}' if variant else path.stem

  def parse(self, argv: list[str]) -> list[str]:
    """Parses flags as absl does, with the default config and short errors."""
    return _parse(argv, self._with_default)

  def _with_default(self, argv: list[str]) -> list[str]:
    """Returns arguments that name a config, which is loaded and checked."""
    is_named = False
    for argument, following in zip(argv[1:], [*argv[2:], '']):
      name, equals, value = argument.lstrip('-').partition('=')
      if not argument.startswith('-'):
        continue
      if name == 'config':
        self._file.parse(value if equals else following)
        is_named = True
      elif name.startswith('config.'):
        config_lib.check_name(name.removeprefix('config.'))
        if not equals:
          _check_value_follows(name, following)
    if is_named:
      return argv
    return [argv[0], f'--config={self._default}', *argv[1:]]


class _ConfigFileParser(flags.ArgumentParser):
  """Loads config files for the flag, each once, with the library's errors."""

  def __init__(self, loaded: dict[str, ml_collections.ConfigDict]):
    # An argument, because absl shares parsers that are made without any.
    self._loaded = loaded
    self.num_steps: dict[str, int] = {}  # of each file, before overrides

  def parse(self, argument: str) -> ml_collections.ConfigDict:
    """Returns a config with every field, so that any can be overridden."""
    if argument not in self._loaded:
      loaded = config_file.load_config(argument)
      if isinstance(loaded, config_lib.Config):
        loaded = config_lib.to_dict(loaded)
      if not hasattr(loaded, 'items'):
        raise ValueError(
          f'{argument}: get_config() must return a mapping of fields, not '
          f'{loaded!r:.80}'
        )
      config = ml_collections.ConfigDict(loaded)
      _fill_in(config, config_lib.defaults())
      self.num_steps[argument] = config.num_steps
      self._loaded[argument] = config.lock()
    return self._loaded[argument]

  def flag_type(self) -> str:
    return 'config object'


def _check_value_follows(name: str, following: str) -> None:
  """Refuses the flag of a field without a value; of a bool it is true.

  Args:
    name: such as 'config.num_steps'.
    following: next argument, '' at the end.

  Raises:
    ValueError: if the next argument is another flag, or there is none.
  """
  default: Any = config_lib.defaults()
  for part in name.split('.')[1:]:
    default = default.get(part) if isinstance(default, dict) else None
  is_flag = following.startswith('--') or not following
  if is_flag and default is not None and not isinstance(default, bool):
    raise ValueError(f'--{name} has no value: type --{name}=VALUE')


def _fill_in(config: Any, defaults: dict[str, Any]) -> None:
  """Adds the fields that a config file left out."""
  config.unlock()
  for name, value in defaults.items():
    if name not in config:
      config[name] = value
    elif isinstance(value, dict) and isinstance(
      config[name], ml_collections.ConfigDict
    ):
      _fill_in(config[name], value)


def _parse(
  argv: list[str],
  prepare: Callable[[list[str]], list[str]] = lambda argv: argv,
) -> list[str]:
  """Parses flags; a mistake ends the program with a line and status 1."""
  program = pathlib.Path(argv[0]).name
  try:
    rest = flags.FLAGS(prepare(argv))
  except flags.UnrecognizedFlagError as error:
    known = flags.FLAGS.get_key_flags_for_module(argv[0])
    names = [f'--{flag.name}' for flag in known] or [
      f'--{name}' for name in flags.FLAGS
    ]
    sys.exit(
      f'{program}: '
      + validation.unknown_name_message(f'--{error.flagname}', names, 'flag')
    )
  except _PARSE_ERRORS as error:
    sys.exit(f'{program}: {first_cause(error)}')
  if len(rest) > 1:
    hint = ''
    if config_file.is_config(rest[1]):
      hint = f'; a config is named by --{_names_config()}={rest[1]}'
    sys.exit(f'{program}: unexpected argument {rest[1]!r}{hint}')
  return rest


def _names_config() -> str:
  """Returns the flag of this program that names a config."""
  return 'config' if 'config' in flags.FLAGS else 'data'


def first_cause(error: Exception) -> str:
  """Returns the one line of a flag parser's error that a person needs."""
  text = terminal.error_message(error)
  for pattern, kind in _REWRITTEN:
    text = re.sub(pattern, f'must be {kind}', text)
  return _with_nearest(text.removeprefix('flag '))


def _with_nearest(text: str) -> str:
  """Adds the nearest choice to absl's message about one of several."""
  found = re.fullmatch(r'(--\w+)=(.*): value should be one of <(.*)>', text)
  if not found:
    return text
  flag, value, choices = found.groups()
  near = difflib.get_close_matches(value, choices.split('|'), n=1)
  hint = f' (did you mean {near[0]}?)' if near else ''
  allowed = choices.replace('|', ', ')
  return f'{flag}={value}: must be one of {allowed}{hint}'


def run(
  main: Callable[[list[str]], Any],
  module: str,
  parser: Callable[[list[str]], list[str]] = _parse,
) -> NoReturn:
  """Runs a program with its flags parsed, and exits with what main returns.

  Args:
    main: takes the arguments that are left; returns an exit status or None.
    module: name of the module that defines the flags; --help prints its
      docstring and its flags.
    parser: parses the flags; the default is absl's own, without positional
      arguments.
  """
  sys.modules['__main__'].__doc__ = sys.modules[module].__doc__
  for flag in flags.FLAGS.get_key_flags_for_module(module):
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  terminal.start_program(pathlib.Path(sys.argv[0]).name)
  # As a Python exception a Ctrl-C may be lost in a callback of JAX.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  # Imports and tracing leave many objects and little garbage: looking for it
  # after every 700 took a tenth of the time to the first step.
  gc.set_threshold(_OBJECTS_PER_COLLECTION)
  app.run(main, flags_parser=parser)
