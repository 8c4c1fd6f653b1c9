"""R3GAN: the function and the statistics at the start, classes, sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.layers import resample
from gan_jax.models import r3gan

TINY = dict(width=8, group_size=4, blocks=1)
Z = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(4, 16, 16, 3)).astype(np.float32)


def variables_of(module, x, label=None):
  init = lambda x: module.init(jax.random.key(0), x, label, train=False)
  return jax.jit(init)(x)


def test_the_generator_begins_as_its_ends():
  """All blocks are the identity: an upsampled basis and the last kernel."""
  module = r3gan.Generator(shape=(16, 16, 3), **TINY)
  variables = variables_of(module, Z)
  params = variables['params']

  @jax.jit
  def both(z):
    x = (
      params['basis']['basis'][None]
      * (z @ params['basis']['kernel'])[:, None, None]
    )
    for _ in range(2):
      x = resample.filter_upsample(x)
    x = x @ params['to_image']['kernel'][0, 0]
    return module.apply(variables, z, train=False), x

  np.testing.assert_allclose(*both(Z), atol=1e-5)


def test_classes_are_products():
  module = r3gan.Discriminator(classes=3, **TINY)
  label = jnp.array([0, 1, 2, 0])
  variables = variables_of(module, X, label)
  assert variables['params']['projection']['kernel'].shape == (3, 8)
  run = jax.jit(lambda v, y: module.apply(v, X, y, train=False))
  assert abs(run(variables, label) - run(variables, label[::-1])).max() > 1e-4
  assert np.isnan(run(variables, label + 3)[0])
  zero = jax.tree.map(jnp.zeros_like, variables['params']['projection'])
  params = variables['params'] | {'projection': zero}
  np.testing.assert_array_equal(run({'params': params}, label), 0)


@pytest.mark.parametrize(
  'role, options, wanted',
  [
    ('Generator', dict(shape=(20, 20, 3)), r'R3GAN.*20'),
    ('Generator', dict(shape=(64, 64, 3), width=9), 'width=9: .*multiple of 2'),
    ('Discriminator', dict(group_size=5), 'group_size=5: must divide 16'),
    ('Discriminator', dict(classes=3, outputs=2), 'outputs=2: must be 1'),
  ],
)
def test_what_does_not_fit(role, options, wanted):
  given = TINY | options
  module = getattr(r3gan, role)(**given)
  x = Z if role == 'Generator' else X
  label = jnp.zeros(4, int) if options.get('classes') else None
  with pytest.raises(ValueError, match=wanted):
    jax.eval_shape(
      lambda x: module.init(jax.random.key(0), x, label, train=False), x
    )


def test_gains_count_the_blocks_of_the_whole_network():
  module = r3gan.Generator(shape=(32, 32, 3), width=64, blocks=2)
  variables = variables_of(module, Z)
  kernel = variables['params']['stage_4']['block_0']['conv_0']['kernel']
  assert abs(float(kernel.std()) / (0.8246 / 64**0.5) - 1) < 0.05


@pytest.mark.slow
def test_statistics_at_the_start():
  """Standard deviations of the authors' networks for CIFAR-10."""
  module = r3gan.Generator(shape=(32, 32, 3), classes=10)
  z = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
  label = jnp.arange(64) % 10

  @jax.jit
  def run(z):
    variables = module.init(jax.random.key(0), z, label, train=False)
    # Without the blocks, which are the identity, this takes a moment.
    params = variables['params']
    x = jnp.concatenate([z, params['embedding']['kernel'][label]], axis=1)
    x = (
      params['basis']['basis'][None]
      * (x @ params['basis']['kernel'])[:, None, None]
    )
    found = [x.std()]
    for _ in range(3):
      x = resample.filter_upsample(x)
      found.append(x.std())
    return found, (x @ params['to_image']['kernel'][0, 0]).std()

  stages, image = run(z)
  np.testing.assert_allclose(stages, [0.733, 0.448, 0.394, 0.380], rtol=0.05)
  assert abs(image / 0.357 - 1) < 0.3
