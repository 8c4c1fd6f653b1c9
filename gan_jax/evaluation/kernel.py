"""Kernel two-sample scores: KID of features, and a test with a p-value."""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
Kernel = Callable[[Array, Array], Array]


class Estimate(NamedTuple):
  """A score and how sure it is.

  Attributes:
    value: the mean over subsets.
    error: its standard error over subsets.
  """

  value: Array
  error: Array


def polynomial_kernel(first: Array, second: Array) -> Array:
  """(<x, y> / d + 1)^3 of all pairs, the kernel of KID.

  Args:
    first: `[n, d]`, float.
    second: `[m, d]`.

  Returns:
    `[n, m]`.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018, section 4.
  """
  chex.assert_rank([first, second], 2)
  chex.assert_equal_shape_suffix([first, second], 1)
  return (first @ second.T / first.shape[1] + 1) ** 3


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
    ValueError: for fewer than 2 examples.

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, lemma 6.
  """
  if min(len(first), len(second)) < 2:
    raise ValueError(
      f'MMD needs at least 2 examples a side, got {len(first)} and '
      f'{len(second)}'
    )

  def inner(x):
    values = kernel(x, x)
    return (values.sum() - jnp.trace(values)) / (len(x) * (len(x) - 1))

  return inner(first) + inner(second) - 2 * kernel(first, second).mean()


def kernel_distance(
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
    The mean and its standard error over subsets; subsets overlap, so the
    error says nothing of the two sets' own chance.

  Raises:
    ValueError: for subsets larger than the sets, or fewer than 2 of them.

  References:
    Binkowski et al., Demystifying MMD GANs,
    https://arxiv.org/abs/1801.01401, 2018, section 4.
  """
  chex.assert_rank([real, fake], 2)
  if subsets < 2 or not 2 <= subset_size <= min(len(real), len(fake)):
    raise ValueError(
      f'subsets={subsets}, subset_size={subset_size}: must be at least 2 '
      f'each, and the size at most that of the sets, {len(real)} and '
      f'{len(fake)}'
    )

  def one(key):
    keys = jax.random.split(key)
    pick = lambda key, x: jax.random.choice(
      key, x, (subset_size,), replace=False
    )
    sides = pick(keys[0], real), pick(keys[1], fake)
    return unbiased_mmd(*sides, polynomial_kernel)

  values = jax.lax.map(one, jax.random.split(key, subsets))
  return Estimate(values.mean(), values.std(ddof=1) / jnp.sqrt(subsets))


class Test(NamedTuple):
  """Outcome of a two-sample test.

  Attributes:
    statistic: what was measured.
    p_value: share of permutations of the labels that give as much or more.
  """

  statistic: Array
  p_value: Array


def mmd_test(
  first: Array, second: Array, key: Array, *, permutations: int = 200
) -> Test:
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

  References:
    Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012, section 5.
  """
  chex.assert_rank([first, second], 2)
  chex.assert_equal_shape_suffix([first, second], 1)
  n, total = len(first), len(first) + len(second)
  union = jnp.concatenate([first, second])
  squares = jnp.square(union).sum(axis=1)
  distances = squares[:, None] + squares[None] - 2 * union @ union.T
  distances = jnp.maximum(distances, 0)
  median = jnp.maximum(jnp.sqrt(jnp.median(distances)), 1e-12)
  values = jnp.exp(-distances / (2 * median**2))
  values -= jnp.diag(jnp.diag(values))

  def statistic(order):
    is_first = (order < n).astype(values.dtype)
    is_second = 1 - is_first
    m = total - n
    cross = is_first @ values @ is_second / (n * m)
    inner = is_first @ values @ is_first / (n * (n - 1))
    other = is_second @ values @ is_second / (m * (m - 1))
    return inner + other - 2 * cross

  found = statistic(jnp.arange(total))
  keys = jax.random.split(key, permutations)
  under_null = jax.lax.map(
    lambda k: statistic(jax.random.permutation(k, total)), keys
  )
  as_much = (under_null >= found).sum()
  return Test(found, (1 + as_much) / (1 + permutations))
