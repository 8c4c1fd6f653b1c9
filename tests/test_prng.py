"""Random numbers per example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import augment, penalties, prng, sampling, training
from tests.helpers import tiny


def test_latents_are_standard_normal_and_one_per_index():
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
  z = prng.sample_normal(keys, 4)
  np.testing.assert_allclose(np.cov(z.T), np.eye(4), atol=0.1)
  some = prng.per_example_keys(jax.random.key(0), jnp.array([17, 3]))
  np.testing.assert_allclose(
    prng.sample_normal(some, 4), z[jnp.array([17, 3])], atol=1e-6
  )


def test_truncated_latents_are_within_the_threshold_with_its_deviation():
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
  for threshold, deviation in [(2.0, 0.8796), (0.5, 0.2841)]:
    z = prng.sample_truncated_normal(keys, 4, threshold=threshold)
    assert np.abs(z).max() <= threshold
    # One entry has a standard error of deviation / sqrt(2 n), at most.
    np.testing.assert_allclose(np.std(z), deviation, rtol=0.02)
  with pytest.raises(ValueError, match='threshold=0.0: must be above 0'):
    prng.sample_truncated_normal(keys, 4, threshold=0.0)


def test_uniform_latents_fill_the_cube():
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
  z = prng.sample_uniform(keys, 4)
  assert -1 <= z.min() < -0.99 and 0.99 < z.max() < 1
  np.testing.assert_allclose(np.cov(z.T), np.eye(4) / 3, atol=0.02)


X = jax.random.normal(jax.random.key(5), (4, 8, 8, 3))
squares = lambda x: jnp.square(x).sum(axis=(1, 2, 3))
stretch = lambda z: jnp.broadcast_to(z[:, None, None], (4, 2, 2, 3)) ** 2
# Functions of one key for each example.
FUNCTIONS = {
  'sample_normal': lambda keys: prng.sample_normal(keys, 3),
  'sample_truncated_normal': lambda keys: prng.sample_truncated_normal(keys, 3),
  'sample_uniform': lambda keys: prng.sample_uniform(keys, 3),
  'ada': lambda keys: augment.ada(X, keys, strength=1.0),
  'diff_augment': lambda keys: augment.diff_augment(X, keys, strength=1.0),
  'instance_noise': lambda keys: augment.instance_noise(X, keys, sigma=0.5),
  'wgan_gp': lambda keys: penalties.wgan_gp(squares, X, -X, keys),
  'dragan': lambda keys: penalties.dragan(squares, X, keys),
  'path_lengths': lambda keys: penalties.path_lengths(
    stretch, X[:, 0, 0], keys
  ),
}


@pytest.mark.parametrize('name', FUNCTIONS)
def test_keys_of_prngkey_draw_the_same(name):
  raw, typed = jax.random.PRNGKey(5), jax.random.key(5)
  np.testing.assert_array_equal(
    FUNCTIONS[name](jax.random.split(raw, 4)),
    FUNCTIONS[name](jax.random.split(typed, 4)),
  )


def test_example_keys_of_prngkey_are_the_same():
  found = [
    jax.random.key_data(prng.per_example_keys(make(5), jnp.arange(4)))
    for make in (jax.random.PRNGKey, jax.random.key)
  ]
  np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
  'rule, d_steps', [('alternating', 2), ('simultaneous', 1)]
)
@pytest.mark.slow
def test_states_and_steps_take_keys_of_prngkey(rule, d_steps):
  gan, batches = tiny.gan(), tiny.batch(d_steps)
  step = training.make_train_step(gan, rule=rule, d_steps=d_steps)
  g_step = training.make_g_step(gan)

  @jax.jit
  def run(key):
    one = {'x': batches['x'][0]}
    state = training.init_state(gan, key, one, tiny.HYPER)
    after, _ = step(state, batches, key)
    return after, g_step(state, one, key)[1]

  found = [run(make(5)) for make in (jax.random.PRNGKey, jax.random.key)]
  jax.tree.map(np.testing.assert_array_equal, *found)


def test_standing_statistics_take_keys_of_prngkey():
  gan = tiny.gan()
  found = [
    sampling.standing_statistics(
      gan, tiny.init(gan).ema, make(5), batches=1, batch_size=4
    )
    for make in (jax.random.PRNGKey, jax.random.key)
  ]
  jax.tree.map(np.testing.assert_array_equal, *found)


def test_what_is_no_key_is_named():
  for key, named in ((0, 'key=0'), (jnp.zeros(3), r'float32\[3\]')):
    with pytest.raises(ValueError, match=rf'{named}.*jax.random.key\(0\)'):
      prng.per_example_keys(key, jnp.arange(4))
    with pytest.raises(ValueError, match=named):
      training.init_state(tiny.gan(), key, {'x': X[:, 0]}, tiny.HYPER)
