"""Scores of generators that are given a class."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.metrics import checks, frechet
from gan_jax.metrics import classifier as classifier_lib
from gan_jax.metrics.resampling import Estimate

Array = jax.Array


class IntraClassFID(NamedTuple):
  """What `intra_class_frechet` returns.

  Attributes:
    classes: the labels that occur, sorted, `[c]`.
    values: the distance of each, `[c]` float64.
    mean: their mean.
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
  """Frechet distance within each class, and its mean (intra-FID).

  Args:
    real_features: `[n, d]`, float.
    real_labels: `[n]` int.
    fake_features: `[m, d]`.
    fake_labels: `[m]` int, the classes that the generator was asked for.

  Returns:
    The distances; a class of few examples scores too high, so compare only at
    equal numbers.

  Raises:
    AssertionError: for labels that do not match the features, or are no
      integers; for features that are.
    ValueError: for a class with fewer than 2 examples on either side, no
      examples at all, or numbers that are not finite.

  References:
    Miyato and Koyama, cGANs with Projection Discriminator,
    https://arxiv.org/abs/1802.05637, 2018, section 5.1.
  """
  chex.assert_rank([real_features, fake_features], 2)
  chex.assert_shape(real_labels, real_features.shape[:1])
  chex.assert_shape(fake_labels, fake_features.shape[:1])
  chex.assert_type([real_labels, fake_labels], int)
  checks.check_feature_sets(
    real_features=real_features, fake_features=fake_features
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
  moments = lambda x: frechet.update_moments(
    frechet.init_moments(x.shape[1]), jnp.asarray(x)
  )
  values = np.array(
    [
      frechet.frechet_from_moments(
        *(moments(x[labels == label]) for x, labels in sides)
      )
      for label in classes
    ]
  )
  return IntraClassFID(classes, values, values.mean())


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
) -> Estimate:
  """Classification accuracy score: train on generated, test on real examples.

  The paper trains a ResNet-50 on images; this trains a network of one hidden
  layer on features or flattened pixels, so values compare only with its own.
  The ceiling is the score of real training examples in place of fake ones.

  Args:
    fake: `[m, ...]`, float.
    fake_labels: `[m]` int, the classes that the generator was asked for.
    real: `[n, ...]`, examples that the generator was not trained on.
    real_labels: `[n]` int.
    key: typed key, for the classifier.
    classes: how many.
    hidden: units of the classifier; 0 for a linear one.
    steps: of Adam, as are the next two.
    batch_size: examples a step.
    learning_rate: with cosine decay.

  Returns:
    The accuracy on real examples, in [0, 1], and its binomial standard error,
    which leaves out the chance of the training.

  Raises:
    AssertionError: for shapes that do not match, or labels that are no
      integers; for examples that are.
    ValueError: for no examples, numbers that are not finite, labels or other
      arguments out of range.

  References:
    Ravuri and Vinyals, Classification Accuracy Score for Conditional
    Generative Models, https://arxiv.org/abs/1905.10887, 2019.
  """
  checks.check_feature_sets(fake=fake, real=real)
  classifier_lib.check_labelled(real, real_labels, classes)
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
  value = classifier_lib.accuracy(classifier, real, real_labels)
  return Estimate(value, jnp.sqrt(value * (1 - value) / len(real)))
