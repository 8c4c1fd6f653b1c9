"""Scores of anything: a result or a clear refusal."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given

from gan_jax import diagnostics, shuffle, training
from gan_jax.data import synthetic
from gan_jax.evaluation.networks import preprocess
from gan_jax.metrics import (
  class_conditional,
  classifier,
  frechet,
  gaussian,
  inception_score_metric,
  mmd,
  mode_coverage,
  precision_recall,
  sliced_wasserstein_distance,
  stacked_mnist,
  two_sample,
)
from gan_jax.training import ema
from tests.helpers.fuzzing import FLOATS, OTHERS, fuzz, outcome

pytestmark = pytest.mark.slow

FEW = {'steps': 2, 'batch_size': 4, 'hidden': 2}


def key():
  return jax.random.key(0)


def zeros(x):
  return np.zeros(x.shape[:1], int)


def moments(x):
  return frechet.update_moments(frechet.init_moments(x.shape[-1]), x)


SCORES = {
  'frechet': lambda a, b: frechet.frechet_from_moments(moments(a), moments(b)),
  'intra': lambda a, b: (
    class_conditional.intra_class_fid(a, zeros(a), b, zeros(b)).mean
  ),
  'cas': lambda a, b: class_conditional.classification_accuracy(
    a, zeros(a), b, zeros(b), key(), classes=2, **FEW
  ),
  'kernel': lambda a, b: mmd.kid(a, b, key(), subsets=2, subset_size=2),
  'mmd': lambda a, b: mmd.unbiased_mmd(a, b, mmd.polynomial_kernel),
  'mmd_test': lambda a, b: mmd.mmd_test(a, b, key(), permutations=3),
  'prdc': lambda a, b: precision_recall.compute_prdc(a, b, k=1),
  'sliced': lambda a, b: (
    sliced_wasserstein_distance.sliced_wasserstein_estimate(
      a, b, key(), directions=2
    )
  ),
  'nn': two_sample.nearest_neighbor_accuracy,
  'nn_test': lambda a, b: two_sample.nearest_neighbor_test(
    a, b, key(), permutations=3
  ),
  'c2st': lambda a, b: two_sample.classifier_test(a, b, key(), **FEW),
  'kl': lambda a, b: gaussian.kl_divergence(
    *gaussian.fit_gaussian(a), *gaussian.fit_gaussian(b)
  ),
  'w2': lambda a, b: gaussian.wasserstein_2(
    *gaussian.fit_gaussian(a), *gaussian.fit_gaussian(b)
  ),
  'modes': lambda a, b: mode_coverage.mode_scores(a, b, 0.5),
  'inception': lambda a, b: inception_score_metric.inception_score(a, splits=2),
}
FLAT = ('sliced', 'nn', 'nn_test', 'c2st', 'cas')  # take images, too
ANY_SCALE = ('mmd_test', 'prdc', 'nn', 'nn_test')

names = st.sampled_from(list(SCORES))
shapes = st.sampled_from(
  [(5, 2), (4, 2), (5, 1), (5, 0), (0, 2), (1, 2), (5,), ()]
)


def draw(shape, kind='normal', scale=1.0, dtype=np.float32, seed=0):
  x = np.random.default_rng(seed).normal(size=shape)
  if kind == 'same':
    x = np.ones(shape)
  elif kind == 'few':
    x = np.sign(x)
  x = np.asarray(x * scale, np.float32)
  if kind in ('nan', 'inf') and x.size:
    x.reshape(-1)[-1] = float(kind)
  return x.astype(dtype)


def check(name, found):
  """No NaN, but for an error that cannot be had; shares within [0, 1]."""
  value = found.value if hasattr(found, 'error') else found
  for x in jax.tree.leaves(value):
    # Of sets apart, with a singular covariance, the divergence is infinite.
    assert not np.isnan(x) and (np.isfinite(x) or name == 'kl')
  if hasattr(found, 'p_value'):
    assert 0 < found.p_value <= 1


@fuzz(15)
@given(
  names,
  st.sampled_from(['normal', 'same', 'few', 'nan', 'inf']),
  st.sampled_from(['normal', 'same', 'few', 'nan', 'inf']),
  st.sampled_from([0.0, 1e-40, 1e-30, 1e-3, 1.0, 1e10, 1e20, 1e30, 1e38]),
)
@example('mmd_test', 'nan', 'normal', 1.0)
@example('prdc', 'normal', 'nan', 1.0)
@example('nn', 'inf', 'normal', 1.0)
@example('kernel', 'normal', 'normal', 1e20)
@example('kl', 'same', 'same', 1.0)
@example('c2st', 'normal', 'normal', 1e30)
def test_scores_of_any_numbers(name, first, second, scale):
  sides = draw((5, 2), first, scale), draw((5, 2), second, scale, seed=1)
  found = outcome(SCORES[name], *sides)
  looked_at = sides[:1] if name == 'inception' else sides
  if not all(np.isfinite(x).all() for x in looked_at):
    assert found is None
  if found is not None:
    check(name, found)
  if name in ANY_SCALE and first == second == 'normal' and 1e-30 <= scale:
    usual = SCORES[name](*(x / np.float32(scale) for x in sides))
    np.testing.assert_allclose(
      jax.tree.leaves(found), jax.tree.leaves(usual), atol=1e-3
    )


@fuzz(15)
@given(names, shapes, shapes)
@example('nn_test', (0, 2), (5, 2))
@example('modes', (0, 2), (5, 2))
@example('cas', (0, 2), (0, 2))
@example('frechet', (5, 0), (5, 0))
def test_scores_of_any_shapes(name, first, second):
  if not (first and second):
    return
  found = outcome(SCORES[name], draw(first), draw(second, seed=1))
  if found is None:
    return
  check(name, found)
  if name != 'inception':
    assert first[1:] == second[1:] and (len(first) == 2 or name in FLAT)
    assert np.prod(first) * np.prod(second)


@fuzz(15)
@given(names, st.sampled_from(FLOATS + OTHERS), st.sampled_from([1.0, 3e4]))
@example('kl', np.float16, 1.0)
@example('kernel', np.float16, 3e4)
def test_scores_of_any_types(name, dtype, scale):
  scale = scale if dtype in FLOATS else 1.0
  sides = [draw((5, 2), 'normal', scale, np.float32, i) for i in (0, 1)]
  sides = [(np.abs(x) if dtype is np.uint8 else x).astype(dtype) for x in sides]
  found = outcome(SCORES[name], *sides)
  if dtype in OTHERS:
    assert found is None
  elif found is not None:
    check(name, found)
  assert found is not None or dtype in OTHERS or name == 'kl'


@pytest.mark.parametrize(
  'refused',
  [
    lambda: training.ema_update(jnp.ones(3), jnp.ones(3), jnp.ones((2, 1))),
    lambda: ema.half_life_decay(float('inf'), 8),
    lambda: shuffle.batch_indices(0, 1.5, 10, 3, jnp),
    lambda: shuffle.batch_indices(1.5, 0, 10, 3),
    lambda: diagnostics.discriminator_accuracy(jnp.ones(0), jnp.ones(2)),
    lambda: diagnostics.discriminator_accuracy(
      jnp.ones(2), jnp.ones(2), jnp.ones(0)
    ),
    lambda: diagnostics.eigenvalues(
      lambda g, d: (g * jnp.nan, d * jnp.nan), jnp.ones(2), jnp.ones(2)
    ),
    lambda: diagnostics.cosine_similarity(jnp.ones(2, int), jnp.ones(2, int)),
    lambda: frechet.frechet_distance(*[jnp.zeros(2), jnp.eye(3)] * 2),
    lambda: frechet.frechet_jackknife([], moments(draw((5, 2)))),
    lambda: gaussian.kl_divergence(*[jnp.zeros(2), -jnp.eye(2)] * 2),
    lambda: precision_recall.nearest_neighbor_radii(
      draw((5, 2), scale=1e30), 1
    ),
    lambda: mode_coverage.mode_scores(draw((5, 2)), draw((5, 2)), float('inf')),
    lambda: preprocess.clean_matrix(0, 3),
    lambda: preprocess.legacy_pytorch_matrix(3, 0),
    lambda: preprocess.preprocess(np.zeros((1, 0, 4, 3), np.uint8), 'clean'),
    lambda: preprocess.quantize(jnp.asarray([0.5, jnp.nan])),
    lambda: classifier.train_classifier(
      draw((5, 2)), np.full(5, 2), key(), classes=2, **FEW
    ),
    lambda: two_sample.classifier_test(
      draw((5, 2)), draw((5, 2)), key(), learning_rate=float('nan'), **FEW
    ),
    lambda: stacked_mnist.stacked_modes(jnp.full((2, 3), 10)),
    lambda: stacked_mnist.stacked_modes(jnp.full((2, 3), -1)),
    lambda: stacked_mnist.stacked_digits(
      lambda x: jnp.zeros((3, 10)), jnp.full((2, 4, 4, 3), jnp.nan)
    ),
    lambda: synthetic.ring('train', size=10, sigma=float('nan')),
    lambda: synthetic.ring('train', size=10, radius=float('inf')),
    lambda: synthetic.grid('train', size=10, spacing=1e30),
    lambda: synthetic.gaussian('train', size=10, seed=-1),
    lambda: synthetic.ring('train', size=10, modes=-1),
  ],
)
def test_what_had_an_answer_and_should_not(refused):
  assert outcome(refused) is None


def test_divergence_of_a_singular_gaussian_is_infinite():
  singular = jnp.zeros(2), jnp.ones((2, 2))
  found = gaussian.kl_divergence(*singular, jnp.zeros(2), jnp.eye(2))
  assert np.isposinf(found)


def test_what_fills_a_batch_of_features_up_is_not_looked_at():
  x = draw((4, 2))
  filled = np.concatenate([x, np.full((2, 2), np.nan, np.float32)])
  found = frechet.update_moments(
    frechet.init_moments(2), filled, np.arange(6) < 4
  )
  np.testing.assert_allclose(found.mean, moments(x).mean)


def test_modes_of_digits_in_8_bits():
  digits = jnp.asarray([[9, 9, 9], [0, 0, 0]], jnp.uint8)
  assert stacked_mnist.stacked_modes(digits).modes == 2
