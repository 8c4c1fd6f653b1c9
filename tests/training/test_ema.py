"""The moving average of weights."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import training


class EmaTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_moves_by_one_minus_decay(self):
    average = {'w': jnp.array([1.0, 2.0]), 'count': jnp.int32(3)}
    new = {'w': jnp.array([3.0, 2.0]), 'count': jnp.int32(9)}
    out = self.variant(training.ema_update)(average, new, 0.75)
    np.testing.assert_allclose(out['w'], [1.5, 2.0])
    assert out['count'] == 9


def test_ema_of_decay_zero_copies():
  for old, new in ((1e-8, 1.7), (1e8, 1.0), (0.1, 1e-9)):
    out = training.ema_update(
      {'w': jnp.float32(old)}, {'w': jnp.float32(new)}, 0.0
    )
    assert out['w'] == jnp.float32(new)


def test_ema_copies_the_directions_of_spectral_norm():
  old = {'scale': {'power_u': jnp.array([1.0, 0.0]), 'mean': jnp.zeros(2)}}
  new = {'scale': {'power_u': jnp.array([0.0, 1.0]), 'mean': jnp.ones(2)}}
  out = training.ema_update(old, new, 0.75)['scale']
  np.testing.assert_array_equal(out['power_u'], [0, 1])
  np.testing.assert_allclose(out['mean'], 0.25)


def test_ema_refuses_other_trees():
  with pytest.raises(AssertionError):
    training.ema_update({'w': jnp.ones(2)}, {'w': jnp.ones(3)}, 0.9)
