"""Penalties on discriminators whose gradients are known."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from gan_jax import collectives, penalties, prng
from gan_jax.penalties import consistency
from tests.helpers.fakes import draw

DIM = 3
W = np.float32([3, 4, 12])  # |W| = 13
LINEAR = lambda x: x @ W
QUADRATIC = lambda x: jnp.square(x).sum(axis=1) / 2  # its gradient is x


def keys(count, seed=0):
  return prng.per_example_keys(
    jax.random.key(seed), collectives.global_example_indices(count)
  )


def points(count=4, seed=0):
  return draw(seed, count, DIM)


# Each as a function of (logits_fn, real, fake, keys), whatever it reads.
GRADIENT = {
  'r1': lambda d, x, y, k: penalties.r1(d, x),
  'r2': lambda d, x, y, k: penalties.r2(d, y),
  'zero_centered': penalties.zero_centered,
  'wgan_gp': penalties.wgan_gp,
  'wgan_lp': penalties.wgan_lp,
  'dragan': lambda d, x, y, k: penalties.dragan(d, x, k),
  'max_gp': penalties.max_gp,
}
ON_LINEAR = {  # with |W| = 13
  'r1': 169 / 2,
  'r2': 169 / 2,
  'zero_centered': 169,
  'wgan_gp': 144,
  'wgan_lp': 144,
  'dragan': 144,
  'max_gp': 169,
}


class GradientTest(chex.TestCase):
  @chex.all_variants()
  @parameterized.parameters(*GRADIENT)
  def test_linear_discriminator(self, name):
    penalty = self.variant(lambda x, y, k: GRADIENT[name](LINEAR, x, y, k))
    values = penalty(points(), points(seed=1), keys(4))
    np.testing.assert_allclose(values, np.full(4, ON_LINEAR[name]), rtol=1e-5)

  @parameterized.parameters(*GRADIENT)
  def test_quadratic_discriminator(self, name):
    """The gradient at x is x itself: the penalty tells where it looked."""
    real, fake = points(), points(seed=1)
    penalty = jax.jit(lambda x, y, k: GRADIENT[name](QUADRATIC, x, y, k))
    values = penalty(real, fake, keys(4))
    if name in ('r1', 'r2'):
      x = real if name == 'r1' else fake
      np.testing.assert_allclose(values, (x**2).sum(axis=1) / 2, rtol=1e-5)
      return
    if name == 'dragan':
      perturb = functools.partial(penalties.perturb, scale=0.5)
      x = jax.jit(perturb)(real, keys(4))
    else:
      x = jax.jit(penalties.interpolate)(real, fake, keys(4))
    norm = np.linalg.norm(x, axis=1)
    expected = {
      'zero_centered': norm**2,
      'wgan_gp': (norm - 1) ** 2,
      'wgan_lp': np.maximum(norm - 1, 0) ** 2,
      'dragan': (norm - 1) ** 2,
      'max_gp': np.full(4, (norm**2).max()),
    }[name]
    np.testing.assert_allclose(values, expected, rtol=1e-5)

  @parameterized.parameters(*GRADIENT)
  def test_each_example_by_itself(self, name):
    if name in ('max_gp', 'dragan'):  # these read the whole batch
      return
    d = lambda x: jnp.sin(x).sum(axis=1)
    penalty = lambda *batch: GRADIENT[name](d, *batch)
    alone = lambda *one: penalty(*(a[None] for a in one))[0]
    real, fake = points(), points(seed=1)
    whole = jax.jit(penalty)(real, fake, keys(4))
    each = jax.jit(jax.vmap(alone))(real, fake, keys(4))
    np.testing.assert_allclose(whole, each, rtol=1e-5)

  @parameterized.parameters(*GRADIENT)
  def test_same_on_any_number_of_devices(self, name):
    d = lambda w: lambda x: jnp.sin(x * w[None]).sum(axis=1)
    options = lambda axis: (
      {'axis_name': axis} if name in ('max_gp', 'dragan') else {}
    )
    function = getattr(penalties, name)
    arguments = {'r1': 'x', 'r2': 'y', 'dragan': 'xk'}.get(name, 'xyk')

    def mean(w, x, y, k, axis=None):
      given = [{'x': x, 'y': y, 'k': k}[a] for a in arguments]
      return function(d(w), *given, **options(axis)).mean()

    def part(x, y, k):
      return jax.lax.pmean(jax.value_and_grad(mean)(W, x, y, k, 'i'), 'i')

    parts = jax.jit(jax.vmap(part, axis_name='i', out_axes=None))
    batch = points(8), points(8, seed=1)
    expected = jax.jit(jax.value_and_grad(mean))(W, *batch, keys(8))
    split = [a.reshape(4, 2, *a.shape[1:]) for a in (*batch, keys(8))]
    found = parts(*split)
    chex.assert_trees_all_close(found, expected, rtol=1e-4)

  @parameterized.parameters(*GRADIENT)
  def test_gradient_by_the_parameters(self, name):
    """On <w, x>, d |w|^2 / dw is known."""
    mean = lambda w: GRADIENT[name](
      lambda x: x @ w, points(), points(seed=1), keys(4)
    ).mean()
    by_norm = {'r1': 13, 'r2': 13, 'zero_centered': 26, 'max_gp': 26}
    slope = by_norm.get(name, 2 * 12)  # d f(|w|) / d|w| at 13
    gradient = jax.jit(jax.grad(mean))(W)
    np.testing.assert_allclose(gradient, slope * W / 13, rtol=1e-4)

  @parameterized.parameters(*GRADIENT)
  def test_gradient_is_finite_for_a_constant_discriminator(self, name):
    mean = lambda w: GRADIENT[name](
      lambda x: x @ w, points(), points(seed=1), keys(4)
    ).mean()
    gradient = jax.jit(jax.grad(mean))(np.zeros(DIM, np.float32))
    chex.assert_tree_all_finite(gradient)


def test_one_sided_leaves_small_gradients_alone():
  small = lambda x: 0.05 * LINEAR(x)  # a norm of 0.65
  both = points(), points(seed=1)
  np.testing.assert_allclose(penalties.wgan_lp(small, *both, keys(4)), 0)
  np.testing.assert_allclose(
    penalties.wgan_gp(small, *both, keys(4)), 0.35**2, rtol=1e-4
  )


def test_patches_are_summed():
  x = jnp.ones((2, 4, 4, 1))
  values = penalties.r1(lambda x: 3 * x[..., 0], x)
  np.testing.assert_allclose(values, [9 * 16 / 2] * 2)


def test_r2_sends_no_gradient_to_the_generator():
  moved = lambda y: penalties.r2(QUADRATIC, y).sum()
  np.testing.assert_array_equal(jax.grad(moved)(points()), 0)


def test_points_lie_between():
  real, fake = np.zeros((1000, 2), np.float32), np.ones((1000, 2), np.float32)
  mix = 1 - np.asarray(jax.jit(penalties.interpolate)(real, fake, keys(1000)))
  np.testing.assert_array_equal(mix[:, 0], mix[:, 1])  # one u per example
  assert mix.min() >= 0 and mix.max() <= 1
  assert abs(mix[:, 0].mean() - 0.5) < 4 / np.sqrt(12 * 1000)


def test_points_around_have_the_stated_deviation():
  real = 3 * draw(0, 2000, 2) + 5
  perturb = jax.jit(functools.partial(penalties.perturb, scale=0.5))
  noise = np.asarray(perturb(real, keys(2000, 1))) - real
  np.testing.assert_allclose(noise.std(), 1.5, rtol=0.05)


@pytest.mark.parametrize(
  'logits_fn', [lambda x: x, lambda x: x.sum(), lambda x: x[:1, 0]]
)
def test_refuses_other_than_one_logit_per_example(logits_fn):
  with pytest.raises(AssertionError):
    penalties.r1(logits_fn, jnp.ones((3, 2)))


def test_refuses_integers():
  with pytest.raises(AssertionError):
    penalties.r1(lambda x: x.sum(axis=1), jnp.ones((3, 2), int))


def test_refuses_ends_of_different_shapes():
  with pytest.raises(AssertionError):
    penalties.wgan_gp(LINEAR, points(4), points(2), keys(4))


# ---- Consistency, LeCam, path length, modes.


def test_consistency_by_hand():
  a, b = np.float32([1, 2]), np.float32([3, 2])
  np.testing.assert_allclose(consistency(a, b), [4, 0])
  maps = np.zeros((2, 2, 2), np.float32)
  maps[0, 0, 0] = 2
  np.testing.assert_allclose(consistency(maps, np.zeros_like(maps)), [1, 0])
  with pytest.raises(AssertionError):
    consistency(a, a[:, None])


def test_reconstruction_by_hand():
  images, targets = np.zeros((2, 2, 2, 1), np.float32), draw(0, 2, 2, 2, 1)
  reconstruction = jax.jit(penalties.reconstruction)
  expected = (targets**2).mean(axis=(1, 2, 3))
  np.testing.assert_allclose(reconstruction(images, targets), expected, 1e-6)
  sums = lambda *x: penalties.reconstruction(*x).sum()
  slopes = jax.jit(jax.grad(sums, argnums=(0, 1)))(images, targets)
  np.testing.assert_allclose(slopes[0], -targets / 2, rtol=1e-6)
  np.testing.assert_array_equal(slopes[1], 0)
  with pytest.raises(AssertionError):
    penalties.reconstruction(images, targets[..., 0])


def test_latent_diversity_rewards_change():
  still, moved = np.zeros((2, 3), np.float32), np.float32([[0] * 3, [2] * 3])
  np.testing.assert_allclose(penalties.zcr_generator(still, moved), [0, -4])


def test_lecam_by_hand():
  anchors = penalties.LogitEMA(jnp.float32(1.0), jnp.float32(-1.0))
  values = penalties.lecam(jnp.array([2.0]), jnp.array([-3.0]), anchors)
  np.testing.assert_allclose(values, [3**2 + 4**2])
  moved = penalties.update_logit_ema(
    anchors, jnp.array([2.0, 4.0]), jnp.array([-3.0, -5.0]), decay=0.9
  )
  np.testing.assert_allclose(moved, [0.9 + 0.3, -0.9 - 0.4], rtol=1e-6)


def test_path_lengths_of_a_linear_generator():
  # G(z) = z A: J^T y = A y, with mean square |A|_F^2 over y ~ N(0, I).
  a = np.float32([[1, 2, 0], [0, -1, 3]])
  path_lengths = functools.partial(penalties.path_lengths, lambda z: z @ a)
  zeros = lambda dim: np.zeros((4000, dim), np.float32)
  lengths = np.asarray(jax.jit(path_lengths)(zeros(2), keys(4000)))
  np.testing.assert_allclose((lengths**2).mean(), (a**2).sum(), rtol=0.05)
  y = np.asarray(jax.jit(penalties.normal_like)(keys(4000), zeros(3)))
  np.testing.assert_allclose(
    lengths, np.linalg.norm(y @ a.T, axis=1), rtol=1e-4
  )


def test_path_lengths_of_images_are_scaled_by_their_size():
  make = lambda side: (
    lambda z: jnp.broadcast_to(
      z.mean(axis=1).reshape(-1, 1, 1, 1), (len(z), side, side, 1)
    )
  )

  def mean_square(side):
    path_lengths = functools.partial(penalties.path_lengths, make(side))
    latents = np.zeros((2000, 4), np.float32)
    return np.square(jax.jit(path_lengths)(latents, keys(2000))).mean()

  # J^T y = sum(y) / 4 for each of 4: sum(y) ~ N(0, side^2) / side.
  for side in (2, 4):
    np.testing.assert_allclose(mean_square(side), 4 / 16, rtol=0.1)


def test_path_length_and_its_mean_by_hand():
  lengths = jnp.array([1.0, 3.0])
  np.testing.assert_allclose(
    penalties.path_length(lengths, jnp.float32(2.0)), [1, 1]
  )
  mean = penalties.update_path_length_mean(jnp.float32(4.0), lengths, decay=0.9)
  np.testing.assert_allclose(mean, 0.9 * 4 + 0.1 * 2, rtol=1e-6)
  slope = jax.grad(lambda m: penalties.path_length(lengths, m).sum())(1.0)
  assert slope == 0


def test_mode_seeking_by_hand():
  fake, other = np.zeros((2, 2), np.float32), np.float32([[1, 3], [0, 0]])
  z, other_z = np.zeros((2, 4), np.float32), np.ones((2, 4), np.float32)
  penalty = jax.jit(functools.partial(penalties.mode_seeking, epsilon=0.01))
  values = penalty(fake, other, z, other_z)
  np.testing.assert_allclose(values, [1 / 2.01, 1 / 0.01], rtol=1e-5)


def test_memories_are_of_the_global_batch():
  logits = draw(0, 2, 8)
  anchors = penalties.LogitEMA(jnp.float32(0.5), jnp.float32(0.1))
  whole = penalties.update_logit_ema(anchors, *logits)
  on_devices = lambda f: jax.jit(jax.vmap(f, axis_name='i', out_axes=None))
  parts = on_devices(
    lambda r, f: penalties.update_logit_ema(anchors, r, f, axis_name='i')
  )(*logits.reshape(2, 4, 2))
  chex.assert_trees_all_close(parts, whole, rtol=1e-6)
  mean = penalties.update_path_length_mean(jnp.float32(1.0), logits[0])
  parted = on_devices(
    lambda x: penalties.update_path_length_mean(
      jnp.float32(1.0), x, axis_name='i'
    )
  )(logits[0].reshape(4, 2))
  np.testing.assert_allclose(parted, mean, rtol=1e-6)


def test_orthogonal_by_hand():
  orthogonal = jax.jit(penalties.orthogonal)
  kernel = np.float32([[1, 1], [0, 2]])  # columns' product is 1
  np.testing.assert_allclose(orthogonal({'k': kernel}), 2)
  eye, ones = np.eye(3, dtype=np.float32), lambda *s: np.ones(s, np.float32)
  params = {'bias': ones(3), 'kernel': eye[:, :2]}
  assert orthogonal(params) == 0
  wide = {'kernel': eye[:2]}  # more columns than rows
  assert orthogonal(wide) == 0
  assert orthogonal({'conv': ones(2, 2, 1, 2)}) == 2 * 4**2
  # A transposed convolution's kernel has its output before its input.
  flat = draw(0, 4, 4, 8, 2)
  dual = {'dual_kernel': np.moveaxis(flat, -1, -2)}
  np.testing.assert_allclose(orthogonal(dual), orthogonal({'kernel': flat}))
