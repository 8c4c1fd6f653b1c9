"""Scores of conditional generators, on classes that are known."""

import jax
import numpy as np
import pytest

from gan_jax.metrics import class_conditional, frechet


def classes_at(centers, count, seed):
  """`count` unit Gaussians round each centre, in random order."""
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.repeat(np.arange(len(centers)), count))
  x = np.asarray(centers)[labels] + rng.normal(size=(len(labels), 2))
  return x.astype(np.float32), labels


CENTRES = np.float32([[0, 0], [8, 0], [0, 8]])


def test_intra_class_frechet_is_that_of_each_class():
  real, real_labels = classes_at(CENTRES, 4000, 0)
  shift = np.float32([[0, 0], [0, 1], [2, 0]])
  fake, fake_labels = classes_at(CENTRES + shift, 4000, 1)
  found = class_conditional.intra_class_fid(
    real, real_labels, fake, fake_labels + 0
  )
  np.testing.assert_array_equal(found.classes, [0, 1, 2])
  np.testing.assert_allclose(found.values, [0, 1, 4], atol=0.25)
  np.testing.assert_allclose(found.mean, found.values.mean())
  one = [
    x[labels == 2] for x, labels in ((real, real_labels), (fake, fake_labels))
  ]
  moments = [np.mean, lambda x, axis: np.cov(x.T)]
  expected = frechet.frechet_distance(
    *(f(x, axis=0) for x in one for f in moments)
  )
  np.testing.assert_allclose(found.values[2], expected, rtol=1e-4)


def test_classes_that_swap_are_seen_only_within_classes():
  real, labels = classes_at(CENTRES, 500, 0)
  fake, fake_labels = classes_at(CENTRES[[1, 0, 2]], 500, 1)
  found = class_conditional.intra_class_fid(real, labels, fake, fake_labels)
  np.testing.assert_allclose(found.values, [64, 64, 0], atol=3)


@pytest.mark.parametrize('side', ['real', 'fake'])
def test_a_class_with_too_few_examples_is_named(side):
  x = np.ones((6, 2), np.float32)
  full, short = np.repeat([0, 5], 3), np.array([0, 0, 0, 0, 0, 5])
  labels = (short, full) if side == 'real' else (full, short)
  with pytest.raises(ValueError, match=f'class 5: 1 {side} examples'):
    class_conditional.intra_class_fid(x, labels[0], x, labels[1])
  with pytest.raises(ValueError, match='class 5: 0 real examples'):
    class_conditional.intra_class_fid(x, full * 0, x, full)


def test_classification_accuracy_of_good_swapped_and_overlapping_classes():
  score = jax.jit(
    lambda *args: class_conditional.classification_accuracy(
      *args, jax.random.key(0), classes=3, steps=300
    )
  )
  real = classes_at(CENTRES, 300, 0)
  good = score(*classes_at(CENTRES, 200, 1), *real)
  assert good.value > 0.99
  swapped = score(*classes_at(CENTRES[[1, 0, 2]], 200, 1), *real)
  np.testing.assert_allclose(swapped.value, 1 / 3, atol=0.01)
  np.testing.assert_allclose(
    swapped.error, np.sqrt(swapped.value * (1 - swapped.value) / 900), rtol=1e-5
  )


def test_classification_accuracy_is_that_of_the_best_classifier():
  # Two unit Gaussians 2 apart: at best Phi(1) = 0.8413 are right.
  centers = np.float32([[0, 0], [2, 0]])
  found = class_conditional.classification_accuracy(
    *classes_at(centers, 2000, 1),
    *classes_at(centers, 2000, 0),
    jax.random.key(0),
    classes=2,
    steps=500,
  )
  assert abs(found.value - 0.8413) < 4 * found.error


def test_class_accuracy_is_of_the_generated_examples():
  score = lambda *fake: class_conditional.class_accuracy(
    *classes_at(CENTRES, 300, 0),
    *fake,
    jax.random.key(0),
    classes=3,
    steps=300,
  )
  assert score(*classes_at(CENTRES, 100, 1)).value > 0.99
  x, label = classes_at(CENTRES, 100, 2)
  swapped = np.where(label == 0, 0, 3 - label)  # 1 is called 2, and 2 is 1
  np.testing.assert_allclose(score(x, swapped).per_class, [1, 0, 0], atol=0.02)
  half = np.where(np.arange(300) < 150, label, (label + 1) % 3)
  found = score(x, half)
  np.testing.assert_allclose(found.value, 0.5, atol=0.01)
  np.testing.assert_allclose(found.error, np.sqrt(0.25 / 300), rtol=1e-3)
  # Samples of one point for each class obey their label, too.
  points, label = CENTRES[[0, 1, 2] * 4], np.array([0, 1, 2] * 4)
  assert score(points, label).value == 1


def test_noise_where_real_examples_hardly_vary_does_not_decide():
  """Generated images are not as black in the background as real ones are."""
  rng = np.random.default_rng(0)
  (real, labels), (fake, fake_labels) = (
    classes_at(CENTRES, 100, seed) for seed in (0, 1)
  )
  background = lambda x, sigma: np.concatenate(
    [x, sigma * rng.normal(size=(len(x), 20))], axis=1
  ).astype(np.float32)
  found = class_conditional.class_accuracy(
    background(real, 1e-3),
    labels,
    background(fake, 3e-2),
    fake_labels,
    jax.random.key(0),
    classes=3,
    steps=300,
  )
  assert found.value > 0.98


def test_class_diversity_is_the_ratio_of_mean_distances():
  real, labels = classes_at(CENTRES, 300, 0)
  fake, fake_labels = classes_at(CENTRES, 200, 1)
  # Class 1 has half the spread, class 2 one point.
  spread = np.float32([1, 0.5, 0])[fake_labels, None]
  center = CENTRES[fake_labels]
  fake = center + (fake - center) * spread
  found = class_conditional.class_diversity(real, labels, fake, fake_labels)
  np.testing.assert_array_equal(found.classes, [0, 1, 2])
  np.testing.assert_allclose(found.per_class, [1, 0.5, 0], atol=0.12)
  np.testing.assert_allclose(found.value, found.per_class.mean())
  pairs = lambda x: np.linalg.norm(x[:, None] - x[None], axis=-1).sum()
  one, other = fake[fake_labels == 1], real[labels == 1]
  ratio = pairs(one) / (200 * 199) / (pairs(other) / (300 * 299))
  np.testing.assert_allclose(found.per_class[1], ratio, rtol=1e-5)


def test_error_of_class_diversity_is_that_over_sets():
  def score(seed):
    sides = (classes_at(CENTRES, 60, 2 * seed + i) for i in (0, 1))
    return class_conditional.class_diversity(*next(sides), *next(sides))

  found = [score(seed) for seed in range(100)]
  spread = np.std([each.value for each in found])
  np.testing.assert_allclose(
    np.mean([each.error for each in found]), spread, rtol=0.25
  )


def test_class_diversity_refuses_classes_that_have_none():
  x = np.repeat(np.arange(3, dtype=np.float32), 4)[:, None]
  labels = np.repeat(np.arange(3), 4)
  with pytest.raises(ValueError, match='class 0: all real examples are equal'):
    class_conditional.class_diversity(x, labels, x, labels)
  with pytest.raises(ValueError, match='class 2: 0 real examples'):
    class_conditional.class_diversity(x, labels % 2, x, labels)
