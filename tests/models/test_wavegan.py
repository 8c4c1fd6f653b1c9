"""WaveGAN: lengths, classes and phase shuffle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.models import wavegan

X = np.random.default_rng(0).uniform(-1, 1, (4, 256, 1)).astype(np.float32)
Z = np.random.default_rng(1).uniform(-1, 1, (4, 5)).astype(np.float32)


def keys(order=(0, 4, 5, 6)):
  """One key per example, in an order."""
  return jnp.stack([jax.random.key(i) for i in order])


def discriminator(label=None, **options):
  """Returns the function (x, keys, train) -> logits of a tiny network."""
  module = wavegan.Discriminator(width=4, **options)
  init = lambda x: module.init(jax.random.key(0), x, label, train=False)
  variables = jax.jit(init)(X)

  def run(x, keys=None, train=True):
    return module.apply(variables, x, label, train=train, keys=keys)

  return jax.jit(run, static_argnums=2)


def test_the_logit_reads_the_first_and_the_last_sample():
  run = discriminator()
  gradient = jax.jit(jax.grad(lambda x: run(x).sum()))(X)
  assert (abs(gradient[:, [0, 255]]) > 0).all()


def test_phase_shuffle_is_of_training_and_of_each_example():
  run = discriminator(phase_shuffle=2)
  still = run(X)
  np.testing.assert_array_equal(run(X, keys(), False), still)
  shuffled = run(X, keys())
  assert (shuffled != still).all()
  np.testing.assert_allclose(
    run(X[::-1], keys((6, 5, 4, 0)))[::-1], shuffled, rtol=1e-5
  )
  np.testing.assert_array_equal(
    discriminator(phase_shuffle=0)(X, keys()), still
  )


@pytest.mark.parametrize('options', [{}, {'norm': 'batch'}, {'post_filter': 8}])
def test_generated_sound(options):
  module = wavegan.Generator(shape=(256, 2), width=4, classes=3, **options)
  label = jnp.array([0, 1, 2, 0])

  @jax.jit
  def run(z):
    variables = module.init(jax.random.key(0), z, label, train=False)
    once = lambda y: module.apply(variables, z, y, train=False)
    return once(label), once(label[::-1]), once(label + 3)

  x, other, wrong = run(Z)
  assert x.shape == (4, 256, 2) and x.dtype == jnp.float32
  assert 0 < abs(x).max() <= 1 and abs(x - other).max() > 1e-4
  assert np.isnan(wrong[:3]).any()


def test_projection_reads_the_mean_over_time():
  label = jnp.array([0, 1, 2, 0])
  run = discriminator(label, classes=3)
  other = discriminator(label[::-1], classes=3)
  assert abs(run(X) - other(X)).max() > 1e-5


@pytest.mark.parametrize('shape', [(8000, 1), (16, 16, 1), (256,)])
def test_shapes_that_there_are_not(shape):
  module = wavegan.Generator(shape=shape)
  with pytest.raises(ValueError, match=r'WaveGAN.*samples one of \(256, 1024'):
    jax.eval_shape(lambda z: module.init(jax.random.key(0), z, train=False), Z)
