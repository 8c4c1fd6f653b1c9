"""SNDCGAN, SNGAN and BigGAN: what their authors' code does, and options."""

import functools
import re

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gan_jax import models
from gan_jax.layers import conditioning, linear, spectral_norm

pytestmark = pytest.mark.slow  # residual networks and runs compile for long

NAMES = ('sndcgan', 'sngan', 'biggan')
SHAPE = (8, 8, 2)
LABEL = jnp.array([0, 2, 1, 2])
Z_SHAPE, X_SHAPE = (4, 6), (4, *SHAPE)


def module(name, role, **options):
  cls = getattr(getattr(models, name), role)
  if role == 'Generator':
    options = {'shape': SHAPE} | options
  return cls(**{'width': 2} | options)


def inputs(role, seed=0):
  shape = Z_SHAPE if role == 'Generator' else X_SHAPE
  return jax.random.normal(jax.random.key(seed), shape)


def init(net, x, label=None):
  """Draws variables of the right shapes, without compiling anything."""
  run = lambda key: net.init(key, x, label, train=False)
  shapes = jax.eval_shape(run, jax.random.key(1))
  random = np.random.default_rng(0)

  def draw(path, leaf):
    name = path[-1].key
    if name in ('bias', 'gamma', 'mean'):
      return jnp.zeros(leaf.shape)
    if name in ('var', 'power_sigma') or (name, leaf.ndim) == ('scale', 1):
      return jnp.ones(leaf.shape)
    fan_in = max(1, leaf.size // leaf.shape[-1])
    return jnp.float32(random.normal(size=leaf.shape) / fan_in**0.5)

  return jax.tree_util.tree_map_with_path(draw, shapes)


def apply(net, variables, x, label=None, train=True):
  options = dict(train=train, mutable=['batch_stats'])
  run = lambda v, x: net.apply(v, x, label, **options)
  return jax.jit(run)(variables, x)


# ---------------------------------------------------------- Sizes and latents.


@pytest.mark.parametrize('role', ['Generator', 'Discriminator'])
@pytest.mark.parametrize(
  'name, size, sides',
  [
    ('sngan', 28, '(8, 16, 32, 48, 64, 128)'),
    ('biggan', 48, '(8, 16, 32, 64, 128)'),
    ('sndcgan', 28, '(8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, '),
  ],
)
def test_sizes_without_a_table_are_refused(name, role, size, sides):
  options = {'shape': (size, size, 1)} if role == 'Generator' else {}
  net = module(name, role, **options)
  x = jnp.ones(Z_SHAPE if role == 'Generator' else (1, size, size, 1))
  with pytest.raises(ValueError) as error:
    net.init(jax.random.key(0), x, train=False)
  assert sides in str(error.value) and f'({size}, {size}, 1)' in str(
    error.value
  )


@pytest.mark.parametrize('name, size', [('sngan', 128), ('biggan', 64)])
@pytest.mark.parametrize('channels', [1, 4])
def test_any_number_of_channels(name, size, channels):
  shape = (size, size, channels)

  def both(key):
    g, d = module(name, 'Generator', shape=shape), module(name, 'Discriminator')
    z = jnp.zeros((2, 20))
    x, _ = g.init_with_output(key, z, train=False)
    return x, d.init_with_output(key, x, train=False)[0]

  x, logits = jax.eval_shape(both, jax.random.key(0))
  assert x.shape == (2, *shape) and logits.shape == (2,)


def test_latents_that_chunks_do_not_divide_are_refused():
  g = module('biggan', 'Generator', shape=(32, 32, 3))
  message = r'30 latents .*hierarchical=True.* multiple of 4, .* 3 blocks'
  with pytest.raises(ValueError, match=message):
    g.init(jax.random.key(0), jnp.ones((1, 30)), train=False)


@pytest.mark.parametrize(
  'role, sides', [('Generator', '(8, 16, 32)'), ('Discriminator', '(16, 8)')]
)
@pytest.mark.parametrize('deep', [True, False])
def test_attention_at_no_side_is_refused(role, sides, deep):
  options = dict(attention=64, deep=deep)
  if role == 'Generator':
    options['shape'] = (32, 32, 3)
  net = module('biggan', role, **options)
  x = jnp.ones((1, 8) if role == 'Generator' else (1, 32, 32, 3))
  with pytest.raises(ValueError, match=re.escape(sides)):
    net.init(jax.random.key(0), x, train=False)


def test_unknown_options_are_refused():
  x = inputs('Discriminator')
  for options, message in (
    ({'kernel_init': 'ones'}, "kernel_init 'ones'.*orthogonal"),
    ({'pooling': 'max'}, "pooling 'max'.*mean, sum"),
  ):
    with pytest.raises(ValueError, match=message):
      module('biggan', 'Discriminator', **options).init(
        jax.random.key(0), x, train=False
      )


def test_a_chunk_of_latents_reaches_its_block_alone():
  options = dict(shape=(16, 16, 1), classes=3, shared_dim=2, spectral=False)
  g = module('biggan', 'Generator', **options)
  z = inputs('Generator')
  variables = init(g, z, LABEL)

  @jax.jit
  def outputs(z):
    _, found = g.apply(
      variables,
      z,
      LABEL,
      train=False,
      capture_intermediates=True,
      mutable=['intermediates'],
    )
    names = ('Dense_0', 'block_0', 'block_1')
    return [found['intermediates'][n]['__call__'][0] for n in names]

  before = outputs(z)
  for chunk in range(3):
    changed = outputs(z.at[:, 2 * chunk].add(1))
    same = [bool((a == b).all()) for a, b in zip(before, changed)]
    assert same == [i < chunk for i in range(3)]


def test_all_blocks_of_a_deep_network_see_all_latents_and_the_class():
  options = dict(shape=(16, 16, 1), classes=3, shared_dim=4, deep=True)
  g = module('biggan', 'Generator', **options)
  params = jax.eval_shape(
    functools.partial(init, g), inputs('Generator'), LABEL
  )
  flat = traverse_util.flatten_dict(params['params'], sep='/')
  norms = [v for k, v in flat.items() if k.endswith('scale/kernel')]
  assert len(norms) == 4 * 4 and {v.shape[0] for v in norms} == {4 + 6}
  assert flat['Dense_0/kernel'].shape[0] == 4 + 6


# ------------------------------------------------------------ Spectral norm.

SPECTRAL = {
  'sndcgan D': ('sndcgan', 'Discriminator', {}),
  'sngan D': ('sngan', 'Discriminator', {}),
  'biggan G': ('biggan', 'Generator', {'kernel_init': 'normal'}),
  'biggan D': (
    'biggan',
    'Discriminator',
    {'kernel_init': 'normal', 'attention': 4},
  ),
}


def kernels(params):
  """Returns kernels and tables by path, as matrices, outputs last."""
  flat = traverse_util.flatten_dict(params, sep='/')
  found = {k: v for k, v in flat.items() if k.endswith(('kernel', 'embedding'))}
  return {
    k.rpartition('/')[0]: np.asarray(v).reshape(-1, v.shape[-1])
    for k, v in found.items()
  }


@pytest.mark.parametrize('case', SPECTRAL)
def test_sigma_of_every_kernel_after_100_passes(case):
  name, role, options = SPECTRAL[case]
  net = module(name, role, classes=3, **options)
  x = inputs(role)
  variables = init(net, x, LABEL)

  def step(stats, _):
    _, new = net.apply(
      {**variables, 'batch_stats': stats},
      x,
      LABEL,
      train=True,
      mutable=['batch_stats'],
    )
    return new['batch_stats'], None

  run = lambda stats: jax.lax.scan(step, stats, length=100)[0]
  norms = spectral_norm.spectral_norms(jax.jit(run)(variables['batch_stats']))
  matrices = kernels(variables['params'])
  free = {'shared_embedding'} if case == 'biggan G' else set()
  assert set(norms) == set(matrices) - free
  for path, sigma in norms.items():
    largest = np.linalg.svd(matrices[path], compute_uv=False)[0]
    np.testing.assert_allclose(sigma, largest, rtol=1e-3, err_msg=path)


def test_generators_without_spectral_norm():
  for name in ('sndcgan', 'sngan'):
    variables = init(module(name, 'Generator'), inputs('Generator'))
    assert not spectral_norm.spectral_norms(variables['batch_stats'])
  # Tables by class stay as they are in a normalized generator.
  options = dict(classes=3, shared_dim=0, hierarchical=False)
  g = module('biggan', 'Generator', **options)
  stats = init(g, inputs('Generator'), LABEL)['batch_stats']
  norms = spectral_norm.spectral_norms(stats)
  assert set(norms) == {
    'Dense_0',
    'Conv_0',
    *(f'block_0/{n}' for n in ('conv_0', 'conv_1', 'shortcut')),
  }


# ------------------------------------------------------------------- Heads.


@pytest.mark.parametrize('name', NAMES)
def test_only_the_bias_is_left_of_kernels_of_zeros(name):
  d = module(name, 'Discriminator')
  x = inputs('Discriminator')
  variables = flax.core.unfreeze(init(d, x))
  variables['params'] = jax.tree.map(jnp.zeros_like, variables['params'])
  variables['params']['Dense_0']['bias'] += 0.25
  logits, _ = apply(d, variables, x)
  np.testing.assert_array_equal(logits, 0.25)


@pytest.mark.parametrize('name', ['sngan', 'biggan'])
def test_pooling(name):
  """The last maps have 16 pixels."""
  total, mean = (
    module(name, 'Discriminator', pooling=p, return_features=True)
    for p in ('sum', 'mean')
  )
  x = inputs('Discriminator')
  variables = init(total, x)
  a, b = (apply(d, variables, x)[0] for d in (total, mean))
  np.testing.assert_allclose(a.features, 16 * b.features, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(a.logits, 16 * b.logits, rtol=1e-4, atol=1e-4)


def test_sums_are_taken_in_float32():
  x = jnp.full((1, 32, 32, 2), 1.01, jnp.bfloat16)
  exact = 1024 * float(x[0, 0, 0, 0])
  np.testing.assert_array_equal(linear.pool(x, 'sum'), exact)
  assert linear.pool(x, 'mean').dtype == jnp.float32


# ----------------------------------------------------------------- Classes.


@pytest.mark.parametrize('name', NAMES)
def test_a_projection_of_zeros_is_the_unconditional_discriminator(name):
  d, plain = (module(name, 'Discriminator', classes=c) for c in (3, 0))
  x = inputs('Discriminator')
  variables = init(d, x, LABEL)
  params, stats = variables['params'], dict(variables['batch_stats'])
  expected, _ = apply(
    plain,
    {
      'params': {k: v for k, v in params.items() if k != 'ClassHeads_0'},
      'batch_stats': {k: v for k, v in stats.items() if k != 'ClassHeads_0'},
    },
    x,
  )
  params = params | {
    'ClassHeads_0': jax.tree.map(jnp.zeros_like, params['ClassHeads_0'])
  }
  changed = {'params': params, 'batch_stats': stats}
  np.testing.assert_allclose(
    apply(d, changed, x, LABEL)[0], expected, rtol=1e-5, atol=1e-6
  )
  # And the label matters with the table that was drawn.
  other, _ = apply(d, variables, x, LABEL)
  assert np.abs(other - expected).min() > 1e-5


@pytest.mark.parametrize('name', ['sndcgan', 'sngan'])
def test_a_generator_starts_as_the_unconditional_one(name):
  g, plain = (module(name, 'Generator', classes=c) for c in (3, 0))
  z = inputs('Generator')
  variables = jax.jit(functools.partial(g.init, train=False))(
    jax.random.key(0), z, LABEL
  )
  plain_variables = init(plain, z)
  keep = lambda tree: {
    k: v
    for k, v in traverse_util.flatten_dict(tree, sep='/').items()
    if 'Norm' not in k
  }
  drawn = keep(variables['params'])
  flat = traverse_util.flatten_dict(plain_variables['params'], sep='/')
  flat = {k: drawn.get(k, v) for k, v in flat.items()}
  plain_variables = plain_variables | {
    'params': traverse_util.unflatten_dict(flat, sep='/')
  }
  expected, _ = apply(plain, plain_variables, z)
  np.testing.assert_allclose(
    apply(g, variables, z, LABEL)[0], expected, atol=1e-5
  )


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'deep': True},
    {'hierarchical': False},
    {'hierarchical': False, 'shared_dim': 0},
  ],
)
def test_the_class_changes_the_images_of_biggan(options):
  options = {'spectral': False, 'hierarchical': True} | options
  g = module('biggan', 'Generator', classes=3, **options)
  z = inputs('Generator')
  variables = init(g, z, LABEL)
  x, _ = apply(g, variables, z, LABEL)
  swapped, _ = apply(g, variables, z, LABEL[::-1])
  assert np.abs(x - swapped).max() > 1e-3
  with pytest.raises(ValueError, match='label=None: a network of 3 classes'):
    g.apply(variables, z, train=False)


