"""Times the features of FID: gan_jax beside torch-fidelity, taking turns.

  python benchmarks/inception.py --weights=FILE.pth --torch_python=PATH

Preprocessing included ('legacy_tensorflow', torch-fidelity's own), on a batch
of random 32 x 32 images. Each row is the median over the rounds; CPU seconds
are those of all threads. A ratio above 1 means less CPU time than
torch-fidelity's faster memory layout. The features are compared, too.
"""

import argparse
import functools
import pathlib
import sys
import tempfile
import time

import jax
import numpy as np
import turns

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gan_jax import extractors  # noqa: E402

LAYOUTS = ('contiguous_format', 'channels_last')


def make_run(path: str, images: np.ndarray, results: dict):
  """Our features of the images: () -> seconds; keeps them in `results`."""
  extractor = extractors.inception_v3(path)
  params = jax.device_put(extractor.params)
  compiled = jax.jit(extractor.apply).lower(params, images).compile()

  def run():
    wall, cpu = time.perf_counter(), time.process_time()
    results['gan_jax'] = np.asarray(compiled(params, images))
    return turns.Spent(time.perf_counter() - wall, time.process_time() - cpu)

  return run


def table(medians: dict[str, turns.Spent], images: int) -> str:
  """The results in Markdown."""
  theirs = [spent.cpu for name, spent in medians.items() if name != 'gan_jax']
  lines = [
    '| | wall ms / image | CPU ms / image | torch-fidelity / this |',
    '|---|---:|---:|---:|',
  ]
  for name, spent in medians.items():
    ratio = f'{min(theirs) / spent.cpu:.2f}' if theirs else ''
    wall, cpu = (1e3 * seconds / images for seconds in spent)
    lines.append(f'| {name} | {wall:.0f} | {cpu:.0f} | {ratio} |')
  return '\n'.join(lines)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description='Times the features of FID.')
  parser.add_argument('--weights', required=True, help="pytorch-fid's .pth")
  parser.add_argument('--torch_python', default='', help='has torch-fidelity')
  parser.add_argument('--images', type=int, default=32, help='in a batch')
  parser.add_argument('--rounds', type=int, default=6, help='first warms up')
  options = parser.parse_args()
  shape = (options.images, 32, 32, 3)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  results: dict[str, np.ndarray] = {}
  contenders = {'gan_jax': make_run(options.weights, images, results)}
  with tempfile.TemporaryDirectory() as scratch:
    saved, out = (str(pathlib.Path(scratch, n)) for n in ('x.npy', 'out.npy'))
    np.save(saved, images)
    torch = turns.start_torch(
      options.torch_python, 'inception_torch.py', options.weights, saved
    )
    if torch is not None:
      contenders |= {
        f'torch-fidelity, {layout}': functools.partial(
          torch.run, layout=layout, out=out
        )
        for layout in LAYOUTS
      }
    print(turns.machine(torch))
    times = {name: [] for name in contenders}
    for number in range(options.rounds):
      for name, run in contenders.items():
        times[name].append(run())
      print(f'round {number + 1} of {options.rounds}', file=sys.stderr)
    print(f'\n{table(turns.medians(times), options.images)}\n')
    if torch is not None:
      theirs = np.load(out)
      gap = np.linalg.norm(results['gan_jax'] - theirs)
      print(f'relative difference {gap / np.linalg.norm(theirs):.1e}')
      torch.close()


if __name__ == '__main__':
  main()
