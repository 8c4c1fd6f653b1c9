"""Measures cost and accuracy of scores at Inception's 2,048 features.

  python benchmarks/scores.py                   all tables, about 10 minutes
  python benchmarks/scores.py --tables trace    the Frechet traces only
  python benchmarks/scores.py --prdc 50000x64   other sizes for PRDC

Computes the trace of the Frechet distance from eigenvalues in gan_jax
(float64), from those of numpy, and by scipy.linalg.sqrtm of the product of
covariances, as most FID implementations do; rows are medians over rounds that
take turns. Then computes the distance of a set to itself in float64 and in
float32, for sets that are smaller or larger than the number of features. Then
measures precision, recall, density and coverage (PRDC), each size in its own
process to measure its peak memory.
"""

import argparse
import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import memory
import numpy as np
import turns

from gan_jax.metrics import frechet, precision_recall


def draw_covariance(seed: int, count: int, dim: int) -> np.ndarray:
  """Draws a covariance of half-normal features of very different scales.

  Inception's features are of that kind.

  Args:
    seed: seed of the features.
    count: number of examples.
    dim: number of features.
  """
  scales = np.random.default_rng(0).gamma(0.5, 1, dim)
  x = np.random.default_rng(seed).normal(size=(count, dim)) * scales
  return np.cov(np.abs(x).astype(np.float32).T.astype(float))


def trace_gan_jax(p: np.ndarray, q: np.ndarray) -> float:
  """Computes tr (P^1/2 Q P^1/2)^1/2 from the Frechet distance."""
  zero = np.zeros(len(p))
  distance = frechet.frechet_distance(zero, p, zero, q)
  return (np.trace(p) + np.trace(q) - float(distance)) / 2


def trace_numpy(p: np.ndarray, q: np.ndarray) -> float:
  """Computes tr (P^1/2 Q P^1/2)^1/2 from numpy's eigenvalues."""
  values, vectors = np.linalg.eigh(p)
  root = vectors * np.sqrt(np.maximum(values, 0))
  product = np.linalg.eigvalsh(root.T @ q @ root)
  return np.sqrt(np.maximum(product, 0)).sum()


def trace_sqrtm(p: np.ndarray, q: np.ndarray) -> float:
  """Computes tr (P Q)^1/2 by scipy's matrix square root."""
  import scipy.linalg  # not a requirement of gan_jax

  return np.trace(scipy.linalg.sqrtm(p @ q).real)


METHODS = {
  'gan_jax': trace_gan_jax,
  'numpy eigh': trace_numpy,
  'scipy sqrtm': trace_sqrtm,
}


def measure_traces(
  p: np.ndarray, q: np.ndarray, rounds: int
) -> tuple[dict[str, turns.Spent], dict[str, float]]:
  """Measures seconds and value of the trace by each method.

  Args:
    p: covariance.
    q: covariance.
    rounds: number of rounds; the first is a warm-up.
  """
  values = {}

  def work(name: str) -> None:
    values[name] = float(METHODS[name](p, q))

  contenders = {
    name: functools.partial(turns.timed, functools.partial(work, name))
    for name in METHODS
  }
  return turns.take_turns(contenders, rounds), values


def trace_table(dim: int, rounds: int) -> str:
  """Measures the trace by all methods, with and without full rank."""
  trace_gan_jax(np.eye(dim), np.eye(dim))  # compiles
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
  """Computes the distance of N(0, P) to itself entirely in float32."""
  values, vectors = jnp.linalg.eigh(p)
  root = vectors * jnp.sqrt(jnp.maximum(values, 0))[None]
  product = jnp.linalg.eigvalsh(root.T @ p @ root)
  roots = jnp.sqrt(jnp.maximum(product, 0)).sum()
  return jnp.trace(p) + jnp.trace(p) - 2 * roots


def self_table(dim: int) -> str:
  """Computes the distance of a set to itself in two precisions."""
  rows, mean = [], np.zeros(dim)
  for count in (dim // 8, dim // 2, 4 * dim):
    p = draw_covariance(1, count, dim)
    double = float(frechet.frechet_distance(mean, p, mean, p))
    single = float(self_distance_float32(p.astype(np.float32)))
    cells = (f'{np.trace(p):.1f}', f'{double:+.1e}', f'{single:+.1e}')
    rows.append([f'{count:,}', *cells])
  return turns.table(('samples', 'trace', 'float64', 'float32'), rows)


def prdc_row(size: str) -> list:
  """Measures time, peak memory and scores in this process.

  Args:
    size: 'SAMPLESxFEATURES', such as '10000x64'.
  """
  count, dim = map(int, size.split('x'))
  rng = np.random.default_rng(0)
  real, fake = rng.standard_normal((2, count, dim), np.float32)
  precision_recall.compute_prdc(real[:20], fake[:20])  # starts JAX
  before, scores = memory.peak_mib() / 2**10, []
  spent = turns.timed(
    lambda: scores.extend(map(float, precision_recall.compute_prdc(real, fake)))
  )
  cells = [f'{score:.4f}' for score in scores]
  peak = memory.peak_mib() / 2**10
  return [f'{count:,}', f'{dim:,}', *spent, before, peak, *cells]


def prdc_table(sizes: list[str]) -> str:
  """Measures time and peak memory of PRDC for several sizes."""
  rows = []
  for size in sizes:
    command = [sys.executable, __file__, '--row', size]
    rows.append(json.loads(subprocess.check_output(command)))
    print(f'{size} done', file=sys.stderr, flush=True)
  header = ('samples per set', 'features', 'seconds', 'CPU seconds')
  memory = ('GiB before', 'peak GiB')
  scores = ('precision', 'recall', 'density', 'coverage')
  return turns.table([*header, *memory, *scores], rows)


def main() -> None:
  """Measures, and prints the tables."""
  parser = turns.parser(__doc__, rounds=4)
  tables = ['trace', 'self', 'prdc']
  parser.add_argument('--tables', nargs='*', choices=tables, default=tables)
  parser.add_argument(
    '--dim', type=int, default=2048, help='number of features'
  )
  parser.add_argument(
    '--prdc',
    nargs='*',
    default=['10000x64', '10000x2048', '50000x64'],
    help='sizes, SAMPLESxFEATURES',
  )
  parser.add_argument('--row', help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.row:
    print(json.dumps(prdc_row(options.row)))
    return
  dim = options.dim
  print(turns.machine(), flush=True)
  if 'trace' in options.tables:
    print(f'\ntr (P^1/2 Q P^1/2)^1/2, {dim} x {dim}:\n')
    print(trace_table(dim, options.rounds), flush=True)
  if 'self' in options.tables:
    print(f'\nFrechet distance of a set to itself, {dim} features; exact: 0\n')
    print(self_table(dim), flush=True)
  if 'prdc' in options.tables:
    print('\nPrecision, recall, density, coverage of two normal sets, k = 5\n')
    print(prdc_table(options.prdc), flush=True)


if __name__ == '__main__':
  main()
