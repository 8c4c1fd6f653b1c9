"""Computes results that stand beside published ones, one command per row.

  python benchmarks/results.py --list
  python benchmarks/results.py ring --out=runs/results
  python benchmarks/results.py mnist --out=runs/results --data_dir=DIR
  python benchmarks/results.py sngan_minutes --out=DIR --minutes=10 \\
    --npz=cifar10.npz --samples=10000
  python benchmarks/results.py --pack=cifar10.npz --data_dir=DIR
  python benchmarks/results.py --collect runs/results
  python benchmarks/results.py --page

A row (benchmarks/result_rows.py) trains as train.py does, in a directory of its
own in --out, and leaves record.json there: config, seeds, mean, standard error,
floor (the score of real data), seconds, machine, versions, date and commit.
Stopped or killed and started again, it goes on.

--collect reads such a directory, also from another machine. It scores samples
that have no scores yet (--samples saves samples in place of scores, for a
machine without the weights of the feature network), writes the records into
benchmarks/results/, and docs/results.md from them. --page writes the page alone.
--pack writes CIFAR-10 into one file, for a machine without TFDS's directory.
"""

import argparse
import contextlib
import datetime
import pathlib
import re
import resource
import subprocess
import sys
import time
from typing import Any, Iterator

import result_page
import turns  # puts the root of the repository on the path
from result_rows import ROWS, Row

import gan_jax
from gan_jax import validation
from gan_jax.io import files
from gan_jax.runner import status

RECORDS = turns.ROOT / 'benchmarks' / 'results'
EXIT_RESUMABLE = 75  # as of train.py
_SPENT, _SCORES, _RECORD = 'spent.json', 'scores.json', 'record.json'
_SUMMARY = 'summary.json'
_NUM_IN_NAME = re.compile(r'samples_(\d+)\.npz')


# ---- Data.


def pack(path: pathlib.Path, data_dir: str, *, noise: bool) -> None:
  """Writes CIFAR-10 as an .npz file, or noise of its shape.

  Args:
    path: path of the file.
    data_dir: directory of TFDS datasets.
    noise: whether to write a few images of noise, for a trial.
  """
  import numpy as np

  from gan_jax import data

  arrays = {}
  for split in ('train', 'test'):
    if noise:
      random = np.random.default_rng(0)
      x = random.integers(0, 256, (64, 32, 32, 3), np.uint8)
      label = np.arange(64) % 10
    else:
      spec = dict(name='tfds', dataset='cifar10', size=32, channels=3)
      source = data.make_source(spec | {'data_dir': data_dir}, split)
      batch = source[np.arange(len(source))]
      x, label = batch['x'], batch['label']
    arrays |= {f'x_{split}': x, f'y_{split}': label}
  with files.atomic_stream(path) as file:
    np.savez_compressed(file, **arrays)


def data_fields(row: Row, options: argparse.Namespace) -> dict[str, Any]:
  """Returns the fields of the config that say where the data are.

  Args:
    row: the row.
    options: command-line options.

  Raises:
    ValueError: if data are missing.
  """
  name = row.make_config().data.name
  if options.npz and row.make_config().data[name].get('dataset') == 'cifar10':
    return {'data.name': 'npz', 'data.npz.path': options.npz}
  if name == 'audio':
    if not options.audio:
      raise ValueError(f'{row.config}: name the sound by --audio=PATH')
    return {'data.audio.path': options.audio}
  if name in ('tfds', 'stacked_mnist') and options.data_dir:
    return {f'data.{name}.data_dir': options.data_dir}
  return {}


def make_config(row: Row, options: argparse.Namespace) -> Any:
  """Returns the config of a row; with --trial two steps of tiny networks."""
  config = row.make_config(data_fields(row, options))
  if options.trial:
    from configs import common

    config = common.shrink(config)
    config.ensemble.seeds = min(2, config.ensemble.seeds)
  return config


# ---- Training.


