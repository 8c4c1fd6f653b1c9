"""Two-sample tests: can a classifier distinguish two sets of examples?"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import checks
from gan_jax.metrics import classifier as classifier_lib
from gan_jax.metrics.resampling import TestResult

Array = jax.Array
_ROWS = 256


def _nearest_others(x: Array) -> Array:
  """Returns the index `[n]` of the nearest neighbor of each of `[n, ...]`."""
  x = checks.at_least_float32(x).reshape(len(x), -1)
  x = x * checks.power_of_two_scale(x)  # keeps squares in range
  # Centered, to reduce the rounding errors of |y|^2 - 2 x y.
  x = x - x.mean(axis=0)[None]
  squares = jnp.square(x).sum(axis=1)

  def nearest(index):
    distances = squares - 2 * jnp.dot(x, x[index], precision='highest')
    return distances.at[index].set(jnp.inf).argmin()

  return jax.lax.map(nearest, jnp.arange(len(x)), batch_size=_ROWS)


def nearest_neighbor_accuracy(first: Array, second: Array) -> Array:
  """Computes the leave-one-out accuracy of a 1-nearest-neighbor classifier.

  Each example of the union is assigned to the set of its nearest neighbor, in
  Euclidean distance. The accuracy is about 1/2 if the sets have the same
  distribution, 1 if they never mix, and below 1/2 if one repeats the other.

  Args:
    first: examples, `[n, ...]`, float.
    second: examples, same shape (equal sizes make chance accuracy 1/2).

  Returns:
    Accuracy, scalar in [0, 1].

  Raises:
    AssertionError: if shapes differ, or examples are integers.
    ValueError: if there are no examples, or numbers are not finite.

  References:
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016, section 3.
    Xu et al., An empirical study on evaluation metrics of generative
    adversarial networks, https://arxiv.org/abs/1806.07755, 2018.
  """
  chex.assert_equal_shape([first, second])
  checks.check_feature_sets(first=first, second=second)
  return _accuracy(*checks.near_origin(first, second))


@jax.jit
def _accuracy(first, second):
  is_first = jnp.arange(2 * len(first)) < len(first)
  nearest = _nearest_others(jnp.concatenate([first, second]))
  return (is_first[nearest] == is_first).mean()


def nearest_neighbor_test(
  first: Array, second: Array, key: Array, *, permutations: int = 1000
) -> TestResult:
  """Runs a permutation test with `nearest_neighbor_accuracy`.

  Nearest neighbors do not depend on the set of an example, so only the labels
  are permuted. The test is one-sided: a set that repeats the other has an
  accuracy below 1/2 and a p-value near 1.

  Args:
    first: examples, `[n, ...]`, float.
    second: examples, `[m, ...]`, float; if m is not n, chance accuracy is not
      1/2.
    key: typed key, for the permutations.
    permutations: number of label permutations N. The smallest attainable
      p-value is 1 / (N + 1).

  Returns:
    The accuracy and its p-value.

  Raises:
    AssertionError: if example shapes differ, or examples are integers.
    ValueError: if permutations is below 1, a set is empty, or numbers are not
      finite.

  References:
    Schilling, Multivariate Two-Sample Tests Based on Nearest Neighbors, 1986.
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016.
  """
  checks.check_feature_sets(first=first, second=second)
  if permutations < 1:
    raise ValueError(f'permutations={permutations}: must be at least 1')
  first, second = checks.near_origin(first, second)
  return _permutation_test(first, second, key, permutations)


@functools.partial(jax.jit, static_argnums=3)
def _permutation_test(first, second, key, permutations):
  total = len(first) + len(second)
  order_key, key = jax.random.split(key)
  # In random order, since ties go to the first of equally near neighbors.
  order = jax.random.permutation(order_key, total)
  is_first = order < len(first)
  nearest = _nearest_others(jnp.concatenate([first, second])[order])

  def right(labels):
    return (labels[nearest] == labels).sum()

  found = right(is_first)
  under_null = jax.lax.map(
    lambda key: right(jax.random.permutation(key, is_first)),
    jax.random.split(key, permutations),
  )
  as_many = (under_null >= found).sum()
  return TestResult(found / total, (1 + as_many) / (1 + permutations))


def classifier_test(
  first: Array,
  second: Array,
  key: Array,
  *,
  train_fraction: float = 0.5,
  hidden: int = 64,
  steps: int = 500,
  batch_size: int = 128,
  learning_rate: float = 3e-3,
) -> TestResult:
  """Runs a two-sample test with a trained classifier.

  The test does what a GAN's discriminator does: Dive into Deep Learning
  introduces GANs as a constructive two-sample test. Under the null hypothesis
  the number of correct answers on held-out examples is binomial with
  probability 1/2.

  Args:
    first: examples, `[n, ...]`, float.
    second: examples, `[m, ...]`, float; the larger set is cut to the size of
      the smaller.
    key: typed key, for the split and the classifier.
    train_fraction: fraction of each set used for training.
    hidden: number of hidden units of the classifier; 0 for a linear one.
    steps: number of Adam steps.
    batch_size: number of examples per step.
    learning_rate: learning rate of Adam, with cosine decay to 0.

  Returns:
    Accuracy on held-out examples, in [0, 1], and the binomial probability of
    an accuracy at least as high.

  Raises:
    AssertionError: if example shapes differ, or examples are integers.
    ValueError: if train_fraction leaves nothing to train or test on, numbers
      are not finite, or under the conditions of classifier.train_classifier.

  References:
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016.
    Zhang et al., Dive into Deep Learning, https://d2l.ai, 2023, section 20.1.
  """
  checks.check_feature_sets(first=first, second=second)
  size = min(len(first), len(second))
  # NaN cannot be rounded.
  cut = round(train_fraction * size) if 0 < train_fraction < 1 else 0
  if not 1 <= cut < size:
    raise ValueError(
      f'train_fraction={train_fraction}: must leave some of the {size} '
      'examples for training and some for testing'
    )
  first, second = checks.near_origin(first, second)
  x_train, x_test, fit_key = _split(first, second, key, cut)
  classifier = classifier_lib.train_classifier(
    x_train,
    np.repeat(np.arange(2), cut),
    fit_key,
    classes=2,
    hidden=hidden,
    steps=steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
  )
  labels = np.repeat(np.arange(2), size - cut)
  accuracy = classifier_lib.accuracy(classifier, x_test, labels)
  return TestResult(accuracy, _binomial_tail(accuracy, len(labels)))


@functools.partial(jax.jit, static_argnums=3)
def _split(first, second, key, cut):
  """Splits equal parts of both sets, in random order, for train and test."""
  size = min(len(first), len(second))
  *keys, fit_key = jax.random.split(key, 3)
  sides = [
    x[jax.random.permutation(key, len(x))[:size]]
    for x, key in zip((first, second), keys)
  ]
  x_train, x_test = (
    jnp.concatenate([x[part] for x in sides])
    for part in (slice(cut), slice(cut, None))
  )
  return x_train, x_test, fit_key


@jax.jit
def _binomial_tail(share: Array, n: int) -> Array:
  """Returns the probability of at least this share of heads in n throws."""
  heads = jnp.round(share * n)
  # 0 heads or more is certain, but the beta function is undefined there.
  tail = jax.scipy.special.betainc(jnp.maximum(heads, 1), n - heads + 1, 0.5)
  return jnp.where(heads > 0, tail, 1.0)
