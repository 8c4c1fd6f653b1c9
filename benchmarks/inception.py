"""Times the features of FID in gan_jax and in torch-fidelity.

  python benchmarks/inception.py --weights=FILE.pth --torch_python=PATH

Times preprocessing ('legacy_tensorflow', torch-fidelity's own) and the network
on a batch of random 32 x 32 images. Each row is the median over the rounds; CPU
seconds are those of all threads. A ratio above 1 means less CPU time than
torch-fidelity's faster memory layout. The features are compared as well.
"""

import functools
import pathlib
import tempfile

import jax
import numpy as np
import turns

from gan_jax.evaluation import feature_extractors

LAYOUTS = ('contiguous_format', 'channels_last')


def make_run(path: str, images: np.ndarray, results: dict):
  """Builds a function that times our features and stores them in `results`.

  Args:
    path: file of the weights.
    images: uint8 images.
    results: receives the features under 'gan_jax'.
  """
  extractor = feature_extractors.inception_v3_features(path)
  params = jax.device_put(extractor.params)
  compiled = jax.jit(extractor.apply).lower(params, images).compile()

  def work():
    results['gan_jax'] = np.asarray(compiled(params, images))

  return functools.partial(turns.timed, work)


def table(medians: dict[str, turns.Spent], images: int) -> str:
  """Formats the results as Markdown."""
  each = {name: spent.per(images) for name, spent in medians.items()}
  best = turns.fastest(each, 'torch-fidelity')
  rows = [
    [name, *(1e3 * seconds for seconds in spent), best and best.cpu / spent.cpu]
    for name, spent in each.items()
  ]
  header = ('', 'wall ms / image', 'CPU ms / image', 'torch-fidelity / this')
  return turns.table(header, rows)


def main() -> None:
  """Measures, and prints a table."""
  parser = turns.torch_parser(__doc__, rounds=6)
  parser.add_argument(
    '--weights', required=True, help="pytorch-fid's .pth file"
  )
  parser.add_argument('--images', type=int, default=32, help='images per batch')
  options = parser.parse_args()
  shape = (options.images, 32, 32, 3)
  images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  results: dict[str, np.ndarray] = {}
  contenders = {'gan_jax': make_run(options.weights, images, results)}
  with tempfile.TemporaryDirectory() as scratch:
    saved, out = (str(pathlib.Path(scratch, n)) for n in ('x.npy', 'out.npy'))
    np.save(saved, images)
    with turns.start_torch(
      options.torch_python, 'inception_torch.py', options.weights, saved
    ) as torch:
      for layout in LAYOUTS if torch else ():
        contenders[f'torch-fidelity, {layout}'] = functools.partial(
          torch.run, layout=layout, out=out
        )
      print(turns.machine(torch))
      medians = turns.take_turns(contenders, options.rounds)
    print(f'\n{table(medians, options.images)}\n')
    if torch is not None:
      theirs = np.load(out)
      gap = np.linalg.norm(results['gan_jax'] - theirs)
      print(f'relative difference {gap / np.linalg.norm(theirs):.1e}')


if __name__ == '__main__':
  main()
