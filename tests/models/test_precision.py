"""Networks that compute in bfloat16: what stays float32, and how near it is."""

import functools
import importlib
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers as layers_lib
from gan_jax import losses, networks, penalties, prng, training
from gan_jax.config import MODELS
from gan_jax.layers import channels, linear, normalization
from gan_jax.models import dcgan
from gan_jax.training import optimizers

HALF = jnp.bfloat16
SHAPES = {'linear': (2,), 'mlp': (2,), 'wavegan': (256, 1)}  # others: images
# Without spectral norm, whose products are float32.
SMALL = {
  'biggan': {'width': 4, 'spectral': False, 'attention': 8},
  'dcgan': {'width': 4},
  'fastgan': {'width': 8, 'spectral': False},
  'mlp': {'features': (8,)},
  'r3gan': {'width': 8, 'group_size': 4, 'blocks': 1},
  'sndcgan': {'width': 4},
  'sngan': {'width': 4, 'spectral': False},
  'stylegan2': {'channel_max': 8},
  'wavegan': {'width': 4},
}
SMALL_G = {
  'biggan': {'hierarchical': False},
  'stylegan2': {'style_dim': 8, 'mapping_layers': 2},
}
SMALL_D = {
  'sndcgan': {'spectral': False},
  'stylegan2': {'minibatch_std': 3},
}
# The last layer is in float32.
FLOAT_HEADS = ('biggan', 'fastgan', 'sndcgan', 'sngan', 'wavegan')
# Styles, the ends of networks and all at 4 x 4 pixels are in float32.
FLOAT_PARTS = ('r3gan', 'stylegan2')
# bfloat16 has 8 bits, so each layer rounds by up to 2^-9 of a number.
TOLERANCE = 0.03


def module(name, role, **options):
  cls = getattr(importlib.import_module(f'gan_jax.models.{name}'), role)
  if role == 'Generator':
    options['shape'] = SHAPES.get(name, (16, 16, 3))
  more = SMALL_G if role == 'Generator' else SMALL_D
  return cls(**SMALL.get(name, {}), **more.get(name, {}), **options)


def distance(a, b):
  """Of two trees, relative to the norm of the second."""
  a, b = jax.device_get((a, b))
  difference = jax.tree.map(np.subtract, a, b)
  norm = lambda tree: np.sqrt(sum((x**2).sum() for x in jax.tree.leaves(tree)))
  return norm(difference) / norm(b)


def products(lowered):
  """Types of the results of all matrix products and convolutions."""
  lines = lowered.as_text().splitlines()
  found = [x for x in lines if re.search('dot_general|convolution', x)]
  return [re.findall(r'x(b?f\d+)>', x)[-1] for x in found]


@pytest.mark.parametrize('name', [n for n in MODELS if MODELS[n].has_dtype])
@pytest.mark.parametrize('role', ['Generator', 'Discriminator'])
def test_outputs_and_variables_are_float32_and_products_are_not(
  name, role, monkeypatch
):
  monkeypatch.setattr(linear, '_TINY', 0)  # all products to be seen as such
  monkeypatch.setattr(channels, '_MANY', float('inf'))  # statistics are float32
  options = {'return_features': True} if role == 'Discriminator' else {}
  whole, half = (
    networks.from_linen(module(name, role, dtype=dtype, **options))
    for dtype in (jnp.float32, HALF)
  )
  shape = (5,) if role == 'Generator' else SHAPES.get(name, (16, 16, 3))
  x = jax.random.normal(jax.random.key(0), (6, *shape))
  init = lambda key: (half.init(key, x), whole.init(jax.random.clone(key), x))
  weights, same = jax.jit(init)(jax.random.key(1))
  chex.assert_trees_all_equal(weights, same)
  lower = lambda network: jax.jit(
    lambda weights, x: network.apply(*weights, x, train=True)
  ).lower(weights, x)
  lowered, whole_lowered = lower(half), lower(whole)
  y, new = lowered.compile()(weights, x)
  for leaf in jax.tree.leaves((weights, y, new)):
    assert leaf.dtype == jnp.float32
  expected, _ = whole_lowered.compile()(weights, x)
  chex.assert_trees_all_equal_shapes(y, expected)
  assert 0 < distance(y, expected) < TOLERANCE
  found = products(lowered)
  if name in FLOAT_HEADS and role == 'Discriminator':
    assert found.pop() == 'f32'
  if name in FLOAT_PARTS:
    assert set(found) == {'f32', 'bf16'}
  else:  # the weights of attention, for a softmax in float32
    assert found.count('f32') == (name == 'biggan')
  assert set(products(whole_lowered)) == {'f32'}


def small_discriminator(norm, dtype=jnp.float32):
  return networks.from_linen(
    dcgan.Discriminator(width=8, norm=norm, dtype=dtype)
  )


@functools.cache
def small_weights(norm):
  d = small_discriminator(norm)
  return d.init(jax.random.key(2), jnp.zeros((1, 16, 16, 3)))


def penalty_gradient(name, dtype, norm):
  """A penalty on a DCGAN discriminator and its gradient by the weights."""
  d = small_discriminator(norm, dtype)
  real, fake = jax.random.normal(jax.random.key(0), (2, 8, 16, 16, 3))
  keys = prng.per_example_keys(jax.random.key(1), jnp.arange(8))
  params, batch_stats = small_weights(norm)
  # Kernels of the size that training gives them, for gradients around 1.
  params = jax.tree.map(lambda w: 4 * w, params)

  def loss(params):
    logits_fn = lambda x: d.apply(params, batch_stats, x, train=True)[0]
    if name == 'r1':
      return penalties.r1(logits_fn, real).mean()
    return penalties.wgan_gp(logits_fn, real, fake, keys).mean()

  return jax.jit(jax.value_and_grad(loss))(params)


