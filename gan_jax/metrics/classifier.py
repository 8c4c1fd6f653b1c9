"""A small classifier trained on the spot, for scores that need one."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.metrics import checks

Array = jax.Array


class Classifier(NamedTuple):
  """What `fit` has learned.

  Attributes:
    centre: mean of the training examples, `[d]`.
    scale: their standard deviation, `[d]`.
    layers: pairs of weights and biases.
  """

  centre: Array
  scale: Array
  layers: list


def _forward(layers, x):
  for weights, bias in layers[:-1]:
    x = jax.nn.relu(jnp.dot(x, weights, precision='highest') + bias[None])
  weights, bias = layers[-1]
  return jnp.dot(x, weights, precision='highest') + bias[None]


def logits(classifier: Classifier, x: Array) -> Array:
  """Logits of examples.

  Args:
    classifier: from `fit`.
    x: `[n, ...]`, float; flattened.

  Returns:
    `[n, classes]`.
  """
  centre, scale, layers = classifier
  x = (x.reshape(len(x), -1) - centre[None]) / scale[None]
  return _forward(layers, x)


def accuracy(classifier: Classifier, x: Array, labels: Array) -> Array:
  """Share of examples `[n, ...]` that get their label `[n]`, in [0, 1].

  Raises:
    AssertionError: for labels that do not match the examples; for integers.
    ValueError: for no examples, numbers that are not finite, or a classifier
      whose training diverged.
  """
  checks.check_feature_sets(examples=x)
  chex.assert_shape(labels, x.shape[:1])
  found = logits(classifier, x)
  checks.check_score('the logits of the classifier', found, x)
  return (found.argmax(axis=1) == labels).mean()


def check_labelled(x: Array, labels: Array, classes: int) -> None:
  """Refuses examples `[n, ...]` and labels `[n]` that are not of each other.

  Raises:
    AssertionError: for labels that do not match the examples, or are no
      integers; for examples that are.
    ValueError: for no examples, numbers that are not finite, or labels that
      are not from 0 to classes - 1.
  """
  checks.check_feature_sets(examples=x)
  chex.assert_shape(labels, x.shape[:1])
  chex.assert_type(labels, int)
  if checks.is_traced(labels):
    return
  found = np.unique(np.asarray(labels))
  if found[0] < 0 or found[-1] >= classes:
    raise ValueError(
      f'labels from {found[0]} to {found[-1]}: must be from 0 to classes - 1 '
      f'= {classes - 1}'
    )


def _check_options(**options: tuple[int, int]) -> None:
  for name, (value, least) in options.items():
    if value < least:
      raise ValueError(f'{name}={value}: must be at least {least}')


def _init(inputs, hidden, classes, key):
  last = (jnp.zeros((hidden or inputs, classes)), jnp.zeros(classes))
  if not hidden:
    return [last]
  weights = jax.random.normal(key, (inputs, hidden)) * (2 / inputs) ** 0.5
  return [(weights, jnp.zeros(hidden)), last]


def train_classifier(
  x: Array,
  labels: Array,
  key: Array,
  *,
  classes: int,
  hidden: int = 64,
  steps: int = 500,
  batch_size: int = 128,
  learning_rate: float = 3e-3,
) -> Classifier:
  """Trains a classifier by cross-entropy, with Adam.

  Args:
    x: examples `[n, ...]`, float; flattened and standardised, but for numbers
      that vary by less than 1e-6, which count as constant.
    labels: `[n]` int, from 0 to classes - 1.
    key: typed key, for the weights and the batches.
    classes: how many.
    hidden: units of the one hidden layer; 0 for a linear classifier.
    steps: of Adam.
    batch_size: examples a step, drawn with replacement.
    learning_rate: of Adam, with cosine decay to 0.

  Returns:
    The classifier.

  Raises:
    AssertionError: for labels that do not match the examples, or are no
      integers; for examples that are.
    ValueError: for no examples, numbers that are not finite, labels or other
      arguments out of range.
  """
  check_labelled(x, labels, classes)
  _check_options(
    hidden=(hidden, 0), steps=(steps, 1), batch_size=(batch_size, 1)
  )
  if not 0 < learning_rate < float('inf'):
    raise ValueError(f'learning_rate={learning_rate}: must be above 0, finite')
  x = checks.at_least_float32(x).reshape(len(x), -1)
  labels = jnp.asarray(labels)
  unit = checks.power_of_two_scale(x)  # lest squares overflow
  centre, scale = (x * unit).mean(axis=0) / unit, (x * unit).std(axis=0) / unit
  scale = jnp.where(scale > 1e-6, scale, 1)
  x = (x - centre[None]) / scale[None]
  init_key, batch_key = jax.random.split(key)
  layers = _init(x.shape[1], hidden, classes, init_key)
  adam = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

  def loss(layers, chosen):
    found = _forward(layers, x[chosen])
    return optax.softmax_cross_entropy_with_integer_labels(
      found, labels[chosen]
    ).mean()

  def step(carry, key):
    layers, state = carry
    chosen = jax.random.randint(key, (batch_size,), 0, len(x))
    updates, state = adam.update(jax.grad(loss)(layers, chosen), state)
    return (optax.apply_updates(layers, updates), state), None

  keys = jax.random.split(batch_key, steps)
  (layers, _), _ = jax.lax.scan(step, (layers, adam.init(layers)), keys)
  return Classifier(centre, scale, layers)
