"""What the scores cost, and how exact they are, at Inception's 2,048 features.

  python benchmarks/scores.py                      every table, some 10 minutes
  python benchmarks/scores.py --tables trace       frechet traces alone
  python benchmarks/scores.py --manifold 50000x64  one more size

The trace of the Frechet distance by eigenvalues (gan_jax, float64), by
numpy's and by scipy.linalg.sqrtm of the product of covariances, as most FID
code has it: medians over rounds that take turns. Then the distance of a set
of fewer samples than features to itself, in float64 and in float32. Then
precision to coverage, each size in a process of its own for its peak memory.
"""

import argparse
import functools
import json
import pathlib
import re
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import turns

from gan_jax.metrics import frechet, precision_recall


def draw_covariance(seed: int, count: int, dim: int) -> np.ndarray:
  """Of half-normal features of very different scales, as Inception's are."""
  scales = np.random.default_rng(0).gamma(0.5, 1, dim)
  x = np.random.default_rng(seed).normal(size=(count, dim)) * scales
  return np.cov(np.abs(x).astype(np.float32).T.astype(float))


def by_gan_jax(p: np.ndarray, q: np.ndarray) -> float:
  """tr (P^1/2 Q P^1/2)^1/2, from the whole distance."""
  zero = np.zeros(len(p))
  distance = frechet.frechet_distance(zero, p, zero, q)
  return (np.trace(p) + np.trace(q) - float(distance)) / 2


def by_numpy(p: np.ndarray, q: np.ndarray) -> float:
  """The same by numpy's eigenvalues."""
  values, vectors = np.linalg.eigh(p)
  root = vectors * np.sqrt(np.maximum(values, 0))
  product = np.linalg.eigvalsh(root.T @ q @ root)
  return np.sqrt(np.maximum(product, 0)).sum()


def by_sqrtm(p: np.ndarray, q: np.ndarray) -> float:
  """tr (P Q)^1/2 by scipy's root of a matrix."""
  import scipy.linalg  # no requirement of gan_jax

  return np.trace(scipy.linalg.sqrtm(p @ q).real)


WAYS = {
  'gan_jax': by_gan_jax,
  'numpy eigh': by_numpy,
  'scipy sqrtm': by_sqrtm,
}


def measure_traces(
  p: np.ndarray, q: np.ndarray, rounds: int
) -> tuple[dict[str, turns.Spent], dict[str, float]]:
  """Seconds and value of the trace of two covariances, each way."""
  values = {}

  def work(name: str) -> None:
    values[name] = float(WAYS[name](p, q))

  contenders = {
    name: functools.partial(turns.timed, functools.partial(work, name))
    for name in WAYS
  }
  return turns.take_turns(contenders, rounds), values


def trace_table(dim: int, rounds: int) -> str:
  """The trace, three ways, full rank and not."""
  by_gan_jax(np.eye(dim), np.eye(dim))  # compiles
  rows = []
  for count in (4 * dim, dim // 2):
    covariances = (draw_covariance(seed, count, dim) for seed in (1, 2))
    medians, values = measure_traces(*covariances, rounds)
    for name, value in values.items():
      gap = value / values['numpy eigh'] - 1
      cells = (f'{value:.8f}', f'{gap:+.1e}')
      rows.append([f'{count:,} samples, {name}', *medians[name], *cells])
  header = ('', 'seconds', 'CPU seconds', 'value', 'relative gap')
  return turns.table(header, rows)


@jax.jit
def self_distance_float32(p: jax.Array) -> jax.Array:
  """The distance of N(0, P) to itself, all of it in float32."""
  values, vectors = jnp.linalg.eigh(p)
  root = vectors * jnp.sqrt(jnp.maximum(values, 0))[None]
  product = jnp.linalg.eigvalsh(root.T @ p @ root)
  roots = jnp.sqrt(jnp.maximum(product, 0)).sum()
  return jnp.trace(p) + jnp.trace(p) - 2 * roots


def self_table(dim: int) -> str:
  """The distance of a set to itself, in two precisions."""
  rows, mean = [], np.zeros(dim)
  for count in (dim // 8, dim // 2, 4 * dim):
    p = draw_covariance(1, count, dim)
    double = float(frechet.frechet_distance(mean, p, mean, p))
    single = float(self_distance_float32(p.astype(np.float32)))
    cells = (f'{np.trace(p):.1f}', f'{double:+.1e}', f'{single:+.1e}')
    rows.append([f'{count:,}', *cells])
  return turns.table(('samples', 'trace', 'float64', 'float32'), rows)


def peak_gib() -> float:
  """The most memory that this process has had."""
  status = pathlib.Path('/proc/self/status')
  if status.exists():  # getrusage counts what the parent had when it forked
    found = re.search(r'^VmHWM:\s*(\d+) kB', status.read_text(), re.MULTILINE)
    return int(found[1]) / 2**20
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def manifold_row(size: str) -> list:
  """Time, peak memory and scores, in this process.

  Args:
    size: 'samplesxfeatures'.
  """
  count, dim = map(int, size.split('x'))
  rng = np.random.default_rng(0)
  real, fake = rng.standard_normal((2, count, dim), np.float32)
  precision_recall.compute_prdc(real[:20], fake[:20])  # starts JAX
  before, scores = peak_gib(), []
  spent = turns.timed(
    lambda: scores.extend(map(float, precision_recall.compute_prdc(real, fake)))
  )
  cells = [f'{score:.4f}' for score in scores]
  return [f'{count:,}', f'{dim:,}', *spent, before, peak_gib(), *cells]


def manifold_table(sizes: list[str]) -> str:
  """Time and peak memory of precision, recall, density and coverage."""
  rows = []
  for size in sizes:
    command = [sys.executable, __file__, '--row', size]
    rows.append(json.loads(subprocess.check_output(command)))
    print(f'{size} is done', file=sys.stderr, flush=True)
  header = ('samples a side', 'features', 'seconds', 'CPU seconds')
  memory = ('GiB before', 'peak GiB')
  scores = ('precision', 'recall', 'density', 'coverage')
  return turns.table([*header, *memory, *scores], rows)


def main() -> None:
  """Measures and prints."""
  parser = turns.parser(__doc__, rounds=4)
  tables = ['trace', 'self', 'manifold']
  parser.add_argument('--tables', nargs='*', choices=tables, default=tables)
  parser.add_argument('--dim', type=int, default=2048, help='features')
  parser.add_argument(
    '--manifold', nargs='*', default=['10000x64', '10000x2048', '50000x64']
  )
  parser.add_argument('--row', help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.row:
    print(json.dumps(manifold_row(options.row)))
    return
  dim = options.dim
  print(turns.machine(), flush=True)
  if 'trace' in options.tables:
    print(f'\ntr (P^1/2 Q P^1/2)^1/2, {dim} x {dim}:\n')
    print(trace_table(dim, options.rounds), flush=True)
  if 'self' in options.tables:
    print(f'\nFrechet distance of a set to itself, {dim} features; truth: 0\n')
    print(self_table(dim), flush=True)
  if 'manifold' in options.tables:
    print('\nPrecision, recall, density, coverage of two normal sets, k = 5\n')
    print(manifold_table(options.manifold), flush=True)


if __name__ == '__main__':
  main()
