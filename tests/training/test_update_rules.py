"""Update rules against what each says it does, written out by hand."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from examples import dirac_gan
from gan_jax import diagnostics, distributed, training
from gan_jax.distributed import devices
from gan_jax.training import ema, gan_losses, gradients, optimizers
from tests.helpers import tiny

HYPER = {**tiny.HYPER, 'lookahead_alpha': 0.5, 'consensus_weight': 0.3}
RULES = [r for r in training.UPDATE_RULES if r != 'alternating']


def dirac(loss='wasserstein', optimizer=None, **changes):
  """D(x) = psi x, data at 0, the generator at theta; SGD of rate 0.1."""
  both = dict(g_optimizer=optimizer, d_optimizer=optimizer)
  changes |= both if optimizer else {}
  return dataclasses.replace(dirac_gan.make_gan(loss, 0.0), **changes)


def start(gan, **memory):
  now = training.init_state(
    gan, jax.random.key(0), {'x': jnp.zeros((4, 1))}, HYPER
  )
  return training.init_aux_state(now, **memory)


def run(gan, count, rule, **options):
  """(theta, psi) after each step."""
  memory = {k: v for k, v in options.items() if k == 'lookahead_every'}
  now = start(gan, rule=rule, **memory)
  step = jax.jit(training.make_train_step(gan, rule=rule, **options))
  path = []
  for _ in range(count):
    now, _ = step(now, {'x': jnp.zeros((1, 4, 1))}, jax.random.key(0))
    theta, psi = now.generator.params['theta'], now.discriminator.params['psi']
    path.append((float(theta), float(psi)))
  return np.array(path)


# For the Wasserstein Dirac-GAN: grad_theta = -psi, grad_psi = theta, rate 0.1.
def by_hand(rule, count, rate=0.1):
  theta, psi, past = 1.0, 1.0, (0.0, 0.0)
  path = []
  for _ in range(count):
    field = lambda t, p: (p, -t)
    if rule == 'alternating':
      psi -= rate * theta
      theta += rate * psi
    else:
      ahead = field(theta, psi)
      if rule == 'past_extragradient':
        ahead = past
      if rule == 'simultaneous':
        move = ahead
      else:
        move = field(theta + rate * ahead[0], psi + rate * ahead[1])
      past = move
      theta, psi = theta + rate * move[0], psi + rate * move[1]
    path.append((theta, psi))
  return np.array(path)


@pytest.mark.parametrize('rule', training.UPDATE_RULES)
def test_rule_on_dirac_gan_is_that_by_hand(rule):
  np.testing.assert_allclose(
    run(dirac(), 20, rule), by_hand(rule, 20), rtol=1e-4
  )


def test_optimistic_updates_are_the_past_gradient_method():
  """Optimistic SGD, simultaneous: theta' = theta - 2 lr g_t + lr g_{t-1}."""
  optimizer = training.OPTIMIZERS['optimistic_sgd'](0.1)
  path = run(dirac(optimizer=optimizer), 20, 'simultaneous')
  theta, psi, past = 1.0, 1.0, None
  for point in path:
    now = np.array([psi, -theta])
    past = now if past is None else past  # the first step is plain
    theta, psi = np.array([theta, psi]) + 0.1 * (2 * now - past)
    past = now
    np.testing.assert_allclose(point, (theta, psi), rtol=1e-4)


def radii(rule, count=400, optimizer=None, **options):
  path = run(dirac(optimizer=optimizer), count, rule, **options)
  return np.linalg.norm(path, axis=1)


def test_theory_of_the_wasserstein_dirac_gan():
  """Bilinear: simultaneous spirals out, alternating stays, looking ahead converges."""
  simultaneous = radii('simultaneous')
  np.testing.assert_allclose(
    simultaneous[-1], np.sqrt(2) * 1.01**200, rtol=1e-3
  )
  alternating = radii('alternating')
  assert 0.8 * np.sqrt(2) < alternating.min()
  assert alternating.max() < 1.2 * np.sqrt(2)
  # |1 - rate^2 + i rate|^2 = 1 - rate^2 + rate^4 per extragradient step.
  np.testing.assert_allclose(
    radii('extragradient')[-1],
    np.sqrt(2) * (1 - 0.01 + 0.0001) ** 200,
    rtol=1e-3,
  )
  assert radii('past_extragradient')[-1] < 0.3
  optimistic = training.OPTIMIZERS['optimistic_sgd'](0.1)
  assert radii('simultaneous', optimizer=optimistic)[-1] < 0.3


