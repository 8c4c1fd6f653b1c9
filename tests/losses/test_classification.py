"""Class losses: known values, other devices, labels out of range."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses
from tests.helpers.fakes import draw

LABELS = np.array([0, 1, 2, 1])


def vectors(batch=8, dim=5):
  """Two sets of unit vectors."""
  x = draw(0, 2, batch, dim)
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_cross_entropy():
  logits = np.log(np.float32([[0.7, 0.2, 0.1]] * 2))
  found = losses.class_cross_entropy(logits, np.array([0, 2]))
  np.testing.assert_allclose(found, [-math.log(0.7), -math.log(0.1)], rtol=1e-6)


@pytest.mark.parametrize('label', [-1, 3])
def test_labels_out_of_range_are_not_clipped(label):
  found = losses.class_cross_entropy(
    np.zeros((1, 3), np.float32), np.array([label])
  )
  assert np.isnan(found).all()


def test_data_to_data_at_the_proxies():
  # a = 0; the cosine 0 is below the margin of 0.02, so that r = 0, too.
  h, label = np.eye(8, dtype=np.float32), np.arange(8)
  loss = jax.jit(losses.data_to_data_cross_entropy)
  found = loss(h, h, label)
  np.testing.assert_allclose(found, math.log(8), rtol=1e-6)  # 2.0794
  found = loss(h, h, label // 2)
  np.testing.assert_allclose(found, math.log(1 + 6), rtol=1e-6)
  found = loss(h, h, label * 0)
  np.testing.assert_allclose(found, 0, atol=1e-7)


def test_data_to_data_by_the_formula():
  (h, p), label = vectors(), np.arange(8) % 3
  loss = functools.partial(
    losses.data_to_data_cross_entropy, margin=0.9, temperature=0.25
  )
  found = np.asarray(jax.jit(loss)(h, p, label))
  h, p = np.asarray(h, np.float64), np.asarray(p, np.float64)
  for i in range(8):
    a = np.exp(min(h[i] @ p[i] - 0.9, 0) / 0.25)
    others = [j for j in range(8) if label[j] != label[i]]
    r = sum(np.exp(max(h[i] @ h[j] - 0.1, 0) / 0.25) for j in others)
    np.testing.assert_allclose(found[i], -np.log(a / (a + r)), rtol=1e-5)


def test_contrastive_by_the_formula():
  (h, p), label = vectors(), np.arange(8) % 3
  loss = functools.partial(losses.contrastive_2c, temperature=0.5)
  found = np.asarray(jax.jit(loss)(h, p, label))
  h, p = np.asarray(h, np.float64), np.asarray(p, np.float64)
  for i in range(8):
    others = [j for j in range(8) if j != i]
    e = lambda v, i=i: np.exp(h[i] @ v / 0.5)
    same = sum(e(h[j]) for j in others if label[j] == label[i])
    whole = e(p[i]) + sum(e(h[j]) for j in others)
    np.testing.assert_allclose(
      found[i], -np.log((e(p[i]) + same) / whole), rtol=1e-5
    )


def test_contrastive_of_one_example_per_class_and_equal_vectors():
  h = np.tile(np.eye(4, dtype=np.float32)[:1], (4, 1))
  loss = jax.jit(losses.contrastive_2c)
  found = loss(h, h, np.arange(4))
  np.testing.assert_allclose(found, math.log(4), rtol=1e-6)
  found = loss(h, h, np.zeros(4, int))
  np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize(
  'loss', [losses.data_to_data_cross_entropy, losses.contrastive_2c]
)
def test_two_devices_are_one_with_gradients(loss):
  h, p = vectors()
  label = np.arange(8) % 3

  def parts(h):
    split = lambda x: x.reshape(2, 4, *x.shape[1:])
    own = functools.partial(loss, axis_name='devices')
    mapped = jax.vmap(own, axis_name='devices')
    return mapped(split(h), split(p), split(label)).reshape(-1)

  @jax.jit
  def values_and_gradients(h):
    both = lambda h: loss(h, p, label), parts
    total = lambda h, f: (f(h) * jnp.arange(8)).sum()
    return [f(h) for f in both], [jax.grad(total)(h, f) for f in both]

  (whole, split), (one, two) = values_and_gradients(h)
  np.testing.assert_allclose(split, whole, rtol=1e-5)
  np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
  assert np.isfinite(one).all() and (np.abs(one).max(axis=1) > 1e-4).all()


def test_twin_classifier():
  c = np.log(np.float32([[0.5, 0.25, 0.25]] * 4))
  twin = np.log(np.float32([[0.8, 0.1, 0.1]] * 4))
  other = np.array([1, 0, 0, 2])
  found = losses.twin_classifier_discriminator(c, twin, LABELS, other)
  p, q = np.array([0.5, 0.25, 0.25]), np.array([0.8, 0.1, 0.1])
  expected = -np.log(p[LABELS]) - np.log(q[other])
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  found = losses.twin_classifier_generator(c, twin, other)
  expected = -np.log(p[other]) + np.log(q[other])
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_real_fake_classes():
  p = np.array([0.1, 0.2, 0.3, 0.4])  # real 0, fake 0, real 1, fake 1
  c = np.log(np.float32([p] * 2))
  y, other = np.array([0, 1]), np.array([1, 1])
  found = losses.real_fake_class_discriminator(c, c, y, other)
  expected = -np.log(p[[0, 2]]) - np.log(p[[3, 3]])
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  found = losses.real_fake_class_generator(c, y)
  expected = -np.log(p[[0, 2]]) + np.log(p[[1, 3]])
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shapes_that_would_broadcast_are_refused():
  with pytest.raises(AssertionError):
    losses.class_cross_entropy(np.zeros((4, 3), np.float32), LABELS[:, None])
  with pytest.raises(AssertionError):
    losses.class_cross_entropy(np.zeros((4, 3), np.float32), LABELS[:1])
  with pytest.raises(AssertionError):
    losses.contrastive_2c(np.eye(4), np.ones((4, 1)), LABELS)
