"""Two-sample tests: can one tell which of two sets an example is from?"""

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics import classifier as classifier_lib
from gan_jax.metrics.resampling import TestResult

Array = jax.Array
_ROWS = 256


@jax.jit
def _nearest_others(x: Array) -> Array:
  """Index of the nearest other example of each, `[n, ...]` to `[n]`."""
  x = checks.at_least_float32(x).reshape(len(x), -1)
  x = x * checks.power_of_two_scale(x)  # lest squares overflow or vanish
  # About the centre, for the rounding of |y|^2 - 2 x y.
  x = x - x.mean(axis=0)[None]
  squares = jnp.square(x).sum(axis=1)

  def nearest(index):
    distances = squares - 2 * jnp.dot(x, x[index], precision='highest')
    return distances.at[index].set(jnp.inf).argmin()

  return jax.lax.map(nearest, jnp.arange(len(x)), batch_size=_ROWS)


def nearest_neighbor_accuracy(first: Array, second: Array) -> Array:
  """Leave-one-out accuracy of a 1-nearest-neighbour classifier.

  Each example of the union is given the set of its nearest other example, in
  Euclidean distance. 1/2 where the sets are of one distribution, 1 where they
  never mix, below 1/2 where one repeats the other.

  Args:
    first: `[n, ...]`, float.
    second: `[n, ...]`, of the same shape (equal sizes: chance is 1/2).

  Returns:
    Scalar in [0, 1].

  Raises:
    AssertionError: for different shapes, or integers.
    ValueError: for no examples, or numbers that are not finite.

  References:
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016, section 3.
    Xu et al., An empirical study on evaluation metrics of generative
    adversarial networks, https://arxiv.org/abs/1806.07755, 2018.
  """
  chex.assert_equal_shape([first, second])
  checks.check_feature_sets(first=first, second=second)
  is_first = jnp.arange(2 * len(first)) < len(first)
  nearest = _nearest_others(jnp.concatenate([first, second]))
  return (is_first[nearest] == is_first).mean()


def nearest_neighbor_test(
  first: Array, second: Array, key: Array, *, permutations: int = 1000
) -> TestResult:
  """Permutation test with the accuracy of `nearest_neighbour_accuracy`.

  Who is whose neighbour does not depend on which set an example is from, so
  only the labels are permuted. One-sided: a set that repeats the other has an
  accuracy below 1/2 and a p-value near 1.

  Args:
    first: `[n, ...]`, float.
    second: `[m, ...]`; of another size, too, but then the accuracy of chance
      is not 1/2.
    key: typed key, for the permutations.
    permutations: how many; the smallest p-value is 1 over 1 more.

  Returns:
    The accuracy and its p-value.

  Raises:
    AssertionError: for examples of different shapes, or integers.
    ValueError: for no permutations, a set of no examples, or numbers that are
      not finite.

  References:
    Schilling, Multivariate Two-Sample Tests Based on Nearest Neighbors, 1986.
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016.
  """
  checks.check_feature_sets(first=first, second=second)
  if permutations < 1:
    raise ValueError(f'permutations={permutations}: must be at least 1')
  total = len(first) + len(second)
  order_key, key = jax.random.split(key)
  # In random order: of neighbours equally near, the first is taken.
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
  """Accuracy of a classifier trained to tell two sets apart, on held-out ones.

  What a GAN's discriminator does, used as a test: Dive into Deep Learning
  introduces GANs as a two-sample test made constructive. Under the null the
  number of right answers is binomial, with chance 1/2.

  Args:
    first: `[n, ...]`, float.
    second: `[m, ...]`; the larger set is cut to the size of the smaller.
    key: typed key, for the split and the classifier.
    train_fraction: of each set, to train on.
    hidden: units of the classifier; 0 for a linear one.
    steps: of Adam, as are the next two.
    batch_size: examples a step.
    learning_rate: with cosine decay.

  Returns:
    The accuracy on held-out examples, in [0, 1], and the binomial chance of
    as much or more.

  Raises:
    AssertionError: for examples of different shapes, or integers.
    ValueError: for a train_fraction that leaves nothing to train or test on,
      numbers that are not finite, or as classifier.train_classifier.

  References:
    Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    https://arxiv.org/abs/1610.06545, 2016.
    Zhang et al., Dive into Deep Learning, https://d2l.ai, 2023, section 20.1.
  """
  checks.check_feature_sets(first=first, second=second)
  size = min(len(first), len(second))
  # A fraction that is no number has no rounding.
  cut = round(train_fraction * size) if 0 < train_fraction < 1 else 0
  if not 1 <= cut < size:
    raise ValueError(
      f'train_fraction={train_fraction}: must leave some of {size} examples '
      'to train on and some to test on'
    )
  *keys, fit_key = jax.random.split(key, 3)
  sides = [
    x[jax.random.permutation(key, len(x))[:size]]
    for x, key in zip((first, second), keys)
  ]
  x_train, x_test = (
    jnp.concatenate([x[part] for x in sides])
    for part in (slice(cut), slice(cut, None))
  )
  classifier = classifier_lib.train_classifier(
    x_train,
    jnp.repeat(jnp.arange(2), cut),
    fit_key,
    classes=2,
    hidden=hidden,
    steps=steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
  )
  labels = jnp.repeat(jnp.arange(2), size - cut)
  accuracy = classifier_lib.accuracy(classifier, x_test, labels)
  return TestResult(accuracy, _binomial_tail(accuracy, len(labels)))


def _binomial_tail(share: Array, n: int) -> Array:
  """Chance that n fair coins show heads in this share of throws, or more."""
  heads = jnp.round(share * n)
  # No heads or more is certain, where the beta function is not defined.
  tail = jax.scipy.special.betainc(jnp.maximum(heads, 1), n - heads + 1, 0.5)
  return jnp.where(heads > 0, tail, 1.0)
