"""Metrics of class-conditional generators."""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import tracing
from gan_jax.metrics import checks, frechet
from gan_jax.metrics import classifier as classifier_lib

Array = jax.Array
_MOST = 2000  # examples of a class whose pairwise distances are computed


class ClassifierAccuracy(NamedTuple):
  """Accuracy of a classifier, with its standard error.

  Attributes:
    value: accuracy, in [0, 1].
    error: binomial standard error of the accuracy.
    per_class: accuracy of each class, `[classes]`; NaN for a class without
      examples.
  """

  value: Array
  error: Array
  per_class: Array


class ClassDiversity(NamedTuple):
  """Diversity within classes, from `class_diversity`.

  Attributes:
    value: mean over classes.
    error: standard error of the mean, over the examples.
    classes: labels that occur, sorted, `[c]`.
    per_class: diversity of each class, `[c]`, float64, at least 0.
  """

  value: float
  error: float
  classes: np.ndarray
  per_class: np.ndarray


class IntraClassFID(NamedTuple):
  """Frechet distances per class, from `intra_class_fid`.

  Attributes:
    classes: labels that occur, sorted, `[c]`.
    values: Frechet distance of each class, `[c]`, float64.
    mean: mean over classes.
  """

  classes: np.ndarray
  values: np.ndarray
  mean: float


def intra_class_fid(
  real_features: Array,
  real_labels: Array,
  fake_features: Array,
  fake_labels: Array,
) -> IntraClassFID:
  """Computes the Frechet distance per class, and the mean (intra-FID).

  Args:
    real_features: features of real examples, `[n, d]`, float.
    real_labels: their classes, `[n]`, int.
    fake_features: features of generated examples, `[m, d]`, float.
    fake_labels: classes that the generator was conditioned on, `[m]`, int.

  Returns:
    The distances per class and their mean. Classes with few examples are
    biased upwards, so compare only at equal numbers of examples.

  Raises:
    AssertionError: if labels do not match the features or are not integers,
      or features are not floating point.
    ValueError: if a class has fewer than 2 examples on either side, there are
      no examples, or numbers are not finite.
    TypeError: if an argument is traced, as inside jax.jit.

  References:
    Miyato and Koyama, cGANs with Projection Discriminator,
    https://arxiv.org/abs/1802.05637, 2018, section 5.1.
  """
  chex.assert_rank([real_features, fake_features], 2)
  given = real_features, real_labels, fake_features, fake_labels
  classes, sides = _known_classes('intra_class_fid', *given)
  moments = lambda x: frechet.update_moments(
    frechet.init_moments(x.shape[1]), x
  )
  of_class = lambda label: frechet.frechet_from_moments(
    *(moments(x[labels == label]) for x, labels in sides)
  )
  with jax.ensure_compile_time_eval():
    values = np.array([of_class(label) for label in classes])
  return IntraClassFID(classes, values, values.mean())


def class_diversity(
  real_features: Array,
  real_labels: Array,
  fake_features: Array,
  fake_labels: Array,
) -> ClassDiversity:
  """Computes how diverse generated examples are within their classes.

  It is the mean distance of two generated examples of a class, divided by that
  of two real examples, and averaged over classes: 1 if they are as diverse as
  the real ones, 0 if all examples of a class are equal. It does not say whether
  the examples look like their class: compare class_accuracy.

  Args:
    real_features: features of real examples or their pixels, `[n, ...]`, float.
    real_labels: their classes, `[n]`, int.
    fake_features: features of generated examples, `[m, ...]`, float.
    fake_labels: classes that the generator was conditioned on, `[m]`, int.

  Returns:
    The diversity, of the first 2,000 examples of each class on each side.

  Raises:
    AssertionError: if labels do not match the features or are not integers,
      or features are not floating point.
    ValueError: if a class has fewer than 2 examples on either side, all real
      examples of a class are equal, or numbers are not finite.
    TypeError: if an argument is traced, as inside jax.jit.
  """
  given = real_features, real_labels, fake_features, fake_labels
  classes, sides = _known_classes('class_diversity', *given)
  ratios, variances = [], []
  for label in classes:
    (real, real_error), (fake, fake_error) = (
      _mean_distance(x[labels == label][:_MOST]) for x, labels in sides
    )
    if real == 0:
      raise ValueError(f'class {label}: all real examples are equal')
    ratios.append(fake / real)
    variances.append((fake_error**2 + (ratios[-1] * real_error) ** 2) / real**2)
  per_class = np.array(ratios)
  error = np.sqrt(np.sum(variances)) / len(classes)
  return ClassDiversity(per_class.mean(), error, classes, per_class)


