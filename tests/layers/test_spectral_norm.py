"""Spectral normalization."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import layers, networks
from gan_jax.layers import spectral_norm
from gan_jax.models import dcgan, mlp

# Layer, its input, its kernel's name, the axis of its outputs.
LAYERS = {
  'dense': (layers.Dense(5, spectral=True), (2, 7), 'kernel', -1),
  'conv': (layers.Conv(5, spectral=True), (2, 6, 6, 3), 'kernel', -1),
  'conv_transpose': (
    layers.ConvTranspose(5, spectral=True),
    (2, 3, 3, 4),
    'dual_kernel',
    2,
  ),
  'embed': (layers.Embed(9, 5, spectral=True), None, 'embedding', -1),
}


@functools.cache
def start(name):
  """A layer, its input, variables, and its kernel as a numpy matrix."""
  layer, shape, kernel, axis = LAYERS[name]
  x = jnp.array([0, 8]) if shape is None else jnp.ones(shape)
  variables = jax.jit(layer.init)(jax.random.key(1), x)
  matrix = np.moveaxis(np.asarray(variables['params'][kernel]), axis, -1)
  return layer, x, variables, matrix.reshape(-1, matrix.shape[-1])


@functools.partial(jax.jit, static_argnames=('layer', 'train'))
def iterate(layer, variables, x, times=1, train=True):
  """The statistics after some passes."""
  step = lambda v: (
    v | layer.apply(v, x, train=train, mutable=['batch_stats'])[1]
  )
  variables = jax.lax.fori_loop(0, times, lambda i, v: step(v), variables)
  return variables['batch_stats']


@pytest.mark.parametrize('name', LAYERS)
def test_sigma_becomes_the_largest_singular_value(name):
  layer, x, variables, matrix = start(name)
  batch_stats = iterate(layer, variables, x, 200)
  (sigma,) = spectral_norm.spectral_norms(batch_stats).values()
  largest = np.linalg.svd(matrix, compute_uv=False)[0]
  np.testing.assert_allclose(sigma, largest, rtol=1e-4)


@pytest.mark.parametrize('name', LAYERS)
def test_one_iteration_a_pass_in_training_none_at_evaluation(name):
  layer, x, variables, matrix = start(name)
  u = np.asarray(variables['batch_stats']['SpectralScale_0']['power_u'])
  for passes in (1, 2):
    batch_stats = iterate(layer, variables, x, passes)
    v = matrix @ u
    v /= np.linalg.norm(v)
    u = v @ matrix
    sigma = np.linalg.norm(u)  # = v' W u, for the new u
    u /= sigma
    found = batch_stats['SpectralScale_0']
    np.testing.assert_allclose(found['power_u'], u, atol=1e-5)
    np.testing.assert_allclose(found['power_v'], v, atol=1e-5)
    np.testing.assert_allclose(found['power_sigma'], sigma, rtol=1e-5)
  kept = iterate(layer, variables, x, 3, train=False)
  chex.assert_trees_all_equal(kept, variables['batch_stats'])


def test_sigma_is_what_the_layer_divided_by():
  layer, x, variables, _ = start('dense')
  apply = jax.jit(
    functools.partial(layer.apply, train=True, mutable=['batch_stats'])
  )
  y, new = jax.device_get(apply(variables, x))
  (sigma,) = spectral_norm.spectral_norms(new['batch_stats']).values()
  plain = np.asarray(x) @ np.asarray(variables['params']['kernel'])
  np.testing.assert_allclose(y * sigma, plain, rtol=1e-5)
  # Evaluation divides by that of the kernel it is given, not by the last one.
  doubled = jax.tree.map(lambda w: 2 * np.asarray(w), variables['params'])
  given = {'params': doubled, **new}
  np.testing.assert_allclose(jax.jit(layer.apply)(given, x), y, rtol=1e-5)


def test_lipschitz_constant_is_about_1():
  d = mlp.Discriminator(
    features=(16, 16), norm='spectral', activation='leaky_relu'
  )
  x = jax.random.normal(jax.random.key(0), (64, 2))
  init = functools.partial(d.init, train=False)
  variables = jax.jit(init)(jax.random.key(1), x)
  batch_stats = iterate(d, variables, x, 100)
  given = {'params': variables['params'], 'batch_stats': batch_stats}
  total = lambda x: d.apply(given, x, train=False).sum()
  gradients = jax.jit(jax.grad(total))(x)
  assert np.linalg.norm(gradients, axis=1).max() < 1.001
  dense, one, variables, _ = start('dense')
  given = variables | {'batch_stats': iterate(dense, variables, one, 100)}
  call = lambda x: dense.apply(given, x[None])[0]
  jacobian = jax.jit(jax.jacobian(call))(one[0])
  norm = np.linalg.svd(jacobian, compute_uv=False)[0]
  np.testing.assert_allclose(norm, 1, rtol=1e-4)


def test_spectral_norms_by_path():
  d = networks.from_linen(dcgan.Discriminator(width=4, norm='spectral'))
  _, batch_stats = d.init(jax.random.key(0), jnp.zeros((2, 8, 8, 1)))
  assert set(spectral_norm.spectral_norms(batch_stats)) == {'Conv_0', 'Dense_0'}
  assert spectral_norm.spectral_norms({'part': batch_stats}).keys() == {
    'part/Conv_0',
    'part/Dense_0',
  }
  assert spectral_norm.spectral_norms({}) == {}


def test_embedding_is_normalised_over_the_whole_table():
  layer, _, variables, matrix = start('embed')
  given = variables | {
    'batch_stats': iterate(layer, variables, jnp.array([0]), 200)
  }
  y = jax.jit(layer.apply)(given, jnp.array([4]))
  expected = matrix[4:5] / np.linalg.svd(matrix, compute_uv=False)[0]
  np.testing.assert_allclose(y, expected, rtol=1e-4)


def test_spectral_scale_finds_the_largest_singular_value():
  scale = layers.SpectralNorm()
  kernel = jax.random.normal(jax.random.key(0), (3, 3, 8, 16))
  init = functools.partial(scale.init, train=False)
  batch_stats = jax.jit(init)(jax.random.key(1), kernel)
  given = {'batch_stats': iterate(scale, batch_stats, kernel, 100)}
  apply = jax.jit(functools.partial(scale.apply, train=False))
  normalised = np.asarray(apply(given, kernel))
  values = np.linalg.svd(normalised.reshape(-1, 16), compute_uv=False)
  np.testing.assert_allclose(values[0], 1, rtol=1e-4)
  again = apply(given, kernel)
  np.testing.assert_array_equal(again, normalised)


def test_spectral_norm_of_a_transposed_convolution_is_over_its_output():
  layer = layers.ConvTranspose(4, spectral=True, use_bias=False)
  x = jax.random.normal(jax.random.key(0), (1, 3, 3, 8))
  variables = jax.jit(layer.init)(jax.random.key(1), x)
  kernel = variables['params']['dual_kernel']  # [4, 4, output, input]
  u = variables['batch_stats']['SpectralScale_0']['power_u']
  assert kernel.shape == (4, 4, 4, 8) and u.shape == (4,)
  batch_stats = iterate(layer, variables, x, 100)
  apply = functools.partial(layer.apply, train=True, mutable=['batch_stats'])
  y, _ = jax.jit(apply)({**variables, 'batch_stats': batch_stats}, x)
  matrix = np.moveaxis(np.asarray(kernel), 2, -1).reshape(-1, 4)
  sigma = np.linalg.svd(matrix, compute_uv=False)[0]
  plain = layers.ConvTranspose(4, use_bias=False)
  expected = jax.jit(plain.apply)({'params': variables['params']}, x) / sigma
  np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)


def test_spectral_norm_of_zero_is_finite():
  zeros = jnp.zeros((3, 4))
  scale = layers.SpectralNorm()
  run = functools.partial(scale.init_with_output, train=False)
  out, _ = jax.jit(run)(jax.random.key(0), zeros)
  np.testing.assert_array_equal(out, zeros)
