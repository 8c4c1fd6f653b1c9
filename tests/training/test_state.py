"""The state of a GAN."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from gan_jax import distributed, losses, networks, training
from gan_jax.distributed import devices
from gan_jax.training import ensemble, state
from tests.helpers import tiny

X = jnp.ones((4, 2))
KEY = jax.random.key(0)


def test_all_finite():
  good = {'a': jnp.ones(3), 'n': jnp.int32(1)}
  assert state.all_finite(good)
  assert not state.all_finite(good | {'b': jnp.array([1.0, jnp.nan])})
  assert not state.all_finite(good | {'b': jnp.array(jnp.inf)})


def buffers(tree):
  return [x.unsafe_buffer_pointer() for x in jax.tree.leaves(tree)]


SHARED = jnp.full(2, 0.5)
STATS = {'mean': SHARED, 'count': jnp.int32(3)}
# The optimizers that start from the parameters, and one that does not.
STARTS = {
  'sgd': optax.sgd(0.1),
  'schedule_free': contrib.schedule_free_sgd(0.1),
  'dog': contrib.dog(),
  'dowg': contrib.dowg(),
  'prodigy': contrib.prodigy(),
  'madgrad': contrib.madgrad(0.1),
  'cocob': contrib.cocob(),
  'mechanize': contrib.mechanize(optax.sgd(0.1)),
  'hparams': lambda h: optax.inject_hyperparams(optax.sgd)(h['rate']),
}


def tied_gan(optimizer):
  """Networks that return the same arrays at each call, tied twice over."""
  apply = lambda p, stats, x, label, *, train, **_: (
    x * (p['a'] + p['b'])[None] + stats['mean'][None],
    {**stats, 'count': stats['count'] + train},
  )
  logits = lambda *args, **options: (
    apply(*args, **options)[0].sum(axis=1),
    apply(*args, **options)[1],
  )
  init = lambda key, x, label: ({'a': SHARED, 'b': SHARED}, STATS)
  return training.GAN(
    generator=networks.Network(init, apply),
    discriminator=networks.Network(init, logits),
    loss=losses.LOSSES['hinge'],
    latent_dim=2,
    g_optimizer=optimizer,
    d_optimizer=optimizer,
    d_terms={'lecam': training.make_term('lecam')},
  )


HPARAMS = {'ema_decay': 0.5, 'lecam_weight': 1.0, 'rate': jnp.float32(0.1)}


@pytest.mark.parametrize('name', STARTS)
def test_a_state_owns_its_arrays(name):
  gan = tied_gan(STARTS[name])
  more = dict(rule='past_extragradient', lookahead_every=2, diagnostics=True)
  hparams = HPARAMS | {'lookahead_alpha': jnp.float32(0.5)}
  step = jax.jit(training.make_train_step(gan, **more), donate_argnums=0)
  for _ in range(2):
    now = training.init_state(gan, KEY, {'x': X}, hparams)
    now = training.init_aux_state(now, **more)
    assert len(set(buffers(now))) == len(buffers(now))
    for _ in range(2):
      now, _ = step(now, {'x': X[None]}, KEY)
      assert len(set(buffers(now))) == len(buffers(now))
  np.testing.assert_array_equal(SHARED, [0.5, 0.5])
  np.testing.assert_array_equal(hparams['rate'], jnp.float32(0.1))


def test_a_state_is_on_one_device_wherever_the_batch_is():
  spread = distributed.parallelize_step(
    lambda *args: args, devices.local_devices(2)
  )
  batch = spread.put_batch({'x': np.ones((1, 4, 2), np.float32)})
  assert len(batch['x'].sharding.device_set) == 2
  now = training.init_state(
    tiny.gan(), KEY, {'x': batch['x'].reshape(4, 2)}, tiny.HYPER
  )
  for leaf in jax.tree.leaves(now):
    assert leaf.sharding.device_set == {jax.devices()[0]}


def test_a_state_of_steps_outside_jit_owns_its_arrays():
  gan = tied_gan(STARTS['sgd'])
  step = training.make_train_step(gan)
  now = training.init_state(gan, KEY, {'x': X}, HPARAMS)
  now, _ = step(now, {'x': X[None]}, KEY)
  assert len(set(buffers(now))) == len(buffers(now))
  now, _ = jax.jit(step, donate_argnums=0)(now, {'x': X[None]}, KEY)
  assert now.generator.batch_stats['count'] == 5


@pytest.mark.parametrize('backend', devices.BACKENDS)
@pytest.mark.parametrize('count', [1, 2])
def test_a_placed_state_may_be_donated_whatever_it_shares(backend, count):
  gan = tied_gan(STARTS['sgd'])
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  placed = distributed.parallelize_step(
    step, devices.local_devices(count), backend=backend
  )
  now = training.init_state(gan, KEY, {'x': X}, HPARAMS)
  g = now.generator
  tied = g.replace(params={'a': g.params['a'], 'b': g.params['a']})
  # An own EMA that starts as the parameters themselves.
  now = now.replace(generator=tied, ema=(tied.params, g.batch_stats))
  batch = placed.put_batch({'x': np.ones((1, 4, 2), np.float32)})
  now, key = placed.put(now), placed.put(KEY)
  for _ in range(2):
    now, _ = placed.step(now, batch, key)
  assert int(now.step) == 2


def test_members_may_be_donated():
  gan = tied_gan(STARTS['dog'])
  now = training.init_state(gan, KEY, {'x': X}, HPARAMS)
  states = ensemble.stack_members([now, now])
  assert len(set(buffers(states))) == len(buffers(states))
  one = ensemble.take_member(states, 0)
  assert not set(buffers(one)) & set(buffers(states))


def test_new_weights_start_the_optimizers_anew():
  gan = tiny.gan(contrib.dog())
  trained = tiny.init(gan)
  move = lambda tree: jax.tree.map(lambda x: x + 1, tree)
  trained = trained.replace(
    generator=trained.generator.replace(
      params=move(trained.generator.params),
      batch_stats=move(trained.generator.batch_stats),
    ),
    ema=move(trained.ema),
  )
  found = training.replace_weights(gan, tiny.init(gan), trained)
  equal = lambda a, b: jax.tree.map(np.testing.assert_array_equal, a, b)
  equal(found.generator.params, trained.generator.params)
  equal(found.generator.batch_stats, trained.generator.batch_stats)
  equal(found.ema, trained.ema)
  is_dog = lambda x: hasattr(x, 'init_params')
  dog = jax.tree.leaves(found.generator.opt_state, is_leaf=is_dog)[0]
  equal(dog.init_params, trained.generator.params)
  assert not set(buffers(found)) & set(buffers(trained))


class Conditional(nn.Module):
  """Needs labels."""

  classes: int = 3

  @nn.compact
  def __call__(self, x, label, *, train):
    table = nn.Embed(self.classes, 2)
    return x[:, :2] + table(label)


def conditional_gan(packing=1):
  logits = networks.from_linen(Conditional())
  summed = lambda *args, **options: (
    logits.apply(*args, **options)[0].sum(axis=1),
    {},
  )
  return training.GAN(
    generator=networks.from_linen(Conditional()),
    discriminator=networks.Network(logits.init, summed),
    loss=losses.LOSSES['hinge'],
    latent_dim=2,
    g_optimizer=optax.sgd(0.1),
    d_optimizer=optax.sgd(0.1),
    packing=packing,
  )


def test_a_conditional_network_without_labels_is_explained():
  gan, label = conditional_gan(), jnp.zeros(4, jnp.int32)
  hparams = {'ema_decay': 0.5}
  wanted = "generator is conditional.*'label': label"
  with pytest.raises(ValueError, match=wanted):
    training.init_state(gan, KEY, {'x': X}, hparams)
  now = training.init_state(gan, KEY, {'x': X, 'label': label}, hparams)
  with pytest.raises(ValueError, match=wanted):
    training.make_d_step(gan)(now, {'x': X}, KEY)
  training.make_d_step(gan)(now, {'x': X, 'label': label}, KEY)
  with pytest.raises(ValueError, match=wanted):
    training.make_sample_fn(gan)(now.ema, X)
  weights = training.player_weights(now.discriminator)
  with pytest.raises(ValueError, match='discriminator is conditional'):
    training.make_logits_fn(gan)(weights, X)
  with pytest.raises(ValueError, match='discriminator is .*packing'):
    batch = {'x': X, 'label': label}
    training.init_state(conditional_gan(packing=2), KEY, batch, hparams)


def test_other_errors_of_a_network_stay_as_they_are():
  def init(key, x, label):
    raise RuntimeError('own')

  gan = training.GAN(
    generator=networks.Network(init, None),
    discriminator=networks.Network(init, None),
    loss=losses.LOSSES['hinge'],
    latent_dim=2,
    g_optimizer=optax.sgd(0.1),
    d_optimizer=optax.sgd(0.1),
  )
  with pytest.raises(RuntimeError, match='own'):
    training.init_state(gan, KEY, {'x': X}, {'ema_decay': 0.5})
