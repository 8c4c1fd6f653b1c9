"""Losses and augmentations of anything: a result or a clear refusal."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given

from gan_jax import augment, losses, networks
from tests.helpers.fuzzing import FLOATS, OTHERS, fuzz, outcome
from tests.helpers.logit_ranges import EXPONENTIAL, SQUARES

pytestmark = pytest.mark.slow

LARGEST = float(np.finfo(np.float32).max)
PLAYERS = [
  (name, player)
  for name in losses.LOSSES
  for player in ('discriminator', 'generator')
]

sizes = st.sampled_from([0.0, 1e-40, 1e-3, 1.0, 30.0, 1e4, 1e19, 1e30])
numbers = st.builds(
  lambda size, sign, share: float(np.float32(size * sign * share)),
  sizes | st.just(LARGEST / 2),
  st.sampled_from([-1, 1]),
  st.sampled_from([1.0, 0.7]),
)
shapes = st.sampled_from(
  [(3,), (3, 1), (3, 2), (2,), (), (0,), (1,), (3, 0), (3, 2, 2), (0, 2, 2)]
)


def array(shape, dtype=np.float32, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def keys(count):
  return jax.random.split(jax.random.key(0), max(count, 1))[:count]


def player_loss(name, player):
  function = getattr(losses.LOSSES[name], player)
  if losses.LOSSES[name].output != 'scores':
    return function
  scores = lambda x: networks.DiscriminatorOutput(
    x, x[:, None] if x.ndim == 1 else x
  )
  return lambda real, fake: function(scores(real), scores(fake))


# ---- Losses.


@functools.cache
def values_and_gradients(name, player):
  """A player's losses and their sum's gradients by both logits, compiled."""

  def both(real, fake):
    value, pull = jax.vjp(player_loss(name, player), real, fake)
    return value, pull(jnp.ones_like(value))

  return jax.jit(both)


@fuzz(15)
@given(
  st.sampled_from(PLAYERS),
  st.lists(numbers, min_size=4, max_size=4),
)
@example(('mmd_gaussian', 'generator'), [LARGEST / 2, 0, -LARGEST / 2, 1])
@example(('mmd_rational_quadratic', 'discriminator'), [1e38, 0, -1e38, 0])
@example(('f_reverse_kl', 'discriminator'), [-1e30, 1e30, 1e30, -1e30])
def test_no_loss_of_finite_logits_is_nan(which, values):
  name, _ = which
  real, fake = np.float32(values).reshape(2, 2)
  value, gradients = values_and_gradients(*which)(real, fake)
  assert value.shape == real.shape and value.dtype == real.dtype
  for found in (value, *gradients):
    assert not np.isnan(found).any()
  largest = np.abs(values).max()
  unbounded = name.removesuffix('_non_saturating')
  limit = 1e18 if unbounded in SQUARES else 1e37
  limit = losses.SAFE_LOGIT if unbounded in EXPONENTIAL else limit
  if largest <= limit:
    assert np.isfinite(value).all() and np.isfinite(gradients).all()


@fuzz(20)
@given(st.sampled_from(PLAYERS), shapes, shapes)
@example(('mmd_gaussian', 'generator'), (3, 0), (3, 0))
@example(('dual_contrastive', 'discriminator'), (0,), (0,))
@example(('ragan', 'discriminator'), (0,), (0,))
def test_losses_of_any_shapes(which, real, fake):
  found = outcome(player_loss(*which), array(real), array(fake, seed=1))
  if found is None:
    return
  # Of scores, the generator looks at the features alone.
  assert real == fake or losses.LOSSES[which[0]].output == 'scores'
  # Features have one value for each example.
  is_features = losses.LOSSES[which[0]].output != 'logits'
  assert found.shape in ([real, real[:1]] if is_features else [real])
  assert np.isfinite(found).all()


@fuzz(15)
@given(
  st.sampled_from(PLAYERS),
  st.sampled_from(FLOATS + OTHERS),
  st.sampled_from(FLOATS + OTHERS),
)
@example(('hinge', 'generator'), np.float64, np.float64)
@example(('wasserstein', 'discriminator'), np.float16, np.float64)
@example(('f_kl_non_saturating', 'generator'), np.float16, np.float64)
@example(('least_squares', 'generator'), jnp.bfloat16, jnp.bfloat16)
@example(('mmd_gaussian', 'generator'), jnp.bfloat16, np.float32)
def test_losses_of_any_types(which, real, fake):
  found = outcome(player_loss(*which), array(3, real), array(3, fake))
  if real in OTHERS or fake in OTHERS:
    assert found is None
    return
  one_sided = which[1] == 'generator' and not losses.LOSSES[which[0]].coupled
  sides = [fake] if one_sided else [real, fake]
  kind = jnp.result_type(*(jnp.asarray(array(1, side)) for side in sides))
  assert found.dtype == kind
  assert np.isfinite(np.asarray(found, np.float32)).all()


@fuzz(25)
@given(
  st.sampled_from(['non_saturating', 'ragan', 'wasserstein']),
  st.sampled_from([1, 2, 3, 0, -1, True, 2.0, None, 'a', 10**20, np.int64(2)]),
  shapes,
)
@example('ragan', 1, (0,))
def test_top_k_of_anything(name, k, shape):
  loss = outcome(losses.top_k, losses.LOSSES[name], k)
  if loss is None:
    return
  found = outcome(loss.generator, array(shape), array(shape, seed=1))
  assert (found is not None) == (len(shape) in (1, 3) and 1 <= k <= shape[0])
  if found is not None:
    assert found.shape == shape and np.isfinite(found).all()


@fuzz(20)
@given(
  st.sampled_from(list(losses.FACTORIES)),
  st.sampled_from([(), (1.0,), 0.5, (0.0,), (np.nan,), ('a',), np.inf, 1e-30])
  | numbers
  | st.tuples(numbers, numbers),
)
@example('mmd_gaussian', (1e-30,))
@example('mmd_gaussian', (float('nan'),))
def test_options_of_losses(name, value):
  options = {
    'least_squares': 'real_target',
    'mmd_gaussian': 'sigmas',
    'mmd_rational_quadratic': 'alphas',
  }
  if name == 'least_squares' and not isinstance(value, float):
    return
  loss = outcome(losses.FACTORIES[name], **{options[name]: value})
  if loss is not None:
    found = loss.discriminator(array(3), array(3, seed=1))
    assert not np.isnan(found).any()


# ---- Augmentations.


@fuzz(8)
@given(
  st.sampled_from(list(augment.AUGMENTS)),
  st.sampled_from([(2, 4, 4, 3), (2, 1, 1, 1), (0, 4, 4, 3), (2, 4, 2, 1)])
  | st.sampled_from([(2, 4, 4, 0), (4, 4, 3), (2,), ()]),
  st.sampled_from(FLOATS + OTHERS),
  st.sampled_from([0, 1, 0.5, -0.1, 1.1, np.nan, np.inf, None, 'a', True]),
  numbers,
)
@example('diff_augment', (2, 4, 4, 3), np.float32, np.nan, 1.0)
@example('ada', (2, 4, 4, 3), np.float32, -1e30, 1.0)
@example('ada', (2, 1, 1, 1), np.float16, 1, 0.0)
def test_augmentations_of_anything(name, shape, dtype, strength, value):
  # The sum of an image may be no number, though its numbers are.
  most = 1e30 if dtype in (np.float32, np.float64, jnp.bfloat16) else 100
  image = np.full(shape, np.clip(value, -most, most)).astype(dtype)
  count = shape[0] if shape else 1
  found = outcome(
    augment.AUGMENTS[name], jnp.asarray(image), keys(count), strength=strength
  )
  if found is None:
    return
  assert len(shape) == 4 and dtype not in OTHERS and 0 <= strength <= 1
  assert found.shape == shape and found.dtype == jnp.asarray(image).dtype
  assert np.isfinite(np.asarray(found, np.float32)).all()
  if strength == 0:
    np.testing.assert_array_equal(found, jnp.asarray(image))


@pytest.mark.parametrize('name', augment.AUGMENTS)
@pytest.mark.parametrize('policy', [None, 5, 'cutout', (1,), ('nope',)])
def test_policies_that_are_none(name, policy):
  images = jnp.zeros((1, 4, 4, 3))
  function = augment.AUGMENTS[name]
  assert outcome(function, images, keys(1), strength=1.0, policy=policy) is None
