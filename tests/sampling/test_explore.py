"""Directions, neighbors, projections, on generators whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import sampling
from gan_jax.sampling import digest, directions, projection
from tests.helpers import tiny

RNG = np.random.default_rng(0)
# z -> images of 4 x 4 with a first coordinate that weighs most.
MATRIX = RNG.normal(size=(6, 16)).astype(np.float32)
MATRIX *= np.array([4, 2, 1, 0.5, 0.25, 0.1], np.float32)[:, None]


def linear(matrix, z):
  return jnp.tanh(z @ matrix / 8).reshape(-1, 4, 4, 1)


def test_sefa_is_the_singular_value_decomposition():
  vectors, strengths = jax.jit(directions.sefa_directions)([MATRIX])
  left, values, _ = np.linalg.svd(MATRIX)
  cosines = np.abs((np.asarray(vectors) * left.T).sum(axis=1))
  np.testing.assert_allclose(cosines, 1, atol=1e-3)
  share = values**2 / (values**2).sum()
  np.testing.assert_allclose(strengths, share, atol=1e-5)
  assert (np.asarray(vectors)[np.arange(6), cosines.argmax()] != 0).all()
  largest = np.abs(vectors).argmax(axis=1)
  assert (np.asarray(vectors)[np.arange(6), largest] > 0).all()


def test_kernels_side_by_side_count_together():
  both, _ = directions.sefa_directions([MATRIX[:, :5], MATRIX[:, 5:]])
  whole, _ = directions.sefa_directions([MATRIX])
  np.testing.assert_allclose(both, whole, atol=1e-4)


def test_gradients_find_the_same_directions():
  generate = lambda z: 0.01 * z @ MATRIX
  gram = directions.gradient_gram(
    generate, jnp.zeros((4000, 6)), jax.random.key(0)
  )
  vectors, strengths = directions.principal_axes(gram)
  wanted, shares = directions.sefa_directions([MATRIX])
  assert abs(vectors[0] @ wanted[0]) > 0.99
  np.testing.assert_allclose(strengths, shares, atol=0.05)


def sampler(gan=None, **changes):
  gan = gan or tiny.gan(**changes)
  return sampling.Sampler(None, (2,), 7, tiny.init(gan).ema, gan)


def test_a_step_along_the_first_direction_changes_most():
  drawn = sampler()
  found = drawn.directions()
  assert (found.space, found.method) == ('z', 'SeFa')
  z = drawn.latents(np.arange(64))
  start = drawn.generate(z)
  moved = [
    np.abs(drawn.generate(z + 3 * v) - start).mean()
    for v in (found.vectors[0], found.vectors[-1])
  ]
  assert moved[0] > 1.3 * moved[1]


def test_neighbors_of_batches_are_those_of_the_whole():
  real, queries = RNG.normal(size=(50, 2, 3)), RNG.normal(size=(4, 2, 3))
  real[33] = queries[2]
  indices, distances = sampling.nearest_neighbors(
    queries, (real[i : i + 7] for i in range(0, 50, 7)), 5
  )
  whole = np.sqrt(np.square(queries[:, None] - real).sum(axis=(2, 3)))
  np.testing.assert_array_equal(indices, whole.argsort(axis=1)[:, :5])
  np.testing.assert_allclose(distances, np.sort(whole, axis=1)[:, :5], 1e-5)
  assert indices[2, 0] == 33 and distances[2, 0] == 0, 'a copy'


@pytest.mark.parametrize(
  'count, batch, wanted',
  [
    (0, (3, 2), 'count=0: must be at least 1'),
    (4, (3, 2), 'count=4: there are only 3'),
    (1, (3, 5), r'shape \(5,\): those of the samples have \(2,\)'),
  ],
)
def test_neighbors_that_do_not_fit(count, batch, wanted):
  with pytest.raises(ValueError, match=wanted):
    sampling.nearest_neighbors(np.zeros((1, 2)), [np.zeros(batch)], count)


def test_projection_recovers_samples_of_the_generator():
  generate = jax.tree_util.Partial(linear, MATRIX)
  z = RNG.normal(size=(3, 6)).astype(np.float32)
  starts = RNG.normal(size=(64, 6)).astype(np.float32)
  targets = generate(z)
  found = sampling.project(
    generate, targets, starts, steps=300, prior_weight=0.0
  )
  assert (found.distances < 1e-4).all(), found.distances
  assert (found.distances < 0.05 * found.start_distances).all()
  np.testing.assert_allclose(generate(found.points), targets, atol=0.02)


def test_a_start_that_is_the_target_stays():
  starts = RNG.normal(size=(8, 6)).astype(np.float32)
  found = sampling.project(
    lambda z: linear(MATRIX, z), linear(MATRIX, starts[5:6]), starts, steps=3
  )
  np.testing.assert_array_equal(found.points[0], starts[5])
  assert found.distances[0] < 1e-12


def test_points_stay_where_they_must():
  starts = RNG.uniform(-1, 1, (8, 6)).astype(np.float32)
  found = sampling.project(
    lambda z: linear(MATRIX, z),
    jnp.ones((1, 4, 4, 1)),
    starts,
    steps=20,
    constrain=lambda z: z.clip(-0.5, 0.5),
    learning_rate=1.0,
  )
  assert np.abs(found.points).max() <= 0.5


@pytest.mark.parametrize(
  'options, shape, wanted',
  [
    (dict(steps=0), (4, 4, 1), 'steps=0, restarts=4: must be at least 1'),
    (dict(restarts=9), (4, 4, 1), 'at most 8 restarts'),
    ({}, (8, 8, 1), r'shape \(8, 8, 1\): the generator makes \(4, 4, 1\)'),
  ],
)
def test_projections_that_do_not_fit(options, shape, wanted):
  with pytest.raises(ValueError, match=wanted):
    sampling.project(
      lambda z: linear(MATRIX, z),
      np.zeros((1, *shape)),
      np.zeros((8, 6), np.float32),
      **options,
    )


def test_the_distance_of_several_scales():
  x, y = np.zeros((2, 2, 16, 16, 1), np.float32)
  y = y + np.array([1, 2], np.float32)[:, None, None, None]
  # 16, 8 and 4 pixels.
  np.testing.assert_allclose(sampling.pyramid_distance(x, y), [3, 12], 1e-6)
  np.testing.assert_allclose(
    sampling.pyramid_distance(x[:, 0, :, 0], y[:, 0, :, 0]), [1, 4], 1e-6
  )


def test_the_prior_of_a_norm():
  z = np.ones((2, 9), np.float32) * np.array([[1], [3]], np.float32)
  np.testing.assert_allclose(projection.norm_prior(z), [0, 4], atol=1e-5)


def test_the_digest_is_of_parameters_alone():
  gan = tiny.gan()
  params, stats = tiny.init(gan).ema
  first = digest.weights_digest((params, stats))
  assert len(first) == 16 and int(first, 16)
  other = jax.tree.map(lambda x: x + 1, stats)
  assert digest.weights_digest((params, other)) == first
  assert digest.weights_digest((jax.tree.map(jnp.copy, params), stats)) == first
  moved = jax.tree.map(lambda x: x + 1e-6, params)
  assert digest.weights_digest((moved, stats)) != first
