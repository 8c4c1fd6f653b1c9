"""Every architecture: the shape tests run on each file in models/."""

import functools
import importlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import models, networks
from gan_jax.layers import normalization, spectral_norm
from gan_jax.models import dcgan, linear, mlp

SHAPES = {  # others: (8, 8, 3)
  'fastgan': (16, 16, 3),
  'linear': (2,),
  'mlp': (2,),
  'wavegan': (256, 1),
}
SMALL = {
  'biggan': {'width': 1},
  'dcgan': {'width': 4},
  'fastgan': {'width': 4},
  'mlp': {'features': (8,)},
  'r3gan': {'width': 8, 'group_size': 4, 'blocks': 1},
  'sndcgan': {'width': 2},
  'sngan': {'width': 1},
  'stylegan2': {'channel_max': 8},
  'wavegan': {'width': 2},
}
# Of the generator alone: any number of latents.
SMALL_G = {
  'biggan': {'hierarchical': False},
  'stylegan2': {'style_dim': 8, 'mapping_layers': 2},
}
SMALL_D = {'stylegan2': {'minibatch_std': 3}}
PATCHES = {'fastgan': (5, 5)}  # others: one logit
WIDTHS = {'mlp': 8, 'dcgan': 4 * 4 * 4}  # of the last hidden layer


@functools.cache
def pair(name, **options):
  module = importlib.import_module(f'gan_jax.models.{name}')
  shape = SHAPES.get(name, (8, 8, 3))
  options = SMALL.get(name, {}) | options
  g_options = SMALL_G.get(name, {}) | options
  d_options = SMALL_D.get(name, {}) | options
  return (
    networks.from_linen(module.Generator(shape=shape, **g_options)),
    networks.from_linen(module.Discriminator(**d_options)),
    shape,
  )


@functools.cache
def discriminator(name, **options):
  module = importlib.import_module(f'gan_jax.models.{name}')
  small = SMALL.get(name, {}) | SMALL_D.get(name, {})
  d = module.Discriminator(**small | options)
  return networks.from_linen(d), SHAPES.get(name, (8, 8, 3))


@functools.cache
def init(network, shape):
  return network.init(jax.random.key(0), jnp.zeros(shape))


def apply(network, weights, x, train=True):
  run = lambda weights, x: network.apply(*weights, x, train=train)
  return jax.jit(run)(weights, x)


def call(network, x, train):
  weights = init(network, x.shape)
  return apply(network, weights, x, train), weights


@pytest.mark.parametrize('name', sorted(models.MODELS))
@pytest.mark.parametrize('train', [True, False])
def test_shapes_types_and_statistics(name, train):
  g, d, shape = pair(name)
  z = jax.random.normal(jax.random.key(1), (6, 5))
  (x, g_batch_stats), (_, g_before) = call(g, z, train)
  chex.assert_shape(x, (6, *shape))
  chex.assert_type(x, jnp.float32)
  (logits, d_batch_stats), (_, d_before) = call(d, x, train)
  chex.assert_shape(logits, (6, *PATCHES.get(name, ())))
  chex.assert_trees_all_equal_shapes(g_batch_stats, g_before)
  chex.assert_trees_all_equal_shapes(d_batch_stats, d_before)
  if not train:
    chex.assert_trees_all_equal(
      (g_batch_stats, d_batch_stats), (g_before, d_before)
    )
  chex.assert_tree_all_finite((x, logits))


@pytest.mark.parametrize('name', ['dcgan', 'mlp'])
@pytest.mark.parametrize('norm', normalization.NORMS)
def test_every_norm(name, norm):
  g, d, _ = pair(name, norm=norm)
  if name == 'dcgan':  # at 8 x 8 there is no layer between first and last
    g = networks.from_linen(
      dcgan.Generator(shape=(16, 16, 3), width=4, norm=norm)
    )
  (x, g_batch_stats), _ = call(g, jnp.ones((3, 5)), True)
  (logits, d_batch_stats), _ = call(d, x, True)
  chex.assert_tree_all_finite((x, logits))
  assert (
    bool(g_batch_stats)
    == bool(d_batch_stats)
    == (norm in ('batch', 'spectral'))
  )


DCGAN_SIZES = (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96)


