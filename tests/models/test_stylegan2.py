"""StyleGAN2: styles, their mean and mixing, and statistics at the start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import networks
from gan_jax.models import stylegan2
from gan_jax.training import ema

TINY = dict(shape=(16, 16, 3), channel_max=8, style_dim=6, mapping_layers=2)
Z = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def keys(order=range(4)):
  """One key per example, in an order."""
  return jnp.stack([jax.random.key(i) for i in order])


@functools.cache
def generator(**options):
  """A module, its variables, and the compiled call of a method."""
  module = stylegan2.Generator(**TINY, **options)
  label = jnp.arange(4) if options.get('classes') else None
  init = lambda z: module.init(jax.random.key(0), z, label, train=False)
  variables = jax.jit(init)(Z)

  @functools.partial(jax.jit, static_argnames=('method', 'train'))
  def run(variables, x, method='__call__', keys=None, **given):
    mutable = ['batch_stats']
    return module.apply(
      variables, x, method=method, keys=keys, mutable=mutable, **given
    )

  return module, variables, run


def with_noise(variables):
  """The variables with scales of 1 for all noise."""
  is_noise = lambda path: (
    [getattr(k, 'key', '') for k in path][-2:]
    == [
      'noise',
      'scale',
    ]
  )
  return jax.tree_util.tree_map_with_path(
    lambda path, x: jnp.ones_like(x) if is_noise(path) else x, variables
  )


def test_a_layer_reads_its_style():
  """Images take the style of the next layer: 4: 1, 8: 3, 16: 5."""
  module, variables, run = generator()
  assert module.num_styles == 6
  styles = run(variables, Z, 'mapping', train=False)[0]
  assert styles.shape == (4, 6, 6)

  @jax.jit
  def activations(styles):
    return module.apply(
      variables,
      styles,
      method='synthesis',
      capture_intermediates=True,
      mutable=['intermediates'],
    )[1]['intermediates']['synthesis_network']

  before = activations(styles)
  changed = {}
  for i in range(6):
    after = activations(styles.at[:, i].add(0.5))
    same = jax.tree.map(lambda a, b: bool((a == b).all()), before, after)
    first = lambda tree, name: tree[name]['__call__'][0]
    blocks = [f'block_{s}' for s in (4, 8, 16)]
    images = [f'to_image_{s}' for s in (4, 8, 16)]
    changed[i] = [n for n in (*blocks, *images) if not first(same, n)]
  assert 'block_4' in changed[0]
  assert changed[1] == ['block_8', 'block_16'] + [
    f'to_image_{s}' for s in (4, 8, 16)
  ]
  assert changed[2] == ['block_8', 'block_16', 'to_image_8', 'to_image_16']
  assert changed[3] == ['block_16', 'to_image_8', 'to_image_16']
  assert changed[4] == ['block_16', 'to_image_16']
  assert changed[5] == ['to_image_16']


def test_the_call_is_mapping_then_synthesis():
  _, variables, run = generator()
  network = networks.from_linen(generator()[0])
  assert network.takes_keys and network.mapping and network.synthesis
  variables = with_noise(variables)
  whole = run(variables, Z, keys=keys(), train=True)[0]
  styles, _ = run(variables, Z, 'mapping', keys=keys(), train=True)
  parts, _ = run(variables, styles, 'synthesis', keys=keys(), train=True)
  np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_the_mean_style_is_copied_by_the_average():
  _, variables, run = generator()
  styles, new = run(variables, Z, 'mapping', train=True)
  tracked = new['batch_stats']['mapping_network']['track_w']
  np.testing.assert_allclose(
    tracked, 0.005 * styles[:, 0].mean(axis=0), rtol=1e-5
  )
  averaged = ema.ema_update(variables['batch_stats'], new['batch_stats'], 0.9)
  np.testing.assert_array_equal(averaged['mapping_network']['track_w'], tracked)


def test_mixing_is_of_each_example_and_of_training_alone():
  _, variables, run = generator(mixing=1.0)
  mix = lambda own, train=True: np.asarray(
    run(variables, Z, 'mapping', keys=own, train=train)[0]
  )
  alone = mix(None)
  np.testing.assert_array_equal(mix(keys(), train=False), alone)
  mixed = mix(keys())
  differs = (mixed != alone).any(axis=2)
  for row in differs:  # from a layer after the first on, to the end
    first = int(row.argmax())
    assert row[first:].all() and 1 <= first < 6
  # Another key changes its own example alone.
  other = mix(keys((0, 1, 7, 3)))
  assert (other[2] != mixed[2]).any()
  np.testing.assert_array_equal(other[[0, 1, 3]], mixed[[0, 1, 3]])


def test_noise_needs_keys():
  _, variables, run = generator()
  variables = with_noise(variables)
  image = lambda own: np.asarray(run(variables, Z, keys=own, train=False)[0])
  still = image(None)
  np.testing.assert_array_equal(image(None), still)
  assert abs(image(keys()) - still).max() > 0.1
  module = generator(noise=False)[0]
  assert 'noise' not in str(jax.tree.structure(generator(noise=False)[1]))
  assert module.num_styles == 6


@pytest.mark.parametrize('architecture', stylegan2.ARCHITECTURES)
def test_architectures(architecture):
  _, variables, run = generator(architecture=architecture)
  x = run(variables, Z, train=False)[0]
  assert x.shape == (4, 16, 16, 3)
  images = [n for n in variables['params']['synthesis_network'] if 'image' in n]
  assert len(images) == (3 if architecture == 'skip' else 1)
  d = stylegan2.Discriminator(channel_max=8, architecture=architecture)
  params = jax.jit(lambda x: d.init(jax.random.key(0), x, train=False))(x)
  assert jax.jit(lambda x: d.apply(params, x, train=False))(x).shape == (4,)
  read = [name for name in params['params'] if 'from_image' in name]
  assert len(read) == (3 if architecture == 'skip' else 1)


def test_classes_reach_both():
  _, variables, run = generator(classes=4)
  one, other = (
    run(variables, Z, label=jnp.full(4, i), train=False)[0] for i in (0, 1)
  )
  assert abs(one - other).max() > 1e-3
  d = stylegan2.Discriminator(channel_max=8, classes=4, minibatch_std=0)
  label = jnp.zeros(4, int)
  init = lambda x: d.init(jax.random.key(0), x, label, train=False)
  params = jax.jit(init)(one)
  apply = jax.jit(lambda label: d.apply(params, one, label, train=False))
  assert abs(apply(label) - apply(label + 1)).max() > 1e-4
  assert np.isnan(apply(label + 4)).all()


@pytest.mark.parametrize(
  'options, wanted',
  [
    (dict(shape=(20, 20, 3)), r'StyleGAN2.*20'),
    (dict(architecture='resnet'), "unknown architecture 'resnet'"),
  ],
)
def test_what_there_is_not(options, wanted):
  module = stylegan2.Generator(**(TINY | options))
  with pytest.raises(ValueError, match=wanted):
    jax.eval_shape(lambda z: module.init(jax.random.key(0), z, train=False), Z)


@pytest.mark.slow
def test_statistics_at_the_start():
  """Those of the authors' networks for CIFAR-10: w 0.434, 0.907; image 1.38."""
  module = stylegan2.Generator(shape=(32, 32, 3), mapping_layers=2, classes=10)
  z = np.random.default_rng(0).normal(size=(32, 512)).astype(np.float32)
  label = jnp.arange(32) % 10

  def mapped(key):
    variables = module.init(key, z, label, train=False)
    return module.apply(variables, z, label, train=False, method='mapping')

  @jax.jit
  def run(z):
    variables = module.init(jax.random.key(0), z, label, train=False)
    w = module.apply(variables, z, label, train=False, method='mapping')
    image = module.apply(variables, w, method='synthesis')
    return jax.vmap(mapped)(
      jnp.stack([jax.random.key(i) for i in range(4)])
    ), image

  w, image = run(z)
  assert abs(w.mean() / 0.434 - 1) < 0.1 and abs(w.std() / 0.907 - 1) < 0.1
  assert abs(image.std() / 1.38 - 1) < 0.25  # 1.39 +- 0.09 of 8 seeds
