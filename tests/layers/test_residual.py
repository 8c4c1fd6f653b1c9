"""Residual blocks, against the references' order of operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import resample

pytestmark = pytest.mark.slow  # residual networks and runs compile for long

X = jax.random.normal(jax.random.key(0), (3, 4, 4, 8))
KEY = jax.random.key(2)
VECTOR = jax.random.normal(jax.random.key(1), (3, 5))
relu, up, down = (
  jax.nn.relu,
  resample.upsample_nearest,
  resample.downsample_mean,
)


def start(block, *args):
  """Random parameters, biases too, and statistics of zeros."""
  shapes = jax.eval_shape(lambda key: block.init(key, X, *args), KEY)
  random = np.random.default_rng(0)
  draw = lambda p: np.float32(0.3 * random.normal(size=p.shape))
  zeros = lambda p: np.zeros(p.shape, p.dtype)
  stats = jax.tree.map(zeros, shapes.get('batch_stats', {}))
  return jax.tree.map(draw, shapes['params']), stats


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


def check(block, reference, *args):
  """Compares a block with a function of its parameters, in one program."""
  params, batch_stats = start(block, *args)

  @jax.jit
  def both(params):
    variables = {'params': params, 'batch_stats': batch_stats}
    y, _ = block.apply(variables, X, *args, mutable=['batch_stats'])
    return y, reference(params)

  np.testing.assert_allclose(*both(params), atol=1e-4)
  return params


def norms(params):
  return [params[n] for n in sorted(params) if 'Norm_' in n]


@pytest.mark.parametrize('vector', [None, VECTOR])
@pytest.mark.parametrize('features', [8, 6])
@pytest.mark.parametrize('upsample', [True, False])
def test_generator_block(vector, features, upsample):
  resize = up if upsample else lambda x: x

  def reference(params):
    first, second = norms(params)
    h = conv(params['conv_0'], resize(relu(norm(first, X, vector))))
    h = conv(params['conv_1'], relu(norm(second, h, vector)))
    shortcut = resize(X)
    if 'shortcut' in params:
      shortcut = conv(params['shortcut'], shortcut)
    return h + shortcut

  block = layers.GeneratorBlock(features, upsample=upsample)
  params = check(block, reference, vector, True)
  assert ('shortcut' in params) == (upsample or features != 8)


@pytest.mark.parametrize('vector', [None, VECTOR])
@pytest.mark.parametrize('features', [8, 4])
@pytest.mark.parametrize('upsample', [True, False])
def test_generator_bottleneck(vector, features, upsample):
  resize = up if upsample else lambda x: x

  def reference(params):
    h = X
    for i, parts in enumerate(norms(params)):
      h = relu(norm(parts, h, vector))
      h = conv(params[f'conv_{i}'], resize(h) if i == 1 else h)
    return h + resize(X[..., :features])

  block = layers.GeneratorBottleneck(features, upsample=upsample)
  params = check(block, reference, vector, True)
  assert params['conv_1']['kernel'].shape == (3, 3, 2, 2)


@pytest.mark.parametrize('hidden, between', [('in', 8), ('out', 6)])
@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('downsample', [True, False])
def test_discriminator_block(hidden, between, first, downsample):
  pool = down if downsample else lambda x: x

  def reference(params):
    h = conv(params['conv_0'], X if first else relu(X))
    assert h.shape[-1] == (6 if first else between)
    h = pool(conv(params['conv_1'], relu(h)))
    return h + pool(conv(params['shortcut'], X))

  block = layers.DiscriminatorBlock(
    6, hidden=hidden, first=first, downsample=downsample, spectral=False
  )
  check(block, reference)


def test_a_block_that_keeps_all_has_no_shortcut():
  block = layers.DiscriminatorBlock(8, downsample=False, spectral=False)
  params, _ = start(block)
  assert set(params) == {'conv_0', 'conv_1'}
  zeros = jax.tree.map(np.zeros_like, params)
  np.testing.assert_array_equal(jax.jit(block.apply)({'params': zeros}, X), X)


@pytest.mark.parametrize('features', [8, 12])
@pytest.mark.parametrize('downsample', [True, False])
def test_discriminator_bottleneck(features, downsample):
  pool = down if downsample else lambda x: x

  def reference(params):
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
    return h + shortcut

  block = layers.DiscriminatorBottleneck(
    features, downsample=downsample, spectral=False
  )
  check(block, reference)


def test_gains_of_the_initial_kernels():
  """Limits are gain times the root of 6 / (fan_in + fan_out)."""
  block = layers.DiscriminatorBlock(64, spectral=False)
  x = jnp.ones((1, 4, 4, 32))
  params = jax.jit(lambda key: block.init(key, x)['params'])(jax.random.key(0))
  for name, fans, gain in (
    ('conv_0', 9 * (32 + 32), 2**0.5),
    ('conv_1', 9 * (32 + 64), 2**0.5),
    ('shortcut', 32 + 64, 1),
  ):
    kernel = np.asarray(params[name]['kernel'])
    limit = gain * (6 / fans) ** 0.5
    assert 0.98 * limit < np.abs(kernel).max() <= limit, name
    np.testing.assert_allclose(kernel.std(), limit / 3**0.5, rtol=0.05)
    assert not np.any(params[name]['bias'])


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
    jax.eval_shape(block.init, jax.random.key(0), X)
