"""How sure a score is: estimates with errors, tests, the jackknife."""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class Estimate(NamedTuple):
  """A score and how sure it is.

  Attributes:
    value: the score.
    error: its standard error.
  """

  value: Array
  error: Array


class TestResult(NamedTuple):
  """Outcome of a two-sample test.

  Attributes:
    statistic: what was measured.
    p_value: chance of as much or more for two sets of one distribution.
  """

  statistic: Array
  p_value: Array


def jackknife_error(values: Array) -> Array:
  """Standard error of a statistic from its values with one group left out.

  sqrt((g - 1) / g sum (v - mean v)^2)

  Args:
    values: `[g]`, g >= 2: the statistic of all examples but those of one of g
      groups of (about) equal size.

  Returns:
    Scalar, at least 0, in the units of the statistic.

  Raises:
    ValueError: for fewer than 2 groups.

  References:
    Efron and Stein, The Jackknife Estimate of Variance, 1981.
  """
  chex.assert_rank(values, 1)
  if len(values) < 2:
    raise ValueError(f'a jackknife needs at least 2 groups, got {len(values)}')
  return jnp.sqrt((len(values) - 1) * jnp.var(values))


def jackknife(
  statistic: Callable[[Array], Array], samples: Array, *, groups: int = 10
) -> Estimate:
  """A statistic of all samples, with its delete-a-group jackknife error.

  Args:
    statistic: of any number of samples, `[m, ...]`, to a scalar; smooth (a
      mean, a covariance, not a median).
    samples: `[n, ...]`, independent of one another.
    groups: from 2 to n; the i-th holds samples i, i + groups and so on.

  Returns:
    The value on all samples and its standard error.

  Raises:
    ValueError: for groups out of range.
  """
  if not 2 <= groups <= len(samples):
    raise ValueError(
      f'groups={groups}: must be from 2 to the {len(samples)} samples'
    )
  group = np.arange(len(samples)) % groups
  left_out = [statistic(samples[group != i]) for i in range(groups)]
  with jax.enable_x64(True):  # leaves float32 as it is
    error = jackknife_error(jnp.stack(left_out))
  return Estimate(statistic(samples), error)
