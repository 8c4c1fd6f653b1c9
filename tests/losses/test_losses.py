"""One suite over LOSSES; a loss joins it by being in the table."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax import losses, networks
from gan_jax.losses import f_gan
from tests.helpers.fakes import draw
from tests.helpers.logit_ranges import EXPONENTIAL

PLAYERS = [
  (n, p) for n in losses.LOSSES for p in ('discriminator', 'generator')
]


def player_loss(name, player):
  """A player's loss as a function of logits, whatever D must return."""
  loss = losses.LOSSES[name]
  function = getattr(loss, player)
  if loss.output != 'scores':
    return function
  as_scores = lambda x: networks.DiscriminatorOutput(x, x.reshape(len(x), -1))
  return lambda r, f, **options: function(as_scores(r), as_scores(f), **options)


@functools.cache
def total_with_gradients(name, player):
  """A player's summed loss and its gradients by both logits, compiled."""
  total = lambda r, f: player_loss(name, player)(r, f).sum()
  return jax.jit(jax.value_and_grad(total, (0, 1)))


def shapes_of(name):
  output = losses.LOSSES[name].output
  if output == 'features':
    return ((5,), (5, 3))
  flat = output == 'scores' or name == 'dual_contrastive'
  return ((5,),) if flat else ((5,), (5, 3, 2))


# The textbook formulas, in numpy and float64, without any care for range.
def log_sigmoid(x):
  return np.log(1 / (1 + np.exp(-x)))


def squared_distances(x, y):
  return (x[:, None] - y[None, :]) ** 2


def naive_mmd(kernel):
  def value(r, f):
    def inner(x):
      k = kernel(squared_distances(x, x))
      return (k.sum(axis=1) - np.diag(k)) / (len(x) - 1)

    k = kernel(squared_distances(r, f))
    return inner(r) + inner(f) - k.mean(axis=1) - k.mean(axis=0)

  return lambda r, f: -value(r, f), value


def naive_f(activation, conjugate):
  t = activation
  return (
    lambda r, f: -t(r) + conjugate(t(f)),
    lambda r, f: -conjugate(t(f)),
    lambda r, f: -t(f),
  )


def naive_dual(r, f):
  return -np.array(
    [np.log(np.exp(x) / (np.exp(x) + np.exp(f).sum())) for x in r]
  ) - np.array(
    [np.log(np.exp(-y) / (np.exp(-y) + np.exp(-r).sum())) for y in f]
  )


