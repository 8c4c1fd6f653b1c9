"""FastGAN: parameters, shapes, noise, and what the decoders rebuild."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import networks
from gan_jax.models import fastgan
from tests.helpers.fakes import draw

KEY = jax.random.key(0)
# The 1 x 1 convolution to the authors' second image, which is not here.
SECOND_IMAGE = 64 * 3
# Pixels, latents, channels, parameters: G, D, decoders.
COUNTS = [
  (32, 64, 1, 618_644, 147_232 - 46_416, 46_416),
  (64, 128, 3, 2_601_700, 1_649_120, 775_904),
  (256, 256, 3, 29_127_846 - SECOND_IMAGE, 11_526_160 - 3_139_488, 3_139_488),
  (512, 256, 3, 29_174_392 - SECOND_IMAGE, 11_526_496 - 3_139_488, 3_139_488),
  (1024, 256, 3, 29_176_512 - SECOND_IMAGE, 11_528_192 - 3_139_488, 3_139_488),
]


def count(module, x):
  init = lambda key: module.init(key, x, train=False)['params']
  shapes = jax.eval_shape(init, KEY)
  return sum(math.prod(p.shape) for p in jax.tree.leaves(shapes))


@pytest.mark.parametrize('size, latents, channels, g, d, decoders', COUNTS)
def test_parameters(size, latents, channels, g, d, decoders):
  shape = (size, size, channels)
  assert count(fastgan.Generator(shape), jnp.zeros((1, latents))) == g
  x = jnp.zeros((1, *shape))
  assert count(fastgan.Discriminator(), x) == d
  whole = fastgan.Discriminator(return_reconstructions=True)
  assert count(whole, x) == d + decoders


def output_shapes(module, x):
  call = lambda key: module.init_with_output(key, x, train=True)
  return jax.eval_shape(call, KEY)


@pytest.mark.parametrize('size', [16, 32, 64, 128, 256, 512, 1024])
def test_outputs_of_every_size(size):
  image, variables = output_shapes(
    fastgan.Generator((size, size, 2), width=1), jnp.zeros((3, 5))
  )
  assert image.shape == (3, size, size, 2)
  blocks = [n for n in variables['params'] if n.startswith('UpBlock')]
  deep = [n for n in blocks if 'NoiseInput_1' in variables['params'][n]]
  assert len(blocks) == int(math.log2(size)) - 2
  assert deep == [f'UpBlock_{i}' for i in range(0, len(blocks), 2)]
  d = fastgan.Discriminator(
    width=1, return_features=True, return_reconstructions=True
  )
  outputs, _ = output_shapes(d, jnp.zeros((3, size, size, 2)))
  branches = 2 if size >= 256 else 1
  patches = (2, 25) if branches == 2 else (5, 5)
  assert outputs.logits.shape == (3, *patches)
  assert math.prod(patches) == 25 * branches  # all of equal weight in a mean
  assert outputs.features.shape[0] == 3 and outputs.features.shape[1] % 64 == 0
  small = min(size, 128)
  pairs = [[x.shape for x in pair] for pair in outputs.reconstructions]
  assert pairs == [[(3, small, small, 2)] * 2] * (3 if branches == 2 else 1)


def test_maps_excite_those_of_16_times_their_side():
  _, variables = output_shapes(
    fastgan.Generator((256, 256, 3)), jnp.zeros((1, 5))
  )
  kernels = [
    variables['params'][f'SkipLayerExcitation_{i}']['Conv_0']['kernel'].shape
    for i in range(3)
  ]
  # 4 -> 64, 8 -> 128, 16 -> 256.
  assert kernels == [(4, 4, 1024, 128), (4, 4, 512, 64), (4, 4, 256, 32)]


@pytest.mark.parametrize('shape', [(8, 8, 3), (48, 48, 3), (16, 32, 3)])
def test_other_sizes_are_refused(shape):
  sizes = r'\(16, 32, 64, 128, 256, 512, 1024\)'
  for module, x in (
    (fastgan.Generator(shape), jnp.zeros((1, 5))),
    (fastgan.Discriminator(), jnp.zeros((1, *shape))),
  ):
    with pytest.raises(ValueError, match=f'FastGAN .*{sizes}.*{shape[1]}'):
      networks.from_linen(module).init(KEY, x)


def test_noise_is_of_each_example_and_absent_at_first():
  g = fastgan.Generator((16, 16, 1), width=4)
  z = jnp.tile(draw(0, 1, 5), (3, 1))
  keys = jax.random.split(jax.random.key(1), 3)
  variables = jax.jit(lambda z: g.init(KEY, z, train=False))(z)

  is_noise = lambda path: path[-2].key.startswith('NoiseInput')

  @jax.jit
  def generate(scale, keys):
    replace = lambda path, x: scale if is_noise(path) else x
    params = jax.tree_util.tree_map_with_path(replace, variables['params'])
    return g.apply({**variables, 'params': params}, z, train=False, keys=keys)

  leaves = jax.tree_util.tree_leaves_with_path(variables['params'])
  assert [float(x) for path, x in leaves if is_noise(path)] == [0, 0]
  plain = generate(0.0, None)
  np.testing.assert_allclose(generate(0.0, keys), plain, atol=1e-7)
  np.testing.assert_allclose(generate(1.0, None), plain, atol=1e-7)
  noisy = generate(1.0, keys)
  for i in range(3):
    for j in range(i):
      assert np.abs(noisy[i] - noisy[j]).max() > 1e-3
  # By the key alone, whatever the place in the batch.
  np.testing.assert_allclose(generate(1.0, keys[::-1]), noisy[::-1], atol=1e-6)


def test_targets_are_the_input_and_a_quadrant_of_it():
  x = np.tanh(draw(0, 16, 256, 256, 1))
  keys = jax.random.split(jax.random.key(2), 16)
  d = fastgan.Discriminator(
    width=1, spectral=False, return_reconstructions=True
  )
  variables = jax.tree.map(
    lambda p: jnp.zeros(p.shape, p.dtype),
    jax.eval_shape(lambda x: d.init(KEY, x, train=False), x),
  )

  @jax.jit
  def targets(x, keys):  # XLA removes all but the resizing
    outputs = d.apply(variables, x, train=False, keys=keys)
    return [target for _, target in outputs.reconstructions]

  whole, second, part = targets(x, keys)
  pooled = x.reshape(16, 128, 2, 128, 2, 1).mean(axis=(2, 4))
  np.testing.assert_allclose(whole, pooled, atol=1e-6)
  np.testing.assert_array_equal(second, whole)
  seen = set()
  for image, found in zip(x, part):
    corners = [image[i:, j:][:128, :128] for i in (0, 128) for j in (0, 128)]
    equal = [np.array_equal(found, corner) for corner in corners]
    assert sum(equal) == 1
    seen.add(equal.index(True))
  assert seen == {0, 1, 2, 3}
  np.testing.assert_array_equal(targets(x, None)[2], x[:, :128, :128])


def test_initial_scales_of_batch_norm_are_near_one():
  g = fastgan.Generator((16, 16, 1))
  start = lambda z: g.init(KEY, z, train=False)['params']['StartBlock_0']
  params = jax.jit(start)(jnp.zeros((1, 5)))
  scale = params['BatchNorm_0']['scale']
  np.testing.assert_allclose(scale.mean(), 1, atol=0.01)
  np.testing.assert_allclose(scale.std(), 0.02, rtol=0.3)
  assert set(params['ConvTranspose_0']) == {'dual_kernel'}  # no bias
