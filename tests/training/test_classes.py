"""Labels of real and generated examples in the steps of both players."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import distributed, losses, networks, training
from gan_jax.distributed import devices
from gan_jax.training import gan_losses, gradients
from tests.helpers import tiny

CLASSES = 5
SHARE = (0.1, 0.2, 0.3, 0.4, 0.0)
RULES = ('batch', 'uniform', 'data')


def labelled_game(**changes):
  """Formulas: G(z, y) = 100 y + z, and D(x, y) = y (1 + mean x)."""
  generator = networks.Network(
    init=lambda key, z, label: ({'shift': jnp.zeros(())}, {}),
    apply=lambda p, s, z, label, **_: (
      p['shift'] + 100.0 * label[:, None] + z[:, :2],
      s,
    ),
  )
  discriminator = networks.Network(
    init=lambda key, x, label: ({'shift': jnp.zeros(())}, {}),
    apply=lambda p, s, x, label, **_: (
      p['shift'] + label * (1.0 + x.mean(axis=1)),
      s,
    ),
  )
  return dataclasses.replace(
    tiny.gan(loss='wasserstein', classes=CLASSES, fake_labels='uniform'),
    generator=generator,
    discriminator=discriminator,
    **changes,
  )


class Seen:
  """A term that keeps the outputs that it is called with."""

  def __call__(self, outputs, keys, aux_state):
    self.outputs = outputs
    return outputs.fake_logits, aux_state


def outputs_of(**changes):
  seen = Seen()
  gan = labelled_game(g_terms={'seen': training.LossTerm(seen)}, **changes)
  hparams = {**tiny.HYPER, 'seen_weight': 1.0}
  batch = tiny.batch(classes=CLASSES)
  now = tiny.init(gan, hparams)
  training.make_gan_losses(gan)(
    now.generator.params,
    now.discriminator.params,
    now,
    batch,
    jax.random.key(0),
  )
  return seen.outputs, batch


# ---- Which label goes where.


@pytest.mark.parametrize('joint_batch', [False, True])
@pytest.mark.parametrize('rule', RULES)
def test_each_example_meets_its_own_label(rule, joint_batch):
  found, batch = outputs_of(
    joint_batch=joint_batch, fake_labels=rule, class_share=SHARE
  )
  real, fake = found.real_label, found.fake_label
  np.testing.assert_array_equal(real, batch['label'])
  assert (rule == 'batch') == (np.asarray(real) == np.asarray(fake)).all()
  np.testing.assert_allclose(
    found.fake, 100.0 * fake[:, None] + found.latents[:, :2], rtol=1e-6
  )
  values = lambda label, x: label * (1 + np.asarray(x).mean(axis=1))
  np.testing.assert_allclose(
    found.real_logits, values(real, found.real), rtol=1e-5
  )
  np.testing.assert_allclose(
    found.fake_logits, values(fake, found.fake), rtol=1e-5
  )
  x = jnp.ones_like(found.real)
  np.testing.assert_allclose(found.real_logits_fn(x), 2 * real)
  np.testing.assert_allclose(found.fake_logits_fn(x), 2 * fake)
  again = found.generate_fn(found.latents)
  np.testing.assert_allclose(again, found.fake, rtol=1e-6)


@pytest.mark.parametrize(
  'name, side, factor',
  [('r1', 'real', 0.5), ('r2', 'fake', 0.5), ('zero_centered', 'real', 1.0)],
)
def test_gradient_penalties_take_the_label_of_their_examples(
  name, side, factor
):
  found, _ = outputs_of()
  label = np.asarray(getattr(found, f'{side}_label'), np.float64)
  keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(3), i))(
    jnp.arange(tiny.BATCH)
  )
  values, _ = training.make_term(name).apply(found, keys, ())
  # The gradient of y (1 + mean x) by two numbers is y / 2 for each.
  np.testing.assert_allclose(values, factor * label**2 / 2, rtol=1e-5)


def test_consistency_takes_the_label_of_the_generated_examples():
  found, _ = outputs_of()
  keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(3), i))(
    jnp.arange(tiny.BATCH)
  )
  values, _ = training.make_term('zcr', sigma=1.0).apply(found, keys, ())
  assert ((np.asarray(values) > 0) == (np.asarray(found.fake_label) > 0)).all()


# ---- How fake labels are drawn.


def draw(count=20_000, start=0, **changes):
  gan = labelled_game(**changes)
  indices = jnp.arange(start, start + count)
  return np.asarray(
    gan_losses.sample_labels(gan, jax.random.key(4), indices, None)
  )


def test_frequencies_of_fake_labels():
  counted = np.bincount(draw(fake_labels='uniform'), minlength=CLASSES)
  np.testing.assert_allclose(counted / 20_000, 0.2, atol=0.01)
  found = draw(fake_labels='data', class_share=SHARE)
  counted = np.bincount(found, minlength=CLASSES)
  np.testing.assert_allclose(counted / 20_000, SHARE, atol=0.01)
  assert counted[4] == 0


def test_a_label_depends_on_its_index_alone():
  whole = draw(64)
  np.testing.assert_array_equal(draw(32, 32), whole[32:])
  assert (whole[:32] != whole[32:]).any()


@pytest.mark.parametrize('rule', ['uniform', 'data'])
def test_labels_and_latents_are_independent(rule):
  share = (1 / CLASSES,) * CLASSES
  gan = labelled_game(fake_labels=rule, class_share=share)
  indices = jnp.arange(2000)
  label = gan_losses.sample_labels(gan, jax.random.key(4), indices, None)
  z = gan_losses.sample_latents(gan, jax.random.key(4), indices)
  for column in np.asarray(z).T:
    assert abs(np.corrcoef(column, label)[0, 1]) < 0.08


def trained(rule, parts=1, micro_batches=1, d_steps=2, **changes):
  heads = changes.pop('class_heads', ('projection',))
  gan = tiny.gan(
    norm='none',
    classes=CLASSES,
    fake_labels=rule,
    class_share=SHARE,
    d_options={'class_heads': heads},
    **changes,
  )
  weights = {f'{name}_weight': 0.5 for name in {**gan.d_terms, **gan.g_terms}}
  step = training.make_train_step(
    gan,
    d_steps=d_steps,
    axis_name=devices.AXIS_NAME,
    micro_batches=micro_batches,
  )
  step = jax.jit(distributed.emulate_devices(step, parts))
  now = tiny.init(gan, {**tiny.HYPER, **weights})
  batch = tiny.batch(d_steps, CLASSES)
  for _ in range(2):
    now, metrics = step(now, batch, jax.random.key(0))
  return now, metrics


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.slow
def test_four_devices_and_micro_batches_are_one(rule):
  one = trained(rule)
  for options in ({'parts': 4}, {'micro_batches': 4}):
    chex.assert_trees_all_close(
      one, trained(rule, **options), rtol=1e-4, atol=1e-5
    )
  other = trained('batch' if rule != 'batch' else 'uniform')
  difference = one[1]['d_fake'] - other[1]['d_fake']
  assert abs(difference) > 1e-4


@pytest.mark.slow
def test_same_latents_have_the_same_labels():
  gan = tiny.gan(classes=CLASSES, fake_labels='uniform')
  now, batch = tiny.init(gan), tiny.batch(1, CLASSES)
  step = training.make_train_step(gan, same_latents=True)
  found, metrics = step(now, batch, jax.random.key(0))
  # By hand: both players' steps with the same key, one after the other.
  key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), 0)
  one = jax.tree.map(lambda x: x[0], batch)
  by_hand, _ = training.make_d_step(gan)(now, one, jax.random.clone(key))
  by_hand, expected = training.make_g_step(gan)(by_hand, one, key)
  np.testing.assert_allclose(metrics['g_loss'], expected['g_loss'], rtol=1e-6)
  chex.assert_trees_all_close(
    found.generator.params, by_hand.generator.params, rtol=1e-5
  )


# ---- Class losses.


def class_game(name, heads, **changes):
  terms = {
    'd_terms': {name: training.make_term(name)},
    'g_terms': {f'{name}_generator': training.make_term(f'{name}_generator')},
  }
  return tiny.gan(
    norm='none',
    classes=CLASSES,
    fake_labels='uniform',
    d_options={'class_heads': heads},
    **{**terms, **changes},
  )


PAIRS = [
  (name, entry.wants)
  for name, entry in training.PENALTIES.items()
  if f'{name}_generator' in training.PENALTIES and {*entry.wants} - {'features'}
]


def class_state(gan, name):
  weights = {f'{name}_weight': 1.0, f'{name}_generator_weight': 1.0}
  return tiny.init(gan, {**tiny.HYPER, **weights})


@pytest.mark.parametrize('name, heads', PAIRS)
@pytest.mark.slow
def test_class_losses_reach_their_players(name, heads):
  gan = class_game(name, heads, d_loss_scale=0.0, g_loss_scale=0.0)
  now, batch = class_state(gan, name), tiny.batch(classes=CLASSES)
  found = gradients.make_gradient_fn(gan)(now, batch, jax.random.key(0))
  for player in gradients.PLAYERS:
    assert optax.tree.norm(found.grads[player]) > 1e-4
  pure = gan_losses.make_gan_losses(gan)
  # By the examples of G, the D loss of AC-GAN, ReACGAN and ContraGAN is flat.
  by_g = jax.grad(
    lambda g: pure(g, now.discriminator.params, now, batch, jax.random.key(0))[
      0
    ]
  )(now.generator.params)
  reads_fakes = name in ('tacgan', 'adcgan')
  assert (optax.tree.norm(by_g) > 0) == reads_fakes


def test_acgan_with_fakes_reads_them():
  term = {'acgan': training.make_term('acgan', fakes=True)}
  gan = class_game('acgan', ('class_logits',), d_terms=term)
  now, batch = class_state(gan, 'acgan'), tiny.batch(classes=CLASSES)
  both = training.make_gradient_fn(gan)(now, batch, jax.random.key(0))
  plain = class_game('acgan', ('class_logits',))
  real = training.make_gradient_fn(plain)(now, batch, jax.random.key(0))
  assert both.metrics['acgan'] > real.metrics['acgan'] + 0.5


def test_the_class_loss_of_g_falls_at_a_fixed_d():
  gan = class_game(
    'acgan',
    ('class_logits',),
    g_loss_scale=0.0,
    optimizer=optax.adam(0.01),
  )
  now, batch = class_state(gan, 'acgan'), tiny.batch(classes=CLASSES)
  step, values = jax.jit(training.make_g_step(gan)), []
  for i in range(50):
    key = jax.random.fold_in(jax.random.key(0), i)
    now, metrics = step(now, batch, key)
    values.append(float(metrics['acgan_generator']))
  assert np.mean(values[-10:]) < np.mean(values[:10]) - 0.02


def test_class_losses_name_the_missing_head():
  gan = class_game('reacgan', ('class_logits',))
  with pytest.raises(ValueError, match="reacgan needs .*'embedding'"):
    training.make_gradient_fn(gan)(
      class_state(gan, 'reacgan'),
      tiny.batch(classes=CLASSES),
      jax.random.key(0),
    )


# ---- Members, and what is refused.


def test_members_draw_their_own_labels():
  def run(key):
    gan = tiny.gan(classes=CLASSES, fake_labels='uniform')
    return gan_losses.sample_labels(gan, key, jnp.arange(32), None)

  keys = jax.random.split(jax.random.key(0), 2)
  both = jax.vmap(run)(jax.random.clone(keys))
  np.testing.assert_array_equal(both[1], run(keys[1]))
  assert (both[0] != both[1]).any()


@pytest.mark.parametrize(
  'options, message',
  [
    ({'fake_labels': 'real'}, "fake_labels='real'.*'batch', 'uniform'"),
    ({'fake_labels': 'uniform', 'classes': 0}, 'classes=0.* at least 1'),
    ({'fake_labels': 'data'}, 'class_share has 0 entries for classes=5'),
    ({'class_share': (0.5,) * 5}, 'sum 2.5'),
  ],
)
def test_refused_rules(options, message):
  with pytest.raises(ValueError, match=message):
    labelled_game(**options)


@pytest.mark.parametrize('label', [None, jnp.zeros((tiny.BATCH, 2))])
def test_a_game_of_classes_refuses_other_labels(label):
  gan = labelled_game()
  batch = {**tiny.batch(), 'label': label}
  with pytest.raises(ValueError, match='int32 .* 0 .. 4 for classes=5'):
    training.make_gradient_fn(gan)(tiny.init(gan), batch, jax.random.key(0))


def test_labels_out_of_range_give_nan():
  gan = tiny.gan(classes=CLASSES)
  batch = {**tiny.batch(), 'label': jnp.full(tiny.BATCH, CLASSES)}
  found = training.make_gradient_fn(gan)(
    tiny.init(gan), batch, jax.random.key(0)
  )
  assert np.isnan(found.metrics['d_real'])


def test_relativistic_losses_pair_labels_by_default():
  assert losses.LOSSES['rpgan'].decision_threshold is None
  assert tiny.gan(loss='rpgan').fake_labels == 'batch'