@pytest.mark.parametrize('name', NAMES)
def test_class_heads_are_returned(name):
  heads = tuple(h for h in conditioning.CLASS_HEADS if 'real_fake' not in h)
  d = module(name, 'Discriminator', classes=3, class_heads=heads)
  x = inputs('Discriminator')
  out, _ = apply(d, init(d, x, LABEL), x, LABEL)
  assert out.logits.shape == (4,) and out.class_logits.shape == (4, 3)
  assert out.embedding.shape == out.proxy.shape == (4, 512)


# ---------------------------------------------------------------- Attention.


@pytest.mark.parametrize('role', ['Generator', 'Discriminator'])
@pytest.mark.parametrize('deep', [True, False])
def test_attention_is_used(role, deep):
  side = 8 if role == 'Generator' else 4
  options = dict(attention=side, deep=deep, spectral=False)
  net = module('biggan', role, **options)
  x = inputs(role)
  variables = init(net, x)
  before, _ = apply(net, variables, x)
  attention = variables['params']['attention'] | {'gamma': jnp.ones(())}
  params = variables['params'] | {'attention': attention}
  after, _ = apply(net, variables | {'params': params}, x)
  assert np.abs(before - after).max() > 1e-3


# ------------------------------------------------------------------- Remat.


@pytest.mark.parametrize(
  'role, deep, blocks',
  [
    ('Generator', False, 1),
    ('Generator', True, 2),
    ('Discriminator', False, 3),
    ('Discriminator', True, 4),
  ],
)
def test_remat_of_biggan(role, deep, blocks):
  net = module('biggan', role, remat=True, deep=deep)
  x = inputs(role)
  variables = jax.eval_shape(functools.partial(init, net), x)
  loss = lambda v, x: net.apply(v, x, train=False).sum()
  text = str(jax.make_jaxpr(jax.grad(loss))(variables, x))
  assert len(re.findall(r'\b(?:remat2?|checkpoint)\[', text)) == blocks


