"""Kernel two-sample scores: KID of features, and a test with a p-value."""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate, TestResult

Array = jax.Array
Kernel = Callable[[Array, Array], Array]


def polynomial_kernel(first: Array, second: Array) -> Array:
  """(<x, y> / d + 1)^3 of all pairs, the kernel of KID.

  Args:
    first: `[n, d]`, float.
    second: `[m, d]`.

  Returns:
    `[n, m]`, in at least float32.

  Raises:
    AssertionError: for other ranks, integers, or features of different or no
      length.

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
  """Unbiased estimate of the squared maximum mean discrepancy.

  mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y), x != x', y != y'

  Args:
    first: `[n, d]`, float, n >= 2.
    second: `[m, d]`, m >= 2.
    kernel: of all pairs, `[n, d]`, `[m, d]` to `[n, m]`.

  Returns:
    Scalar; negative values are to be expected for equal distributions.

  Raises:
    AssertionError: for other ranks, integers, or features of different length.
    ValueError: for fewer than 2 examples, numbers that are not finite, or so
      large that the kernel is not.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, lemma 6.
  """
  chex.assert_rank([first, second], 2)
  if min(len(first), len(second)) < 2:
    raise ValueError(
      f'MMD needs at least 2 examples a side, got {len(first)} and '
      f'{len(second)}'
    )

  checks.check_feature_sets(first=first, second=second)

  def inner(x):
    values = kernel(x, x)
    return (values.sum() - jnp.trace(values)) / (len(x) * (len(x) - 1))

  value = inner(first) + inner(second) - 2 * kernel(first, second).mean()
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
  """KID: the unbiased squared MMD of features, mean over random subsets.

  Args:
    real: features, `[n, d]`, float.
    fake: features, `[m, d]`.
    key: typed key, for the subsets.
    subsets: how many.
    subset_size: examples of each side in one, drawn without replacement.

  Returns:
    The mean over subsets and its standard error: that of the chance of the
    two sets, by the delete-d jackknife (subsets of size s of n examples vary
    too little, as they overlap, by the factor sqrt(s / (n - s))), and of the
    choice of subsets. Too large rather than too small for sets of one
    distribution; nan for subsets that are the sets.

  Raises:
    AssertionError: for other ranks, integers, or features of different length.
    ValueError: for subsets larger than the sets, or fewer than 2 of them;
      numbers that are not finite, or so large that the kernel is not.

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
  real, fake = map(checks.at_least_float32, (real, fake))

  def one(key):
    keys = jax.random.split(key)
    pick = lambda key, x: jax.random.choice(
      key, x, (subset_size,), replace=False
    )
    sides = pick(keys[0], real), pick(keys[1], fake)
    return unbiased_mmd(*sides, polynomial_kernel)

  values = jax.lax.map(one, jax.random.split(key, subsets))
  checks.check_score('the kernel distance', values, real, fake)
  left_out = min(len(real), len(fake)) - subset_size
  share = subset_size / left_out if left_out else float('nan')
  unit = checks.power_of_two_scale(values)  # lest squares overflow
  error = (values * unit).std(ddof=1) / unit * (share + 1 / subsets) ** 0.5
  return Estimate(values.mean(), error)


def mmd_test(
  first: Array, second: Array, key: Array, *, permutations: int = 200
) -> TestResult:
  """Permutation test of whether two samples are of one distribution.

  The statistic is the unbiased squared MMD with a Gaussian kernel, sigma the
  median distance of all pairs.

  Args:
    first: `[n, d]`, float.
    second: `[m, d]`; (n + m)^2 numbers are held.
    key: typed key, for the permutations.
    permutations: of the labels; the smallest p-value is 1 over 1 more.

  Returns:
    The statistic and its p-value.

  Raises:
    AssertionError: for other ranks, integers, or features of different length.
    ValueError: for fewer than 2 examples, no permutations, or numbers that
      are not finite.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, section 5.
  """
  chex.assert_rank([first, second], 2)
  checks.check_feature_sets(least=2, first=first, second=second)
  if permutations < 1:
    raise ValueError(f'permutations={permutations}: must be at least 1')
  n, total = len(first), len(first) + len(second)
  first, second = map(checks.at_least_float32, (first, second))
  # The kernel's width makes the statistic the same at any scale.
  union = jnp.concatenate([first, second]) * checks.power_of_two_scale(
    first, second
  )
  # About the centre, for the rounding of |x|^2 - 2 x y + |y|^2.
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
