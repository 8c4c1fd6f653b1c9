"""Own networks in half precision: sums and averages against float64."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import (
  collectives,
  losses,
  networks,
  penalties,
  precision,
  sampling,
  training,
)
from gan_jax.training import ema
from tests.helpers import tiny

HALF = jnp.bfloat16
TYPES = (jnp.bfloat16, jnp.float16)
HPARAMS = {'ema_decay': 0.999, 'lookahead_alpha': 0.1}


def network(dtype, first, out):
  """x -> x w + b, in one type throughout; it accepts no other."""

  def init(key, x, label=None):
    w = first + jax.random.normal(key, (x.shape[1], out)) / 8
    params = {'w': w.astype(dtype), 'b': jnp.ones(out, dtype)}
    return params, {'mean': jnp.ones(out, dtype)}

  def apply(params, stats, x, label=None, *, train, key=None, axis_name=None):
    assert all(x.dtype == dtype for x in jax.tree.leaves((params, stats)))
    y = x.astype(dtype) @ params['w'] + params['b'][None]
    new = {'mean': (stats['mean'] + y.mean(axis=0, dtype=jnp.float32)) / 2}
    y = y[:, 0] if out == 1 else y
    return y, new if train else stats

  return networks.Network(init, apply)


def game(dtype, **options):
  options = {
    'g_optimizer': optax.sgd(2.0**-6),
    'd_optimizer': optax.sgd(2.0**-6),
    'loss': losses.LOSSES['non_saturating'],
  } | options
  return training.GAN(
    generator=network(dtype, 0.5, 2),
    discriminator=network(dtype, 0.0, 1),
    latent_dim=2,
    **options,
  )


def run(gan, steps, hparams=HPARAMS, **options):
  """Returns the states after each of many steps, stacked, and the metrics."""
  memory = {
    name: options[name]
    for name in ('rule', 'lookahead_every', 'diagnostics')
    if name in options
  }
  step = training.make_train_step(gan, **options)
  x = jax.random.normal(jax.random.key(1), (1, 8, 2)) + 1
  state = training.init_state(gan, jax.random.key(2), {'x': x[0]}, hparams)
  state = training.init_aux_state(state, **memory)

  def body(state, _):
    new, metrics = step(state, {'x': x}, jax.random.key(3))
    return new, (new, metrics)

  _, (states, metrics) = jax.lax.scan(body, state, length=steps)
  return jax.tree.map(np.asarray, (state, states, metrics))


def wide(tree):
  return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def close(found, expected, rtol):
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=rtol, atol=1e-6),
    wide(found),
    expected,
  )


@pytest.mark.parametrize('dtype', TYPES)
def test_the_average_of_half_precision_weights(dtype):
  first, states, metrics = run(game(dtype), 2000)
  weights = states.generator.params, states.generator.batch_stats
  average = wide(first.ema)
  for i in range(2000):
    average = jax.tree.map(
      lambda a, x: 0.999 * a + 0.001 * np.float64(x[i]), average, weights
    )
  moved = jax.tree.map(lambda a, b: abs(a - b).max(), average, wide(first.ema))
  assert max(jax.tree.leaves(moved)) > 0.1
  close(jax.tree.map(lambda x: x[-1], states.ema), average, rtol=2**-8)
  last = jax.tree.map(lambda x: x[-1], states.aux_state['ema'])
  close(last, jax.tree.leaves(average), rtol=1e-4)
  for leaf in jax.tree.leaves((states.ema, weights)):
    assert leaf.dtype == dtype
  for name, x in metrics.items():
    assert x.dtype == np.float32, name


def test_networks_get_their_own_type_where_samples_are_drawn():
  gan = game(HALF)
  first, states, _ = run(gan, 3)
  weights = jax.tree.map(lambda x: x[-1], states.ema)
  found = sampling.make_sampler(gan)(weights, 4)
  assert found.dtype == np.float32
  weights = sampling.standing_statistics(gan, weights, jax.random.key(0))
  assert {x.dtype for x in jax.tree.leaves(weights)} == {np.dtype(HALF)}


def test_states_in_float32_have_no_further_arrays():
  state = training.init_state(
    game(jnp.float32), jax.random.key(0), tiny.batch(), HPARAMS
  )
  assert not state.aux_state


def test_a_state_without_the_average_in_float32_is_refused():
  gan = game(HALF)
  state = training.init_state(gan, jax.random.key(0), tiny.batch(), HPARAMS)
  batch = {'x': tiny.batch()['x'][None]}
  with pytest.raises(ValueError, match="'ema'"):
    training.make_train_step(gan)(
      state.replace(aux_state={}), batch, jax.random.key(1)
    )


def test_moments_of_optimizers_are_averages_too():
  adam = optax.adam(2.0**-6, b1=0.9, b2=0.999)
  gan = game(HALF, g_optimizer=adam, d_optimizer=adam)
  _, states, _ = run(gan, 1000, rule='past_extragradient')
  grads = wide(states.aux_state['past_gradient']['generator']['w'])
  expected = np.zeros(grads.shape[1:])
  for x in grads:
    expected = 0.999 * expected + 0.001 * x**2
  found = states.generator.opt_state[0].nu['w'][-1]
  np.testing.assert_allclose(found, expected, rtol=1e-3)
  assert states.generator.params['w'].dtype == HALF


def test_slow_weights_move_by_less_than_a_unit():
  to_two = optax.GradientTransformation(
    lambda params: optax.EmptyState(),
    lambda grads, state, params: (
      jax.tree.map(lambda x: 2 - x, params),
      state,
    ),
  )
  hparams = HPARAMS | {'lookahead_alpha': 0.001}
  gan = game(HALF, d_optimizer=to_two)
  first, states, _ = run(gan, 1000, hparams, lookahead_every=1)
  start = wide(first.discriminator.params)
  expected = jax.tree.map(lambda x: 2 + (x - 2) * 0.999**1000, start)
  slow = states.aux_state['lookahead']['discriminator']
  close(jax.tree.map(lambda x: x[-1], slow), expected, rtol=1e-4)
  last = jax.tree.map(lambda x: x[-1], states.discriminator.params)
  assert last['w'].dtype == HALF
  close(last, expected, rtol=2**-8)


@pytest.mark.parametrize('rule', sorted(training.UPDATE_RULES))
def test_every_rule_keeps_the_types(rule):
  for options in (
    {'micro_batches': 4},
    {'diagnostics': True, 'lookahead_every': 3},
  ):
    gan = game(HALF, consensus='micro_batches' not in options)
    hparams = HPARAMS | {'consensus_weight': 0.1}
    _, _, metrics = run(gan, 2, hparams, rule=rule, **options)  # a scan
    assert all(np.isfinite(x).all() for x in metrics.values())


def test_micro_batches_sum_in_float32():
  gan = dataclasses.replace(game(HALF), gradient_scale=1.0)
  x = jax.random.normal(jax.random.key(1), (1024, 2)) + 1
  state = training.init_state(gan, jax.random.key(2), {'x': x}, HPARAMS)
  exact = training.init_state(
    game(jnp.float32), jax.random.key(2), {'x': x}, HPARAMS
  )
  exact = exact.replace(
    generator=exact.generator.replace(
      params=precision.widen(state.generator.params)
    ),
    discriminator=exact.discriminator.replace(
      params=precision.widen(state.discriminator.params)
    ),
  )
  grads = lambda gan, state: training.make_gradient_fn(
    gan, ('discriminator',), micro_batches=1024
  )(state, {'x': x}, jax.random.key(3)).grads['discriminator']
  found, expected = grads(gan, state), grads(game(jnp.float32), exact)
  assert {x.dtype for x in jax.tree.leaves(found)} == {np.dtype(HALF)}
  close(found, wide(expected), rtol=0.02)


@pytest.mark.parametrize('momentum', [0.9, 0.99])
@pytest.mark.parametrize('strict', [False, True])
def test_standing_statistics_of_half_precision(momentum, strict):
  def init(key, x, label=None):
    return {'w': jnp.ones((2, 3), HALF)}, {'mean': jnp.ones(3, HALF)}

  def apply(params, stats, x, label=None, *, train, key=None, axis_name=None):
    y = 5 + x.astype(HALF) @ params['w']
    if strict:
      assert stats['mean'].dtype == HALF
    mean = momentum * stats['mean'] + (1 - momentum) * y.mean(axis=0)
    return y, {'mean': mean} if train else stats

  gan = dataclasses.replace(game(HALF), generator=networks.Network(init, apply))
  weights = init(None, None)
  _, stats = sampling.standing_statistics(
    gan, weights, jax.random.key(0), batches=64, batch_size=64
  )
  assert stats['mean'].dtype == HALF
  # A network that insists on its own type loses the momentum's last bits.
  rtol = 2**-7 if not strict else 0.4
  np.testing.assert_allclose(wide(stats)['mean'], 5, rtol=rtol)


@pytest.mark.parametrize('dtype', TYPES)
def test_running_means_of_penalties(dtype):
  anchors = penalties.LogitEMA(jnp.zeros(()), jnp.zeros(()))
  mean = jnp.zeros(())
  values = (1 + jax.random.normal(jax.random.key(0), (1000, 16))).astype(dtype)

  def body(carry, x):
    anchors, mean = carry
    anchors = penalties.update_logit_ema(anchors, x, -x, decay=0.999)
    mean = penalties.update_path_length_mean(mean, x, decay=0.999)
    return (anchors, mean), None

  (anchors, mean), _ = jax.lax.scan(body, (anchors, mean), values)
  expected = 0.0
  for x in wide(values):
    expected = 0.999 * expected + 0.001 * x.mean()
  np.testing.assert_allclose(
    [anchors.real, -anchors.fake, mean], expected, rtol=1e-5
  )
  logits = jnp.full(4, 100.5, dtype)
  found = penalties.lecam(
    logits, logits, penalties.LogitEMA(jnp.float32(100.3), jnp.float32(100.3))
  )
  np.testing.assert_allclose(found, 2 * 0.2**2, rtol=1e-3)


def test_averages_over_devices():
  x = jnp.array([256.0, 1.0, 1.0, 1.0], HALF)
  mean = jax.vmap(
    lambda x: collectives.pmean_floats({'a': x, 'n': jnp.int32(3)}, 'i'),
    axis_name='i',
  )(x)
  assert mean['a'].dtype == HALF and mean['n'].dtype == jnp.int32
  assert mean['a'][0] == jnp.array(259 / 4, HALF)
  both = jax.vmap(lambda x: collectives.global_mean(x, 'i'), axis_name='i')
  assert both(x[:, None])[0] == jnp.array(259 / 4, HALF)


def test_an_average_in_float32_of_half_precision_weights():
  average = {'w': jnp.float32(0)}
  new = {'w': jnp.array(1, HALF)}
  move = lambda average, _: (ema.ema_update(average, new, 0.999), None)
  average, _ = jax.lax.scan(move, average, length=2000)
  np.testing.assert_allclose(average['w'], 1 - 0.999**2000, rtol=1e-4)
