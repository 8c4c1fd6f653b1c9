"""The order of examples: a permutation, the same in numpy and jax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import shuffle


@pytest.mark.parametrize('size', [1, 2, 3, 7, 8, 9, 100, 1797, 4096])
def test_order_is_a_permutation(size):
  for epoch in (0, 1):
    values = shuffle.permuted_index(3, epoch, np.arange(size), size)
    np.testing.assert_array_equal(np.sort(values), np.arange(size))


def test_order_in_numpy_and_jax_is_the_same():
  for size, batch in ((1797, 64), (60_000, 128), (10, 3), (2**21, 64)):
    for step in (0, 5, 100_000):
      host = shuffle.batch_indices(11, step, size, batch)
      device = jax.jit(
        lambda t, size=size, batch=batch: shuffle.batch_indices(
          11, t, size, batch, jnp
        )
      )(step)
      np.testing.assert_array_equal(host, device)
      assert device.dtype == host.dtype == np.int32


def test_epochs_and_seeds_differ_and_steps_within_one_do_not_repeat():
  draw = lambda seed, epoch: shuffle.permuted_index(
    seed, epoch, np.arange(1000), 1000
  )
  assert (draw(0, 0) == draw(0, 1)).mean() < 0.02
  assert (draw(0, 0) == draw(1, 0)).mean() < 0.02
  epoch = [shuffle.batch_indices(0, t, 1000, 96) for t in range(10)]
  assert len(np.unique(np.concatenate(epoch))) == 960


def test_order_looks_random():
  # Each place is as likely as any other: chi-squared over 400 epochs.
  size, epochs = 20, 400
  at_zero = [
    int(shuffle.permuted_index(5, e, np.arange(1), size)[0])
    for e in range(epochs)
  ]
  counts = np.bincount(at_zero, minlength=size)
  chi = ((counts - epochs / size) ** 2 / (epochs / size)).sum()
  assert chi < 43.8  # the 0.1 % point at 19 degrees of freedom
  first = shuffle.permuted_index(5, 0, np.arange(5000), 5000)
  assert abs(np.corrcoef(first, np.arange(5000))[0, 1]) < 0.05


def test_order_refuses_bad_sizes():
  with pytest.raises(ValueError, match='batch=11: .* the 10 examples'):
    shuffle.batch_indices(0, 0, 10, 11)
  with pytest.raises(ValueError, match='size=0'):
    shuffle.permuted_index(0, 0, np.arange(1), 0)
