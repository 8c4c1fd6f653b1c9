"""One suite over LOSSES; a loss joins it by being in the table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax import losses

PLAYERS = [
  (n, p) for n in losses.LOSSES for p in ('discriminator', 'generator')
]


def player_loss(name, player):
  return getattr(losses.LOSSES[name], player)


# By hand, at logits (real, fake) of (0, 0), (2, -1) and (-1, 3).
# softplus: (-3) .04858735, (-2) .12692801, (-1) .31326169, (0) .69314718,
# (1) 1.31326169, (2) 2.12692801, (3) 3.04858735.
KNOWN = {
  ('minimax', 'discriminator'): [1.38629436, 0.4401897, 4.36184904],
  ('minimax', 'generator'): [-0.69314718, -0.31326169, -3.04858735],
  ('non_saturating', 'discriminator'): [1.38629436, 0.4401897, 4.36184904],
  ('non_saturating', 'generator'): [0.69314718, 1.31326169, 0.04858735],
}
REAL, FAKE = np.float32([0, 2, -1]), np.float32([0, -1, 3])


class SharedTest(chex.TestCase):
  @chex.all_variants()
  @parameterized.parameters(*PLAYERS)
  def test_known_values(self, name, player):
    loss = self.variant(player_loss(name, player))
    np.testing.assert_allclose(loss(REAL, FAKE), KNOWN[name, player], rtol=1e-6)

  @parameterized.parameters(*PLAYERS)
  def test_keeps_shape_and_dtype(self, name, player):
    loss = player_loss(name, player)
    for shape in ((5,), (5, 3, 2)):
      for dtype in (jnp.float32, jnp.bfloat16):
        out = loss(jnp.ones(shape, dtype), jnp.ones(shape, dtype))
        chex.assert_shape(out, shape)
        chex.assert_type(out, dtype)

  @parameterized.parameters(*PLAYERS)
  def test_refuses_shapes_that_would_broadcast(self, name, player):
    with pytest.raises(AssertionError):
      player_loss(name, player)(jnp.ones(4), jnp.ones((4, 1)))

  @parameterized.parameters(*PLAYERS)
  def test_refuses_integers(self, name, player):
    with pytest.raises(AssertionError):
      player_loss(name, player)(jnp.ones(4, int), jnp.ones(4, int))

  @parameterized.parameters(*PLAYERS)
  def test_finite_at_any_logit(self, name, player):
    for size, dtype in ((1e4, jnp.float32), (100, jnp.bfloat16)):
      logits = jnp.array([size, -size], dtype)
      total = lambda r, f: player_loss(name, player)(r, f).sum()
      value, grads = jax.value_and_grad(total, (0, 1))(logits, -logits)
      chex.assert_tree_all_finite((value, grads))

  @parameterized.parameters(*PLAYERS)
  def test_gradient_is_that_of_finite_differences(self, name, player):
    total = lambda r, f: player_loss(name, player)(r, f).sum()
    grads = jax.grad(total, (0, 1))(REAL, FAKE)
    for argument in (0, 1):
      for i in range(3):
        moved = lambda e: [
          x + e * (np.arange(3) == i) * (a == argument)
          for a, x in enumerate((REAL.astype(np.float64), FAKE))
        ]
        high, low = (total(*map(np.float32, moved(e))) for e in (0.01, -0.01))
        np.testing.assert_allclose(
          grads[argument][i], (high - low) / 0.02, atol=1e-3
        )


def generator_gradient(name, logit):
  loss = losses.LOSSES[name].generator
  return jax.grad(lambda f: loss(jnp.zeros(()), f))(jnp.float32(logit))


def test_saturating_gradient_vanishes_as_d_wins():
  assert abs(generator_gradient('minimax', -20)) < 1e-8


def test_non_saturating_gradient_tends_to_minus_one_as_d_wins():
  np.testing.assert_allclose(generator_gradient('non_saturating', -20), -1)


def test_generators_agree_in_direction():
  for logit in (-3.0, 0.0, 3.0):
    for name in losses.LOSSES:
      assert generator_gradient(name, logit) < 0


def test_optimal_discriminator_of_cross_entropy():
  # Over three points with probabilities p and q, D* = p / (p + q).
  p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.1, 0.3, 0.6])
  best = jnp.log(p / q)
  value = lambda logits: (
    p * losses.cross_entropy_discriminator(logits, jnp.zeros(3))
    + q * losses.cross_entropy_discriminator(jnp.zeros(3), logits)
  ).sum()
  np.testing.assert_allclose(jax.grad(value)(best), 0, atol=1e-7)
  np.testing.assert_allclose(jax.nn.sigmoid(best), p / (p + q), rtol=1e-6)


def test_minimax_value_at_the_optimum_is_twice_js_minus_log_4():
  p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
  middle = (p + q) / 2
  js = (p * np.log(p / middle) + q * np.log(q / middle)).sum() / 2
  best = np.log(p / q).astype(np.float32)
  value = (p * -np.logaddexp(0, -best) - q * np.logaddexp(0, best)).sum()
  np.testing.assert_allclose(value, 2 * js - np.log(4), rtol=1e-6)
  halves = losses.minimax_value(best, best)  # both terms at the same points
  np.testing.assert_allclose(
    halves, -np.logaddexp(0, -best) - np.logaddexp(0, best), rtol=1e-6
  )