def test_lookahead_converges_where_its_rule_does_not():
  path = radii('simultaneous', lookahead_every=10)
  assert path[-1] < 0.9 * np.sqrt(2) < path[8]


def test_lookahead_by_hand():
  gan = dirac()
  plain = run(gan, 3, 'simultaneous')
  ahead = run(gan, 3, 'simultaneous', lookahead_every=3)
  np.testing.assert_allclose(ahead[:2], plain[:2])
  np.testing.assert_allclose(ahead[2], (np.ones(2) + plain[2]) / 2, rtol=1e-6)


def test_consensus_by_hand():
  # |v|^2 / 2 = (psi^2 + theta^2) / 2: its gradient adds (theta, psi) * weight.
  path = run(dirac(consensus=True), 1, 'simultaneous')
  np.testing.assert_allclose(
    path[0], (1 + 0.1 - 0.1 * 0.3, 1 - 0.1 - 0.1 * 0.3), rtol=1e-5
  )
  radius = np.linalg.norm(
    run(dirac(consensus=True), 400, 'simultaneous'), axis=1
  )
  assert radius[-1] < 1e-3


@pytest.mark.parametrize('rule', RULES)
def test_gradients_of_both_players_are_of_one_point(rule):
  """Both players' gradients are those of player_losses, at the right point."""
  gan = tiny.gan(norm='none')
  now = training.init_aux_state(tiny.init(gan), rule=rule)
  round_ = training.UPDATE_RULES[rule](gan)
  key = jax.random.key(0)
  after, _ = round_(now, tiny.batch(1), key)
  step_key = jax.random.fold_in(key, 0)
  point = tuple(getattr(now, p).params for p in gradients.PLAYERS)
  field = lambda point: _field(gan, now, point, step_key)
  move = lambda point, by: jax.tree.map(lambda a, b: a - 0.05 * b, point, by)
  if rule == 'extragradient':
    expected = move(point, field(move(point, field(point))))
  else:  # the first past gradient is zero
    expected = move(point, field(point))
  found = tuple(getattr(after, p).params for p in gradients.PLAYERS)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)


def _field(gan, now, point, key):
  game_losses = gan_losses.make_gan_losses(gan)
  rest = now, tiny.batch(), key
  return (
    jax.grad(lambda g: game_losses(g, point[1], *rest)[1])(point[0]),
    jax.grad(lambda d: game_losses(point[0], d, *rest)[0])(point[1]),
  )


def test_extragradient_moves_moments_and_statistics_once():
  gan = tiny.gan(optimizer=optax.adam(1e-2))
  now = tiny.init(gan)
  after, _ = training.make_train_step(gan, rule='extragradient')(
    now, tiny.batch(1), jax.random.key(0)
  )
  counts = [
    x
    for x in jax.tree.leaves(after.generator.opt_state)
    if jnp.issubdtype(x.dtype, jnp.integer)
  ]
  assert counts and all(int(c) == 1 for c in counts)
  once, _ = training.make_train_step(gan, rule='simultaneous')(
    now, tiny.batch(1), jax.random.key(0)
  )
  # Batch norm's running mean starts at 0: one move of 0.1, not two.
  chex.assert_trees_all_close(
    after.generator.batch_stats, once.generator.batch_stats, atol=0.05
  )


@pytest.mark.parametrize('rule', training.UPDATE_RULES)
@pytest.mark.slow
def test_four_devices_are_one(rule):
  gan = tiny.gan(consensus=True)
  options = dict(rule=rule, lookahead_every=2, diagnostics=True)
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME, **options)
  now = training.init_aux_state(tiny.init(gan, HYPER), **options)

  def final(parts):
    run_step, s = jax.jit(distributed.emulate_devices(step, parts)), now
    for _ in range(3):
      s, metrics = run_step(s, tiny.batch(1), jax.random.key(3))
    return s, metrics

  chex.assert_trees_all_close(final(4), final(1), rtol=2e-4, atol=2e-5)


