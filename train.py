"""Trains a GAN from a config.

  python train.py                                     the digits, no download
  python train.py --config=configs/mnist.py --config.batch_size=128
  python train.py --config=configs/x.py --workdir=runs/mine
  python train.py --config=configs/x.py --print_config    every field, resolved
  python train.py --config=configs/x.py --dry_run     checks, and what a step costs
  python train.py --config=configs/x.py --check_data  read all of the data
  python train.py --config=configs/x.py --config.ensemble.seeds=16

Starting again with the same --workdir continues from the last checkpoint.
Several processes on several machines are one run: see docs/running.md.
Exit status: 0 at the end; 75 if SIGINT or SIGTERM stopped the run, which is
saved and can be continued; 76 if another process died or hangs; 1 for an
error, printed as one line.
"""

import pathlib
import sys

from absl import flags, logging

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # configs import from here, in any directory

from gan_jax.io import terminal  # noqa: E402
from gan_jax.runner import cli  # noqa: E402

_CONFIG = cli.ConfigFlag(ROOT / 'configs' / 'digits.py')
flags.declare_key_flag('config')
_WORKDIR = flags.DEFINE_string(
  'workdir', '', 'Directory of the run; default: runs/ and the config.'
)
_INIT_FROM = flags.DEFINE_string(
  'init_from', '', 'Workdir, or file of runner.convert_weights, to start from.'
)
_PRINT_CONFIG = flags.DEFINE_bool(
  'print_config', False, 'Print every field of the resolved config, and exit.'
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Check all that a run needs, print its cost, and exit.'
)
_CHECK_DATA = flags.DEFINE_bool(
  'check_data',
  False,
  'Read every example of the data, list what is wrong, and exit: with status 1 '
  'if anything is.',
)
_COORDINATOR = flags.DEFINE_string(
  'coordinator', '', 'host:port of process 0, if there are several.'
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', 0, 'Number of processes; 0: detected (SLURM, Open MPI, TPU).'
)
_PROCESS_ID = flags.DEFINE_integer(
  'process_id', -1, 'Index of this process, from 0; -1: detected.'
)


def main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.FATAL)  # orbax logs what it raises, too
  try:
    config = _CONFIG.resolve()
  except ValueError as error:
    sys.exit(f'train.py: {terminal.error_message(error)}')
  if _PRINT_CONFIG.value:
    from gan_jax import config as config_lib

    print(config_lib.format_config(config))
    return terminal.output_status()
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax.runner import launch

  workdir = _WORKDIR.value or pathlib.Path('runs') / _CONFIG.run_name()
  if _DRY_RUN.value:
    launch.dry_run(
      config, workdir, parts=_CONFIG.parts, init_from=_INIT_FROM.value
    )
    return terminal.output_status()
  if _CHECK_DATA.value:
    return launch.check_data(config, _CONFIG.parts)
  return launch.launch(
    config,
    workdir,
    parts=_CONFIG.parts,
    config_file=_CONFIG.path(),
    init_from=_INIT_FROM.value,
    coordinator=_COORDINATOR.value,
    num_processes=_NUM_PROCESSES.value,
    process_id=_PROCESS_ID.value,
  )


if __name__ == '__main__':
  cli.run(main, _CONFIG.parse)
