"""Steps as their users test them: pure functions of arrays."""

import dataclasses

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses, networks, penalties, prng, training
from gan_jax.models import linear, mlp
from gan_jax.training import gan_losses
from tests.helpers import tiny


class StepsTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_d_step_changes_d_alone(self):
    gan = tiny.gan()
    before = tiny.init(gan)
    step = self.variant(training.make_d_step(gan))
    after, metrics = step(before, tiny.batch(), jax.random.key(0))
    same = after.replace(discriminator=before.discriminator)
    chex.assert_trees_all_equal(same, before)
    moved = after.discriminator.params, before.discriminator.params
    assert not_equal(*moved)
    assert set(metrics) == {'d_loss', 'd_real', 'd_fake', 'd_accuracy'}
    chex.assert_tree_all_finite(after)

  @chex.variants(with_jit=True, without_jit=True)
  def test_g_step_changes_g_alone(self):
    gan = tiny.gan()
    before = tiny.init(gan)
    step = self.variant(training.make_g_step(gan))
    after, metrics = step(before, tiny.batch(), jax.random.key(0))
    chex.assert_trees_all_equal(
      after.replace(generator=before.generator), before
    )
    assert not_equal(after.generator.params, before.generator.params)
    assert not_equal(after.generator.batch_stats, before.generator.batch_stats)
    assert set(metrics) == {'g_loss'}


def not_equal(a, b):
  return any(
    not np.array_equal(x, y)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))
  )


def test_g_step_leaves_running_statistics_of_d():
  gan = tiny.gan()
  d = mlp.Discriminator(features=(8,), norm='batch', activation='relu')
  gan = dataclasses.replace(gan, discriminator=networks.from_linen(d))
  before = tiny.init(gan)
  after, _ = jax.jit(training.make_g_step(gan))(
    before, tiny.batch(), jax.random.key(0)
  )
  chex.assert_trees_all_equal(after.discriminator, before.discriminator)
  after, _ = jax.jit(training.make_d_step(gan))(
    before, tiny.batch(), jax.random.key(0)
  )
  assert not_equal(
    after.discriminator.batch_stats, before.discriminator.batch_stats
  )


def test_train_step_is_d_steps_then_g_step_then_average():
  gan = tiny.gan()
  before, batch, key = tiny.init(gan), tiny.batch(2), jax.random.key(3)
  train = jax.jit(training.make_train_step(gan, d_steps=2))
  after, metrics = train(before, batch, key)

  now = jax.random.fold_in(key, before.step)
  expected, all_metrics = before, []
  for i in range(2):
    part = {'x': batch['x'][i]}
    expected, m = jax.jit(training.make_d_step(gan))(
      expected, part, jax.random.fold_in(now, i)
    )
    all_metrics.append(m)
  expected, g_metrics = jax.jit(training.make_g_step(gan))(
    expected, part, jax.random.fold_in(now, 2)
  )
  raw = expected.generator.params, expected.generator.batch_stats
  expected = expected.replace(
    step=before.step + 1, ema=training.ema_update(before.ema, raw, 0.9)
  )
  chex.assert_trees_all_close(after, expected, rtol=1e-5, atol=1e-6)
  mean = (all_metrics[0]['d_loss'] + all_metrics[1]['d_loss']) / 2
  np.testing.assert_allclose(metrics['d_loss'], mean, rtol=1e-5)
  np.testing.assert_allclose(metrics['g_loss'], g_metrics['g_loss'], rtol=1e-5)


def record_latents(seen):
  """A generator that notes the latents it is given."""

  def apply(params, batch_stats, z, label=None, *, train, key, axis_name):
    jax.debug.callback(lambda z: seen.append(np.asarray(z)), z)
    return z[:, :2] * params, batch_stats

  return networks.Network(lambda key, z, label: (jnp.ones(()), {}), apply)