def test_diagnostics_by_hand():
  gan = tiny.gan(norm='none')
  options = dict(rule='simultaneous', diagnostics=True)
  step = jax.jit(training.make_train_step(gan, **options))
  points, metrics = [training.init_aux_state(tiny.init(gan), **options)], []
  for _ in range(2):
    now, found = step(points[-1], tiny.batch(1), jax.random.key(3))
    points.append(now)
    metrics.append(found)
  assert metrics[0]['g_update_cosine'] == 0  # there was none before
  moves = [
    jax.tree.map(jnp.subtract, b.generator.params, a.generator.params)
    for a, b in zip(points, points[1:])
  ]
  expected = diagnostics.cosine_similarity(*moves)
  np.testing.assert_allclose(metrics[1]['g_update_cosine'], expected, rtol=1e-5)
  # SGD of rate 0.05: the gradient's norm is that of the move over the rate.
  np.testing.assert_allclose(
    metrics[0]['g_grad_norm'], optax.tree.norm(moves[0]) / 0.05, rtol=1e-4
  )


def test_memory_is_asked_for():
  gan = tiny.gan()
  for options in (
    dict(rule='past_extragradient'),
    dict(lookahead_every=2),
    dict(diagnostics=True),
  ):
    step = training.make_train_step(gan, **options)
    with pytest.raises(ValueError, match='init_aux_state'):
      step(tiny.init(gan, HYPER), tiny.batch(1), jax.random.key(0))


def test_combinations_that_a_rule_does_not_have():
  gan = tiny.gan()
  for rule in RULES:
    with pytest.raises(ValueError, match=f'd_steps=2.* {rule} '):
      training.make_train_step(gan, rule=rule, d_steps=2)
  with pytest.raises(ValueError, match="'simultanous'.*'?simultaneous"):
    training.make_train_step(gan, rule='simultanous')
  with pytest.raises(ValueError, match='micro_batches=2.* consensus'):
    training.make_train_step(tiny.gan(consensus=True), micro_batches=2)


# ---- Averages and clipping.


def test_half_life():
  decay = ema.half_life_decay(1000, 100)
  np.testing.assert_allclose(decay**10, 0.5)
  with pytest.raises(ValueError, match='half_life=0'):
    ema.half_life_decay(0, 100)


def test_clipped_weights():
  transform = optax.chain(optax.sgd(1.0), optimizers.clip_weights(0.1))
  params = {'w': jnp.array([0.05, 0.05, 0.3])}
  updates, _ = transform.update(
    {'w': jnp.array([-1.0, 0.02, 0.0])}, transform.init(params), params
  )
  new = optax.apply_updates(params, updates)
  np.testing.assert_allclose(new['w'], [0.1, 0.03, 0.1], rtol=1e-6)
  with pytest.raises(ValueError, match='bound=0: '):
    optimizers.clip_weights(0)
  with pytest.raises(ValueError, match='parameters'):
    optimizers.clip_weights(1.0).update(params, ())


def test_optimistic_adam_is_adam_twice_minus_its_last():
  options = dict(b1=0.5, b2=0.9, eps=1e-8)
  plain = optax.scale_by_adam(**options)
  optimistic = training.OPTIMIZERS['optimistic_adam'](0.1, **options)
  params = jnp.array([1.0, -2.0])
  states = plain.init(params), optimistic.init(params)
  last = jnp.zeros(2)
  for t in range(3):
    grads = jnp.array([0.3 + t, -0.1 * t])
    direction, first = plain.update(grads, states[0])
    updates, second = optimistic.update(grads, states[1], params)
    states = first, second
    if t:  # the libraries differ at the first step, where there is no last
      np.testing.assert_allclose(
        updates, -0.1 * (2 * direction - last), rtol=1e-4
      )
    last = direction