cross_entropy = lambda r, f: -log_sigmoid(r) - np.log(1 - 1 / (1 + np.exp(-f)))
relu = lambda x: np.maximum(x, 0)
swap = lambda function: lambda r, f: function(f, r)
ra = lambda r, f: cross_entropy(r - f.mean(), f - r.mean())
ra_ls = lambda r, f: (r - f.mean() - 1) ** 2 + (f - r.mean() + 1) ** 2
ra_hinge = lambda r, f: relu(1 - (r - f.mean())) + relu(1 + (f - r.mean()))
gaussians = naive_mmd(
  lambda d: sum(np.exp(-d / (2 * s * s)) for s in (1, 2, 4, 8, 16))
)
quadratics = naive_mmd(
  lambda d: sum((1 + d / (2 * a)) ** -a for a in (0.2, 0.5, 1, 2, 5))
)
F_GANS = {  # table 2 of the f-GAN paper, activation and conjugate
  'kl': (lambda v: v, lambda t: np.exp(t - 1)),
  'reverse_kl': (lambda v: -np.exp(-v), lambda t: -1 - np.log(-t)),
  'pearson': (lambda v: v, lambda t: t**2 / 4 + t),
  'jensen_shannon': (
    lambda v: np.log(2) - np.log(1 + np.exp(-v)),
    lambda t: -np.log(2 - np.exp(t)),
  ),
  'squared_hellinger': (lambda v: 1 - np.exp(-v), lambda t: t / (1 - t)),
}
NAIVE = {
  'minimax': (cross_entropy, lambda r, f: np.log(1 - 1 / (1 + np.exp(-f)))),
  'non_saturating': (cross_entropy, lambda r, f: -log_sigmoid(f)),
  'least_squares': (
    lambda r, f: ((r - 1) ** 2 + f**2) / 2,
    lambda r, f: (f - 1) ** 2 / 2,
  ),
  'hinge': (lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -f),
  'wasserstein': (lambda r, f: f - r, lambda r, f: -f),
  'rpgan': (
    lambda r, f: -log_sigmoid(r - f),
    lambda r, f: -log_sigmoid(f - r),
  ),
  'ragan': (ra, swap(ra)),
  'ralsgan': (ra_ls, swap(ra_ls)),
  'rahinge': (ra_hinge, swap(ra_hinge)),
  **{f'f_{n}': naive_f(*f)[:2] for n, f in F_GANS.items()},
  **{f'f_{n}_non_saturating': naive_f(*f)[::2] for n, f in F_GANS.items()},
  'mmd_gaussian': gaussians,
  'mmd_rational_quadratic': quadratics,
  'dual_contrastive': (naive_dual, lambda r, f: -naive_dual(r, f)),
  'feature_matching': (
    cross_entropy,
    lambda r, f: np.full(len(r), (r.mean() - f.mean()) ** 2),
  ),
}
# By hand, at logits (real, fake) of (0, 0), (2, -1) and (-1, 3).
# softplus: (-3) .04858735, (-2) .12692801, (-1) .31326169, (0) .69314718,
# (1) 1.31326169, (2) 2.12692801, (3) 3.04858735, (4) 4.01814993.
KNOWN = {
  ('minimax', 'discriminator'): [1.38629436, 0.4401897, 4.36184904],
  ('minimax', 'generator'): [-0.69314718, -0.31326169, -3.04858735],
  ('non_saturating', 'discriminator'): [1.38629436, 0.4401897, 4.36184904],
  ('non_saturating', 'generator'): [0.69314718, 1.31326169, 0.04858735],
  ('least_squares', 'discriminator'): [0.5, 1.0, 6.5],
  ('least_squares', 'generator'): [0.5, 2.0, 2.0],
  ('hinge', 'discriminator'): [2.0, 0.0, 6.0],
  ('hinge', 'generator'): [0.0, 1.0, -3.0],
  ('wasserstein', 'discriminator'): [0.0, -3.0, 4.0],
  ('rpgan', 'discriminator'): [0.69314718, 0.04858735, 4.01814993],
  ('rpgan', 'generator'): [0.69314718, 3.04858735, 0.01814993],
}
REAL, FAKE = np.float32([0, 2, -1]), np.float32([0, -1, 3])


def test_every_loss_has_its_formula_here():
  assert set(NAIVE) == set(losses.LOSSES)


class SharedTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*PLAYERS)
  def test_is_its_formula(self, name, player):
    loss = self.variant(player_loss(name, player))
    naive = NAIVE[name][player == 'generator']
    expected = naive(REAL.astype(np.float64), FAKE.astype(np.float64))
    np.testing.assert_allclose(loss(REAL, FAKE), expected, rtol=2e-6, atol=1e-6)

  @parameterized.parameters(*KNOWN)
  def test_known_values(self, name, player):
    loss = player_loss(name, player)
    np.testing.assert_allclose(loss(REAL, FAKE), KNOWN[name, player], rtol=1e-6)

  @parameterized.parameters(*PLAYERS)
  def test_keeps_shape_and_dtype(self, name, player):
    loss = player_loss(name, player)
    for shape in shapes_of(name):
      for dtype in (jnp.float32, jnp.bfloat16):
        out = jax.eval_shape(
          loss, jnp.ones(shape, dtype), jnp.ones(shape, dtype)
        )
        is_map = losses.LOSSES[name].output == 'logits'
        chex.assert_shape(out, shape if is_map else shape[:1])
        chex.assert_type(out, dtype)

  @parameterized.parameters(*PLAYERS)
  def test_refuses_shapes_that_would_broadcast(self, name, player):
    # (Two features, for [4, 1] is what one feature is.)
    columns = 2 if losses.LOSSES[name].output == 'scores' else 1
    with pytest.raises(AssertionError):
      player_loss(name, player)(jnp.ones(4), jnp.ones((4, columns)))

  @parameterized.parameters(*PLAYERS)
  def test_refuses_integers(self, name, player):
    with pytest.raises(AssertionError):
      player_loss(name, player)(jnp.ones(4, int), jnp.ones(4, int))

  @parameterized.parameters(*PLAYERS)
  def test_finite_at_any_logit(self, name, player):
    exponential = name.removesuffix('_non_saturating') in EXPONENTIAL
    ranges = ((1e4, jnp.float32), (100, jnp.bfloat16))
    if exponential:
      ranges = ((80, jnp.float32), (80, jnp.bfloat16))
    total = total_with_gradients(name, player)
    for size, dtype in ranges:
      logits = np.array([size, -size, 0.0], dtype)
      for fake in (-logits, logits):
        assert all(
          np.isfinite(x).all() for x in jax.tree.leaves(total(logits, fake))
        ), (
          f'{name}, {player}, is not finite at logits of {size}; if it contains '
          'an exponential, name it in EXPONENTIAL, tests/helpers/logit_ranges.py'
        )

  @parameterized.parameters(*PLAYERS)
  def test_gradient_is_that_of_finite_differences(self, name, player):
    total = total_with_gradients(name, player)
    _, grads = total(REAL + 0.1, FAKE - 0.2)  # off the kinks
    grads = np.asarray(grads)
    naive = NAIVE[name][player == 'generator']
    ends = REAL.astype(np.float64) + 0.1, FAKE.astype(np.float64) - 0.2
    for argument in (0, 1):
      for i in range(3):
        moved = lambda e: [
          x + e * (np.arange(3) == i) * (a == argument)
          for a, x in enumerate(ends)
        ]
        high, low = (naive(*moved(e)).sum() for e in (1e-5, -1e-5))
        np.testing.assert_allclose(
          grads[argument][i], (high - low) / 2e-5, rtol=1e-3, atol=1e-3
        )

  @parameterized.parameters(*PLAYERS)
  def test_same_on_any_number_of_devices(self, name, player):
    loss = player_loss(name, player)
    logits = draw(0, 2, 8)
    # The mean's gradient by all logits, on one device and on four.
    whole = jax.value_and_grad(lambda x: loss(x[0], x[1]).mean())

    def part(x):
      options = {}
      if losses.LOSSES[name].coupled:
        options['axis_name'] = 'i'
      values, grads = jax.value_and_grad(
        lambda x: loss(x[0], x[1], **options).mean()
      )(x)
      return jax.lax.pmean(values, 'i'), grads / 4

    parts = jax.vmap(part, in_axes=1, out_axes=(None, 1), axis_name='i')
    (value, grads), expected = jax.jit(
      lambda x: (parts(x.reshape(2, 4, 2)), whole(x))
    )(logits)
    chex.assert_trees_all_close(
      (value, grads.reshape(2, 8)), expected, rtol=1e-5, atol=1e-6
    )

  @parameterized.parameters(*losses.LOSSES)
  def test_under_vmap(self, name):
    loss = player_loss(name, 'discriminator')
    one_by_one = lambda *sides: [loss(r, f) for r, f in zip(*sides)]
    found, expected = jax.jit(
      lambda *sides: (jax.vmap(loss)(*sides), one_by_one(*sides))
    )(*draw(0, 2, 3, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_range_of_the_exponential_losses():
  """Beyond the stated range they do overflow: the exemption is needed."""
  for name in EXPONENTIAL:
    loss = losses.LOSSES[name].discriminator
    ends = jnp.float32([losses.SAFE_LOGIT, 100.0])
    inside = loss(-ends[:1], ends[:1]), loss(ends[:1], -ends[:1])
    assert np.isfinite(inside).all(), name
    outside = loss(-ends[1:], ends[1:]), loss(ends[1:], -ends[1:])
    assert not np.isfinite(outside).all(), name


def generator_gradient(name, logit):
  loss = losses.LOSSES[name].generator
  return jax.grad(lambda f: loss(jnp.zeros(()), f))(jnp.float32(logit))


def test_saturating_gradient_vanishes_as_d_wins():
  assert abs(generator_gradient('minimax', -20)) < 1e-8


def test_non_saturating_gradient_tends_to_minus_one_as_d_wins():
  np.testing.assert_allclose(generator_gradient('non_saturating', -20), -1)


def test_generators_agree_in_direction():
  """Every generator wants higher logits, where its loss is monotonous."""
  for logit in (-3.0, 0.0, 1.5):
    for name, loss in losses.LOSSES.items():
      separate = loss.output == 'logits' and not loss.coupled
      if separate and not (name == 'least_squares' and logit > 1):
        chosen = 'pearson' in name and logit < -2  # t^2 / 4 + t turns there
        assert chosen or generator_gradient(name, logit) < 0, (name, logit)


def test_relativistic_losses_depend_on_differences_alone():
  for name in ('rpgan', 'ragan', 'ralsgan', 'rahinge', 'dual_contrastive'):
    for player in ('discriminator', 'generator'):
      loss = player_loss(name, player)
      np.testing.assert_allclose(
        loss(REAL + 7, FAKE + 7), loss(REAL, FAKE), rtol=1e-5, atol=1e-6
      )


def test_wasserstein_critic_is_shift_invariant():
  loss = losses.wasserstein_discriminator
  np.testing.assert_allclose(loss(REAL + 7, FAKE + 7), loss(REAL, FAKE))


# ---- Optimal discriminators, over three points with probabilities p and q.

P, Q = np.float32([0.5, 0.3, 0.2]), np.float32([0.1, 0.3, 0.6])


def expected_loss(discriminator, logits):
  """E_p E_q of a loss of pairs, given D's logit at each of the points."""
  real, fake = jnp.repeat(logits, 3), jnp.tile(logits, 3)
  weight = np.repeat(P, 3) * np.tile(Q, 3)
  return (weight * discriminator(real, fake)).sum()


def check_optimum(discriminator, best, value):
  at = functools.partial(expected_loss, discriminator)
  at = jax.jit(jax.value_and_grad(at))
  found, slope = at(best)
  np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(slope, 0, atol=1e-6)
  for seed in range(5):
    assert at(best + np.float32(0.3) * draw(seed, 3))[0] >= value - 1e-6


def js():
  middle = (P + Q) / 2
  half = lambda a: (a * np.log(a / middle)).sum() / 2
  return half(P) + half(Q)


def test_cross_entropy_at_the_optimum():
  best = np.log(P / Q)
  check_optimum(
    losses.cross_entropy_discriminator, best, 2 * np.log(2) - 2 * js()
  )
  np.testing.assert_allclose(jax.nn.sigmoid(best), P / (P + Q), rtol=1e-6)
  value = jax.jit(functools.partial(expected_loss, losses.minimax_value))(best)
  np.testing.assert_allclose(value, 2 * js() - np.log(4), rtol=1e-5)


@pytest.mark.parametrize('targets', [(1.0, 0.0), (1.0, -1.0), (3.0, 1.0)])
def test_least_squares_at_the_optimum(targets):
  b, a = targets
  discriminator = functools.partial(
    losses.least_squares_discriminator, real_target=b, fake_target=a
  )
  best = (b * P + a * Q) / (P + Q)
  value = ((b - a) ** 2 * P * Q / (P + Q)).sum() / 2
  check_optimum(discriminator, best, value)


def test_least_squares_generator_minimises_pearson_chi_squared():
  # a, b, c = -1, 1, 0: 2 E_{p + q} (D* - c)^2 / 2 = chi^2(p + q || 2 q), D* = (p - q) / (p + q).
  best = (P - Q) / (P + Q)
  value = lambda weight: (
    weight * losses.least_squares_generator(best, best, generator_target=0.0)
  ).sum()
  chi = (np.square(2 * Q - (P + Q)) / (P + Q)).sum()
  np.testing.assert_allclose(2 * (value(P) + value(Q)), chi, rtol=1e-5)


def test_hinge_at_the_optimum():
  best, total_variation = np.sign(P - Q), np.abs(P - Q).sum() / 2
  value = 2 - 2 * total_variation
  at = jax.jit(functools.partial(expected_loss, losses.hinge_discriminator))
  np.testing.assert_allclose(at(best), value, rtol=1e-6)
  for seed in range(5):  # not smooth there: no check of the gradient
    assert at(best + draw(seed, 3)) >= value - 1e-6


def test_wasserstein_at_the_optimum():
  # On points 0, 1, 2 of a line W1 is the sum of |F_p - F_q|; p - q changes
  # sign once, so the best 1-Lipschitz critic is -x.
  distance = np.abs(np.cumsum(P - Q)).sum()
  critic = -np.float32([0, 1, 2])
  value = expected_loss(losses.wasserstein_discriminator, critic)
  np.testing.assert_allclose(value, -distance, rtol=1e-6)


def test_relativistic_at_the_optimum():
  best = np.log(P / Q)
  ratio = np.outer(P, Q)
  value = -(ratio * np.log(ratio / (ratio + ratio.T))).sum()
  check_optimum(losses.relativistic_discriminator, best + 3, value)
  same = losses.relativistic_discriminator(REAL, REAL)
  np.testing.assert_allclose(same, np.log(2), rtol=1e-6)


def test_averaged_relativistic_of_equal_constant_logits():
  for name, value in (('ragan', 2 * np.log(2)), ('ralsgan', 2), ('rahinge', 2)):
    for player in ('discriminator', 'generator'):
      logits = np.full(4, 3, np.float32)
      loss = player_loss(name, player)(logits, logits)
      np.testing.assert_allclose(loss, value, rtol=1e-6)


@pytest.mark.parametrize('name', losses.DIVERGENCES)
def test_f_gan_bound_is_tight_at_the_optimum(name):
  divergence = losses.DIVERGENCES[name]
  discriminator = f_gan(divergence).discriminator
  best = np.asarray(divergence.optimal_logit(P / Q))
  value = -divergence.divergence(P, Q)
  check_optimum(discriminator, best, value)
  # T = f'(p / q), and the generator's part is the rest of the bound.
  generator = f_gan(divergence).generator
  bound = (P * np.asarray(divergence.activation(best))).sum()
  bound += (Q * np.asarray(generator(best, best))).sum()
  np.testing.assert_allclose(bound, -value, rtol=1e-5)


def test_f_gan_divergences_by_hand():
  p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
  by_hand = {
    'kl': 0.5 * np.log(5) + 0.2 * np.log(1 / 3),
    'reverse_kl': 0.1 * np.log(0.2) + 0.6 * np.log(3),
    'pearson': 0.16 / 0.1 + 0.16 / 0.6,
    'squared_hellinger': ((np.sqrt(p) - np.sqrt(q)) ** 2).sum(),
    'jensen_shannon': float(2 * js()),
  }
  for name, value in by_hand.items():
    found = losses.DIVERGENCES[name].divergence(P, Q)
    np.testing.assert_allclose(found, value, rtol=1e-5)
    same = losses.DIVERGENCES[name].divergence(P, P)
    np.testing.assert_allclose(same, 0, atol=1e-6)


def test_mmd_is_zero_for_equal_distributions_and_not_for_others():
  for name in ('mmd_gaussian', 'mmd_rational_quadratic'):
    mmd = jax.jit(
      lambda x, y, name=name: losses.LOSSES[name].generator(x, y).mean()
    )
    points = lambda seed: draw(seed, 32, 2)
    values = np.array([mmd(points(i), points(i + 1000)) for i in range(200)])
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 4 * error, (values.mean(), error)
    apart = np.mean([mmd(points(i), points(i + 1000) + 1) for i in range(50)])
    assert apart > 20 * error


def test_mmd_of_one_pair_of_features_by_hand():
  # Two points a side: x = 0, 2 and y = 1, 1; k(d) = exp(-d^2 / 2).
  kernel = functools.partial(losses.gaussian_kernel, sigmas=(1.0,))
  x, y = np.float32([0, 2]), np.float32([1, 1])
  generator = functools.partial(losses.mmd_generator, kernel=kernel)
  value = np.mean(jax.jit(generator)(x, y))
  expected = np.exp(-2) + 1 - 2 * np.exp(-0.5)
  np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_mmd_witness_is_positive_where_data_are():
  witness = jax.jit(losses.LOSSES['mmd_rational_quadratic'].witness)
  real, fake = np.float32([[2.0], [2.5]]), np.float32([[-2.0], [-2.5]])
  scores = witness(np.float32([[2.2], [-2.2]]), real, fake)
  assert scores[0] > 0.5 and scores[1] < -0.5


def test_mmd_witness_of_its_own_points_is_unbiased():
  """With p = q, a point does not count as real for being itself."""
  witness = functools.partial(
    losses.LOSSES['mmd_rational_quadratic'].witness, own='real'
  )
  mean_sign = jax.jit(lambda x, y: jnp.sign(witness(x, x, y)).mean())
  signs = [mean_sign(draw(i, 64, 16), draw(i + 100, 64, 16)) for i in range(20)]
  error = np.std(signs) / np.sqrt(20)
  assert abs(np.mean(signs)) < 4 * error, (np.mean(signs), error)


def test_mmd_of_bfloat16_is_computed_in_float32():
  x, y = (draw(i, 64, 4).astype(jnp.bfloat16) for i in (0, 1))
  loss = jax.jit(losses.LOSSES['mmd_gaussian'].generator)
  full = loss(x.astype(np.float32), y.astype(np.float32))
  np.testing.assert_allclose(
    np.asarray(loss(x, y), np.float32), full, rtol=0.01, atol=1e-4
  )


def test_refuses_what_is_no_array():
  with pytest.raises(AssertionError, match='must be arrays, not float'):
    losses.hinge_discriminator(1.0, 2.0)


def test_dual_contrastive_of_equal_logits():
  logits = np.ones(4, np.float32)
  values = losses.dual_contrastive_discriminator(logits, logits)
  np.testing.assert_allclose(values, 2 * np.log(5), rtol=1e-6)


def test_feature_matching_sees_means_alone():
  real = draw(0, 8, 3)
  moved = np.random.default_rng(1).permutation(real)
  match = jax.jit(losses.feature_matching_generator)
  np.testing.assert_allclose(match(real, moved), 0, atol=1e-12)
  offset = real + np.float32([[1, 0, 2]])
  np.testing.assert_allclose(match(real, offset), 5, rtol=1e-5)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_a_pair_of_losses_that_is_called_says_what_to_write(name):
  logits = jnp.zeros(3)
  with pytest.raises(TypeError, match=r'loss\.discriminator\(real_logits, '):
    losses.LOSSES[name](logits, logits)
  with pytest.raises(TypeError, match='hinge'):
    losses.hinge(logits, logits)
