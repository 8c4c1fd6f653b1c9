"""Trains a GAN from a config.

  python train.py                                     the digits, no download
  python train.py --config=mnist --config.batch_size=128
  python train.py --config=configs/x.py --workdir=runs/mine
  python train.py --config=configs/x.py --print_config    every field, resolved
  python train.py --config=configs/x.py --dry_run     checks, and what a step costs
  python train.py --config=configs/x.py --check_data  read all of the data
  python train.py --config=configs/x.py --config.ensemble.seeds=16

A config is a file, or the name of one of the library: configs/mnist.py in a
clone is mnist anywhere. Installed, the program is `gan-jax train`.
Starting again with the same --workdir continues from the last checkpoint.
Several processes on several machines are one run: see docs/running.md.
Exit status: 0 at the end; 75 if SIGINT or SIGTERM stopped the run, which is
saved and can be continued; 76 if another process died or hangs; 1 for an
error, printed as one line.
"""

import pathlib
import sys
from typing import NoReturn

from absl import flags, logging

from gan_jax.io import terminal
from gan_jax.runner import cli


def define_flags() -> cli.ConfigFlag:
  """Defines the flags of the program, and returns that of the config."""
  config = cli.ConfigFlag('digits')
  flags.declare_key_flag('config')
  flags.DEFINE_string(
    'workdir', '', 'Directory of the run; default: runs/ and the config.'
  )
  flags.DEFINE_string(
    'init_from',
    '',
    'Workdir, or file of convert-weights, whose weights a new run starts from.',
  )
  flags.DEFINE_list(
    'init_parts',
    ['generator', 'discriminator'],
    'Players that take the weights of --init_from: generator, discriminator.',
  )
  flags.DEFINE_bool(
    'init_skip_mismatched',
    False,
    'Whether arrays that are missing in --init_from, or of another shape, start '
    'anew (they are listed), instead of being refused.',
  )
  flags.DEFINE_bool(
    'print_config', False, 'Print every field of the resolved config, and exit.'
  )
  flags.DEFINE_bool(
    'dry_run', False, 'Check all that a run needs, print its cost, and exit.'
  )
  flags.DEFINE_bool(
    'check_data',
    False,
    'Read every example of the data, list what is wrong, and exit: with status '
    '1 if anything is.',
  )
  flags.DEFINE_string(
    'coordinator', '', 'host:port of process 0, if there are several.'
  )
  flags.DEFINE_integer(
    'num_processes',
    0,
    'Number of processes; 0: detected (SLURM, Open MPI, TPU).',
  )
  flags.DEFINE_integer(
    'process_id', -1, 'Index of this process, from 0; -1: detected.'
  )
  return config


def _main(config_flag: cli.ConfigFlag) -> int | None:
  given = flags.FLAGS
  if not given['verbosity'].present:
    logging.set_verbosity(logging.FATAL)  # orbax logs what it raises, too
  try:
    config = config_flag.resolve()
  except ValueError as error:
    name = terminal.program_name('train.py')
    sys.exit(f'{name}: {terminal.error_message(error)}')
  if given.print_config:
    from gan_jax import config as config_lib

    print(config_lib.format_config(config))
    return terminal.output_status()
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax.runner import launch

  init = {n: given[n].value for n in ('init_parts', 'init_skip_mismatched')}
  workdir = given.workdir or pathlib.Path('runs') / config_flag.run_name()
  if given.dry_run:
    launch.dry_run(
      config,
      workdir,
      parts=config_flag.parts,
      init_from=given.init_from,
      init_options=init,
    )
    return terminal.output_status()
  if given.check_data:
    return launch.check_data(config, config_flag.parts)
  return launch.launch(
    config,
    workdir,
    parts=config_flag.parts,
    config_file=config_flag.path(),
    init_from=given.init_from,
    init_options=init,
    coordinator=given.coordinator,
    num_processes=given.num_processes,
    process_id=given.process_id,
  )


def run() -> NoReturn:
  """Runs the program with the arguments of this process."""
  config_flag = define_flags()
  cli.run(lambda _: _main(config_flag), __name__, config_flag.parse)
