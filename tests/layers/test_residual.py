"""Residual blocks, against the references' order of operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import resample

pytestmark = pytest.mark.slow  # residual networks and runs compile for long

X = jax.random.normal(jax.random.key(0), (3, 4, 4, 8))
VECTOR = jax.random.normal(jax.random.key(1), (3, 5))
relu, up, down = (
  jax.nn.relu,
  resample.upsample_nearest,
  resample.downsample_mean,
)


def start(block, *args):
  """Random parameters, biases too."""
  params = block.init(jax.random.key(2), X, *args)['params']
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(3), len(leaves))
  draw = lambda key, p: 0.3 * jax.random.normal(key, p.shape)
  return jax.tree.unflatten(tree, map(draw, keys, leaves))


def conv(params, x):
  """A convolution that keeps the size, by XLA."""
  return (
    jax.lax.conv_general_dilated(
      x,
      params['kernel'],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    + params['bias'][None, None, None]
  )


def norm(params, x, vector):
  """Batch norm in training."""
  variance = x.var((0, 1, 2), keepdims=True) + 1e-5
  x = (x - x.mean((0, 1, 2), keepdims=True)) / jnp.sqrt(variance)
  if vector is None:
    params = params['BatchNorm_0']
    gain, bias = (params[n].reshape(1, 1, 1, -1) for n in ('scale', 'bias'))
    return gain * x + bias
  products = (vector @ params[n]['kernel'] for n in ('scale', 'shift'))
  gain, bias = (p[:, None, None] for p in products)
  return (1 + gain) * x + bias


def run_generator(block, params, vector):
  batch_stats = block.init(jax.random.key(2), X, vector)['batch_stats']
  variables = {'params': params, 'batch_stats': batch_stats}
  apply = lambda v: block.apply(v, X, vector, True, mutable=['batch_stats'])
  return jax.jit(apply)(variables)[0]


def norms(params):
  return [params[n] for n in sorted(params) if 'Norm_' in n]


@pytest.mark.parametrize('vector', [None, VECTOR])
@pytest.mark.parametrize('features', [8, 6])
@pytest.mark.parametrize('upsample', [True, False])
def test_generator_block(vector, features, upsample):
  block = layers.GeneratorBlock(features, upsample=upsample)
  params = start(block, vector)
  y = run_generator(block, params, vector)
  resize = up if upsample else lambda x: x
  first, second = norms(params)
  h = conv(params['conv_0'], resize(relu(norm(first, X, vector))))
  h = conv(params['conv_1'], relu(norm(second, h, vector)))
  shortcut = resize(X)
  assert ('shortcut' in params) == (upsample or features != 8)
  if 'shortcut' in params:
    shortcut = conv(params['shortcut'], shortcut)
  np.testing.assert_allclose(y, h + shortcut, atol=1e-4)


@pytest.mark.parametrize('vector', [None, VECTOR])
@pytest.mark.parametrize('features', [8, 4])
@pytest.mark.parametrize('upsample', [True, False])
def test_generator_bottleneck(vector, features, upsample):
  block = layers.GeneratorBottleneck(features, upsample=upsample)
  params = start(block, vector)
  y = run_generator(block, params, vector)
  h = X
  for i, parts in enumerate(norms(params)):
    h = relu(norm(parts, h, vector))
    if upsample and i == 1:
      h = up(h)
    h = conv(params[f'conv_{i}'], h)
  assert params['conv_1']['kernel'].shape == (3, 3, 2, 2)
  kept = X[..., :features]
  np.testing.assert_allclose(y, h + (up(kept) if upsample else kept), atol=1e-4)


@pytest.mark.parametrize('hidden, between', [('in', 8), ('out', 6)])
@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('downsample', [True, False])
def test_discriminator_block(hidden, between, first, downsample):
  block = layers.DiscriminatorBlock(
    6, hidden=hidden, first=first, downsample=downsample, spectral=False
  )
  params = start(block)
  y = jax.jit(block.apply)({'params': params}, X)
  pool = down if downsample else lambda x: x
  h = conv(params['conv_0'], X if first else relu(X))
  assert h.shape[-1] == (6 if first else between)
  h = pool(conv(params['conv_1'], relu(h)))
  np.testing.assert_allclose(
    y, h + pool(conv(params['shortcut'], X)), atol=1e-4
  )


def test_a_block_that_keeps_all_has_no_shortcut():
  block = layers.DiscriminatorBlock(8, downsample=False, spectral=False)
  params = start(block)
  assert set(params) == {'conv_0', 'conv_1'}
  zeros = jax.tree.map(jnp.zeros_like, params)
  np.testing.assert_array_equal(block.apply({'params': zeros}, X), X)


@pytest.mark.parametrize('features', [8, 12])
@pytest.mark.parametrize('downsample', [True, False])
def test_discriminator_bottleneck(features, downsample):
  block = layers.DiscriminatorBottleneck(
    features, downsample=downsample, spectral=False
  )
  params = start(block)
  y = jax.jit(block.apply)({'params': params}, X)
  pool = down if downsample else lambda x: x
  h = X
  for i in range(3):
    h = conv(params[f'conv_{i}'], relu(h))
  assert h.shape[-1] == features // 4
  h = conv(params['conv_3'], pool(relu(h)))
  shortcut = pool(X)
  if features > 8:
    more = conv(params['shortcut'], shortcut)
    assert more.shape[-1] == 4
    shortcut = jnp.concatenate([shortcut, more], -1)
  np.testing.assert_allclose(y, h + shortcut, atol=1e-4)


def test_gains_of_the_initial_kernels():
  """Limits are gain times the root of 6 / (fan_in + fan_out)."""
  block = layers.DiscriminatorBlock(64, spectral=False)
  params = block.init(jax.random.key(0), jnp.ones((1, 4, 4, 32)))['params']
  for name, fans, gain in (
    ('conv_0', 9 * (32 + 32), 2**0.5),
    ('conv_1', 9 * (32 + 64), 2**0.5),
    ('shortcut', 32 + 64, 1),
  ):
    kernel, limit = params[name]['kernel'], gain * (6 / fans) ** 0.5
    assert 0.98 * limit < np.abs(kernel).max() <= limit, name
    np.testing.assert_allclose(kernel.std(), limit / 3**0.5, rtol=0.05)
    assert not params[name]['bias'].any()


@pytest.mark.parametrize(
  'block, message',
  [
    (layers.GeneratorBottleneck(9), 'features=9: must be at most the 8'),
    (layers.DiscriminatorBottleneck(7), 'features=7: must be at least the 8'),
    (
      layers.DiscriminatorBlock(8, hidden='wide'),
      "hidden='wide': must be 'in'",
    ),
  ],
)
def test_channels_that_do_not_fit_are_refused(block, message):
  with pytest.raises(ValueError, match=message):
    block.init(jax.random.key(0), X)
