"""A small classifier, trained on demand for the metrics that need one."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import tracing
from gan_jax.metrics import checks

Array = jax.Array


class Classifier(NamedTuple):
  """A classifier trained by `train_classifier`.

  Attributes:
    center: mean of the training examples, `[d]`.
    scale: standard deviation of the training examples, `[d]`.
    layers: pairs of weights and biases.
  """

  center: Array
  scale: Array
  layers: list


def _forward(layers, x):
  for weights, bias in layers[:-1]:
    x = jax.nn.relu(jnp.dot(x, weights, precision='highest') + bias[None])
  weights, bias = layers[-1]
  return jnp.dot(x, weights, precision='highest') + bias[None]


def logits(classifier: Classifier, x: Array) -> Array:
  """Computes the logits of examples.

  Args:
    classifier: classifier from `train_classifier`.
    x: examples, `[n, ...]`, float; flattened.

  Returns:
    Logits, `[n, classes]`.
  """
  center, scale, layers = classifier
  x = (x.reshape(len(x), -1) - center[None]) / scale[None]
  return _forward(layers, x)


def accuracy(classifier: Classifier, x: Array, labels: Array) -> Array:
  """Returns the accuracy on examples `[n, ...]`, labels `[n]`, in [0, 1].

  Raises:
    AssertionError: if labels do not match the examples, or the examples are
      integers.
    ValueError: if there are no examples, numbers are not finite, or the
      training of the classifier diverged.
  """
  return is_right(classifier, x, labels).mean()


def is_right(classifier: Classifier, x: Array, labels: Array) -> Array:
  """Returns whether examples `[n, ...]` get their labels, `[n]` bool.

  Raises:
    AssertionError: as accuracy.
    ValueError: as accuracy.
  """
  checks.check_feature_sets(examples=x)
  chex.assert_shape(labels, x.shape[:1])
  found, right = _logits_and_hits(classifier, x, labels)
  checks.check_score('the logits of the classifier', found, x)
  return right


@jax.jit
def _logits_and_hits(classifier, x, labels):
  found = logits(classifier, x)
  return found, found.argmax(axis=1) == labels


def check_labelled(x: Array, labels: Array, classes: int) -> None:
  """Checks that examples `[n, ...]` and labels `[n]` match.

  Raises:
    AssertionError: if labels do not match the examples or are not integers,
      or examples are not floating point.
    ValueError: if there are no examples, numbers are not finite, or labels are
      outside 0 to classes - 1.
  """
  checks.check_feature_sets(examples=x)
  chex.assert_shape(labels, x.shape[:1])
  chex.assert_type(labels, int)
  if tracing.is_traced(labels):
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
  """Trains a classifier with Adam on the cross-entropy.

  Args:
    x: examples, `[n, ...]`, float; flattened and standardized. Features whose
      standard deviation is below a tenth of the root mean square over features
      are divided by that; all are only centered where it is below 1e-6.
    labels: classes of the examples, `[n]`, int, from 0 to classes - 1.
    key: typed key, for the weights and the batches.
    classes: number of classes.
    hidden: number of units of the hidden layer; 0 for a linear classifier.
    steps: number of Adam steps.
    batch_size: number of examples per step, drawn with replacement.
    learning_rate: learning rate of Adam, with cosine decay to 0.

  Returns:
    The classifier.

  Raises:
    AssertionError: if labels do not match the examples or are not integers,
      or examples are not floating point.
    ValueError: if there are no examples, numbers are not finite, or labels or
      other arguments are out of range.
  """
  check_labelled(x, labels, classes)
  _check_options(
    hidden=(hidden, 0), steps=(steps, 1), batch_size=(batch_size, 1)
  )
  if not 0 < learning_rate < float('inf'):
    raise ValueError(f'learning_rate={learning_rate}: must be finite, above 0')
  return _train(
    x,
    labels,
    key,
    classes=classes,
    hidden=hidden,
    steps=steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
  )


@functools.partial(
  jax.jit, static_argnames=('classes', 'hidden', 'steps', 'batch_size')
)
def _train(
  x, labels, key, *, classes, hidden, steps, batch_size, learning_rate
):
  x = checks.at_least_float32(x).reshape(len(x), -1)
  unit = checks.power_of_two_scale(x)  # keeps squares in range
  center, scale = (x * unit).mean(axis=0) / unit, (x * unit).std(axis=0) / unit
  # What hardly varies, such as the background of images, is not enlarged:
  # other examples may differ there by more.
  least = 0.1 * jnp.sqrt(jnp.square(scale * unit).mean()) / unit
  scale = jnp.maximum(scale, least)
  scale = jnp.where(scale > 1e-6, scale, 1)
  x = (x - center[None]) / scale[None]
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
  return Classifier(center, scale, layers)
