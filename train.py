"""Trains a GAN from a config.

  python train.py                                     the digits, no download
  python train.py --config=configs/mnist.py --config.batch_size=128
  python train.py --config=configs/x.py --workdir=runs/mine
  python train.py --config=configs/x.py --dry_run     what a step costs
  python train.py --config=configs/x.py --config.ensemble.seeds=16

Starting again with the same --workdir continues from the last checkpoint.
Several processes on several machines are one run: see docs/running.md.
Exit status: 0 at the end; 75 where SIGINT or SIGTERM stopped the run, which is
saved and can be continued; 76 where another process died or hangs; 1 for an
error, told in a line.
"""

import functools
import pathlib
import signal
import sys
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # configs import from here, wherever one stands

_DEFAULT = ROOT / 'configs' / 'digits.py'
_CONFIG = config_flags.DEFINE_config_file(
  'config', None, f'Path to a config file; default: {_DEFAULT}.'
)
_WORKDIR = flags.DEFINE_string(
  'workdir', '', 'Where the run is kept; default: runs/ and the config.'
)
_INIT_FROM = flags.DEFINE_string(
  'init_from', '', 'Workdir of another run: start from its weights.'
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Print what a step costs, by shapes alone, and exit.'
)


_COORDINATOR = flags.DEFINE_string(
  'coordinator', '', 'host:port of process 0, where there are several.'
)
_NUM_PROCESSES = flags.DEFINE_integer(
  'num_processes', 0, 'How many; 0: as SLURM, Open MPI or the TPU says.'
)
_PROCESS_ID = flags.DEFINE_integer('process_id', -1, 'Of this one, from 0.')

_TRIES = 3  # rollbacks to one checkpoint


def default_workdir() -> pathlib.Path:
  """runs/digits for configs/digits.py, runs/digits-test for :test."""
  path = config_flags.get_config_filename(flags.FLAGS['config'])
  stem, _, variant = pathlib.Path(path).name.partition('.py')
  return pathlib.Path('runs') / (stem + variant.replace(':', '-'))


def told(*kinds):
  """Errors that a user can mend end the program with a line."""
  from gan_jax.distributed import shutdown

  return shutdown.exit_on_user_error(
    'train.py', *(kinds or shutdown.USER_ERRORS)
  )


def main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.FATAL)  # orbax tells of all, and raises, too
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax import config as config_lib
  from gan_jax import distributed
  from gan_jax.distributed import multihost, shutdown
  from gan_jax.distributed import watchdog as watchdog_lib

  with told(ValueError, RuntimeError):
    config = config_lib.from_mapping(_CONFIG.value.to_dict())
    many = config_lib.is_ensemble(config)
    distributed.configure_jax(members=many, deterministic=config.deterministic)
    distributed.initialize(
      _COORDINATOR.value,
      _NUM_PROCESSES.value,
      _PROCESS_ID.value,
      stall_seconds=config.stall_seconds,
    )
  if _DRY_RUN.value:
    print_costs(many)
    return
  workdir = pathlib.Path(_WORKDIR.value or default_workdir())
  stall = config.stall_seconds if multihost.process_count() > 1 else 0
  words = functools.partial(last_words, stall)
  dog = watchdog_lib.Watchdog(stall, words, shutdown.EXIT_PEER_LOST)
  with shutdown.abort_job_on_error('train.py'), dog:
    ended = train_ensemble(workdir) if many else train_run(workdir, dog)
    if not ended:
      sys.exit(shutdown.EXIT_RESUMABLE)


def last_words(stall: int, step: int, seconds: float) -> None:
  """Says why a process ends that waited for others."""
  print(
    f'train.py: no train step for {seconds:.0f} s after step {step}: another '
    f'process died or hangs (or stall_seconds={stall} is less than a call of '
    'steps_per_call takes, or a thirtieth of what compiling or scoring take). '
    'Start all of them again to continue from the last checkpoint.',
    file=sys.stderr,
    flush=True,
  )