def describe_code() -> str:
  """Returns the commit, '' outside a repository; '+' for changed files."""
  run = lambda *arguments: subprocess.run(
    ['git', *arguments], cwd=turns.ROOT, capture_output=True, text=True
  ).stdout.strip()
  with contextlib.suppress(OSError):
    head = run('rev-parse', '--short=12', 'HEAD')
    changed = run('status', '--porcelain', '--untracked-files=no')
    return head + '+' * bool(head and changed)
  return ''


@contextlib.contextmanager
def spending(workdir: pathlib.Path) -> Iterator[None]:
  """Adds the time of the block, and where it ran, to a file of the row."""
  path = workdir / _SPENT
  wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
  try:
    yield
  finally:
    now = resource.getrusage(resource.RUSAGE_SELF)
    before = files.read_json(path) if path.exists() else {}
    spent = now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime
    facts = {
      'seconds': before.get('seconds', 0) + time.perf_counter() - wall,
      'cpu_seconds': (before.get('cpu_seconds') or 0) + spent,
      'machine': machine(),
      'commit': describe_code(),
      'date': datetime.date.today().isoformat(),
    }
    files.write_json(path, before | facts)


def machine() -> str:
  """Describes the accelerator, or the processor, and the versions."""
  import jax

  device = jax.devices()[0]
  card = '' if device.platform == 'cpu' else f'{device.device_kind}; '
  return card + turns.machine()


def train(row: Row, workdir: pathlib.Path, options: argparse.Namespace) -> bool:
  """Trains a row, from its last checkpoint on.

  With --minutes it stops after as many. With --samples it then saves samples
  for Inception's scores, and does so `row.marks` times on the way.

  Returns:
    Whether it came to its end.
  """
  config = make_config(row, options)
  workdir.mkdir(parents=True, exist_ok=True)
  limit = 60 * options.minutes or float('inf')
  marks = max(1, row.marks) if options.minutes else 1
  start = time.perf_counter()
  for mark in range(1, marks + 1):
    late = lambda mark=mark: time.perf_counter() - start >= limit * mark / marks
    with spending(workdir):
      result = gan_jax.train(config, workdir, should_stop=late)
    if not result.finished and not late():
      return False  # by a signal
    if options.samples and uses_inception(row):
      save_samples(row, workdir, options.samples)
    if result.finished:
      return True
  return False


def _seconds(workdir: pathlib.Path) -> float:
  path = workdir / _SPENT
  return files.read_json(path)['seconds'] if path.exists() else 0.0


def save_samples(row: Row, workdir: pathlib.Path, count: int) -> None:
  """Saves samples of the last checkpoint, with what they cost to get."""
  import numpy as np

  from gan_jax import pixels

  sampler = gan_jax.load(workdir)
  images = sampler.step * sampler.config.batch_size
  label = None
  if sampler.config.conditional:
    label = np.arange(count) % sampler.gan.classes
  x = sampler(count, label=label)
  arrays = {'samples': pixels.to_uint8(x) if x.ndim == 4 else x}
  if label is not None:
    arrays['label'] = label
  path = workdir / f'samples_{sampler.step:08d}.npz'
  with files.atomic_stream(path) as file:
    np.savez_compressed(file, **arrays)
  facts = {
    'images': images,
    'minutes': _seconds(workdir) / 60,
    'samples': count,
  }
  files.write_json(path.with_suffix('.json'), facts)


# ---- Scores and records.


def uses_inception(row: Row) -> bool:
  """Returns whether the scores need weights that are not in the package."""
  return bool(row.scoring) and 'features' not in row.scoring


def eval_fields(row: Row, options: argparse.Namespace) -> dict[str, Any]:
  """Returns the fields of config.eval for the scores of a row."""
  weights = options.feature_weights
  return dict(row.scoring) | ({'feature_weights': weights} if weights else {})


def score(row: Row, workdir: pathlib.Path, options: argparse.Namespace) -> None:
  """Scores a finished single run, as evaluate.py does."""
  from gan_jax.runner import evaluate

  if not row.scoring or (workdir / _SCORES).exists():
    return
  with spending(workdir):
    evaluate.evaluate(
      evaluate.Request(
        workdir=str(workdir),
        eval=eval_fields(row, options),
        out=str(workdir / _SCORES),
      )
    )