@pytest.mark.parametrize('name', ['r1', 'wgan_gp'])
@pytest.mark.parametrize('norm', ['none', 'layer', 'spectral'])
def test_gradient_penalties(name, norm):
  value, gradient = penalty_gradient(name, HALF, norm)
  expected, expected_gradient = penalty_gradient(name, jnp.float32, norm)
  chex.assert_tree_all_finite((value, gradient))
  for leaf in jax.tree.leaves((value, gradient)):
    assert leaf.dtype == jnp.float32
  np.testing.assert_allclose(value, expected, rtol=TOLERANCE)
  assert 0 < distance(gradient, expected_gradient) < 2 * TOLERANCE


def dcgan_game(norm, dtype):
  common = dict(width=4, norm=norm, dtype=dtype)
  return training.GAN(
    generator=networks.from_linen(dcgan.Generator(shape=(16, 16, 3), **common)),
    discriminator=networks.from_linen(dcgan.Discriminator(**common)),
    loss=losses.LOSSES['non_saturating'],
    latent_dim=5,
    g_optimizer=optimizers.from_hparams('adam', 'g'),
    d_optimizer=optimizers.from_hparams('adam', 'd'),
  )


@pytest.mark.parametrize('norm', normalization.NORMS)
def test_all_that_a_step_keeps_is_float32(norm):
  adam = optimizers.hparam_defaults('adam')
  hparams = {f'{p}_{name}': v for p in 'gd' for name, v in adam.items()}
  hparams |= {
    'g_learning_rate': 1e-3,
    'd_learning_rate': 1e-3,
    'ema_decay': 0.9,
  }
  key = jax.random.key(0)
  batch = {'x': jax.random.normal(key, (1, 8, 16, 16, 3))}

  def run(dtype):
    gan = dcgan_game(norm, dtype)
    first = training.init_state(gan, key, {'x': batch['x'][0]}, hparams)
    body = lambda now, _: training.make_train_step(gan)(now, batch, key)
    return jax.lax.scan(body, first, length=2)

  half, metrics = jax.jit(run, static_argnums=0)(HALF)
  whole, _ = jax.eval_shape(functools.partial(run, jnp.float32))
  chex.assert_trees_all_equal_shapes_and_dtypes(half, whole)
  kept = (half.generator, half.discriminator, half.ema, metrics)
  floats = [x for x in jax.tree.leaves(kept) if x.dtype.kind != 'i']
  assert {x.dtype for x in floats} == {jnp.dtype(jnp.float32)}
  chex.assert_tree_all_finite(kept)


@pytest.mark.parametrize('kind', ['batch', 'layer'])
def test_statistics_of_norms_are_taken_in_float32(kind):
  # In bfloat16 the mean would be 256 and the spread lost.
  x = 256 + 2.0 * jax.random.randint(jax.random.key(0), (512, 4), 0, 3)
  norm = layers_lib.Norm(kind, dtype=HALF)

  @jax.jit
  def run(x):
    variables = norm.init(jax.random.key(1), x, train=False)
    x = x.astype(HALF)
    return norm.apply(variables, x, train=True, mutable=['batch_stats'])

  y, new = run(x)
  assert y.dtype == HALF
  axis = 0 if kind == 'batch' else 1
  x = np.asarray(x)
  spread = np.sqrt(x.var(axis, keepdims=True) + 1e-5)
  expected = (x - x.mean(axis, keepdims=True)) / spread
  np.testing.assert_allclose(np.float32(y), expected, atol=0.02)
  if kind == 'batch':
    batch_stats = new['batch_stats']['BatchNorm_0']
    np.testing.assert_allclose(batch_stats['mean'], 0.1 * x.mean(0), rtol=1e-5)
    expected = 0.9 + 0.1 * x.var(0)
    np.testing.assert_allclose(batch_stats['var'], expected, rtol=1e-2)


def test_spectral_norm_iterates_in_float32():
  x = jnp.ones((2, 7))
  layers = [
    layers_lib.Dense(5, spectral=True, dtype=d) for d in (HALF, jnp.float32)
  ]

  @jax.jit
  def run(x):
    variables = layers[1].init(jax.random.key(0), x)
    options = dict(train=True, mutable=['batch_stats'])
    return [layer.apply(variables, x, **options) for layer in layers]

  (y, half), (_, whole) = run(x)
  assert y.dtype == HALF
  chex.assert_trees_all_equal(half, whole)


def test_minibatch_std_is_taken_in_float32():
  # Neighbours in bfloat16: their mean, and what is left of it, are not there.
  x = jnp.tile(jnp.array([[256.0], [258.0]]), (2, 3)).astype(HALF)
  y = jax.jit(layers_lib.MinibatchStd(2, dtype=HALF).apply)({}, x)
  assert y.dtype == HALF and y.shape == (4, 4)
  y = np.float32(y)
  np.testing.assert_array_equal(y[:, :3], np.float32(x))
  np.testing.assert_allclose(y[:, 3], 1, rtol=1e-6)


def test_embedding_returns_its_type():
  layer = layers_lib.Embed(3, 4, dtype=HALF)
  variables = layer.init(jax.random.key(0), jnp.array([0]))
  y = layer.apply(variables, jnp.array([2]))
  assert y.dtype == HALF
  table = variables['params']['embedding']
  assert table.dtype == jnp.float32
  np.testing.assert_array_equal(y[0], table[2].astype(HALF))
