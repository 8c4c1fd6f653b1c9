"""Trains a GAN from a config.

  python train.py                                     the digits, no download
  python train.py --config=configs/mnist.py --config.batch_size=128
  python train.py --config=configs/x.py --workdir=runs/mine
  python train.py --config=configs/x.py --dry_run     what a step costs
  python train.py --config=configs/x.py --config.ensemble.seeds=16

Starting again with the same --workdir continues from the last checkpoint.
Exit status: 0 at the end; 75 where SIGINT or SIGTERM stopped the run, which is
saved and can be continued; 1 for an error, told in a line.
"""

import contextlib
import pathlib
import signal
import sys

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


RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h
MENDABLE = (ValueError, OSError, ModuleNotFoundError)


class Interrupt:
  """Remembers the first SIGINT or SIGTERM; a second one ends at once."""

  def __init__(self):
    self.signal = None
    for number in (signal.SIGINT, signal.SIGTERM):
      signal.signal(number, self._on_signal)

  def _on_signal(self, number, _):
    self.signal = number
    signal.signal(number, signal.SIG_DFL)
    print(
      f'\n{signal.Signals(number).name}: saving after this step', flush=True
    )


def default_workdir() -> pathlib.Path:
  """runs/digits for configs/digits.py, runs/digits-test for :test."""
  path = config_flags.get_config_filename(flags.FLAGS['config'])
  stem, _, variant = pathlib.Path(path).name.partition('.py')
  return pathlib.Path('runs') / (stem + variant.replace(':', '-'))


@contextlib.contextmanager
def told(*kinds, where=lambda: ''):
  """Errors that a user can mend end the program with a line."""
  try:
    yield
  except kinds as error:
    sys.exit(f'train.py: {where()}{error}')


def main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.FATAL)  # orbax tells of all, and raises, too
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax import settings, startup

  with told(ValueError):
    many = settings.is_ensemble(settings.parse(_CONFIG.value.to_dict()))
  startup.prepare(members=many)
  from gan_jax import progress

  workdir = pathlib.Path(_WORKDIR.value or default_workdir())
  if _DRY_RUN.value:
    print_costs(many)
    return
  train = train_ensemble if many else train_run
  if not train(workdir, progress.Report()):
    sys.exit(RESUMABLE)


def train_run(workdir: pathlib.Path, report) -> bool:
  """Trains one run, and leaves in the workdir what there is to see.

  Args:
    workdir: of the run.
    report: prints.

  Returns:
    Whether it came to the end.
  """
  import numpy as np

  from gan_jax import best as best_lib
  from gan_jax import (
    experiment,
    feature_store,
    files,
    programs,
    runs,
    sampling,
    scoring,
    standing,
    window,
    writers,
  )

  # ---- Build everything, and refuse what is wrong, before compiling.
  with told(*MENDABLE):
    built = experiment.build(_CONFIG.value.to_dict())
    check = built.overfitting_check()
    judge = built.judge(store=feature_store.default(), track=report.track)
    held = files.Hold(workdir)
    start_state, note = runs.start(built, workdir, _INIT_FROM.value)
  config = built.settings
  writers.write_json(workdir / runs.CONFIG_FILE, runs.describe(built))
  report.header(built, start_state, workdir, note)

  program = built.program()
  draw = sampling.make_draw(built.gan)
  draw_at = sampling.make_draw_at(built.gan, built.devices)
  real = experiment.examples(built.test, config.num_samples)
  interrupt = Interrupt()
  state, draws = program.put(start_state), program.put(built.draws)
  step = first = int(start_state.step)
  pace = programs.Pace(config, program.limit)

  def save_picture(path):
    weights = standing.for_evaluation(built.gan, state.ema)
    samples = draw(weights, config.num_samples)
    writers.save_samples(path, samples, real)

  def score():
    weights = standing.for_evaluation(built.gan, state.ema)
    count = scoring.samples_for(config.eval['num_samples'])
    source = sampling.Generated(draw_at, weights, built.shape, count, seed=1)
    with told(ValueError, OSError, where=lambda: f'scores of step {step}: '):
      return judge(source)

  score_every, scored = config.eval['every'], {}
  with (
    told(OSError, where=lambda: f'at step {step}: '),
    runs.checkpoints(built, workdir) as checkpoints,
    writers.ScalarWriter(workdir, start=step) as scalars,
    program.feed(step) as feed,
    best_lib.Best(workdir, config.eval, start=step)
    if score_every
    else contextlib.nullcontext() as best,
    report.bar(total=config.num_steps, done=step) as bar,
  ):
    if step == 0:
      writers.save_samples(workdir / 'real.png', real, real)

    examples_per_step = config.batch_size * config.d_steps
    log = window.Window(examples_per_step, lambda: feed.waited)

    def score_and_offer():
      with log.paused():
        rows = score()
        better = best.offer(step, state, rows)
      scored.clear()
      scored[step] = rows
      scalars.write_events(step, scoring.scalars(rows))
      report.scored(step, rows, better)

    # ---- The loop: some train steps as one call, then what is due.
    due = lambda every: every and step % every == 0
    if step and due(score_every) and not best.has(step):
      score_and_offer()  # the run ended before its scores were there
    stopping = False
    while step < config.num_steps and not stopping:
      with told(ValueError, where=lambda: f'at step {step}: '):
        # A picture may have broken since.
        examples, count = feed.take(step, pace.count(step), pace.wait)
      state, metrics = program.run(state, examples, draws, np.int32(count))
      step += count
      pace.started(count, metrics)
      log.add(step, metrics, count)
      if step == first + count:
        report.compiled(log.wait())
      stopping = interrupt.signal is not None
      last = step == config.num_steps or stopping

      try:
        if last or due(config.log_every):
          pace.rest()
          means = {**log.close(), **check(state)}
          scalars.write(step, means)
          report.line(step, means)
        if last or due(config.checkpoint_every):
          log.check(state)
          checkpoints.save(step, state)
      except window.NonFinite as error:
        kept = checkpoints.latest() or 'none yet'
        sys.exit(f'train.py: {error} The last good checkpoint: {kept}.')
      if step == config.num_steps or due(config.sample_every):
        save_picture(workdir / 'samples' / f'{step:08d}.png')
      if due(score_every):
        score_and_offer()
      bar.update(step, log.rate, log.examples_per_second)

  if step < config.num_steps:
    report.interrupted(step, workdir)
    return False

  # ---- The end: how good it is, and where to look.
  save_picture(workdir / 'samples.png')
  rows = scored.get(step) or score()
  report.summary(log, rows, judge.notes, workdir)
  held.close()
  return True


def print_costs(many: bool) -> None:
  """Prints what a step costs; nothing is trained or written."""
  from gan_jax import dry_run, experiment, team

  mapping, count = _CONFIG.value.to_dict(), 1
  with told(*MENDABLE):
    if many:
      crew = team.build(mapping)
      built, count = crew.base, len(crew.members)
    else:
      built = experiment.build(mapping)
    print(*dry_run.lines(dry_run.measure(built), built, count), sep='\n')


def train_ensemble(workdir: pathlib.Path, report) -> bool:
  """Trains many runs as one program; see gan_jax/train_team.py."""
  from gan_jax import files, team, train_team

  if _INIT_FROM.value:
    sys.exit('train.py: --init_from is for one run, not for an ensemble')
  interrupt = Interrupt()
  stopped = lambda: interrupt.signal is not None
  with told(*MENDABLE):
    members = team.build(_CONFIG.value.to_dict())
    with files.Hold(workdir):
      return train_team.train(members, workdir, report, stopped)


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
  app.run(main, flags_parser=parse_flags)
