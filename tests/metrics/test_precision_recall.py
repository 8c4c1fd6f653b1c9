"""Precision, recall, density and coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import (
  precision_recall,
)
from tests.helpers.fakes import draw


def plain_distances(x, y):
  return np.linalg.norm(x[:, None] - y[None], axis=-1)


def brute_force(real, fake, k, distances=plain_distances):
  radius = lambda x: np.sort(distances(x, x), axis=1)[:, k]
  between = distances(real, fake)
  in_real = between < radius(real)[:, None]
  in_fake = between < radius(fake)[None]
  return (
    in_real.any(axis=0).mean(),
    in_fake.any(axis=1).mean(),
    in_real.sum(axis=0).mean() / k,
    (between.min(axis=1) < radius(real)).mean(),
  )


@pytest.mark.parametrize('k', [1, 3, 5])
def test_manifold_scores_by_brute_force(k):
  real, fake = draw(0, 70, 4), 0.3 + 0.8 * draw(1, 90, 4)
  found = jax.jit(lambda r, f: precision_recall.compute_prdc(r, f, k=k))(
    real, fake
  )
  np.testing.assert_allclose(found, brute_force(real, fake, k), rtol=1e-5)


def test_manifold_scores_of_sets_far_apart_and_of_equal_distributions():
  apart = precision_recall.compute_prdc(draw(0, 50, 3), 100 + draw(1, 50, 3))
  np.testing.assert_array_equal(apart, np.zeros(4))
  alike = precision_recall.compute_prdc(draw(0, 1000, 2), draw(1, 1000, 2))
  assert min(alike.precision, alike.recall, alike.coverage) > 0.9
  np.testing.assert_allclose(alike.density, 1, atol=0.1)
  # Its expectation: of 2 n - 1 others, the 5 nearest are not all real ones.
  expected = 1 - np.prod([(999 - i) / (1999 - i) for i in range(5)])
  np.testing.assert_allclose(alike.coverage, expected, atol=0.03)


def exact_distances(x, y):
  gaps = x[:, None].astype(np.float64) - y[None]
  return np.sqrt(np.square(gaps).sum(-1).astype(np.float32))


@pytest.mark.parametrize('kind', ['clustered', 'copies', 'ties'])
def test_manifold_scores_where_distances_are_small_or_equal(kind):
  rng = np.random.default_rng(0)
  centers = 10 * draw(0, 10, 300)
  near = lambda n, seed: (
    centers[rng.integers(0, 10, n)] + draw(seed, n, 300) / 50
  )
  real, fake = {
    'clustered': lambda: (near(60, 1), near(50, 2)),
    # Some three times over: more often than k, so that their radius is 0.
    'copies': lambda: (x := near(60, 1), np.concatenate([x[:16]] * 3 + [x])),
    'ties': lambda: rng.integers(0, 3, (2, 60, 6)).astype(np.float32),
  }[kind]()
  found = precision_recall.compute_prdc(real, fake, k=2)
  expected = brute_force(real, fake, 2, exact_distances)
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_copies_are_at_distance_zero():
  x = np.repeat(10 + draw(0, 20, 300), 3, axis=0)
  np.testing.assert_array_equal(
    precision_recall.nearest_neighbor_radii(x, 2), 0
  )
  assert (precision_recall.nearest_neighbor_radii(x, 3) > 1).all()


def test_density_of_a_set_in_itself_is_one_for_ties_do_not_count():
  x = draw(0, 500, 40)
  found = precision_recall.compute_prdc(x, x)
  np.testing.assert_allclose(found, np.ones(4), rtol=1e-6)


@pytest.mark.parametrize(
  'names, vary', [(('precision', 'density'), 1), (('recall', 'coverage'), 0)]
)
def test_manifold_errors_are_those_that_repeats_show(names, vary):
  estimate = jax.jit(precision_recall.prdc_jackknife)

  def one(seed):
    seeds = [1000, 1000]
    seeds[vary] = seed
    return estimate(draw(seeds[0], 60, 2), 0.7 + draw(seeds[1] + 1, 60, 2))

  each = [one(seed) for seed in range(200)]
  scores = precision_recall.compute_prdc(
    draw(0, 60, 2), 0.7 + draw(1001, 60, 2)
  )
  for name in names:
    values, errors = np.array([getattr(e, name) for e in each]).T
    rms = np.sqrt((errors**2).mean())
    if name in ('precision', 'density'):  # the examples are independent
      np.testing.assert_allclose(rms, values.std(ddof=1), rtol=0.25)
    if vary == 0:
      np.testing.assert_allclose(values[0], getattr(scores, name), rtol=1e-6)


@pytest.mark.parametrize('k', [0, 10])
def test_a_neighbour_that_is_not_there(k):
  with pytest.raises(ValueError, match=f'k={k}: .*9'):
    precision_recall.nearest_neighbor_radii(jnp.ones((10, 2)), k)
