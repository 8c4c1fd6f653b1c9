"""Samples by index, from latents, of mixed classes, of truncated latents."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from gan_jax import sampling
from tests.helpers import tiny


def make(classes=0, **changes):
  gan = tiny.gan(classes=classes, **changes)
  latents = types.SimpleNamespace(name='normal')
  config = types.SimpleNamespace(latents=latents, generator=latents)
  return sampling.Sampler(config, (2,), 7, tiny.init(gan).ema, gan)


@pytest.fixture(scope='module')
def plain():
  return make()


@pytest.fixture(scope='module')
def labeled():
  return make(classes=3)


def test_a_sample_is_the_same_by_its_index(plain):
  whole = plain(20, seed=5, batch_size=8)
  found = plain.at(np.array([13, 2, 13]), seed=5)
  np.testing.assert_allclose(found, whole[[13, 2, 13]], atol=1e-6)
  assert abs(plain.at(np.array([2]), seed=6) - whole[2]).max() > 1e-3


def test_latents_make_the_samples(plain):
  indices = np.array([4, 9])
  z = plain.latents(indices, seed=5)
  assert z.shape == (2, tiny.LATENT)
  np.testing.assert_allclose(
    plain.generate(z), plain.at(indices, seed=5), atol=1e-6
  )


@pytest.mark.parametrize('indices', [[-1], [[0]], [0.5]])
def test_indices_that_are_refused(plain, indices):
  with pytest.raises(ValueError, match=r'must be integers \[n\] from 0'):
    plain.at(np.array(indices))


def test_latents_of_another_length(plain):
  with pytest.raises(ValueError, match=r'shape \(2, 5\): must be \(n, 3\)'):
    plain.generate(np.zeros((2, 5)))


def test_classes_by_index_and_by_weights(labeled):
  indices = np.arange(6)
  label = labeled.labels(indices)
  whole = labeled(6)
  np.testing.assert_allclose(labeled.at(indices), whole, atol=1e-6)
  z = labeled.latents(indices)
  np.testing.assert_allclose(labeled.generate(z, label=label), whole, atol=1e-6)
  corners = np.eye(3, dtype=np.float32)[label]
  np.testing.assert_allclose(
    labeled.generate(z, label=corners), whole, atol=1e-6
  )
  between = labeled.generate(z, label=np.full((6, 3), 1 / 3, np.float32))
  assert np.isfinite(between).all() and abs(between - whole).max() > 1e-3
  with pytest.raises(ValueError, match='label=None: must be given'):
    labeled.generate(z)
  with pytest.raises(ValueError, match='must be an integer from 0 to 2'):
    labeled.generate(z, label=np.ones((6, 4), np.float32))


def test_truncated_latents_keep_their_places(plain):
  found = plain.truncated(0.5)
  indices = np.arange(200)
  z, all_z = (s.latents(indices) for s in (found, plain))
  assert np.abs(z).max() <= 0.5 < np.abs(all_z).max()
  order = lambda x: x[:, 0].argsort()
  np.testing.assert_array_equal(order(z), order(all_z))
  # The law of resampling: uniform quantiles, not a scaled normal.
  assert abs(z.std() - 0.28) < 0.02
  moving = lambda s: jax.tree.leaves(s.weights[1])[0]
  assert not np.array_equal(moving(found), moving(plain)), 'statistics'


@pytest.mark.parametrize('threshold', [0.0, -1.0, np.inf])
def test_thresholds_that_are_refused(plain, threshold):
  with pytest.raises(ValueError, match='must be above 0 and finite'):
    plain.truncated(threshold)


def test_uniform_latents_are_not_truncated(plain):
  uniform = types.SimpleNamespace(name='uniform')
  config = types.SimpleNamespace(latents=uniform)
  with pytest.raises(ValueError, match='latents of this run are uniform'):
    dataclasses.replace(plain, config=config).truncated(1.0)


def test_four_devices_draw_the_samples_of_one(labeled):
  several = dataclasses.replace(labeled, devices=tuple(jax.local_devices()[:4]))
  assert len(several.devices) == 4
  indices = np.arange(7)
  np.testing.assert_allclose(
    several.at(indices), labeled.at(indices), atol=1e-6
  )
  z = labeled.latents(indices)
  np.testing.assert_array_equal(several.latents(indices), z)
  label = labeled.labels(indices)
  np.testing.assert_allclose(
    several.generate(z, label=label), labeled.at(indices), atol=1e-6
  )


def test_projection_within_a_class(labeled):
  label = np.array([2, 0, 2])
  targets = labeled.at(np.array([1, 2, 3]), seed=9, label=label)
  found = labeled.project(targets, label=label, starts=32, steps=100)
  made = labeled.generate(found.points, label=label)
  np.testing.assert_allclose(made, targets, atol=0.05)
  with pytest.raises(ValueError, match='must be a class, or one for each'):
    labeled.project(targets)
  with pytest.raises(ValueError, match=r"space='w': must be one of \('z',\)"):
    labeled.project(targets, label=label, space='w')