@pytest.mark.parametrize('role', ['Generator', 'Discriminator'])
@pytest.mark.parametrize('name', ['sngan'])
def test_remat_changes_nothing_but_memory(name, role):
  x = inputs(role)
  nets = [module(name, role, classes=3, remat=r) for r in (False, True)]
  variables = init(nets[0], x, LABEL)
  chex.assert_trees_all_equal_shapes(variables, init(nets[1], x, LABEL))

  def everything(net, params):
    def loss(params):
      y, new = net.apply(
        {**variables, 'params': params},
        x,
        LABEL,
        train=True,
        mutable=['batch_stats'],
      )
      return jnp.square(y).sum(), new

    return jax.value_and_grad(loss, has_aux=True)(params)

  plain, remat = (
    jax.jit(functools.partial(everything, net))(variables['params'])
    for net in nets
  )
  chex.assert_trees_all_close(plain, remat, rtol=1e-4, atol=1e-4)
  text = [
    jax.jit(functools.partial(everything, net))
    .lower(variables['params'])
    .as_text()
    for net in nets
  ]
  assert ['optimization_barrier' in t for t in text] == [False, True]


# ----------------------------------------------------------- Initialization.


def test_outputs_of_sngan_at_initialization():
  """The same networks in PyTorch, with the authors' initialization: images of
  standard deviation 0.58 (0.54 to 0.71 in 8 seeds), logits of 0.17 (0.1 to 0.4)
  once sigmas are those of the kernels."""
  g = models.sngan.Generator(shape=(32, 32, 3), width=16)
  d = models.sngan.Discriminator(width=16)

  def deviations(key):
    keys = jax.random.split(key, 4)
    z = jax.random.normal(keys[0], (16, 128))
    x = jnp.tanh(jax.random.normal(keys[1], (32, 32, 32, 3)))
    variables = g.init(keys[2], z[:1], train=False)
    images, _ = g.apply(variables, z, train=True, mutable=['batch_stats'])
    variables = d.init(keys[3], x[:1], train=False)

    def step(stats, _):
      now = {**variables, 'batch_stats': stats}
      _, new = d.apply(now, x[:1], train=True, mutable=['batch_stats'])
      return new['batch_stats'], None

    stats, _ = jax.lax.scan(step, variables['batch_stats'], length=50)
    logits = d.apply({**variables, 'batch_stats': stats}, x, train=False)
    return images.std(), logits.std()

  keys = jax.random.split(jax.random.key(0), 6)
  images, logits = jax.jit(lambda keys: jax.lax.map(deviations, keys))(keys)
  np.testing.assert_allclose(images.mean(), 0.58, rtol=0.1)
  np.testing.assert_allclose(logits.mean(), 0.17, rtol=0.3)