@pytest.mark.parametrize('same', [False, True])
def test_every_pass_draws_its_own_latents_unless_told(same):
  seen = []
  gan = dataclasses.replace(tiny.gan(), generator=record_latents(seen))
  train = training.make_train_step(gan, d_steps=2, same_latents=same)
  before, key = tiny.init(gan), jax.random.key(3)
  after, _ = train(before, tiny.batch(2), key)
  train(after, tiny.batch(2), key)
  jax.effects_barrier()
  # Equal to rounding: XLA vectorises each program in its own way.
  distinct = [
    z
    for i, z in enumerate(seen)
    if not any(np.allclose(z, earlier, atol=1e-5) for earlier in seen[:i])
  ]
  assert len(distinct) == (4 if same else 6), 'passes per two train steps'


def test_one_trace_over_three_calls():
  gan = tiny.gan()
  step = chex.assert_max_traces(training.make_train_step(gan), n=1)
  step, now = jax.jit(step, donate_argnums=0), tiny.init(gan)
  for _ in range(3):
    now, _ = step(now, tiny.batch(1), jax.random.key(0))
  assert int(now.step) == 3


def test_micro_batches_give_the_same_step():
  gan = tiny.gan(norm='none')  # batch norm would see each part by itself
  before, batch, key = tiny.init(gan), tiny.batch(1), jax.random.key(0)
  whole, m1 = jax.jit(training.make_train_step(gan))(before, batch, key)
  split = training.make_train_step(gan, micro_batches=4)
  parts, m4 = jax.jit(split)(before, batch, key)
  chex.assert_trees_all_close(parts, whole, rtol=1e-5, atol=1e-6)
  chex.assert_trees_all_close(m4, m1, rtol=1e-5, atol=1e-6)


def test_micro_batches_that_do_not_divide():
  with pytest.raises(ValueError, match='micro_batches=3 .* 16 '):
    training.make_train_step(tiny.gan(), micro_batches=3)(
      tiny.init(tiny.gan()), tiny.batch(1), jax.random.key(0)
    )


def test_batch_without_the_axis_of_d_steps():
  with pytest.raises(ValueError, match='d_steps=2'):
    training.make_train_step(tiny.gan(), d_steps=2)(
      tiny.init(tiny.gan()), tiny.batch(1), jax.random.key(0)
    )
  with pytest.raises(ValueError, match='d_steps=0'):
    training.make_train_step(tiny.gan(), d_steps=0)


def test_penalty_enters_with_its_weight():
  r1 = training.LossTerm(
    lambda context, keys, aux_state: (
      penalties.r1(context.real_logits_fn, context.real),
      aux_state,
    )
  )
  plain, penalised = tiny.gan(), tiny.gan(d_terms={'r1': r1})
  batch, key = tiny.batch(), jax.random.key(0)
  hparams = {**tiny.HYPER, 'r1_weight': 0.0}
  base, _ = training.make_d_step(plain)(tiny.init(plain), batch, key)
  none, metrics = training.make_d_step(penalised)(
    tiny.init(penalised, hparams), batch, key
  )
  chex.assert_trees_all_close(
    none.discriminator.params, base.discriminator.params, atol=1e-7
  )
  assert metrics['r1'] > 0
  hparams['r1_weight'] = 10.0
  now = tiny.init(penalised, hparams)
  for _ in range(20):
    now, later = training.make_d_step(penalised)(now, batch, key)
  assert later['r1'] < metrics['r1'] / 2


def test_term_keeps_its_memory_in_the_state():
  def counting(context, keys, aux_state):
    return jnp.zeros(len(context.real)), aux_state + 1

  gan = tiny.gan(d_terms={'count': training.LossTerm(counting, jnp.zeros(()))})
  hparams = {**tiny.HYPER, 'count_weight': 1.0}
  train = jax.jit(training.make_train_step(gan, d_steps=2))
  now = tiny.init(gan, hparams)
  for _ in range(3):
    now, _ = train(now, tiny.batch(2), jax.random.key(0))
  assert now.aux_state['count'] == 6


