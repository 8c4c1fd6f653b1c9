"""The state of a GAN."""

import jax.numpy as jnp

from gan_jax.training import state


def test_all_finite():
  good = {'a': jnp.ones(3), 'n': jnp.int32(1)}
  assert state.all_finite(good)
  assert not state.all_finite(good | {'b': jnp.array([1.0, jnp.nan])})
  assert not state.all_finite(good | {'b': jnp.array(jnp.inf)})
