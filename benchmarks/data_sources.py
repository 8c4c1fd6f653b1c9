"""Measures how many images a second and core each kind of data source reads.

  python benchmarks/data_sources.py

Writes smooth random JPEGs of 256 x 256 and the same images as a zip, as a zip
of 64 x 64 by gan_jax.data.import_images, as parquet (if pyarrow is installed)
and as an .npz, and reads batches of 64 in random order at 64 x 64, none of them
kept in memory but the arrays. Counts CPU time, so that other programs matter
less. Sources take turns; rows are medians over the rounds. Takes about half a
minute on two cores.
"""

import argparse
import importlib.util
import pathlib
import statistics
import tempfile
import time
from typing import Any

import feed
import numpy as np
from PIL import Image

from gan_jax import data
from gan_jax.data import import_images

SIDE, SIZE, BATCH = 256, 64, 64


class Photos:
  """Images of a directory, as a dataset of one's own would open them."""

  def __init__(self, paths: list[pathlib.Path]):
    self._paths = paths

  def __len__(self) -> int:
    return len(self._paths)

  def __getitem__(self, index: int) -> Image.Image:
    image = Image.open(self._paths[index])
    image.draft('RGB', (SIZE, SIZE))
    return image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def make_sources(directory: pathlib.Path, count: int) -> dict[str, Any]:
  """Writes the images in all layouts, and opens them.

  Args:
    directory: an empty directory.
    count: number of images.

  Returns:
    Name of a row -> source.
  """
  folder = directory / 'folder'
  folder.mkdir()
  feed.write_images(folder, count, SIDE)
  paths = sorted(folder.iterdir())
  whole, small = directory / 'whole.zip', directory / 'small.zip'
  import_images.import_images([folder], whole)
  form = import_images.ImportFormat(size=SIZE)
  import_images.import_images([folder], small, form)
  streamed = dict(size=SIZE, memory_mb=0)
  read = lambda name, **options: data.make_source({'name': name, **options})
  sources = {
    'a directory of JPEGs of 256 x 256': read(
      'folder', path=str(folder), **streamed
    ),
    'a zip of the same files': read('folder', path=str(whole), **streamed),
    'a zip of `prepare --size=64`': read('folder', path=str(small), **streamed),
    'own code, PIL images resized': data.as_source(Photos(paths)),
  }
  images = np.stack([np.asarray(Photos(paths)[i]) for i in range(count)])
  np.savez(directory / 'images.npz', x=images)
  sources['`npz`, in memory'] = read('npz', path=str(directory / 'images.npz'))
  if importlib.util.find_spec('pyarrow'):
    from gan_jax.data import hf

    write_parquet(directory / 'images.parquet', paths)
    if not hf.is_installed('datasets'):  # its files must fit, then
      train = int(0.9 * count)
      streamed['memory_mb'] = SIZE * SIZE * 3 * train // 2**20
    sources['parquet of the same files'] = read(
      'hf', dataset=str(directory / 'images.parquet'), **streamed
    )
  return sources


def write_parquet(path: pathlib.Path, images: list[pathlib.Path]) -> None:
  """Writes image files to a parquet file, as the package `datasets` does."""
  import pyarrow
  import pyarrow.parquet

  cells = [{'bytes': p.read_bytes(), 'path': p.name} for p in images]
  pyarrow.parquet.write_table(pyarrow.table({'image': cells}), path)


def measure(source: Any, batches: int, seed: int) -> float:
  """Returns the images per second of CPU time, in random batches."""
  order = np.random.default_rng(seed).integers(0, len(source), (batches, BATCH))
  start = time.process_time()
  for indices in order:
    source[indices]
  return batches * BATCH / (time.process_time() - start)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--count', type=int, default=2000, help='images')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--batches', type=int, default=12, help='in a round')
  options = parser.parse_args()
  with tempfile.TemporaryDirectory() as directory:
    sources = make_sources(pathlib.Path(directory), options.count)
    rates: dict[str, list[float]] = {name: [] for name in sources}
    for seed in range(options.rounds + 1):  # the first is not counted
      for name, source in sources.items():
        rate = measure(source, options.batches, seed)
        if seed:
          rates[name].append(rate)
  print('| source | images/s of a core | lowest to highest |\n|---|---|---|')
  for name, found in rates.items():
    print(
      f'| {name} | {statistics.median(found):,.0f} | '
      f'{min(found):,.0f} to {max(found):,.0f} |'
    )


if __name__ == '__main__':
  main()
