"""Interpolations, and walks that end where they began."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import sampling

T = jnp.linspace(0, 1, 5)
A, B = np.random.default_rng(0).normal(size=(2, 3, 64)).astype(np.float32)


@pytest.mark.parametrize('interpolate', [sampling.lerp, sampling.slerp])
def test_both_ends_are_met(interpolate):
  found = jax.jit(interpolate)(A, B, T)
  assert found.shape == (5, 3, 64)
  np.testing.assert_allclose(found[0], A, atol=1e-5)
  np.testing.assert_allclose(found[-1], B, atol=1e-5)


def test_slerp_keeps_the_angle_and_the_radius_even():
  found = np.asarray(jax.jit(sampling.slerp)(A, B, T))
  radius = np.linalg.norm(found, axis=-1)
  ends = np.linalg.norm([A, B], axis=-1)
  wanted = ends[0] + np.asarray(T)[:, None] * (ends[1] - ends[0])
  np.testing.assert_allclose(radius, wanted, rtol=1e-5)
  unit = found / radius[..., None]
  angles = np.arccos((unit[1:] * unit[:-1]).sum(-1))
  np.testing.assert_allclose(angles, np.broadcast_to(angles[:1], (4, 3)), 1e-4)
  middle = np.linalg.norm(sampling.lerp(A, B, T)[2], axis=-1)
  assert (middle < 0.85 * radius[2]).all(), 'a line passes through the inside'


@pytest.mark.parametrize('factor', [1.0, 2.0, -1.0])
def test_slerp_of_parallel_ends_is_a_line(factor):
  found = jax.jit(sampling.slerp)(A, factor * A, T)
  wanted = (1 + np.asarray(T)[:, None, None] * (factor - 1)) * A
  np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize('interpolate', [sampling.lerp, sampling.slerp])
def test_a_walk_closes_without_a_seam(interpolate):
  keys = np.random.default_rng(1).normal(size=(4, 16)).astype(np.float32)
  way = np.asarray(sampling.closed_walk(keys, 10, interpolate))
  assert way.shape == (40, 16)
  np.testing.assert_allclose(way[::10], keys, atol=1e-6)
  around = np.concatenate([way, way[:1]])
  steps = np.linalg.norm(np.diff(around, axis=0), axis=1)
  # The step to the first frame again is like the others of its part.
  assert abs(steps[-1] / steps[30:39].mean() - 1) < 0.25
  assert steps.min() > 0.05, 'no frame is there twice'


def test_a_walk_of_no_frames():
  with pytest.raises(ValueError, match='frames=0: must be at least 1'):
    sampling.closed_walk(A, 0)


def test_mixed_styles_are_those_of_their_layers():
  base, other = np.zeros((2, 4, 3)), np.ones((2, 4, 3))
  found = np.asarray(sampling.mix_styles(base, other, [1, 3]))
  np.testing.assert_array_equal(found[0, :, 0], [0, 1, 0, 1])
  rows = np.arange(2.0)[:, None, None] * np.ones((2, 4, 3))
  cols = 10 + np.arange(3.0)[:, None, None] * np.ones((3, 4, 3))
  grid = np.asarray(sampling.mixing_grid(rows, cols, [0]))
  grid = grid.reshape(2, 3, 4, 3)[..., 0]
  np.testing.assert_array_equal(grid[1, 2], [12, 1, 1, 1])
  np.testing.assert_array_equal(grid[0, 1], [11, 0, 0, 0])
  with pytest.raises(ValueError, match='must be from 0 to 3'):
    sampling.mix_styles(base, other, [4])