@pytest.mark.parametrize(
  ('size', 'channels'), list(zip((*DCGAN_SIZES, 112, 128), [1, 3, 4] * 6))
)
def test_dcgan_of_every_size(size, channels):
  shape = (size, size, channels)
  g = networks.from_linen(dcgan.Generator(shape=shape, width=2))
  d = networks.from_linen(dcgan.Discriminator(width=2))

  def both(key):
    z = jnp.zeros((2, 7))
    x, _ = g.apply(*g.init(key, z), z, train=True)
    return x, d.apply(*d.init(key, x), x, train=True)[0]

  x, logits = jax.eval_shape(both, jax.random.key(0))
  assert x.shape == (2, *shape) and logits.shape == (2,)


def test_dcgan_halves_to_between_4_and_7_pixels():
  base = {28: 7, 20: 5, 24: 6, 32: 4, 56: 7, 112: 7, 128: 4}
  halvings = {28: 2, 20: 2, 24: 2, 32: 3, 56: 3, 112: 4, 128: 5}
  for size in base:
    g = dcgan.Generator(shape=(size, size, 1), width=2)
    params = jax.eval_shape(
      lambda k: g.init(k, jnp.zeros((1, 3)), train=False)['params'],
      jax.random.key(0),
    )
    stages = halvings[size]
    assert sum('ConvTranspose' in name for name in params) == stages, size
    first = base[size] ** 2 * 2 * 2 ** (stages - 1)
    assert params['Dense_0']['kernel'].shape == (3, first), size


@pytest.mark.parametrize(
  'shape', [(30, 30, 3), (9, 9, 3), (160, 160, 3), (16, 32, 3), (4, 4, 1), (2,)]
)
def test_dcgan_refuses_other_sizes(shape):
  g = networks.from_linen(dcgan.Generator(shape=shape))
  with pytest.raises(ValueError, match=r'\(8, 10, 12, 14, 16, 20, 24, 28, 32,'):
    g.init(jax.random.key(0), jnp.zeros((1, 5)))
  d = networks.from_linen(dcgan.Discriminator())
  with pytest.raises(ValueError, match='square images'):
    d.init(jax.random.key(0), jnp.zeros((1, *shape)))


def test_dcgan_64_is_that_of_the_book():
  g = dcgan.Generator(shape=(64, 64, 3))
  params = jax.eval_shape(
    lambda k: g.init(k, jnp.zeros((1, 100)), train=False)['params'],
    jax.random.key(0),
  )
  kernels = [v['dual_kernel'].shape for k, v in params.items() if 'ConvT' in k]
  assert params['Dense_0']['kernel'].shape == (100, 4 * 4 * 512)
  assert kernels == [
    (4, 4, 256, 512),
    (4, 4, 128, 256),
    (4, 4, 64, 128),
    (4, 4, 3, 64),
  ]


def test_initial_parameters_are_normal_of_002():
  g = networks.from_linen(dcgan.Generator(shape=(32, 32, 3)))
  params, _ = g.init(jax.random.key(0), jnp.zeros((1, 100)))
  kernel = params['ConvTranspose_0']['dual_kernel']
  np.testing.assert_allclose(kernel.std(), 0.02, rtol=0.02)
  np.testing.assert_allclose(kernel.mean(), 0, atol=1e-3)


def test_maxout_is_the_largest_of_its_pieces():
  d = mlp.Discriminator(features=(1,), activation='maxout', pieces=2)
  params = {
    'Dense_0': {'kernel': jnp.array([[1.0, -1.0]]), 'bias': jnp.zeros(2)},
    'Dense_1': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)},
  }
  x = jnp.array([[-3.0], [2.0]])
  logits = jax.jit(lambda x: d.apply({'params': params}, x, train=True))(x)
  np.testing.assert_allclose(logits, [3, 2])  # max(x, -x)


@pytest.mark.parametrize('name', sorted(set(models.MODELS) - set(PATCHES)))
def test_discriminators_without_outputs_are_refused(name):
  for outputs in (0, -1):
    d, shape = discriminator(name, outputs=outputs)
    with pytest.raises(ValueError, match=f'outputs={outputs}: '):
      d.init(jax.random.key(0), jnp.zeros((6, *shape)))


