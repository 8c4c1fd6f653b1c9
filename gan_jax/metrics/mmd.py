"""Kernel two-sample metrics: KID of features, and a test with a p-value."""

import functools
from typing import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate, TestResult

Array = jax.Array
Kernel = Callable[[Array, Array], Array]


def polynomial_kernel(first: Array, second: Array) -> Array:
  """Evaluates the kernel of KID, (<x, y> / d + 1)^3, for all pairs.

  Args:
    first: features x, `[n, d]`, float.
    second: features y, `[m, d]`, float.

  Returns:
    Kernel values, `[n, m]`, in at least float32.

  Raises:
    AssertionError: if features have another rank, are integers, differ in
      length, or have length 0.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018, section 4.
  """
  chex.assert_rank([first, second], 2)
  chex.assert_type([first, second], float)
  chex.assert_equal_shape_suffix([first, second], 1)
  chex.assert_axis_dimension_gt(first, 1, 0)
  first, second = map(checks.at_least_float32, (first, second))
  products = jnp.dot(first, second.T, precision='highest')
  return (products / first.shape[1] + 1) ** 3


def unbiased_mmd(first: Array, second: Array, kernel: Kernel) -> Array:
  """Estimates the squared maximum mean discrepancy (MMD) without bias.

  mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y), x != x', y != y'

  The terms may cancel to a small part of each: they are computed in float64.

  Args:
    first: features x, `[n, d]`, float, n >= 2.
    second: features y, `[m, d]`, float, m >= 2.
    kernel: function from `[n, d]` and `[m, d]`, float64, to all pairs' values,
      `[n, m]`.

  Returns:
    Estimate, scalar, in at least float32; it can be negative for equal distributions.

  Raises:
    AssertionError: if features have another rank, are integers, or differ in
      length.
    ValueError: if a set has fewer than 2 examples, or numbers are not finite,
      or so large that the kernel is not.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, lemma 6.
  """
  chex.assert_rank([first, second], 2)
  if min(len(first), len(second)) < 2:
    raise ValueError(
      f'MMD needs at least 2 examples per set, got {len(first)} and '
      f'{len(second)}'
    )

  checks.check_feature_sets(first=first, second=second)

  def inner(x):
    values = kernel(x, x)
    return (values.sum() - jnp.trace(values)) / (len(x) * (len(x) - 1))

  with jax.enable_x64(True):
    x, y = (jnp.asarray(side, jnp.float64) for side in (first, second))
    value = inner(x) + inner(y) - 2 * kernel(x, y).mean()
    value = value.astype(checks.result_type(first, second))
  checks.check_score('the MMD', value, first, second)
  return value


def kid(
  real: Array,
  fake: Array,
  key: Array,
  *,
  subsets: int = 100,
  subset_size: int = 1000,
) -> Estimate:
  """Computes KID: the mean unbiased squared MMD over random subsets.

  Args:
    real: features of real examples, `[n, d]`, float.
    fake: features of generated examples, `[m, d]`, float.
    key: typed key, for the subsets.
    subsets: number of subsets.
    subset_size: number of examples of each set in a subset, drawn without
      replacement.

  Returns:
    Mean over subsets, with its standard error, computed in float64 and returned
    in at least float32. The error covers the sampling of the two sets, by the
    delete-d jackknife, and the choice of subsets. (Subsets of size s of n
    examples overlap, and vary too little by the factor sqrt(s / (n - s)).) It
    is conservative for equal distributions, and NaN if the subsets are the
    whole sets.

  Raises:
    AssertionError: if features have another rank, are integers, or differ in
      length.
    ValueError: if subsets are larger than the sets or fewer than 2, or numbers
      are not finite, or so large that the kernel is not.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018, section 4.
    Shao and Wu, A General Theory for Jackknife Variance Estimation, 1989.
  """
  chex.assert_rank([real, fake], 2)
  if subsets < 2 or not 2 <= subset_size <= min(len(real), len(fake)):
    raise ValueError(
      f'subsets={subsets}, subset_size={subset_size}: must be at least 2 '
      f'each, and the size at most that of the sets, {len(real)} and '
      f'{len(fake)}'
    )
  checks.check_feature_sets(real=real, fake=fake)

  # Indices first: in float64 other random numbers would be drawn.
  sizes = len(real), len(fake)
  chosen = _subset_indices(key, sizes, subsets, subset_size)
  with jax.enable_x64(True):
    kind = checks.result_type(real, fake)
    found = _mean_over_subsets(real, fake, chosen, kind)
  checks.check_score('the kernel distance', found.value, real, fake)
  return found


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _subset_indices(key, sizes, subsets, subset_size):
  def indices(key):
    return [
      jax.random.choice(key, size, (subset_size,), replace=False)
      for key, size in zip(jax.random.split(key), sizes)
    ]

  return jax.lax.map(indices, jax.random.split(key, subsets))


