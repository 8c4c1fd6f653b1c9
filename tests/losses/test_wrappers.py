"""What is put round a loss: label smoothing, top-k, packing."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, training
from gan_jax.training import packing
from tests.helpers import tiny

REAL = np.float32([0.0, 2.0, -1.0, 0.5])
FAKE = np.float32([0.3, -1.0, 3.0, 0.1])


def smoothable():
  for name, loss in losses.LOSSES.items():
    try:
      losses.smooth_labels(loss, 0.1)
      yield name
    except ValueError:
      pass


def test_smoothing_is_defined_where_there_are_targets():
  assert set(smoothable()) == {
    'minimax',
    'non_saturating',
    'least_squares',
    'feature_matching',
  }
  with pytest.raises(ValueError, match='targets'):
    losses.smooth_labels(losses.hinge, 0.1)
  with pytest.raises(ValueError, match='smoothing=1.5'):
    losses.smooth_labels(losses.non_saturating, 1.5)


def test_smoothed_cross_entropy_is_that_of_the_soft_target():
  loss = losses.smooth_labels(losses.non_saturating, 0.1)
  log_p, log_not = jax.nn.log_sigmoid(REAL), jax.nn.log_sigmoid(-REAL)
  expected = -(0.9 * log_p + 0.1 * log_not) + jax.nn.softplus(FAKE)
  np.testing.assert_allclose(
    loss.discriminator(REAL, FAKE), expected, rtol=1e-5
  )
  # The best logit of a real example alone is log(0.9 / 0.1).
  alone = lambda r: loss.discriminator(r, jnp.float32(0))
  best = jnp.log(jnp.float32(9))
  np.testing.assert_allclose(jax.grad(alone)(best), 0, atol=1e-6)


def test_smoothed_least_squares_moves_the_target():
  loss = losses.smooth_labels(losses.LOSSES['least_squares'], 0.1)
  values = loss.discriminator(jnp.array([0.9]), jnp.array([0.0]))
  np.testing.assert_allclose(values, 0, atol=1e-12)


@pytest.mark.parametrize('k', [1, 2, 4])
@pytest.mark.parametrize('name', ['non_saturating', 'hinge', 'rpgan'])
def test_top_k_is_the_mean_over_the_best(name, k):
  plain = losses.LOSSES[name]
  loss = losses.top_k(plain, k)
  best = np.argsort(-np.asarray(FAKE))[:k]
  values = np.asarray(plain.generator(REAL, FAKE))
  np.testing.assert_allclose(
    np.mean(loss.generator(REAL, FAKE)), values[best].mean(), rtol=1e-6
  )
  np.testing.assert_array_equal(
    loss.discriminator(REAL, FAKE), plain.discriminator(REAL, FAKE)
  )
  total = lambda f: losses.top_k(losses.wasserstein, k).generator(REAL, f).sum()
  grads = jax.jit(jax.grad(total))(FAKE)
  assert np.flatnonzero(grads).tolist() == sorted(best.tolist())


@pytest.mark.parametrize(
  'name', ['ragan', 'ralsgan', 'rahinge', 'dual_contrastive']
)
def test_top_k_of_losses_of_a_batch(name):
  """Only the best fakes get a gradient; who sits beside whom is nothing."""
  loss = losses.top_k(losses.LOSSES[name], 2)
  mean = jax.jit(jax.value_and_grad(lambda f, r: loss.generator(r, f).mean()))
  value, grads = mean(FAKE, REAL)
  assert np.flatnonzero(grads).tolist() == [0, 2]
  np.testing.assert_allclose(mean(FAKE, REAL[::-1])[0], value, rtol=1e-6)
  best = np.float32([3.0, 0.3, 3.0, 0.3])
  expected = np.mean(losses.LOSSES[name].generator(REAL, best))
  np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_what_top_k_throws_away_may_be_of_any_size():
  loss = losses.top_k(losses.LOSSES['f_reverse_kl_non_saturating'], 1)
  value = lambda f: loss.generator(jnp.zeros(2), f).sum()
  found = jax.jit(jax.value_and_grad(value))(np.float32([1, -90]))
  chex.assert_tree_all_finite(found)


def test_top_k_counts_the_global_batch_and_breaks_ties():
  logits = np.float32([1, 1, 0, 1, 5, 1, 0, 1])
  whole = losses.top_k_mask(logits, 3)
  np.testing.assert_allclose(whole, 8 / 3 * np.array([1, 1, 0, 0, 1, 0, 0, 0]))
  of_part = lambda x: losses.top_k_mask(x, 3, axis_name='i')
  parts = jax.jit(jax.vmap(of_part, axis_name='i'))(logits.reshape(4, 2))
  np.testing.assert_array_equal(parts.reshape(8), whole)
  traced = jax.jit(losses.top_k_mask)(logits, 3)
  np.testing.assert_allclose(traced, whole)


def test_top_k_of_patches_ranks_by_their_mean():
  maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
  loss = losses.top_k(losses.wasserstein, 1)
  values = np.asarray(jax.jit(loss.generator)(np.zeros_like(maps), maps))
  np.testing.assert_allclose(values[0], 0)
  np.testing.assert_allclose(values[1], -2 * maps[1])


def test_top_k_is_annealed():
  count = lambda step: int(
    losses.top_k_count(
      jnp.int32(step), batch_size=100, fraction=0.5, gamma=0.9, every=10
    )
  )
  assert [count(s) for s in (0, 9, 10, 20, 1000)] == [100, 100, 90, 81, 50]


def test_top_k_refuses():
  with pytest.raises(TypeError, match='k=0.5: '):
    losses.top_k(losses.hinge, 0.5)
  with pytest.raises(ValueError, match='k=0'):
    losses.top_k(losses.hinge, np.int64(0))
  with pytest.raises(ValueError, match='not defined for this loss'):
    losses.smooth_labels(losses.smooth_labels(losses.non_saturating, 0.1), 0.1)
  with pytest.raises(ValueError, match='k=0: must be at least 1'):
    losses.top_k(losses.hinge, 0)
  with pytest.raises(ValueError, match='k=9: .* 4'):
    losses.top_k(losses.hinge, 9).generator(REAL, FAKE)
  with pytest.raises(ValueError, match='this loss is on features'):
    losses.top_k(losses.LOSSES['mmd_gaussian'], 2)


def test_a_coupled_loss_must_take_the_axis_name():
  with pytest.raises(ValueError, match="discriminator's function takes no"):
    tiny.gan(coupled=lambda r, f: r - f.mean())


def test_features_need_a_witness():
  bad = losses.LOSSES['mmd_gaussian']._replace(witness=None)
  with pytest.raises(ValueError, match='needs a witness'):
    tiny.gan(adversarial=bad)
  with pytest.raises(ValueError, match="output='logit'"):
    tiny.gan(adversarial=losses.hinge._replace(output='logit'))


# ---- Packing.


def test_pack_stacks_along_the_last_axis_and_unpack_undoes_it():
  x = np.arange(4 * 2 * 3 * 2.0, dtype=np.float32).reshape(4, 2, 3, 2)
  packed = np.asarray(packing.pack(x, 2))
  chex.assert_shape(packed, (2, 2, 3, 4))
  np.testing.assert_array_equal(packed[0, ..., :2], x[0])
  np.testing.assert_array_equal(packed[0, ..., 2:], x[1])
  np.testing.assert_array_equal(packing.unpack(packed, 2), x)
  vectors = packing.pack(np.arange(8.0).reshape(4, 2), 4)
  np.testing.assert_array_equal(vectors, [[0, 1, 2, 3, 4, 5, 6, 7]])


def test_packing_that_does_not_divide():
  with pytest.raises(ValueError, match='packing=3 .* 16'):
    gan = tiny.gan(packing=3)
    now = jax.eval_shape(lambda: tiny.init(gan))
    jax.eval_shape(
      training.make_d_step(gan), now, tiny.batch(), jax.random.key(0)
    )
  with pytest.raises(ValueError, match='packing=0'):
    tiny.gan(packing=0)


def test_a_packed_discriminator_sees_packs():
  gan = tiny.gan(packing=2)
  now = tiny.init(gan)
  kernels = now.discriminator.params['Dense_0']['kernel']
  assert kernels.shape[0] == 4  # two points of two coordinates
  step = training.make_train_step(gan)
  after, metrics = jax.jit(step)(now, tiny.batch(1), jax.random.key(0))
  chex.assert_tree_all_finite((after, metrics))