def _known_classes(
  what, real_features, real_labels, fake_features, fake_labels
):
  """Checks labeled sets; returns their classes, and both sides as numpy."""
  chex.assert_shape(real_labels, real_features.shape[:1])
  chex.assert_shape(fake_labels, fake_features.shape[:1])
  chex.assert_type([real_labels, fake_labels], int)
  checks.check_feature_sets(
    real_features=real_features, fake_features=fake_features
  )
  tracing.check_known(
    what,
    real_features=real_features,
    real_labels=real_labels,
    fake_features=fake_features,
    fake_labels=fake_labels,
  )
  sides = [
    (np.asarray(real_features), np.asarray(real_labels)),
    (np.asarray(fake_features), np.asarray(fake_labels)),
  ]
  classes = np.union1d(sides[0][1], sides[1][1])
  for name, (_, labels) in zip(('real', 'fake'), sides):
    for label in classes:
      if (count := (labels == label).sum()) < 2:
        raise ValueError(
          f'class {label}: {count} {name} examples, must be at least 2'
        )
  return classes, sides


def _mean_distance(x: np.ndarray) -> tuple[float, float]:
  """Returns the mean distance of two examples, and its standard error."""
  x = np.asarray(x, np.float64).reshape(len(x), -1)
  x = x - x.mean(axis=0)
  squares = np.square(x).sum(axis=1)
  gaps = np.maximum(squares[:, None] + squares[None] - 2 * x @ x.T, 0)
  np.fill_diagonal(gaps, 0)
  # Each example's own mean; a mean over pairs varies as twice their mean does.
  own = np.sqrt(gaps).sum(axis=1) / (len(x) - 1)
  return own.mean(), 2 * own.std(ddof=1) / np.sqrt(len(x))


def classification_accuracy(
  fake: Array,
  fake_labels: Array,
  real: Array,
  real_labels: Array,
  key: Array,
  *,
  classes: int,
  hidden: int = 256,
  steps: int = 2000,
  batch_size: int = 128,
  learning_rate: float = 3e-3,
) -> ClassifierAccuracy:
  """Computes the classification accuracy score (CAS).

  CAS is the accuracy on real examples of a classifier trained on generated
  ones. The paper trains a ResNet-50 on images. Here a network with one hidden
  layer is trained on features or flattened pixels, so scores are comparable
  only to one another. The ceiling is the score of real training examples in
  place of the generated ones.

  Args:
    fake: generated examples, `[m, ...]`, float.
    fake_labels: classes that the generator was conditioned on, `[m]`, int.
    real: examples that the generator was not trained on, `[n, ...]`, float.
    real_labels: their classes, `[n]`, int.
    key: typed key, for the classifier.
    classes: number of classes.
    hidden: number of hidden units of the classifier; 0 for a linear one.
    steps: number of Adam steps.
    batch_size: number of examples per step.
    learning_rate: learning rate of Adam, with cosine decay to 0.

  Returns:
    Accuracy on real examples, in [0, 1], with its binomial standard error. The
    error does not include the randomness of training.

  Raises:
    AssertionError: if shapes do not match, labels are not integers, or
      examples are not floating point.
    ValueError: if there are no examples, numbers are not finite, or labels or
      other arguments are out of range.

  References:
    Ravuri and Vinyals, Classification Accuracy Score for Conditional
    Generative Models, https://arxiv.org/abs/1905.10887, 2019.
  """
  checks.check_feature_sets(fake=fake, real=real)
  classifier_lib.check_labelled(real, real_labels, classes)
  fake, real = checks.near_origin(fake, real)
  classifier = classifier_lib.train_classifier(
    fake,
    fake_labels,
    key,
    classes=classes,
    hidden=hidden,
    steps=steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
  )
  hits = classifier_lib.is_right(classifier, real, real_labels)
  return _accuracies(hits, real_labels, classes)


@functools.partial(jax.jit, static_argnums=2)
def _accuracies(hits, labels, classes):
  value = hits.mean()
  count = lambda x: jax.ops.segment_sum(x, labels, classes)
  return ClassifierAccuracy(
    value,
    jnp.sqrt(value * (1 - value) / len(hits)),
    count(1.0 * hits) / count(jnp.ones(len(hits))),
  )


def class_accuracy(
  real: Array,
  real_labels: Array,
  fake: Array,
  fake_labels: Array,
  key: Array,
  *,
  classes: int,
  **options: Any,
) -> ClassifierAccuracy:
  """Computes the class accuracy of samples (GAN-test).

  It is the accuracy on generated examples of a classifier trained on real ones:
  whether the generator obeys its label. A generator that knows no classes has
  1 / classes of it, if these are equally frequent. Its diversity within a class
  is not measured: compare class_diversity. The ceiling is the score of
  held-out real examples in place of the generated ones.

  Args:
    real: real examples that the classifier is trained on, `[n, ...]`, float.
    real_labels: their classes, `[n]`, int.
    fake: generated examples, `[m, ...]`, float.
    fake_labels: classes that the generator was conditioned on, `[m]`, int.
    key: typed key, for the classifier.
    classes: number of classes.
    **options: options of the classifier, as of classification_accuracy.

  Returns:
    Accuracy on generated examples, in [0, 1], with its binomial standard
    error. The error does not include the randomness of training.

  Raises:
    AssertionError: as classification_accuracy.
    ValueError: as classification_accuracy.

  References:
    Shmelkov et al., How good is my GAN?, https://arxiv.org/abs/1807.09499,
    2018 (GAN-test).
  """
  return classification_accuracy(
    real, real_labels, fake, fake_labels, key, classes=classes, **options
  )
