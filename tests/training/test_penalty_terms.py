"""Every penalty as a term of the game: alone, lazily, on several devices."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import augment, distributed, networks, penalties, training
from gan_jax.augment import ada_controller
from gan_jax.distributed import devices
from gan_jax.training import gan as gan_lib
from gan_jax.training import gradients
from tests.helpers import tiny

IMAGES = ('bcr', 'reconstruction')  # of points there is no flip, no decoder
NAMES = [name for name in training.PENALTIES if name not in IMAGES]
OF_CLASSES = [n for n in NAMES if {*training.PENALTIES[n].wants} - {'features'}]


def game_with(*names, hyper_weight=0.5, packing=1, **options):
  """A tiny game with some terms, and its state."""
  terms = {'discriminator': {}, 'generator': {}}
  wants = set()
  for name in names:
    entry = training.PENALTIES[name]
    terms[entry.player][name] = training.make_term(name, **options)
    wants.update(entry.wants)
  heads = tuple(sorted(wants - {'features'}))
  gan = tiny.gan(
    norm='none',
    packing=packing,
    d_options={'return_features': 'features' in wants, 'class_heads': heads},
    **({'classes': 3, 'fake_labels': 'uniform'} if heads else {}),
    d_terms=terms['discriminator'],
    g_terms=terms['generator'],
  )
  weights = {f'{name}_weight': hyper_weight for name in names}
  return gan, tiny.init(gan, {**tiny.HYPER, **weights})


def groups():
  """Penalties that one discriminator has the heads for, by player."""
  found = {}
  for name in NAMES:
    entry = training.PENALTIES[name]
    heads = {*entry.wants} - {'features'}
    # TAC-GAN's classifier is that of AC-GAN, with a twin.
    heads -= {'twin_class_logits'}
    found.setdefault((entry.player, *sorted(heads)), []).append(name)
  return found.values()


@pytest.mark.parametrize('names', groups(), ids=lambda names: names[0])
@pytest.mark.slow
def test_four_devices_are_one(names):
  gan, now = game_with(*names, hyper_weight=0.1)
  key = jax.random.key(3)
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  one = jax.jit(distributed.emulate_devices(step, 1))
  four = jax.jit(distributed.emulate_devices(step, 4))
  a = b = now
  for _ in range(2):
    (a, one_metrics), (b, metrics) = (
      one(a, tiny.batch(1, gan.classes), key),
      four(b, tiny.batch(1, gan.classes), key),
    )
  chex.assert_trees_all_close(
    (a, one_metrics), (b, metrics), rtol=2e-4, atol=2e-5
  )
  for name in names:
    assert np.isfinite(metrics[name]) and metrics[name] != 0
    if training.PENALTIES[name].aux_state != ():
      assert any(x != 0 for x in jax.tree.leaves(b.aux_state[name]))


@pytest.mark.parametrize(
  'name, packing',
  [
    (name, n)
    for name in NAMES
    for n in (1, 2)
    if name not in OF_CLASSES  # tests/training/test_classes.py
    and (n == 1 or name in ('r1', 'wgan_gp', 'lecam', 'zcr', 'path_length'))
  ],
)
def test_changes_its_own_player_alone(name, packing):
  gan, now = game_with(name, packing=packing)
  without = now.replace(
    hparams={**now.hparams, f'{name}_weight': jnp.float32(0)}
  )
  player = training.PENALTIES[name].player
  batch = tiny.batch(classes=gan.classes)
  gradient = jax.jit(gradients.make_gradient_fn(gan))
  grads = gradient(now, batch, jax.random.key(0))
  base = gradient(without, batch, jax.random.key(0))
  for other in gradients.PLAYERS:
    differ = any(
      not np.allclose(x, y, rtol=1e-6, atol=1e-9)
      for x, y in zip(
        jax.tree.leaves(grads.grads[other]), jax.tree.leaves(base.grads[other])
      )
    )
    assert differ == (other == player), other


def test_lazy_equals_eager_in_expectation():
  """Over n steps from one state, the lazy gradients average to the eager one."""
  every = 4
  mean = lambda term_every: _mean_gradient(term_every, every)
  lazy, eager = mean(every), mean(1)
  chex.assert_trees_all_close(lazy, eager, rtol=1e-5, atol=1e-7)


def _mean_gradient(term_every, count):
  gan, now = game_with('r1', every=term_every)
  gradient = jax.jit(gradients.make_gradient_fn(gan, ('discriminator',)))
  found = [
    gradient(now.replace(step=jnp.int32(t)), tiny.batch(), jax.random.key(0))
    for t in range(count)
  ]
  values = np.array([x.metrics['r1'] for x in found])
  if term_every > 1:
    assert (values[1:] == 0).all() and values[0] > 0
  grads = [x.grads['discriminator'] for x in found]
  return jax.tree.map(lambda *g: sum(g) / count, *grads)


def test_a_lazy_term_keeps_its_memory_between():
  gan, now = game_with('lecam', every=2)
  step = jax.jit(training.make_train_step(gan))
  anchors = []
  for _ in range(4):
    now, _ = step(now, tiny.batch(1), jax.random.key(0))
    anchors.append(float(now.aux_state['lecam']['real']))
  assert anchors[0] == anchors[1] != anchors[2] == anchors[3]


@pytest.mark.slow
def test_bcr_on_images():
  keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(
    jnp.arange(4)
  )
  x = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1)) * 2 - 1
  weights = jax.random.normal(jax.random.key(2), (8, 8, 1))
  d = lambda x: (x * weights[None]).sum(axis=(1, 2, 3))
  blank = gan_lib.GANOutputs(*[None] * len(gan_lib.GANOutputs._fields))
  context = blank._replace(
    real_inputs=x,
    fake_inputs=-x,
    real_logits=d(x),
    fake_logits=d(-x),
    real_logits_fn=d,
    fake_logits_fn=d,
    real_outputs=networks.DiscriminatorOutput(d(x)),
    fake_outputs=networks.DiscriminatorOutput(d(-x)),
    packing=1,
  )
  values, _ = training.make_term('bcr').apply(context, keys, ())
  assert values.shape == (4,) and (values > 0).any()
  # A discriminator that sums up pixels does not see a flip.
  blind = lambda x: x.sum(axis=(1, 2, 3))
  context = context._replace(
    real_logits=blind(x),
    fake_logits=blind(-x),
    real_logits_fn=blind,
    fake_logits_fn=blind,
  )
  again = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(
    jnp.arange(4)
  )
  values, _ = training.make_term('bcr', policy=('flip',)).apply(
    context, again, ()
  )
  np.testing.assert_allclose(values, 0, atol=1e-6)


@pytest.mark.parametrize(
  'output', ['class_logits', 'twin_class_logits', 'embedding']
)
@pytest.mark.parametrize('name', ['bcr', 'zcr'])
def test_consistency_is_of_the_class_outputs_as_well(name, output):
  x = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1)) * 2 - 1
  of_classes = lambda x: x[:, :3, :3, 0].reshape(len(x), 9)
  d = lambda x: networks.DiscriminatorOutput(
    jnp.zeros(len(x)), **{output: of_classes(x)}
  )
  logits = lambda x: d(x).logits
  context = gan_lib.GANOutputs(*[None] * len(gan_lib.GANOutputs._fields))
  context = context._replace(
    real_inputs=x,
    fake_inputs=-x,
    fake=-x,
    latents=-x,
    generate_fn=lambda z: z,
    real_logits=logits(x),
    fake_logits=logits(-x),
    real_logits_fn=logits,
    fake_logits_fn=logits,
    real_outputs=d(x),
    fake_outputs=d(-x),
    real_outputs_fn=d,
    fake_outputs_fn=d,
    packing=1,
  )
  keys = jax.random.split(jax.random.key(0), 4)
  options = {'policy': ('flip',)} if name == 'bcr' else {'sigma': 0.5}
  values, _ = training.make_term(name, **options).apply(context, keys, ())
  if name == 'zcr':
    noise = penalties.normal_like(jax.random.split(jax.random.key(0), 4), x)
    expected = np.square(of_classes(0.5 * noise)).mean(axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-4)
  else:  # each of the two sides is flipped, or it is not
    flip = np.square(of_classes(x) - of_classes(x[:, :, ::-1])).mean(axis=1)
    assert (values > 0).any()
    shares = np.asarray(values / flip)
    np.testing.assert_allclose(shares, np.round(shares), atol=1e-4)


def test_terms_of_the_wrong_player_and_reserved_names():
  with pytest.raises(ValueError, match="'r1' .*discriminator"):
    tiny.gan(g_terms={'r1': training.make_term('r1')})
  with pytest.raises(ValueError, match="'d_loss'"):
    tiny.gan(d_terms={'d_loss': training.make_term('r1')})


def test_unknown_names_and_options():
  with pytest.raises(ValueError, match="penalty 'r3'"):
    training.make_term('r3')
  with pytest.raises(ValueError, match="'targt'"):
    training.make_term('wgan_gp', targt=0.0)
  with pytest.raises(ValueError, match='every=0'):
    game_with('r1', every=0)


def test_coupled_parts_refuse_micro_batches_when_the_step_is_made():
  gan, _ = game_with('lecam')
  with pytest.raises(ValueError, match='micro_batches=2.* lecam '):
    training.make_train_step(gan, micro_batches=2)
  with pytest.raises(ValueError, match='micro_batches=2.* loss '):
    training.make_d_step(tiny.gan(loss='ragan'), micro_batches=2)


def test_a_step_without_the_axis_name_is_refused_on_several_devices():
  step = training.make_train_step(tiny.gan(loss='ragan'))
  with pytest.raises(ValueError, match='axis_name=None.* 4 '):
    distributed.emulate_devices(step, 4)
  if jax.local_device_count() > 1:
    with pytest.raises(ValueError, match='axis_name=None'):
      distributed.parallelize_step(step, jax.local_devices())


@pytest.mark.parametrize('loss', ['ragan', 'mmd_gaussian', 'dual_contrastive'])
def test_coupled_losses_see_all_devices(loss):
  gan = tiny.gan(loss=loss)
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  run = lambda parts: jax.jit(distributed.emulate_devices(step, parts))(
    tiny.init(gan), tiny.batch(1), jax.random.key(0)
  )
  chex.assert_trees_all_close(run(4), run(1), rtol=1e-4, atol=1e-5)


# ---- What D sees: augmentation and noise.


def image_game(**changes):
  side = 8
  weights = jax.random.normal(jax.random.key(5), (side, side, 3))
  generator = networks.Network(
    init=lambda key, z, label: ({'bias': jnp.zeros((side, side, 3))}, {}),
    apply=lambda p, s, z, label, **_: (
      jnp.tanh(p['bias'][None] + z[:, :1].reshape(-1, 1, 1, 1)),
      s,
    ),
  )
  discriminator = networks.Network(
    init=lambda key, x, label: ({'w': weights}, {}),
    apply=lambda p, s, x, label, **_: (
      jnp.tanh(x * p['w'][None]).sum(axis=(1, 2, 3)),
      s,
    ),
  )
  return dataclasses.replace(
    tiny.gan(), generator=generator, discriminator=discriminator, **changes
  )


def image_step(gan, parts=1, count=3, **hparams):
  x = jax.random.uniform(jax.random.key(1), (1, 8, 8, 8, 3)) * 2 - 1
  now = training.init_state(
    gan, jax.random.key(0), {'x': x[0]}, {**tiny.HYPER, **hparams}
  )
  step = jax.jit(
    distributed.emulate_devices(
      training.make_train_step(gan, axis_name=devices.AXIS_NAME), parts
    )
  )
  for _ in range(count):
    now, metrics = step(now, {'x': x}, jax.random.key(2))
  return now, metrics


def test_augmentation_is_the_same_on_four_devices_and_reaches_g():
  gan = image_game(
    augment=training.Augmentation(augment.AUGMENTS['diff_augment'])
  )
  one, _ = image_step(gan, augment_strength=1.0)
  four, _ = image_step(gan, parts=4, augment_strength=1.0)
  chex.assert_trees_all_close(one, four, rtol=1e-4, atol=1e-5)
  off, _ = image_step(gan, augment_strength=0.0)
  plain, _ = image_step(image_game())
  chex.assert_trees_all_close(
    off.generator.params, plain.generator.params, rtol=1e-6
  )
  moved = one.generator.params['bias'] - plain.generator.params['bias']
  assert abs(moved).max() > 1e-3


def test_adaptive_strength_lives_in_the_state_and_is_global():
  update = functools.partial(
    ada_controller.update_ada,
    target=0.6,
    speed=100,
    interval_examples=8,
  )
  policy = functools.partial(augment.AUGMENTS['ada'], policy=('brightness',))
  memory = ada_controller.init_ada(0.5)
  gan = image_game(augment=training.Augmentation(policy, update, memory))
  one, metrics = image_step(gan)
  four, _ = image_step(gan, parts=4)
  chex.assert_trees_all_close(one, four, rtol=1e-4, atol=1e-5)
  strength = float(one.aux_state['augment']['strength'])
  # Three D steps, each of 8 / 100 up or down.
  steps_taken = (strength - 0.5) / 0.08
  np.testing.assert_allclose(steps_taken, round(steps_taken), atol=1e-4)
  assert strength != 0.5
  np.testing.assert_allclose(metrics['augment_strength'], strength)


def test_instance_noise_reaches_what_d_sees():
  sigma = lambda hparams, step: hparams['noise_sigma'] * (step < 2)
  plain, noisy = image_game(), image_game(instance_noise=sigma)
  batch = {'x': jnp.zeros((8, 8, 8, 3))}
  hparams = {**tiny.HYPER, 'noise_sigma': 1.0}

  def gradient(gan, step):
    now = training.init_state(gan, jax.random.key(0), batch, hparams)
    now = now.replace(step=jnp.int32(step))
    make = gradients.make_gradient_fn(gan, ('discriminator',))
    return make(now, batch, jax.random.key(0)).grads

  chex.assert_trees_all_close(gradient(noisy, 2), gradient(plain, 2))
  early = gradient(noisy, 0)['discriminator']['w']
  assert abs(early - gradient(plain, 0)['discriminator']['w']).max() > 1e-3


@pytest.mark.skipif(
  jax.local_device_count() < 4,
  reason='needs 4 devices: JAX_PLATFORMS=cpu python -m pytest',
)
@pytest.mark.parametrize('backend', devices.BACKENDS)
def test_lazy_coupled_terms_on_real_devices(backend):
  """Collectives inside a conditional, on four devices, against one."""
  names = ('lecam', 'max_gp', 'path_length')
  pick = lambda player: {
    name: training.make_term(name, every=2)
    for name in names
    if training.PENALTIES[name].player == player
  }
  gan = tiny.gan(
    loss='ragan',
    d_terms=pick('discriminator'),
    g_terms=pick('generator'),
  )
  weights = {f'{name}_weight': 0.01 for name in names}
  step = training.make_train_step(gan, axis_name=devices.AXIS_NAME)
  now, key = tiny.init(gan, {**tiny.HYPER, **weights}), jax.random.key(3)
  one = jax.jit(distributed.emulate_devices(step, 1))
  r = distributed.parallelize_step(
    step, devices.local_devices(4), backend=backend
  )
  expected, found = now, r.put(tiny.init(gan, {**tiny.HYPER, **weights}))
  batch, placed, key_there = (
    tiny.batch(1),
    r.put_batch(tiny.batch(1)),
    r.put(key),
  )
  for _ in range(3):
    expected, _ = one(expected, batch, key)
    found, _ = r.step(found, placed, key_there)
  chex.assert_trees_all_close(
    jax.device_get(found), jax.device_get(expected), rtol=1e-3, atol=1e-4
  )
