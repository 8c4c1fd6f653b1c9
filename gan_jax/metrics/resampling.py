"""Uncertainty of scores: estimates with errors, tests and the jackknife."""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class Estimate(NamedTuple):
  """A score with its standard error.

  Attributes:
    value: the score.
    error: standard error of the score.
  """

  value: Array
  error: Array


class TestResult(NamedTuple):
  """Result of a two-sample test.

  Attributes:
    statistic: test statistic.
    p_value: probability of a statistic at least as large if both sets have the
      same distribution.
  """

  statistic: Array
  p_value: Array


def jackknife_error(values: Array) -> Array:
  """Computes a standard error from values with one group left out each.

  sqrt((g - 1) / g sum (v - mean v)^2)

  Args:
    values: values of the statistic with each of g groups of (about) equal size
      left out, `[g]`, g >= 2.

  Returns:
    Standard error, scalar, at least 0, in the units of the statistic.

  Raises:
    ValueError: if there are fewer than 2 groups.

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
  """Computes a statistic with its delete-a-group jackknife error.

  Args:
    statistic: function from any number of samples, `[m, ...]`, to a scalar. It
      must be smooth (a mean or a covariance, not a median).
    samples: independent samples, `[n, ...]`.
    groups: number of groups, from 2 to n; group i holds the samples i,
      i + groups and so on.

  Returns:
    Value on all samples, with its standard error.

  Raises:
    ValueError: if groups is out of range.
  """
  if not 2 <= groups <= len(samples):
    raise ValueError(
      f'groups={groups}: must be from 2 to the {len(samples)} samples'
    )
  group = np.arange(len(samples)) % groups
  left_out = [statistic(samples[group != i]) for i in range(groups)]
  with jax.enable_x64(True):  # float32 values stay float32
    error = jackknife_error(jnp.stack(left_out))
  return Estimate(statistic(samples), error)