def train_run(workdir: pathlib.Path, watchdog: Any) -> bool:
  """Trains one run, and leaves in the workdir what there is to see.

  Args:
    workdir: of the run.
    watchdog: a watchdog.Watchdog; is told of steps and of what takes longer.

  Returns:
    Whether it came to the end.
  """
  from gan_jax import experiment
  from gan_jax.distributed import multihost, shutdown
  from gan_jax.evaluation import feature_cache
  from gan_jax.experiment import resume, run_dir
  from gan_jax.io import files, lock
  from gan_jax.runner import console, loop, meters, run_logger
  from gan_jax.training import fused

  # ---- Build everything, and refuse what is wrong, before compiling.
  interrupt = shutdown.GracefulShutdown()
  chief = multihost.is_chief()
  report = console.ConsoleReporter(quiet=not chief)
  kept, held = run_logger.Nothing(), None
  with told():
    with multihost.raise_together('build the run', *shutdown.USER_ERRORS):
      experiment = experiment.build(_CONFIG.value.to_dict())
      if chief:
        store = feature_cache.default_feature_cache()
        evaluator = experiment.evaluator(store=store, track=report.track)
        held = lock.DirectoryLock(workdir)
        kept = run_logger.RunLogger(experiment, workdir, evaluator, report)
    start = resume.restore_or_initialize(experiment, workdir, _INIT_FROM.value)
    if chief:
      files.write_json(
        workdir / run_dir.CONFIG_FILE, run_dir.run_metadata(experiment)
      )
  config = experiment.config
  report.header(experiment, start.state, workdir, start.note)

  program = experiment.program()
  log = meters.MetricMeter(config.batch_size * config.d_steps)
  tries = 0
  with told(loop.TrainingError, *shutdown.USER_ERRORS):
    # ---- Once, or again after each rollback.
    while True:
      try:
        with kept.begin(start):
          if kept.missed(start.step):  # it ended before they were there
            kept.score(start.step, start.state)
          state, step = loop.train_loop(
            start,
            fused.make_streams(config.seed, start.rollbacks),
            config,
            program,
            log,
            loop.make_callback(kept, log),
            stopped=interrupt,
            report=report,
            watchdog=watchdog,
          )
        break
      except meters.NonFiniteError as error:
        if config.nonfinite != 'rollback':
          last = (
            run_dir.latest_step(workdir) or 'none yet'
            if chief
            else 'see process 0'
          )
          sys.exit(f'train.py: {error} The last good checkpoint: {last}.')
        before = start
        start = resume.restore_or_initialize(
          experiment, workdir, _INIT_FROM.value
        )
        tries = tries + 1 if start.step == before.step else 1
        if tries > _TRIES:
          sys.exit(
            f'train.py: {error} So it was after {_TRIES} rollbacks to step '
            f'{start.step}, too.'
          )
        start = start._replace(rollbacks=before.rollbacks + 1)
        report.rolled_back(str(error), start)

  if step < config.num_steps:
    report.interrupted(step, workdir)
    return False

  # ---- The end: how good it is, and where to look.
  with told(ValueError, OSError):
    kept.finish(step, state, log)
  multihost.barrier('end')
  if held:
    held.close()
  return True


def print_costs(many: bool) -> None:
  """Prints what a step costs; nothing is trained or written."""
  from gan_jax import experiment
  from gan_jax.experiment import cost

  mapping, count = _CONFIG.value.to_dict(), 1
  with told():
    if many:
      crew = experiment.build_ensemble(mapping)
      experiment, count = crew.base, len(crew.members)
    else:
      experiment = experiment.build(mapping)
    print(
      *cost.format_cost(cost.estimate_cost(experiment), experiment, count),
      sep='\n',
    )


def train_ensemble(workdir: pathlib.Path) -> bool:
  """Trains many runs as one program; see gan_jax/runner/train_ensemble.py."""
  from gan_jax import experiment
  from gan_jax.distributed import multihost, shutdown
  from gan_jax.io import lock
  from gan_jax.runner import console, loop
  from gan_jax.runner import train_ensemble as train_ensemble_lib

  if _INIT_FROM.value:
    sys.exit('train.py: --init_from is for one run, not for an ensemble')
  if multihost.process_count() > 1:
    sys.exit('train.py: an ensemble trains in one process: --num_processes=1')
  report, interrupt = console.ConsoleReporter(), shutdown.GracefulShutdown()
  with told(*shutdown.USER_ERRORS, loop.TrainingError):
    members = experiment.build_ensemble(_CONFIG.value.to_dict())
    with lock.DirectoryLock(workdir):
      return train_ensemble_lib.train_ensemble(
        members, workdir, report, interrupt
      )


def one_line(error: Exception) -> str:
  """The part of a flag parser's error that a person needs."""
  text = str(error.args[-1] if error.args else error).replace('\\n', '\n')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  if 'Did you mean' in lines[-1]:
    return lines[-1].strip('"\'')
  if isinstance(error, AttributeError | KeyError):
    return f'unknown setting {text}'
  return lines[-1] if 'Traceback' in text else ' '.join(lines)


def with_config(argv: list[str]) -> list[str]:
  """Arguments with the default config where none is named.

  Raises:
    FileNotFoundError: for a config that does not exist.
  """
  for argument in argv[1:]:
    name, _, value = argument.lstrip('-').partition('=')
    if name == 'config' and value:
      path = pathlib.Path(value.partition('.py')[0] + '.py')
      if not path.is_file():
        there = sorted(p.stem for p in _DEFAULT.parent.glob('*.py'))
        there.remove('common')
        raise FileNotFoundError(
          f'there is no config {str(path)!r}; in configs/: {", ".join(there)}'
        )
    if name == 'config':
      return argv
  return [argv[0], f'--config={_DEFAULT}', *argv[1:]]


def parse_flags(argv):
  """absl's parser, with the default config and errors of one line."""
  try:
    rest = flags.FLAGS(with_config(argv))
    _CONFIG.value.to_dict()  # a file that does not load raises only here
    return rest
  except (
    flags.Error,
    AttributeError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
  ) as error:
    sys.exit(f'train.py: {one_line(error)}')


if __name__ == '__main__':
  # Raised as an exception, a Ctrl-C may be lost in a callback of JAX.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  app.run(main, flags_parser=parse_flags)
