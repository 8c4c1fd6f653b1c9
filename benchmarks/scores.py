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
import resource
import subprocess
import sys
import time

import numpy as np
import turns


def features(seed, count, dim):
  """Half-normal features of very different scales, as Inception's are."""
  scales = np.random.default_rng(0).gamma(0.5, 1, dim)
  x = np.random.default_rng(seed).normal(size=(count, dim)) * scales
  return np.abs(x).astype(np.float32)


def timed(function):
  """Value, seconds and CPU seconds of a call."""
  start = time.perf_counter(), time.process_time()
  value = float(function())
  return value, time.perf_counter() - start[0], time.process_time() - start[1]


def by_numpy(p, q):
  """tr (P^1/2 Q P^1/2)^1/2 by numpy's eigenvalues."""
  values, vectors = np.linalg.eigh(p)
  root = vectors * np.sqrt(np.maximum(values, 0))
  product = np.linalg.eigvalsh(root.T @ q @ root)
  return np.sqrt(np.maximum(product, 0)).sum()


def by_sqrtm(p, q):
  """tr (P Q)^1/2 by scipy's root of a matrix."""
  import scipy.linalg

  return np.trace(scipy.linalg.sqrtm(p @ q).real)


def by_gan_jax(p, q):
  """The trace, from the whole distance."""
  from gan_jax.evaluation import frechet

  zero = np.zeros(len(p))
  distance = frechet.frechet_distance(zero, p, zero, q)
  return (np.trace(p) + np.trace(q) - float(distance)) / 2


def trace_table(dim, rounds):
  """Time and value of the trace, three ways, full rank and not."""
  print(f'tr (P^1/2 Q P^1/2)^1/2, {dim} x {dim}: medians of {rounds} rounds\n')
  print('| samples | by | seconds | CPU seconds | value | relative gap |')
  print('|---|---|---|---|---|---|')
  ways = {
    'gan_jax': by_gan_jax,
    'numpy eigh': by_numpy,
    'scipy sqrtm': by_sqrtm,
  }
  by_gan_jax(np.eye(dim), np.eye(dim))  # compiles
  for count in (4 * dim, dim // 2):
    p, q = (np.cov(features(i, count, dim).T.astype(float)) for i in (1, 2))
    found = {name: [] for name in ways}
    for _ in range(rounds):
      for name, way in ways.items():
        found[name].append(timed(lambda: way(p, q)))
    reference = found['numpy eigh'][0][0]
    for name, results in found.items():
      value, seconds, cpu = np.median(results, axis=0)
      gap = value / reference - 1
      print(
        f'| {count:,} | {name} | {seconds:.1f} | {cpu:.1f} | {value:.8f} '
        f'| {gap:+.1e} |',
        flush=True,
      )


def self_table(dim):
  """The distance of a set to itself, in two precisions."""
  import jax
  import jax.numpy as jnp

  from gan_jax.evaluation import frechet

  print(f'\nFrechet distance of a set to itself, {dim} features; truth: 0\n')
  print('| samples | trace | float64 | float32 |')
  print('|---|---|---|---|')

  @jax.jit
  def single(p, q):
    values, vectors = jnp.linalg.eigh(p)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))[None]
    product = jnp.linalg.eigvalsh(root.T @ q @ root)
    roots = jnp.sqrt(jnp.maximum(product, 0)).sum()
    return jnp.trace(p) + jnp.trace(q) - 2 * roots

  for count in (dim // 8, dim // 2, 4 * dim):
    p = np.cov(features(1, count, dim).T.astype(float))
    mean = np.zeros(dim)
    double = frechet.frechet_distance(mean, p, mean, p)
    p32 = p.astype(np.float32)
    print(
      f'| {count:,} | {np.trace(p):.1f} | {float(double):+.1e} '
      f'| {float(single(p32, p32)):+.1e} |',
      flush=True,
    )


def manifold_row(size):
  """Prints a row, in this process; size is 'samplesxfeatures'."""
  from gan_jax.evaluation import manifold

  count, dim = map(int, size.split('x'))
  rng = np.random.default_rng(0)
  real, fake = rng.standard_normal((2, count, dim), np.float32)
  manifold.manifold_scores(real[:20], fake[:20])  # starts JAX
  peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  before = peak()
  scores = []
  _, seconds, cpu = timed(
    lambda: scores.append(manifold.manifold_scores(real, fake)) or 0
  )
  cells = ' | '.join(f'{float(x):.4f}' for x in scores[0])
  print(
    f'| {count:,} | {dim:,} | {seconds:.0f} | {cpu:.0f} | {before:.2f} '
    f'| {peak():.2f} | {cells} |',
    flush=True,
  )


def manifold_table(sizes):
  """Time and peak memory of precision, recall, density and coverage."""
  print('\nPrecision, recall, density, coverage of two normal sets, k = 5\n')
  print(
    '| samples a side | features | seconds | CPU seconds | GiB before '
    '| peak GiB | precision | recall | density | coverage |'
  )
  print('|' + '---|' * 10, flush=True)
  for size in sizes:
    subprocess.run([sys.executable, __file__, '--row', size], check=True)


def main():
  """Prints the tables."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  tables = ['trace', 'self', 'manifold']
  parser.add_argument('--tables', nargs='*', choices=tables, default=tables)
  parser.add_argument('--dim', type=int, default=2048, help='features')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument(
    '--manifold', nargs='*', default=['10000x64', '10000x2048', '50000x64']
  )
  parser.add_argument('--row', help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.row:
    return manifold_row(args.row)
  print(f'{turns.machine()}\n', flush=True)
  if 'trace' in args.tables:
    trace_table(args.dim, args.rounds)
  if 'self' in args.tables:
    self_table(args.dim)
  if 'manifold' in args.tables:
    manifold_table(args.manifold)


if __name__ == '__main__':
  main()
