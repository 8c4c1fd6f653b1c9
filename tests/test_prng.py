"""Random numbers per example."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import prng


def test_latents_are_standard_normal_and_one_per_index():
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
  z = prng.sample_normal(keys, 4)
  np.testing.assert_allclose(np.cov(z.T), np.eye(4), atol=0.1)
  some = prng.per_example_keys(jax.random.key(0), jnp.array([17, 3]))
  np.testing.assert_allclose(
    prng.sample_normal(some, 4), z[jnp.array([17, 3])], atol=1e-6
  )
