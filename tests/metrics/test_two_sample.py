"""Two-sample tests: fair under the null, sharp where the sets differ."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import classifier as classifier_lib
from gan_jax.metrics import two_sample

SEEDS = 200
TESTS = {
  'neighbour': lambda *args: two_sample.nearest_neighbor_test(
    *args, permutations=99
  ),
  'classifier': lambda *args: two_sample.classifier_test(*args, steps=50),
  'linear': lambda *args: two_sample.classifier_test(*args, steps=50, hidden=0),
}


class AccuracyTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_half_for_alike_one_for_apart_none_for_copies(self):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400, 3, 2)).astype(np.float32)
    accuracy = self.variant(two_sample.nearest_neighbor_accuracy)
    np.testing.assert_allclose(accuracy(a, b), 0.5, atol=0.06)
    np.testing.assert_allclose(accuracy(a, b + 100), 1)
    np.testing.assert_allclose(accuracy(a, a), 0, atol=0.01)


def repeats(name, n, m, shift, seeds, integers=False):
  @jax.jit
  def one(key):
    x_key, y_key, key = jax.random.split(key, 3)
    x = jax.random.normal(x_key, (n, 3))
    y = jax.random.normal(y_key, (m, 3)) + shift
    x, y = (jnp.round(x), jnp.round(y)) if integers else (x, y)
    return TESTS[name](x, y, key)

  return jax.lax.map(one, jax.random.split(jax.random.key(0), seeds))


@pytest.mark.parametrize(
  'name, n, m',
  [
    ('neighbour', 60, 60),
    ('neighbour', 40, 90),
    ('classifier', 40, 90),
    ('linear', 60, 60),
  ],
)
def test_p_values_are_uniform_under_the_null(name, n, m):
  p = repeats(name, n, m, 0, SEEDS).p_value
  # Mean 1/2 and deviation sqrt(1/12); ties add to p, half a step on average.
  np.testing.assert_allclose(
    p.mean(), 0.5, atol=4 * np.sqrt(1 / 12 / SEEDS) + 0.02
  )
  assert (p < 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / SEEDS)
  assert p.min() > 0 and p.max() <= 1


def test_neighbours_equally_near_do_not_make_the_test_unfair():
  p = repeats('neighbour', 30, 120, 0, SEEDS, integers=True).p_value
  assert (p < 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / SEEDS)
  np.testing.assert_allclose(p.mean(), 0.5, atol=0.1)


@pytest.mark.parametrize('name', TESTS)
def test_a_shift_is_found(name):
  found = repeats(name, 80, 150, 2.0, 5)
  limit = 0.01 if name == 'neighbour' else 1e-4
  assert (found.p_value <= limit + 1e-6).all(), found
  assert (found.statistic > 0.8).all()


def test_a_linear_classifier_sees_no_spread_but_a_hidden_layer_does():
  x = jax.random.normal(jax.random.key(0), (400, 2))
  y = 3 * jax.random.normal(jax.random.key(1), (400, 2))
  test = lambda **kwargs: two_sample.classifier_test(
    x, y, jax.random.key(2), **kwargs
  )
  assert test(hidden=0).p_value > 0.001
  assert test().p_value < 1e-8


@pytest.mark.parametrize('n', [10, 301])
def test_binomial_tail_is_the_sum(n):
  flips = np.random.default_rng(0).integers(0, n + 1, 20)
  for heads in (0, 1, n, *flips):
    heads = int(heads)
    exact = sum(math.comb(n, i) for i in range(heads, n + 1)) / 2**n
    found = two_sample._binomial_tail(jnp.float32(heads / n), n)
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-37)


@pytest.mark.parametrize('fraction', [0.0, 1.0])
def test_a_split_that_leaves_nothing(fraction):
  x = jnp.ones((10, 2))
  with pytest.raises(ValueError, match=f'train_fraction={fraction}: '):
    two_sample.classifier_test(x, x, jax.random.key(0), train_fraction=fraction)


def test_a_constant_feature_does_no_harm():
  x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
  labels = (x[:, 0] > 0).astype(np.int32)
  x[:, 2] = 7
  classifier = classifier_lib.train_classifier(
    x, labels, jax.random.key(0), classes=2
  )
  assert classifier_lib.accuracy(classifier, x, labels) > 0.95
