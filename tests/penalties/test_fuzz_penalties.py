"""Penalties of anything: a result or a clear refusal."""

import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given

from gan_jax import losses, penalties
from gan_jax.augment import ada_controller
from gan_jax.penalties import consistency
from tests.helpers.fuzzing import FLOATS, OTHERS, fuzz, outcome
from tests.losses.test_fuzz_losses import array, keys, numbers, shapes

pytestmark = pytest.mark.slow

BY_GRADIENT = {
  'r1': lambda d, real, fake, keys: penalties.r1(d, real),
  'r2': lambda d, real, fake, keys: penalties.r2(d, fake),
  'dragan': lambda d, real, fake, keys: penalties.dragan(d, real, keys),
  'zero_centered': penalties.zero_centered,
  'wgan_gp': penalties.wgan_gp,
  'wgan_lp': penalties.wgan_lp,
  'max_gp': penalties.max_gp,
}
BY_VALUE = {
  'consistency': lambda a, b: consistency(a, b),
  'latent_diversity': lambda a, b: penalties.zcr_generator(a, b),
  'lecam': lambda a, b: penalties.lecam(a, b, penalties.LogitEMA(0.1, 0.2)),
  'mode_seeking': lambda a, b: penalties.mode_seeking(a, b, b, a),
  'path_length': lambda a, b: penalties.path_length(a, 0.5),
  'reconstruction': penalties.reconstruction,
}
total = lambda x: x.reshape(x.shape[0], -1).sum(axis=1)
CRITICS = {
  'flat': lambda x: 0 * total(x),
  'line': total,
  'bowl': lambda x: total(jnp.square(x)),
  'map': lambda x: jnp.broadcast_to(total(x)[:, None, None], (len(x), 2, 2)),
}


@functools.cache
def penalty_and_slope(name, critic):
  """A penalty and its derivative by a factor of the logits, compiled."""

  def both(x, keys):
    def penalty(weight):
      logits = lambda x: weight * CRITICS[critic](x)
      return BY_GRADIENT[name](logits, x, x / 2, keys)

    found, pull = jax.vjp(penalty, jnp.float32(1))
    return found, pull(jnp.ones_like(found))[0]

  return jax.jit(both)


@fuzz(12)
@given(
  st.sampled_from(list(BY_GRADIENT)), st.sampled_from(list(CRITICS)), numbers
)
@example('wgan_gp', 'bowl', 0.0)
@example('dragan', 'flat', 1.0)
def test_penalties_and_their_gradients(name, critic, value):
  real = np.full((2, 3), value, np.float32)
  found, gradient = penalty_and_slope(name, critic)(real, keys(2))
  assert found.shape == (2,)
  if abs(value) <= 1e18:
    assert np.isfinite(found).all() and np.isfinite(gradient)
  assert not np.isnan(found).any()


@fuzz(30)
@given(
  st.sampled_from(list(BY_GRADIENT)),
  shapes,
  shapes,
  st.sampled_from(FLOATS + OTHERS),
  st.integers(0, 3),
)
@example('r1', (0,), (0,), np.float32, 0)
@example('wgan_gp', (3, 0), (3, 0), np.float32, 3)
def test_penalties_on_gradients_of_anything(name, real, fake, dtype, count):
  penalty = jax.jit(functools.partial(BY_GRADIENT[name], total))
  found = outcome(penalty, array(real, dtype), array(fake, dtype), keys(count))
  if found is None:
    return
  assert dtype not in OTHERS and found.dtype == jnp.float32
  which = fake if name == 'r2' else real
  assert found.shape == which[:1] and np.prod(which)
  assert name in ('r1', 'r2', 'dragan') or real == fake
  assert np.isfinite(found).all()


@fuzz(30)
@given(
  st.sampled_from(list(BY_VALUE)),
  shapes,
  shapes,
  st.sampled_from(FLOATS + OTHERS),
)
@example('consistency', (3, 0), (3, 0), np.float32)
@example('lecam', (0,), (0,), np.float32)
def test_penalties_on_values_of_anything(name, first, second, dtype):
  sides = array(first, dtype), array(second, dtype, 1)
  found = outcome(jax.jit(BY_VALUE[name]), *sides)
  if found is None:
    return
  assert dtype not in OTHERS
  assert found.shape == first[:1] and len(first)
  assert name == 'path_length' or first == second
  assert np.isfinite(np.asarray(found, np.float32)).all()


@pytest.mark.parametrize(
  'refused',
  [
    lambda: penalties.update_logit_ema(
      penalties.LogitEMA(0.0, 0.0), array(0), array(0)
    ),
    lambda: penalties.update_path_length_mean(jnp.ones(3), array(3)),
    lambda: penalties.path_length(array(3), jnp.ones(3)),
    lambda: penalties.lecam(
      array(3), array(3), penalties.LogitEMA(jnp.ones(3), jnp.ones(3))
    ),
    lambda: penalties.mode_seeking(*[array((2, 2))] * 4, epsilon=0.0),
    lambda: penalties.path_lengths(jnp.sum, jnp.ones((3, 2)), keys(3)),
    lambda: losses.mmd_witness(array((2, 3)), array((2, 1)), array((2, 1))),
    lambda: losses.top_k_count(
      3, batch_size=8, fraction=0.5, gamma=0.9, every=0
    ),
    lambda: losses.smooth_labels(losses.LOSSES['minimax'], 'a'),
    lambda: losses.least_squares_discriminator(
      array(3), array(3), smoothing=np.ones((3, 1))
    ),
    lambda: ada_controller.update_ada(
      ada_controller.init_ada(), jnp.ones((0, 2, 2)), interval_examples=4
    ),
    lambda: ada_controller.update_ada(
      ada_controller.init_ada(), jnp.ones(3), interval_examples=0
    ),
  ],
)
def test_what_had_an_answer_and_should_not(refused):
  assert outcome(refused) is None


def test_orthogonal_of_kernels_of_no_and_of_huge_numbers():
  assert penalties.orthogonal({'k': jnp.ones((2, 0)), 'b': 1.0}) == 0
  assert np.isposinf(penalties.orthogonal({'k': jnp.full((2, 2), 1e20)}))
