"""Gated units, skip-layer excitation and decoders, against numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers
from gan_jax.layers import excitation
from tests.helpers.fakes import draw

KEY = jax.random.key(0)
AXIS = 'devices'


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def test_gated_linear_unit_by_hand():
  x = np.float32([[2, -3, 0, 1], [1, 5, -1, 100]])
  expected = [[2 * 0.5, -3 * sigmoid(1)], [1 * sigmoid(-1), 5]]
  found = jax.jit(layers.gated_linear_unit)(x)
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_gated_linear_unit_refuses_an_odd_number_of_channels():
  with pytest.raises(ValueError, match='3 channels: must be even'):
    layers.gated_linear_unit(jnp.zeros((2, 3)))


def test_excitation_is_that_of_numpy():
  low, high = draw(0, 2, 8, 8, 3), draw(1, 2, 5, 5, 6)
  module = layers.SkipLayerExcitation(spectral=False)
  shapes = jax.eval_shape(module.init, KEY, low, high)['params']
  # All 4 x 4 pixels of the pooled map, not their mean.
  assert shapes['Conv_0']['kernel'].shape == (4, 4, 3, 6)
  assert shapes['Conv_1']['kernel'].shape == (1, 1, 6, 6)
  assert len(jax.tree.leaves(shapes)) == 2  # no bias
  first, second = draw(2, 4, 4, 3, 6), draw(3, 1, 1, 6, 6)
  params = {'Conv_0': {'kernel': first}, 'Conv_1': {'kernel': second}}
  pooled = low.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
  hidden = np.einsum('bijc,ijcd->bd', pooled, first)
  gates = sigmoid((hidden * sigmoid(hidden)) @ second[0, 0])
  apply = lambda *maps: module.apply({'params': params}, *maps)
  found = jax.jit(apply)(low, high)
  np.testing.assert_allclose(found, high * gates[:, None, None], rtol=1e-4)


def test_excitation_refuses_maps_that_are_not_pooled_evenly():
  with pytest.raises(ValueError, match=r'\(6, 6\): both .* multiples of 4'):
    layers.SkipLayerExcitation().init(
      KEY, jnp.zeros((1, 6, 6, 2)), jnp.zeros((1, 8, 8, 2))
    )


@pytest.mark.parametrize('channels', [1, 3])
def test_a_decoder_doubles_the_sides_at_each_step(channels):
  x = draw(0, 4, 2, 2, 5)
  module = layers.ReconstructionDecoder((3, 2), channels)

  @jax.jit
  def run(x):
    y, variables = module.init_with_output(KEY, 100 * x, train=True)
    return y, variables

  y, variables = run(x)
  assert y.shape == (4, 8, 8, channels) and np.abs(y).max() <= 1
  # No state depends on the examples: none of real or generated ones is kept.
  paths = jax.tree_util.tree_leaves_with_path(variables['batch_stats'])
  assert paths
  assert all(path[-1].key.startswith('power_') for path, _ in paths)
  kernels = [
    variables['params'][name]['kernel'].shape
    for name in ('UpsampleConv_0', 'UpsampleConv_1', 'Conv_0')
  ]
  expected = [(3, 3, 5, 6), (3, 3, 3, 4), (3, 3, 2, channels)]
  assert kernels == expected


def norm(x, axis_name=None):
  scale, bias = np.float32([2, 3, 1]), np.float32([0, 5, -1])
  params = {'scale': scale, 'bias': bias}
  module = excitation._BatchStatisticsNorm(axis_name)
  return module.apply({'params': params}, x)


def test_norm_of_decoders_is_that_of_the_batch():
  x = 3 * draw(0, 8, 2, 2, 3) + 1
  expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
  expected = expected * np.float32([2, 3, 1]) + np.float32([0, 5, -1])
  np.testing.assert_allclose(jax.jit(norm)(x), expected, atol=1e-5)
  parts = jax.vmap(functools.partial(norm, axis_name=AXIS), axis_name=AXIS)
  spread = jax.jit(parts)(x.reshape(4, 2, 2, 2, 3)).reshape(x.shape)
  np.testing.assert_allclose(spread, expected, atol=1e-5)


def test_norm_of_decoders_starts_near_one():
  module = excitation._BatchStatisticsNorm()
  params = module.init(KEY, jnp.zeros((1, 1, 1, 1000)))['params']
  np.testing.assert_allclose(params['scale'].mean(), 1, atol=3e-3)
  np.testing.assert_allclose(params['scale'].std(), 0.02, rtol=0.1)
  assert not params['bias'].any()