def score_samples(
  row: Row, path: pathlib.Path, options: argparse.Namespace
) -> None:
  """Scores saved samples against the data of the row's config."""
  from gan_jax.runner import evaluate

  out = path.with_suffix('.scores.json')
  if out.exists():
    return
  fields = eval_fields(row, options)
  del fields['num_samples']  # it is that of the file
  evaluate.evaluate(
    evaluate.Request(
      samples=str(path),
      data=row.config,
      data_dir=options.data_dir,
      eval=fields,
      out=str(out),
    )
  )


def read_scores(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads the scores that the files of a run have.

  Args:
    workdir: directory of a row.

  Returns:
    `scores`: score -> mean, standard error, floor, its standard error;
    `error_over`: what the standard errors are over; `diverged`. Empty for a run
    that was not scored.
  """
  summary = workdir / _SUMMARY
  found = files.read_json(summary) if summary.exists() else {}
  if found.get('points'):
    point, floors = found['points'][0], found['baselines']
    scores = {
      name: [*pair, *floors[name]] for name, pair in point['scores'].items()
    }
    return {
      'scores': scores,
      'error_over': f'{len(point["members"])} seeds',
      'diverged': len(point['diverged']),
    }
  if (workdir / _SCORES).exists():
    rows = files.read_json(workdir / _SCORES)['scores']
    return {'scores': _from_rows(rows), 'error_over': 'samples of one seed'}
  return {}


def _from_rows(rows: list[dict[str, Any]]) -> dict[str, list[float | None]]:
  names = ('value', 'error', 'baseline', 'baseline_error')
  return {row['name']: [row[name] for name in names] for row in rows}


def read_curve(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Reads the scores of the samples that a run saved on the way."""
  curve = []
  for path in sorted(workdir.glob('samples_*.npz')):
    if not _NUM_IN_NAME.fullmatch(path.name):
      continue
    point = {'step': int(_NUM_IN_NAME.fullmatch(path.name)[1])}
    point |= files.read_json(path.with_suffix('.json'))
    scored = path.with_suffix('.scores.json')
    if scored.exists():
      point['scores'] = _from_rows(files.read_json(scored)['scores'])
    curve.append(point)
  return curve


def make_record(name: str, workdir: pathlib.Path) -> dict[str, Any] | None:
  """Returns the record of a row from the files in its directory.

  Args:
    name: name of the row.
    workdir: its directory.

  Returns:
    The record; None if the row was not begun.
  """
  if not (workdir / 'config.json').exists():
    return None
  run = files.read_json(workdir / 'config.json')
  # A run of train.py itself has no such file.
  path = workdir / _SPENT
  spent = files.read_json(path) if path.exists() else {}
  progress = status.read_status(workdir)
  row = ROWS[name]
  return {
    'row': name,
    'config': row.config,
    'command': row.command(),
    'seeds': row.seeds,
    'step': progress.step,
    'num_steps': run['config']['num_steps'],
    'versions': run['versions'],
    'curve': read_curve(workdir),
    **spent,
    **(read_scores(workdir) if progress.step else {}),
  }


# ---- The program.


def is_ended(workdir: pathlib.Path) -> bool:
  """Returns whether a run came to its end, its scores included."""
  return (workdir / _SUMMARY).exists() and (
    status.read_status(workdir).state == 'finished'
  )


def run_row(name: str, options: argparse.Namespace) -> bool:
  """Trains and scores a row, and writes its record.

  Returns:
    Whether the row is finished.
  """
  row, workdir = ROWS[name], options.out / name
  finished = is_ended(workdir) or train(row, workdir, options)
  if finished and not (options.samples and uses_inception(row)):
    score(row, workdir, options)
  record = make_record(name, workdir)
  files.write_json(workdir / _RECORD, record)
  print(result_page.make_section(row, record))
  return finished


def collect(directory: pathlib.Path, options: argparse.Namespace) -> None:
  """Writes the records of a directory into the repository.

  Args:
    directory: place of the rows' directories.
    options: command-line options.

  Raises:
    ValueError: if it has no rows, or one of another length, as of --trial.
  """
  found = [name for name in ROWS if (directory / name / 'config.json').exists()]
  if not found:
    raise ValueError(f'{directory} has no directory of a row: {list(ROWS)}')
  for name in found:
    run = files.read_json(directory / name / 'config.json')
    steps, wanted = run['config']['num_steps'], ROWS[name].make_config()
    if steps != wanted.num_steps:
      raise ValueError(
        f'{directory / name}: a run of {steps:,} steps, and the row has '
        f'{wanted.num_steps:,}'
      )
  RECORDS.mkdir(exist_ok=True)
  for name in found:
    for path in sorted((directory / name).glob('samples_*.npz')):
      score_samples(ROWS[name], path, options)
    record = make_record(name, directory / name)
    files.write_json(RECORDS / f'{name}.json', record)
  for path in sorted((directory / 'tables').glob('*.md')):
    text = path.read_text()
    if re.search(r'^\| ?:?---', text, re.MULTILINE):
      target = RECORDS / 'tables' / path.name
      target.parent.mkdir(exist_ok=True)
      files.atomic_write(target, text)
  print(f'{len(found)} rows: {", ".join(found)}')


def read_records() -> dict[str, dict[str, Any]]:
  """Returns the records of the repository by row."""
  paths = {name: RECORDS / f'{name}.json' for name in ROWS}
  return {n: files.read_json(p) for n, p in paths.items() if p.exists()}


def write_page() -> None:
  """Writes docs/results.md from the records."""
  tables = {
    path.stem: path.read_text()
    for path in sorted((RECORDS / 'tables').glob('*.md'))
  }
  text = result_page.make_page(ROWS, read_records(), tables)
  files.atomic_write(turns.ROOT / 'docs' / 'results.md', text)


def parse() -> argparse.Namespace:
  """Parses the options."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('row', nargs='?', default='', help='row to run')
  parser.add_argument('--list', action='store_true', help='lists the rows')
  parser.add_argument('--page', action='store_true', help='writes the page')
  parser.add_argument('--collect', type=pathlib.Path, metavar='DIR')
  add = lambda name, text, **more: parser.add_argument(name, help=text, **more)
  add('--out', 'place of the runs', type=pathlib.Path, default='runs/results')
  add('--minutes', 'stops a row after as many', type=float, default=0.0)
  add('--samples', 'samples to save, in place of scores', type=int, default=0)
  add('--data_dir', 'directory of TFDS datasets', default='')
  add('--npz', 'CIFAR-10 as .npz: x_train, x_test, y_train, y_test', default='')
  add('--audio', 'directory or zip of spoken digits', default='')
  add('--feature_weights', 'weights of Inception', default='')
  add('--pack', 'writes CIFAR-10 as such a file', type=pathlib.Path)
  add('--noise', 'packs noise, for a trial', action='store_true')
  add('--trial', 'two steps of tiny networks', action='store_true')
  options = parser.parse_args()
  if options.row and options.row not in ROWS:
    parser.error(validation.unknown_name_message(options.row, ROWS, 'row'))
  if not any(
    (options.row, options.list, options.page, options.collect, options.pack)
  ):
    parser.error('name a row, or --list, --pack=FILE, --collect=DIR or --page')
  return options


def main() -> None:
  """Lists, runs or collects rows."""
  options = parse()
  if options.list:
    width = max(map(len, ROWS))
    for name, row in ROWS.items():
      print(f'{name:{width}}  {row.title}: {row.command()}')
  elif options.pack:
    pack(options.pack, options.data_dir, noise=options.noise)
  elif options.collect or options.page:
    if options.collect:
      collect(options.collect, options)
    write_page()
  else:
    members = ROWS[options.row].seeds > 1
    gan_jax.distributed.configure_jax(members=members, limit_malloc=True)
    finished = run_row(options.row, options)
    sys.exit(0 if finished or options.minutes else EXIT_RESUMABLE)


if __name__ == '__main__':
  try:
    main()
  except (ValueError, OSError) as error:
    sys.exit(f'results.py: {error}')
