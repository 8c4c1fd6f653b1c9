"""Measures what sets of millions of images take: memory, start-up, a batch.

  python benchmarks/many_images.py
  python benchmarks/many_images.py --images=100000 --feed=1000000

First, each way to name a set of images (a directory, a zip, shards, a mapped
array), on a million tiny pictures: seconds to open the training split in a new
process and to its first batch, memory, and images per second, none of them kept
in memory. Then a set of ten million: 100 tar files, hard links of one with
100,000 different pictures, and an index of ten million random places. It is read
as a run reads it, at its start and resumed at a late step, while the resident
memory is watched; and `train.py` trains on it, is stopped, and continues.
Needs 5 GB in --scratch, most of it for the directory, and takes about twenty
minutes on two cores.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import memory
import numpy as np
import turns

from gan_jax import data, shuffle
from gan_jax.data import import_images, shard_writer, shards, zip_writer
from gan_jax.data.batches import BatchIterator

SIDE = 8  # pixels
BATCH = 64
SHARDS = 100  # of the large set
CLASSES = 1000
SMALL = 16


# ---- What is read.


def pictures(count: int):
  """Yields PNGs of 8 x 8 pixels, all different."""
  rng = np.random.default_rng(0)
  for start in range(0, count, 4096):
    size = (min(4096, count - start), SIDE, SIDE, 3)
    for x in rng.integers(0, 256, size, np.uint8):
      yield zip_writer.encode_png(x)


def write_directory(root: pathlib.Path, count: int) -> None:
  """Writes a directory of images, 10,000 to a sub-directory."""
  for i, content in enumerate(pictures(count)):
    below = root / f'{i // 10_000:05d}'
    if not i % 10_000:
      below.mkdir(parents=True)
    (below / f'{i:08d}.png').write_bytes(content)


def write_shards(root: pathlib.Path, count: int) -> None:
  """Writes a directory of shards."""
  with shard_writer.ShardWriter(root) as writer:
    for content in pictures(count):
      writer.add(content)
    writer.finish(np.arange(count) % CLASSES)


def write_zip(path: pathlib.Path, count: int) -> None:
  """Writes a zip as `prepare` does."""
  with zip_writer.ImageZipWriter(path) as writer:
    for content in pictures(count):
      writer.add(content)
    writer.finish(np.arange(count) % CLASSES)


def write_array(path: pathlib.Path, count: int) -> None:
  """Writes an array, and a function that maps it."""
  shape = (count, SIDE, SIDE, 3)
  x = np.lib.format.open_memmap(path.with_suffix('.npy'), 'w+', np.uint8, shape)
  rng = np.random.default_rng(0)
  for start in range(0, count, 4096):
    part = x[start : start + 4096]
    part[:] = rng.integers(0, 256, part.shape, np.uint8)
  path.write_text(
    'import numpy as np\n\n\ndef images():\n'
    f'  return np.load({str(path.with_suffix(".npy"))!r}, mmap_mode="r")\n'
  )


def write_large(root: pathlib.Path, count: int) -> None:
  """Writes shards that are hard links of one, and an index of random places."""
  write_shards(root, count // SHARDS)
  first, about = root / 'shard-000000.tar', root / shards.ABOUT
  names = [first.name, *(f'shard-{i:06d}.tar' for i in range(1, SHARDS))]
  for name in names[1:]:
    os.link(first, root / name)
  places = np.fromfile(root / shards.INDEX, shards.PLACE)
  with (root / shards.INDEX).open('wb') as file:
    for number in range(SHARDS):
      places['shard'] = number
      file.write(places.tobytes())
  size = first.stat().st_size
  changes = {
    'images': len(places) * SHARDS,
    'shards': [[name, size] for name in names],
  }
  about.write_text(json.dumps(json.loads(about.read_text()) | changes))


KINDS = {
  'directory': (write_directory, 'directory'),
  'zip': (write_zip, 'set.zip'),
  'shards': (write_shards, 'shards'),
  'mapped array': (write_array, 'array.py'),
}


# ---- How it is read, each in a process of its own.


def spec_of(kind: str, where: str) -> dict:
  """Returns the data spec of a set that keeps no image in memory."""
  if kind == 'mapped array':
    return {'name': 'custom', 'function': f'{where}:images'}
  return {'name': 'folder', 'path': where, 'size': SIDE, 'memory_mb': 0}


def open_and_read(kind: str, where: str, small: str) -> dict[str, float]:
  """Opens the training split, and reads batches; returns what it took.

  Args:
    kind: one of KINDS.
    where: path of the set.
    small: path of a small one, which is opened before, so that imports do not
      count.
  """
  sources: list[data.Source] = []
  source = data.make_source(spec_of(kind, small))
  source[np.arange(2)]
  memory.reset_peak()
  before = memory.resident_mib()
  opened = turns.timed(
    lambda: sources.append(data.make_source(spec_of(kind, where)))
  )
  (source,) = sources
  read = lambda step: source[shuffle.batch_indices(0, step, len(source), BATCH)]
  first = turns.timed(lambda: read(0))
  resident, peak = memory.resident_mib() - before, memory.peak_mib() - before
  more = turns.timed(lambda: [read(step) for step in range(1, 101)])
  return {
    'open': opened.cpu,
    'first': first.cpu,
    'resident': resident,
    'peak': peak,
    'rate': 100 * BATCH / more.cpu,
  }


def stream(where: str, step: int, seconds: float) -> dict:
  """Reads batches from a step on, as a run does; returns times and memory."""
  start = time.perf_counter()
  source = data.make_source(spec_of('shards', where))
  opened = time.perf_counter() - start
  with BatchIterator(source, seed=0, batch_size=BATCH, start=step) as batches:
    next(batches)
    first = time.perf_counter() - start
    read, rows, next_row = 1, [], 0.0
    while (now := time.perf_counter() - start - first) < seconds:
      if now >= next_row:
        rows.append((read, memory.resident_mib(), memory.resident_mib(False)))
        next_row += seconds / 6
      next(batches)
      read += 1
    rows.append((read, memory.resident_mib(), memory.resident_mib(False)))
  shares = turns.timed(lambda: source.class_share)
  return {
    'images': len(source),
    'open': opened,
    'first': first,
    'rows': rows,
    'shares': shares.wall,
  }


def in_process(*arguments: str) -> dict:
  """Runs a part of this file in a new process."""
  command = [sys.executable, __file__, '--part', *arguments]
  done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
  return json.loads(done.stdout.splitlines()[-1])


# ---- Training.


def train(where: pathlib.Path, workdir: pathlib.Path) -> tuple[float, float]:
  """Runs train.py until its second line of steps, and stops it.

  Args:
    where: directory of the shards.
    workdir: directory of the run.

  Returns:
    Seconds to the first line of steps, and resident MiB at the second.
  """
  command = [
    *(sys.executable, 'train.py', '--config=configs/folder.py'),
    *(f'--workdir={workdir}', f'--config.data.folder.path={where}'),
    *(f'--config.data.folder.size={SIDE}', '--config.data.folder.memory_mb=0'),
    *('--config.generator.dcgan.width=8', '--config.sample_every=0'),
    *('--config.discriminator.dcgan.width=8', '--config.eval_every=0'),
    *('--config.num_steps=1000000', '--config.log_every=200'),
    *('--config.checkpoint_every=100000', '--config.resident_mb=0'),
  ]
  start, lines = time.monotonic(), []
  with subprocess.Popen(
    command, cwd=turns.ROOT, stdout=subprocess.PIPE, text=True
  ) as process:
    for line in process.stdout:
      if not re.match(r'step +\d', line):
        continue
      lines.append(time.monotonic() - start)
      if len(lines) == 2:
        mib = memory.resident_mib(process=process.pid)
        process.send_signal(signal.SIGTERM)
  if len(lines) < 2:
    raise RuntimeError('train.py ended by itself; its error is above')
  return lines[0], mib


# ---- Tables.


def source_rows(
  scratch: pathlib.Path, kinds: list[str], counts: tuple[int, int]
) -> list[list]:
  """Measures kinds of sets.

  Args:
    scratch: directory to write to.
    kinds: some of KINDS.
    counts: number of images of a set, and of a directory.
  """
  rows = []
  for kind in kinds:
    (write, name), count = KINDS[kind], counts[kind == 'directory']
    print(f'writing {count:,}: {kind}', file=sys.stderr, flush=True)
    for size, below in ((SMALL, 'small'), (count, 'many')):
      (scratch / below).mkdir(exist_ok=True)
      write(scratch / below / name, size)
    paths = (str(scratch / below / name) for below in ('many', 'small'))
    found = in_process('open', kind, *paths)
    million = count / 1e6
    rows.append(
      [
        f'{kind}, {count:,}',
        found['open'] / million,
        1e3 * found['first'],
        *(f'{found[key] / million:,.0f}' for key in ('resident', 'peak')),
        found['rate'],
      ]
    )
  return rows


def index_seconds(root: pathlib.Path) -> float:
  """Returns the CPU seconds of indexing the tar files of a directory."""
  tars = sorted(root.glob('*.tar'))
  index = lambda: import_images.import_images(tars, root, overwrite=True)
  return turns.timed(index).cpu


def feed_tables(scratch: pathlib.Path, count: int, seconds: float) -> None:
  """Measures the large set, and prints its tables."""
  where = scratch / 'large'
  write_large(where, count)
  header = ['steps from', 'open, s', 'first batch, s', 'class shares, s']
  rows, readings = [], []
  for step in (0, 7_654_321):
    found = in_process('stream', str(where), str(step), str(seconds))
    keys = ('open', 'first', 'shares')
    rows.append([f'{step:,}', *(found[key] for key in keys)])
    readings += [
      [f'{step:,}', f'{read:,}', *(f'{x:.0f}' for x in mib)]
      for read, *mib in found['rows']
    ]
  print(f'\nThe training split, {found["images"]:,} images:\n')
  print(turns.table(header, rows))
  header = ['steps from', 'batches read', 'resident, MiB', 'not of files, MiB']
  print(f'\n{turns.table(header, readings)}')
  workdir = scratch / 'run'
  rows = []
  for what in ('new', 'continued'):
    start, mib = train(where, workdir)
    rows.append([what, start, f'{mib:.0f}'])
  header = ['train.py', 'seconds to its 200th step', 'resident, MiB']
  print(f'\n{turns.table(header, rows)}')


def main() -> None:
  """Measures, and prints tables."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--images', type=int, default=1_000_000)
  parser.add_argument('--kinds', nargs='*', choices=KINDS, default=list(KINDS))
  parser.add_argument(
    '--files', type=int, default=1_000_000, help='images of the directory'
  )
  parser.add_argument('--feed', type=int, default=10_000_000)
  parser.add_argument('--seconds', type=float, default=60, help='of reading')
  parser.add_argument('--scratch', default=None, help='directory for the sets')
  parser.add_argument('--part', nargs='*', help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.part:
    name, *arguments = options.part
    if name == 'open':
      print(json.dumps(open_and_read(*arguments)))
    else:
      where, step, seconds = arguments
      print(json.dumps(stream(where, int(step), float(seconds))))
    return
  print(turns.machine(), flush=True)
  with tempfile.TemporaryDirectory(dir=options.scratch) as directory:
    scratch = pathlib.Path(directory)
    header = (
      f'kind, images of {SIDE} x {SIDE}',
      'open, CPU s / million',
      'first batch, CPU ms',
      'resident, MiB / million',
      'peak, MiB / million',
      'images / CPU s',
    )
    if options.images:
      counts = options.images, min(options.images, options.files)
      print(
        '\n' + turns.table(header, source_rows(scratch, options.kinds, counts))
      )
    if options.images and 'shards' in options.kinds:
      seconds = index_seconds(scratch / 'many' / 'shards') / options.images
      print(
        f'\nIndexing the tar files: {1e6 * seconds:.0f} CPU s / million.',
        flush=True,
      )
    if options.feed:
      feed_tables(scratch, options.feed, options.seconds)


if __name__ == '__main__':
  main()
