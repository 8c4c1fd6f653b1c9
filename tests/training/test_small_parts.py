"""Order, averages, latents, optimizers, state: the small pure parts."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import prng, shuffle, training
from gan_jax.training import optimizers, state


@pytest.mark.parametrize('size', [1, 2, 3, 7, 8, 9, 100, 1797, 4096])
def test_order_is_a_permutation(size):
  for epoch in (0, 1):
    values = shuffle.permuted_index(3, epoch, np.arange(size), size)
    np.testing.assert_array_equal(np.sort(values), np.arange(size))


def test_order_in_numpy_and_jax_is_the_same():
  for size, batch in ((1797, 64), (60_000, 128), (10, 3), (2**21, 64)):
    for step in (0, 5, 100_000):
      host = shuffle.batch_indices(11, step, size, batch)
      device = jax.jit(
        lambda t, size=size, batch=batch: shuffle.batch_indices(
          11, t, size, batch, jnp
        )
      )(step)
      np.testing.assert_array_equal(host, device)
      assert device.dtype == host.dtype == np.int32


def test_epochs_and_seeds_differ_and_steps_within_one_do_not_repeat():
  draw = lambda seed, epoch: shuffle.permuted_index(
    seed, epoch, np.arange(1000), 1000
  )
  assert (draw(0, 0) == draw(0, 1)).mean() < 0.02
  assert (draw(0, 0) == draw(1, 0)).mean() < 0.02
  epoch = [shuffle.batch_indices(0, t, 1000, 96) for t in range(10)]
  assert len(np.unique(np.concatenate(epoch))) == 960


def test_order_looks_random():
  # Each place is as likely as any other: chi-squared over 400 epochs.
  size, epochs = 20, 400
  at_zero = [
    int(shuffle.permuted_index(5, e, np.arange(1), size)[0])
    for e in range(epochs)
  ]
  counts = np.bincount(at_zero, minlength=size)
  chi = ((counts - epochs / size) ** 2 / (epochs / size)).sum()
  assert chi < 43.8  # the 0.1 % point at 19 degrees of freedom
  first = shuffle.permuted_index(5, 0, np.arange(5000), 5000)
  assert abs(np.corrcoef(first, np.arange(5000))[0, 1]) < 0.05


def test_order_refuses_bad_sizes():
  with pytest.raises(ValueError, match='batch=11: .* the 10 examples'):
    shuffle.batch_indices(0, 0, 10, 11)
  with pytest.raises(ValueError, match='size=0'):
    shuffle.permuted_index(0, 0, np.arange(1), 0)


class EmaTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_moves_by_one_minus_decay(self):
    average = {'w': jnp.array([1.0, 2.0]), 'count': jnp.int32(3)}
    new = {'w': jnp.array([3.0, 2.0]), 'count': jnp.int32(9)}
    out = self.variant(training.ema_update)(average, new, 0.75)
    np.testing.assert_allclose(out['w'], [1.5, 2.0])
    assert out['count'] == 9


def test_ema_of_decay_zero_copies():
  for old, new in ((1e-8, 1.7), (1e8, 1.0), (0.1, 1e-9)):
    out = training.ema_update(
      {'w': jnp.float32(old)}, {'w': jnp.float32(new)}, 0.0
    )
    assert out['w'] == jnp.float32(new)


def test_ema_copies_the_directions_of_spectral_norm():
  old = {'scale': {'power_u': jnp.array([1.0, 0.0]), 'mean': jnp.zeros(2)}}
  new = {'scale': {'power_u': jnp.array([0.0, 1.0]), 'mean': jnp.ones(2)}}
  out = training.ema_update(old, new, 0.75)['scale']
  np.testing.assert_array_equal(out['power_u'], [0, 1])
  np.testing.assert_allclose(out['mean'], 0.25)


def test_ema_refuses_other_trees():
  with pytest.raises(AssertionError):
    training.ema_update({'w': jnp.ones(2)}, {'w': jnp.ones(3)}, 0.9)


def test_latents_are_standard_normal_and_one_per_index():
  keys = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
  z = prng.sample_normal(keys, 4)
  np.testing.assert_allclose(np.cov(z.T), np.eye(4), atol=0.1)
  some = prng.per_example_keys(jax.random.key(0), jnp.array([17, 3]))
  np.testing.assert_allclose(
    prng.sample_normal(some, 4), z[jnp.array([17, 3])], atol=1e-6
  )


@pytest.mark.parametrize('name', sorted(training.OPTIMIZERS))
def test_optimizers_descend_from_traced_hyper_parameters(name):
  build = optimizers.from_hparams(name, 'g')
  hparams = {f'g_{k}': v for k, v in optimizers.hparam_defaults(name).items()}
  hparams = jax.tree.map(jnp.float32, hparams | {'g_learning_rate': 0.1})

  @jax.jit
  def run(hparams, x):
    opt_state = build(hparams).init(x)
    for _ in range(30):
      updates, opt_state = build(hparams).update(2 * x, opt_state, x)
      x = x + updates
    return x

  assert abs(run(hparams, jnp.float32(1.0))) < 0.5
  still = run(hparams | {'g_learning_rate': jnp.float32(0)}, jnp.float32(1.0))
  assert still == 1


def test_schedules():
  at = lambda name, count, **k: float(
    optimizers.make_schedule(name, 100, **k)(count)
  )
  assert at('constant', 99) == 1
  np.testing.assert_allclose([at('linear', 50), at('linear', 100)], [0.5, 0])
  np.testing.assert_allclose(
    [at('cosine', 50), at('cosine', 100)], [0.5, 0], atol=1e-7
  )
  np.testing.assert_allclose(at('constant', 4, warmup_steps=10), 0.5)
  np.testing.assert_allclose(at('linear', 60, warmup_steps=20), 0.5)
  with pytest.raises(ValueError, match="schedule='step': choose one of"):
    optimizers.make_schedule('step', 100)
  with pytest.raises(ValueError, match='at least one step'):
    optimizers.make_schedule('cosine', 10, warmup_steps=10)


def test_all_finite():
  good = {'a': jnp.ones(3), 'n': jnp.int32(1)}
  assert state.all_finite(good)
  assert not state.all_finite(good | {'b': jnp.array([1.0, jnp.nan])})
  assert not state.all_finite(good | {'b': jnp.array(jnp.inf)})