@functools.partial(jax.jit, static_argnums=3)
def _mean_over_subsets(real, fake, chosen, kind) -> Estimate:
  sides = [x.astype(jnp.float64) for x in (real, fake)]
  of_subset = lambda rows: unbiased_mmd(
    *(x[row] for x, row in zip(sides, rows)), polynomial_kernel
  )
  values = jax.lax.map(of_subset, chosen)
  subsets, subset_size = chosen[0].shape
  left_out = min(len(real), len(fake)) - subset_size
  share = subset_size / left_out if left_out else float('nan')
  unit = jnp.maximum(jnp.abs(values).max(), 1e-300)  # keeps squares in range
  error = (values / unit).std(ddof=1) * unit
  found = Estimate(values.mean(), error * (share + 1 / subsets) ** 0.5)
  return Estimate(*(x.astype(kind) for x in found))


def mmd_test(
  first: Array, second: Array, key: Array, *, permutations: int = 200
) -> TestResult:
  """Runs a permutation test of two samples with the MMD.

  The null hypothesis is that both have the same distribution. The statistic is
  the unbiased squared MMD with a Gaussian kernel, whose sigma is the median
  distance of all pairs.

  Args:
    first: samples, `[n, d]`, float.
    second: samples, `[m, d]`, float. (n + m)^2 numbers are kept in memory.
    key: typed key, for the permutations.
    permutations: number of label permutations N. The smallest attainable
      p-value is 1 / (N + 1).

  Returns:
    The statistic and its p-value.

  Raises:
    AssertionError: if samples have another rank, are integers, or differ in
      length.
    ValueError: if a set has fewer than 2 samples, permutations is below 1, or
      numbers are not finite.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, section 5.
  """
  chex.assert_rank([first, second], 2)
  checks.check_feature_sets(least=2, first=first, second=second)
  if permutations < 1:
    raise ValueError(f'permutations={permutations}: must be at least 1')
  first, second = checks.near_origin(first, second)
  return _permutation_test(first, second, key, permutations)


@functools.partial(jax.jit, static_argnums=3)
def _permutation_test(first, second, key, permutations):
  n, total = len(first), len(first) + len(second)
  # The kernel's width makes the statistic invariant to scale.
  union = jnp.concatenate([first, second]) * checks.power_of_two_scale(
    first, second
  )
  # Centered, to reduce the rounding errors of |x|^2 - 2 x y + |y|^2.
  union = union - union.mean(axis=0)[None]
  squares = jnp.square(union).sum(axis=1)
  products = jnp.dot(union, union.T, precision='highest')
  distances = squares[:, None] + squares[None] - 2 * products
  distances = jnp.maximum(distances, 0)
  median = jnp.maximum(jnp.sqrt(jnp.median(distances)), 1e-12)
  values = jnp.exp(-distances / (2 * median**2))
  values -= jnp.diag(jnp.diag(values))

  def statistic(order):
    is_first = (order < n).astype(values.dtype)
    is_second = 1 - is_first
    m = total - n
    total_of = lambda a, b: jnp.dot(
      jnp.dot(a, values, precision='highest'), b, precision='highest'
    )
    cross = total_of(is_first, is_second) / (n * m)
    inner = total_of(is_first, is_first) / (n * (n - 1))
    other = total_of(is_second, is_second) / (m * (m - 1))
    return inner + other - 2 * cross

  found = statistic(jnp.arange(total))
  keys = jax.random.split(key, permutations)
  under_null = jax.lax.map(
    lambda k: statistic(jax.random.permutation(k, total)), keys
  )
  as_much = (under_null >= found).sum()
  return TestResult(found, (1 + as_much) / (1 + permutations))
