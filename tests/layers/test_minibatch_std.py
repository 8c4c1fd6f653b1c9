"""The minibatch standard deviation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.distributed import devices


@functools.partial(jax.jit, static_argnums=(1, 2))
def deviation(x, group_size, axis_name=None):
  return layers.MinibatchStd(group_size, axis_name).apply({}, x)


@pytest.mark.parametrize('shape', [(16, 5), (16, 4, 4, 3)])
@pytest.mark.parametrize('group_size', [2, 4, -1])
def test_minibatch_std_is_that_of_numpy(shape, group_size):
  x = np.asarray(jax.random.normal(jax.random.key(0), shape))
  y = np.asarray(deviation(x, group_size))
  np.testing.assert_array_equal(y[..., :-1], x)
  size = 16 if group_size == -1 else group_size
  for first in range(0, 16, size):
    group = slice(first, first + size)
    expected = x[group].std(axis=0).mean()
    np.testing.assert_allclose(y[group, ..., -1], expected, rtol=1e-5)


@pytest.mark.parametrize('group_size', [2, 4, -1])
def test_minibatch_std_does_not_depend_on_the_number_of_devices(group_size):
  x = jax.random.normal(jax.random.key(0), (16, 5))
  # Sum of values and gradient: pmean has a derivative, too.
  whole = lambda x: deviation(x, group_size)
  parts = jax.vmap(
    lambda x: deviation(x, group_size, devices.AXIS_NAME),
    axis_name=devices.AXIS_NAME,
  )

  @functools.partial(jax.jit, static_argnums=0)
  def both(function, x):
    gradient = jax.grad(lambda x: jnp.square(function(x)).sum())
    return function(x), gradient(x)

  y, gradient = both(whole, x)
  split_y, split_gradient = both(parts, x.reshape(4, 4, 5))
  np.testing.assert_allclose(split_y.reshape(16, 6), y, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(
    split_gradient.reshape(16, 5), gradient, rtol=1e-4, atol=1e-5
  )


def test_minibatch_std_of_a_collapsed_batch():
  x = jnp.broadcast_to(jnp.arange(5.0), (8, 5))
  np.testing.assert_allclose(deviation(x, 4)[:, -1], 0, atol=1.01e-4)
  gradient = jax.jit(jax.grad(lambda x: deviation(x, 4)[:, -1].sum()))(x)
  np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize('group_size', [0, 1, -2])
def test_minibatch_std_refuses_other_sizes(group_size):
  with pytest.raises(ValueError, match=f'group_size={group_size}: '):
    deviation(jnp.zeros((4, 2)), group_size)


def test_minibatch_std_refuses_a_batch_it_does_not_divide():
  with pytest.raises(ValueError, match='group_size=4 .* batch of 6'):
    deviation(jnp.zeros((6, 2)), 4)