@pytest.mark.parametrize('name', sorted(set(models.MODELS) - set(PATCHES)))
@pytest.mark.parametrize('outputs', [1, 5])
def test_discriminators_return_features(name, outputs):
  plain, shape = discriminator(name, outputs=outputs)
  options = dict(outputs=outputs, return_features=True)
  d, _ = discriminator(name, **options)
  x = jax.random.normal(jax.random.key(1), (6, *shape))
  (expected, _), weights = call(plain, x, True)
  chex.assert_shape(expected, (6,) if outputs == 1 else (6, outputs))
  (scores, batch_stats), same = call(d, x, True)
  chex.assert_trees_all_equal(weights, same)
  # Two programs: XLA may sum in another order when a part is kept.
  np.testing.assert_allclose(scores.logits, expected, rtol=2e-5, atol=1e-6)
  # The logits are the last layer's, of these features.
  is_last = lambda n: n.startswith('Dense') or n == 'output'
  last_name = max(n for n in weights[0] if is_last(n))
  last = weights[0][last_name]
  norms = spectral_norm.spectral_norms(batch_stats)
  sigma = norms.get(last_name, 1)
  scores, last, sigma = jax.device_get((scores, last, sigma))
  if name == 'stylegan2':  # equalized: the kernel is scaled on use
    sigma = len(last['kernel']) ** 0.5
  again = scores.features @ last['kernel'] / sigma + last.get('bias', 0)
  np.testing.assert_allclose(again.reshape(expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize('name', ['mlp', 'dcgan'])
@pytest.mark.parametrize('group_size', [4, -1])
def test_minibatch_std_joins_the_last_hidden_layer(name, group_size):
  options = dict(norm='none', return_features=True)
  plain, shape = discriminator(name, **options)
  d, _ = discriminator(name, minibatch_std=group_size, **options)
  # As init_state does, on a batch that the group does not divide.
  params, batch_stats = init(d, (2, *shape))
  last = max(n for n in params if n.startswith('Dense'))
  kernel = np.asarray(params[last]['kernel'])
  cells = 16 if name == 'dcgan' else 1
  assert kernel.shape == (WIDTHS[name] + cells, 1)
  x = jax.random.normal(jax.random.key(1), (8, *shape))
  scores, _ = apply(d, (params, batch_stats), x)
  # Without the weights of what was added: the discriminator without it.
  kept = kernel.reshape(cells, -1, 1)[:, :-1].reshape(-1, 1)
  cut = {**params, last: {**params[last], 'kernel': kept}}
  expected, _ = apply(plain, (cut, batch_stats), x)
  np.testing.assert_array_equal(scores.features, expected.features)
  size = 8 if group_size == -1 else group_size
  hidden = np.asarray(scores.features).reshape(-1, size, WIDTHS[name])
  added = np.repeat(hidden.std(axis=1).mean(axis=1), size)
  change = added * kernel.reshape(cells, -1)[:, -1].sum()
  expected = expected.logits + change
  np.testing.assert_allclose(scores.logits, expected, atol=1e-5)


def test_linear_generator_refuses_images():
  with pytest.raises(ValueError, match=r'vectors; .*\(8, 8, 1\)'):
    linear.Generator(shape=(8, 8, 1)).init(
      jax.random.key(0), jnp.zeros((1, 2)), train=False
    )


@pytest.mark.parametrize(
  'options, message',
  [
    ({'norm': 'instance'}, "norm 'instance'.*spectral"),
    ({'activation': 'gelu'}, "activation 'gelu'.*'relu'"),
    ({'kernel_init': 'ones'}, "kernel_init 'ones'.*orthogonal"),
  ],
)
def test_unknown_names_are_refused(options, message):
  module = mlp.Discriminator(features=(4,), **options)
  with pytest.raises(ValueError, match=message):
    module.init(jax.random.key(0), jnp.zeros((1, 2)), train=False)


def test_from_linen_refuses_other_collections():
  import flax.linen as nn

  class Odd(nn.Module):
    @nn.compact
    def __call__(self, x, label=None, *, train):
      self.variable('memory', 'm', jnp.zeros, ())
      return x

  with pytest.raises(ValueError, match=r"collections \['memory'\]"):
    networks.from_linen(Odd()).init(jax.random.key(0), jnp.ones(2))


@pytest.mark.parametrize('role', ['Generator', 'Discriminator'])
def test_no_bias_before_batch_norm(role):
  options = {'shape': (2,)} if role == 'Generator' else {}
  for norm, biased in (('batch', False), ('none', True), ('layer', True)):
    module = getattr(mlp, role)(features=(4,), norm=norm, **options)
    init = functools.partial(module.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), jnp.ones((2, 3)))
    params = variables['params']
    assert ('bias' in params['Dense_0']) == biased
    assert 'bias' in params['Dense_1']
