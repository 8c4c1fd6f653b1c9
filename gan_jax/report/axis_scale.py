"""Chooses between a linear and a logarithmic axis."""

import math
from typing import Iterable

import numpy as np


def is_geometric(values: Iterable[float | None]) -> bool:
  """Returns whether settings are spread more evenly on a logarithmic axis.

  There the middle one of several is nearer to the center, and of two one is at
  least 5 times the other.

  Args:
    values: values of a setting, in any order; those that are None or not finite
      are ignored.
  """
  known = {float(v) for v in values if v is not None and math.isfinite(v)}
  x = np.sort(np.array([*known], np.float64))
  if len(x) < 2 or x[0] <= 0:
    return False
  if len(x) == 2:
    return bool(x[1] >= 5 * x[0])
  off_center = lambda x: abs((np.median(x) - x[0]) / (x[-1] - x[0]) - 0.5)
  return bool(off_center(np.log(x)) < off_center(x) - 1e-9)