def test_hyper_parameters_are_swept_by_vmap():
  build = lambda hparams: optax.adam(hparams['rate'])
  # No batch norm: Adam makes much of the rounding in what it cancels.
  gan = tiny.gan(optimizer=build, norm='none')
  rates = jnp.array([1e-3, 1e-1])
  states = jax.vmap(lambda rate: tiny.init(gan, {**tiny.HYPER, 'rate': rate}))(
    rates
  )
  step = jax.vmap(training.make_train_step(gan), in_axes=(0, None, None))
  many, _ = jax.jit(step)(states, tiny.batch(1), jax.random.key(0))
  for i, rate in enumerate(rates):
    one = tiny.init(gan, {**tiny.HYPER, 'rate': rate})
    one, _ = jax.jit(training.make_train_step(gan))(
      one, tiny.batch(1), jax.random.key(0)
    )
    chex.assert_trees_all_close(
      jax.tree.map(lambda x, i=i: x[i], many), one, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize('joint', [False, True])
def test_joint_batch_matters_to_batch_norm_alone(joint):
  plain = tiny.gan(joint_batch=joint)
  reference = tiny.gan()
  args = tiny.batch(), jax.random.key(0)
  a, _ = training.make_d_step(plain)(tiny.init(plain), *args)
  b, _ = training.make_d_step(reference)(tiny.init(reference), *args)
  chex.assert_trees_all_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('shape', [(tiny.BATCH, 1), (), (tiny.BATCH, 2, 2, 2)])
def test_logits_of_other_shapes_are_refused(shape):
  d = networks.Network(
    lambda key, x, label: (jnp.ones(()), {}),
    lambda p, s, x, label=None, **_: (p * jnp.zeros(shape), s),
  )
  gan = dataclasses.replace(tiny.gan(), discriminator=d)
  with pytest.raises(ValueError, match='logits .*shape'):
    training.make_d_step(gan)(tiny.init(gan), tiny.batch(), jax.random.key(0))


def test_generator_of_another_shape_is_refused():
  gan = tiny.gan()
  batch = {'x': jnp.zeros((tiny.BATCH, 3))}
  with pytest.raises(ValueError, match=r'float32\[16, 2\].*float32\[16, 3\]'):
    training.make_d_step(gan)(tiny.init(gan), batch, jax.random.key(0))


# ---- Dive into Deep Learning, written out in numpy.


def d2l_gan():
  start = dict(kernel_init='normal', bias_init='normal')
  return training.GAN(
    generator=networks.from_linen(linear.Generator(shape=(2,), **start)),
    discriminator=networks.from_linen(
      mlp.Discriminator(features=(5, 3), activation='tanh', **start)
    ),
    loss=losses.LOSSES['non_saturating'],
    latent_dim=2,
    g_optimizer=optax.adam(0.005),
    d_optimizer=optax.adam(0.05),
    d_loss_scale=0.5,
    gradient_scale=8.0,
  )


class NumpyD2L:
  """Its update_D and update_G, with gradients by hand, in float64."""

  def __init__(self, gan_state):
    f64 = lambda tree: jax.tree.map(lambda x: np.asarray(x, np.float64), tree)
    g = f64(gan_state.generator.params)['Dense_0']
    d = f64(gan_state.discriminator.params)
    self.g = [g['kernel'], g['bias']]
    self.d = [d[f'Dense_{i}'][n] for i in range(3) for n in ('kernel', 'bias')]

  def forward(self, x):
    w1, b1, w2, b2, w3, b3 = self.d
    h1 = np.tanh(x @ w1 + b1)
    h2 = np.tanh(h1 @ w2 + b2)
    return h1, h2, (h2 @ w3 + b3)[:, 0]

  def backward(self, x, h1, h2, d_logits):
    """Gradients of the parameters and of x, given those of the logits."""
    _, _, w2, _, w3, _ = self.d
    top = d_logits[:, None]
    middle = top @ w3.T * (1 - h2**2)
    low = middle @ w2.T * (1 - h1**2)
    grads = []
    for below, delta in ((x, low), (h1, middle), (h2, top)):
      grads += [below.T @ delta, delta.sum(axis=0)]
    return grads, low @ self.d[0].T

  @staticmethod
  def adam(params, grads, rate):
    """The first Adam update: both moments start at zero."""
    new = []
    for p, g in zip(params, grads):
      m, v = 0.1 * g / (1 - 0.9), 0.001 * g**2 / (1 - 0.999)
      new.append(p - rate * m / (np.sqrt(v) + 1e-8))
    return new

  def update(self, x, z):
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    fake = z @ self.g[0] + self.g[1]
    grads = []
    # (sum BCE(real, 1) + sum BCE(fake, 0)) / 2
    for examples, target in ((x, 1), (fake, 0)):
      h1, h2, logits = self.forward(examples)
      delta = (sigmoid(logits) - target) / 2
      grads.append(self.backward(examples, h1, h2, delta)[0])
    self.d = self.adam(self.d, [a + b for a, b in zip(*grads)], 0.05)
    # sum BCE(fake, 1), D(G(z)) computed again after D's update
    h1, h2, logits = self.forward(fake)
    _, d_fake = self.backward(fake, h1, h2, sigmoid(logits) - 1)
    self.g = self.adam(self.g, [z.T @ d_fake, d_fake.sum(axis=0)], 0.005)


def test_one_step_of_d2l_against_numpy():
  gan = d2l_gan()
  x = jax.random.normal(jax.random.key(5), (8, 2)) * 2 + 1
  before = training.init_state(
    gan, jax.random.key(1), {'x': x}, {'ema_decay': 0.0}
  )
  # Parameters of size 1, so that no gradient drowns in Adam's epsilon.
  grow = lambda player: player.replace(
    params=jax.tree.map(lambda p: 40 * p, player.params)
  )
  before = before.replace(
    generator=grow(before.generator), discriminator=grow(before.discriminator)
  )
  key = jax.random.key(9)
  train = jax.jit(training.make_train_step(gan, same_latents=True))
  after, _ = train(before, {'x': x[None]}, key)

  d_key = jax.random.fold_in(jax.random.fold_in(key, 0), 0)
  z_key = jax.random.fold_in(d_key, gan_losses._LATENTS)
  z = prng.sample_normal(prng.per_example_keys(z_key, jnp.arange(8)), 2)
  reference = NumpyD2L(before)
  reference.update(np.asarray(x, np.float64), np.asarray(z, np.float64))
  result = NumpyD2L(after)
  for ours, theirs in zip(result.d + result.g, reference.d + reference.g):
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_d2l_metrics_are_its_printed_losses():
  gan = d2l_gan()
  x = jnp.ones((8, 2))
  now = training.init_state(
    gan, jax.random.key(1), {'x': x}, {'ema_decay': 0.0}
  )
  train = jax.jit(training.make_train_step(gan))
  _, metrics = train(now, {'x': x[None]}, jax.random.key(0))
  np.testing.assert_allclose(metrics['d_loss'], np.log(2), atol=0.1)
  np.testing.assert_allclose(metrics['g_loss'], np.log(2), atol=0.1)


# ---- A generator that is no network.


def test_a_formula_as_generator_learns():
  """A renderer of a soft disc: z moves it, the radius is its one parameter."""
  ticks = jnp.linspace(-1, 1, 8)
  ys, xs = jnp.meshgrid(ticks, ticks)

  def render(params, z):
    def one(center):
      distance = jnp.sqrt((xs - center[0]) ** 2 + (ys - center[1]) ** 2 + 1e-6)
      return jnp.tanh(6 * (params['radius'] - distance))

    return jax.vmap(one)(0.1 * z)[..., None]

  renderer = networks.Network(
    init=lambda key, z, label=None: ({'radius': jnp.float32(0.2)}, {}),
    apply=lambda p, s, z, label=None, *, train, key, axis_name: (
      render(p, z),
      s,
    ),
  )
  gan = training.GAN(
    generator=renderer,
    discriminator=networks.from_linen(
      mlp.Discriminator(features=(16,), activation='tanh')
    ),
    loss=losses.LOSSES['non_saturating'],
    latent_dim=2,
    g_optimizer=optax.adam(5e-3),
    d_optimizer=optax.adam(2e-3),
  )
  z = jax.random.normal(jax.random.key(2), (64, 2))
  real = {'x': render({'radius': 0.6}, z)[None]}
  now = training.init_state(
    gan, jax.random.key(0), {'x': real['x'][0]}, {'ema_decay': 0.9}
  )
  step = jax.jit(training.make_train_step(gan), donate_argnums=0)
  for _ in range(300):
    now, _ = step(now, real, jax.random.key(1))
  assert abs(now.ema[0]['radius'] - 0.6) < 0.1


def test_a_small_gan_learns_the_mean():
  r1 = training.LossTerm(
    lambda context, keys, aux_state: (
      penalties.r1(context.real_logits_fn, context.real),
      aux_state,
    )
  )
  gan = tiny.gan(optimizer=optax.adam(5e-3, b1=0.5), d_terms={'r1': r1})
  now = tiny.init(gan, {'ema_decay': 0.99, 'r1_weight': 0.3})
  key = jax.random.key(0)
  step = jax.jit(training.make_train_step(gan), donate_argnums=0)
  noise = jax.random.normal(jax.random.key(5), (300, 1, 64, 2))
  for real in np.asarray(noise * 0.3) + np.float32([2, -1]):
    now, _ = step(now, {'x': real}, key)
  z = jax.random.normal(jax.random.key(8), (500, tiny.LATENT))
  fake = training.make_sample_fn(gan)(now.ema, z)
  np.testing.assert_allclose(fake.mean(axis=0), [2, -1], atol=0.5)


class Dropout(nn.Module):
  """A discriminator that says how much of its input dropout let through."""

  @nn.compact
  def __call__(self, x, label=None, *, train):
    self.param('unused', nn.initializers.zeros, ())
    kept = nn.Dropout(0.5)(jnp.ones((len(x), 64)), deterministic=not train)
    return kept.sum(axis=1)


def test_dropout_differs_between_micro_batches_and_devices():
  seen = []
  inner = networks.from_linen(Dropout())

  def apply(params, batch_stats, x, label=None, **options):
    logits, batch_stats = inner.apply(params, batch_stats, x, label, **options)
    jax.debug.callback(lambda y: seen.append(np.asarray(y)), logits)
    return logits * params['unused'], batch_stats

  d = networks.Network(inner.init, apply)
  gan = dataclasses.replace(tiny.gan(norm='none'), discriminator=d)
  args = tiny.init(gan), tiny.batch(), jax.random.key(0)
  training.make_d_step(gan, micro_batches=2)(*args)
  jax.effects_barrier()
  assert len(seen) == 4  # real and fake of both parts
  assert len({y.tobytes() for y in seen}) == 4


def test_terms_need_names_of_their_own_and_weights():
  term = training.LossTerm(lambda context, keys, aux_state: (keys, aux_state))
  with pytest.raises(ValueError, match=r"\['t'\].* d_terms"):
    tiny.gan(d_terms={'t': term}, g_terms={'t': term})
  with pytest.raises(ValueError, match=r"hparams .*\['t_weight'\]"):
    tiny.init(tiny.gan(d_terms={'t': term}))


def test_term_that_is_not_one_value_per_example():
  square = training.LossTerm(
    lambda c, keys, aux_state: (jnp.ones((16, 16)), aux_state)
  )
  gan = tiny.gan(d_terms={'t': square})
  now = tiny.init(gan, {**tiny.HYPER, 't_weight': 1.0})
  with pytest.raises(ValueError, match=r"'t' .*\(16, 16\)"):
    training.make_d_step(gan)(now, tiny.batch(), jax.random.key(0))


def test_a_donated_state_owns_what_it_holds():
  rate = jnp.float32(0.1)
  hparams = {**tiny.HYPER, 'a': rate, 'b': rate}
  gan = tiny.gan()
  step = jax.jit(training.make_train_step(gan), donate_argnums=0)
  for _ in range(2):
    step(tiny.init(gan, hparams), tiny.batch(1), jax.random.key(0))
  assert rate == jnp.float32(0.1)
