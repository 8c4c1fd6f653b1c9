"""Tests of the scale of an axis of settings."""

import numpy as np
import pytest

from gan_jax.report import axis_scale


@pytest.mark.parametrize(
  ('values', 'expected'),
  [
    ((1e-4, 1e-3, 1e-2), True),
    ((1e-2, 1e-4, 1e-3), True),
    ((1e-3, 2e-3, 4e-3), True),
    ((1e-3, 1e-2), True),
    (tuple(np.logspace(-3, 2, 16)), True),
    (tuple(10 ** np.random.default_rng(0).uniform(-5, -2, 50)), True),
    (tuple(np.random.default_rng(0).uniform(1e-5, 1e-2, 50)), False),
    (tuple(np.linspace(0.01, 1, 5)), False),
    ((1, 2, 3), False),
    ((0.9, 0.99), False),
    ((0.9, 0.99, 0.999), False),
    ((0.0, 1e-3, 1e-2), False),
    ((-1.0, 1e-3, 1e-2), False),
    ((0.5,), False),
    ((1e-4, None, 1e-3, np.nan, 1e-2, 1e-2), True),
  ],
)
def test_even_on_a_logarithmic_axis(values, expected):
  assert axis_scale.is_geometric(values) is expected
