"""Phase shuffle, by hand, and convolutions over time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers


def test_shifts_by_hand():
  x = jnp.broadcast_to(jnp.arange(1.0, 8.0)[None, :, None], (3, 7, 2))
  shifts = jnp.array([3, -3, 0])
  y = jax.jit(lambda x, s: layers.shuffle_phase(x, s, 3))(x, shifts)
  expected = [
    [4, 3, 2, 1, 2, 3, 4],
    [4, 5, 6, 7, 6, 5, 4],
    [1, 2, 3, 4, 5, 6, 7],
  ]
  np.testing.assert_array_equal(y[..., 0], expected)
  np.testing.assert_array_equal(y[..., 1], expected)


def test_draws_are_uniform_and_of_each_example():
  keys = jax.random.split(jax.random.key(0), 5000)
  shifts = jax.jit(lambda k: layers.draw_shifts(k, 2))(keys)
  found, counts = np.unique(shifts, return_counts=True)
  np.testing.assert_array_equal(found, [-2, -1, 0, 1, 2])
  assert abs(counts / 1000 - 1).max() < 0.1


@pytest.mark.parametrize('limit', [-1, 7])
def test_a_limit_that_does_not_fit(limit):
  with pytest.raises(ValueError, match=f'limit={limit}: must be at least 0'):
    layers.shuffle_phase(jnp.zeros((1, 7, 1)), jnp.zeros(1, int), limit)


@pytest.mark.parametrize('size, stride', [(25, 4), (5, 2), (4, 1)])
def test_convolutions_over_time_are_same_and_adjoint(size, stride):
  """<conv(x), y> = <x, convT(y)>, and conv is the sum with the zeros before."""
  x = np.random.default_rng(0).normal(size=(2, 16, 3)).astype(np.float32)
  y = np.random.default_rng(1).normal(size=(2, 16 // stride, 5))
  y = y.astype(np.float32)
  options = dict(size=size, stride=stride, use_bias=False)
  kernel = np.random.default_rng(2).normal(size=(size, 3, 5))
  kernel = kernel.astype(np.float32)
  down, up = layers.Conv1D(5, **options), layers.ConvTranspose1D(3, **options)

  @jax.jit
  def run(x, y, kernel):
    return (
      down.apply({'params': {'kernel': kernel}}, x),
      up.apply({'params': {'dual_kernel': kernel}}, y),
    )

  ours, adjoint = run(x, y, kernel)
  before = (size - stride) // 2
  padded = np.pad(x, ((0, 0), (before, size), (0, 0)))
  for t in range(16 // stride):
    window = padded[:, t * stride : t * stride + size]
    expected = np.einsum('bki,kio->bo', window, kernel)
    np.testing.assert_allclose(ours[:, t], expected, rtol=1e-4, atol=1e-4)
  assert adjoint.shape == x.shape
  np.testing.assert_allclose((ours * y).sum(), (x * adjoint).sum(), rtol=1e-4)


def test_lengths_and_strides_that_do_not_fit():
  x = jnp.zeros((1, 10, 1))
  with pytest.raises(ValueError, match='stride=4: must divide the 10 samples'):
    layers.Conv1D(2, stride=4).init(jax.random.key(0), x)
  with pytest.raises(ValueError, match='stride=26: must be from 1 to size=25'):
    layers.ConvTranspose1D(2, stride=26).init(jax.random.key(0), x)
