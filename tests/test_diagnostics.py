"""The vector field on the Dirac-GAN, whose eigenvalues are known; the rest."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import diagnostics
from gan_jax.models import mlp

# Data at 0, the generator's single example at theta, D(x) = psi x. With
# f(t) = -log(1 + exp(-t)), so f'(0) = 1/2, the value is f(psi theta) + f(0).
ORIGIN = {'theta': jnp.float32(0)}, {'psi': jnp.float32(0)}


def value(g_params, d_params):
  return -jax.nn.softplus(-d_params['psi'] * g_params['theta'])


def dirac(gamma=0.0):
  """Of the minimax game, with R1 (|D'(0)|^2 / 2 = psi^2 / 2) of a weight."""
  return diagnostics.vector_field(
    lambda g, d: -value(g, d) + gamma * d['psi'] ** 2 / 2, value
  )


def test_field_moves_both_players_downhill():
  g_params, d_params = {'theta': jnp.float32(2)}, {'psi': jnp.float32(0.5)}
  g_move, d_move = dirac(gamma=0.1)(g_params, d_params)
  slope = 1 / (1 + np.exp(1))  # f'(psi theta)
  np.testing.assert_allclose(g_move['theta'], -slope * 0.5, rtol=1e-6)
  np.testing.assert_allclose(d_move['psi'], slope * 2 - 0.05, rtol=1e-6)


def test_jacobian_holds_the_generator_first():
  matrix = diagnostics.game_jacobian(dirac(gamma=0.3), *ORIGIN)
  np.testing.assert_allclose(matrix, [[0, -0.5], [0.5, -0.3]], atol=1e-7)


def test_dirac_gan_circles_without_a_penalty():
  found = diagnostics.eigenvalues(dirac(), *ORIGIN)
  assert found.dtype == np.complex128
  np.testing.assert_allclose(found, [-0.5j, 0.5j], atol=1e-7)


@pytest.mark.parametrize('gamma', [0.2, 0.99, 1.01, 3.0])
def test_dirac_gan_with_r1_has_the_eigenvalues_of_the_lemma(gamma):
  root = np.sqrt(complex(gamma**2 / 4 - 0.25))
  expected = np.sort_complex([-gamma / 2 - root, -gamma / 2 + root])
  found = diagnostics.eigenvalues(dirac(gamma), *ORIGIN)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert found.real.max() < 0


def test_dirac_gan_follows_its_eigenvalues():
  """Gradient descent with R1 closes in; without it leaves, in small steps."""
  for gamma, closes in ((0.0, False), (0.5, True)):
    field = jax.jit(dirac(gamma))
    point = {'theta': jnp.float32(1)}, {'psi': jnp.float32(0)}
    for _ in range(200):
      move = field(*point)
      point = jax.tree.map(lambda x, v: x + 0.1 * v, point, move)
    distance = np.hypot(point[0]['theta'], point[1]['psi'])
    assert distance < 0.1 if closes else distance > 1


@pytest.mark.slow
def test_jacobian_of_networks():
  g, d = mlp.Generator((1,), (2,), norm='none'), mlp.Discriminator((2,), 'none')
  z = jnp.array([[0.5], [-1.0]])
  g_params = g.init(jax.random.key(0), z, train=True)
  d_params = d.init(jax.random.key(1), z, train=True)
  play = lambda g_params, d_params: d.apply(
    d_params, g.apply(g_params, z, train=True), train=True
  ).mean()
  field = diagnostics.vector_field(play, lambda *params: -play(*params))
  matrix = np.asarray(diagnostics.game_jacobian(field, g_params, d_params))
  n, n_d = 2 + 2 + 2 + 1, 10 + 10 + 2 + 1
  assert matrix.shape == (n + n_d, n + n_d)
  # In a game of sum zero the blocks off the diagonal cancel.
  np.testing.assert_allclose(matrix[:n, n:], -matrix[n:, :n].T, atol=1e-6)


def test_jacobian_refuses_large_games():
  zeros = jnp.zeros(1001), jnp.zeros(1000)
  field = diagnostics.vector_field(lambda g, d: 0.0, lambda g, d: 0.0)
  with pytest.raises(ValueError, match='2001 parameters.* 2000'):
    diagnostics.game_jacobian(field, *zeros)


def test_log_ratio_distance_is_0_at_the_optimum():
  log_p, log_q = jnp.log(jnp.array([0.5, 0.1])), jnp.log(jnp.array([0.25, 0.2]))
  logits = jnp.log(jnp.array([2.0, 0.5]))
  distance = diagnostics.density_ratio_error
  np.testing.assert_allclose(distance(logits, log_p, log_q), 0, atol=1e-6)
  shifted = distance(logits + jnp.array([1.0, -3.0]), log_p, log_q)
  np.testing.assert_allclose(shifted, [1, 3], rtol=1e-6)
  for wrong in (log_p[:1], log_p[:, None], jnp.array([1, 2])):
    with pytest.raises(AssertionError):
      distance(logits, wrong, log_q)


@pytest.mark.parametrize('scale', [1.0, 1e-25, 1e25])
def test_cosine_by_hand(scale):
  a = {'w': scale * jnp.array([[1.0, 2.0]]), 'b': scale * jnp.array([2.0])}
  b = {'w': jnp.array([[2.0, 1.0]]), 'b': jnp.array([-2.0])}  # a'b = 0
  c = {'w': jnp.array([[1.0, 0.0]]), 'b': jnp.array([0.0])}
  cosine = jax.jit(diagnostics.cosine_similarity)
  np.testing.assert_allclose(cosine(a, a), 1, rtol=1e-6)
  np.testing.assert_allclose(
    cosine(a, jax.tree.map(jnp.negative, a)), -1, rtol=1e-6
  )
  np.testing.assert_allclose(cosine(a, b), 0, atol=1e-6)
  np.testing.assert_allclose(cosine(a, c), 1 / 3, rtol=1e-6)
  zero = jax.tree.map(jnp.zeros_like, a)
  assert cosine(a, zero) == cosine(zero, a) == cosine(zero, zero) == 0


def test_cosine_refuses_trees_that_differ():
  with pytest.raises(AssertionError):
    diagnostics.cosine_similarity({'a': jnp.ones(2)}, {'a': jnp.ones(3)})
  with pytest.raises(AssertionError):
    diagnostics.cosine_similarity({'a': jnp.ones(2)}, {'b': jnp.ones(2)})


class AccuracyTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_by_hand(self):
    real = jnp.array([2.0, 1.0, 0.0, -1.0])  # mean 1/2; 0 is neither
    fake = jnp.array([[-2.0, 3.0], [-4.0, 1.0]])  # mean -1/2
    held_out = jnp.array([1.0, -0.5])  # mean 1/4
    accuracy = self.variant(diagnostics.discriminator_accuracy)
    assert accuracy(real, fake) == {
      'd_accuracy_real': 0.5,
      'd_accuracy_fake': 0.5,
    }
    metrics = accuracy(real, fake, held_out)
    assert metrics == {
      'd_accuracy_real': 0.5,
      'd_accuracy_fake': 0.5,
      'd_accuracy_held_out': 0.5,
      'overfitting': 0.25,
    }
    chex.assert_type(list(metrics.values()), jnp.float32)
    chex.assert_shape(list(metrics.values()), ())
    assert (
      accuracy(real, fake, decision_threshold=1.5)['d_accuracy_real'] == 0.25
    )


def test_overfitting_is_0_without_and_1_when_complete():
  real, fake = jnp.array([1.0, 2.0]), jnp.array([-1.0, -3.0])
  r_v = lambda *logits: diagnostics.discriminator_accuracy(*logits)[
    'overfitting'
  ]
  assert r_v(real, fake, real) == 0 and r_v(real, fake, fake) == 1
  assert r_v(real, real, fake) == 0  # nothing is told apart: not NaN


def test_accuracy_refuses_integers():
  with pytest.raises(AssertionError):
    diagnostics.discriminator_accuracy(jnp.array([1]), jnp.array([1.0]))
