"""Tests of freezing layers, and of the order of a network's layers."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import config as config_lib
from gan_jax import experiment, networks
from gan_jax.experiment import build_gan, freezing, resume, run_dir
from gan_jax.runner import config_file
from gan_jax.training import optimizers
from tests.experiment.test_experiment import TINY

# Config -> names of the discriminator's layers, from the image on.
LAYERS = {
  'digits': 'Conv_0 Conv_1 Dense_0',
  'sngan_digits': 'block_0 block_1 block_2 Dense_0 ClassHeads_0',
  'r3gan_digits': 'from_image stage_8 stage_4 pool output',
  'stylegan2_cifar10:small': (
    'from_image_32 stage_32 stage_16 stage_8 last_conv last_dense output'
  ),
  'wavegan_tones': ('Conv1D_0 Conv1D_1 Conv1D_2 Conv1D_3 Dense_0 ClassHeads_0'),
}
SHAPES = {
  'digits': (16, 16, 1),
  'stylegan2_cifar10:small': (32, 32, 3),
  'wavegan_tones': (4096, 1),
}


def layers(network, x, label=None):
  """Returns the names of the layers and the names of their parameters."""
  shapes = jax.eval_shape(network.init, jax.random.key(0), x, label)
  found = networks.layers_in_order(network, *shapes, x, label)
  return {name: ['/'.join(path) for path in paths] for name, paths in found}


@pytest.mark.parametrize('name', LAYERS)
def test_layers_of_the_library_are_in_order(name):
  config = config_lib.resolve(config_file.load_config(name))
  shape = SHAPES.get(name, (8, 8, 1))
  share = (0.1,) * 10 if config.conditional else ()
  gan = build_gan.build_gan(config, shape, class_share=share)
  inputs = freezing.inputs_of('discriminator', config, shape, build_gan.CLASS)
  assert list(layers(gan.discriminator, *inputs)) == LAYERS[name].split()


class Backwards(nn.Module):
  """Names against the order; a norm; a cast of everything; a compiled part."""

  @nn.compact
  def __call__(self, x):
    z = nn.Dense(3, name='z')
    x = nn.BatchNorm(use_running_average=True, name='norm')(z(x))
    kernel = self.param('b', nn.initializers.ones, (3, 3))
    weights = self.param('a', nn.initializers.ones, (3, 3))
    x = jax.jit(lambda u, v, x: x @ v @ u)(weights, kernel, x)
    return nn.Dense(1, name='y')(x)[:, 0]


def test_layers_of_an_own_network():
  network = networks.from_linen(Backwards())
  x = jax.ShapeDtypeStruct((2, 5), jnp.float32)
  expected = {
    'z': ['z/bias', 'z/kernel', 'norm/bias', 'norm/scale'],
    'b': ['b'],
    'a': ['a'],
    'y': ['y/bias', 'y/kernel'],
  }
  in_order = lambda network: list(layers(network, x).items())
  assert in_order(network) == list(expected.items())

  def cast_first(params, batch_stats, x, label, **options):
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    return network.apply(half, batch_stats, x, label, **options)

  cast = network._replace(apply=cast_first)
  assert in_order(cast) == list(expected.items())


def test_layers_below_a_single_module():
  class Body(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(1, name='a')(nn.Dense(4, name='b')(x))[:, 0]

  class Wrapped(nn.Module):
    @nn.compact
    def __call__(self, x):
      return Body(name='body')(x)

  x = jax.ShapeDtypeStruct((2, 5), jnp.float32)
  found = layers(networks.from_linen(Wrapped()), x)
  assert list(found) == ['body/b', 'body/a']


def test_freeze_is_last():
  """Neither weight decay nor clipping moves what is frozen."""
  hparams = {
    **{'d_learning_rate': 0.1, 'd_b1': 0.5, 'd_b2': 0.9, 'd_eps': 1e-8},
    **{'d_weight_decay': 0.5, 'd_weight_clip': 0.01},
  }
  params = {'a': jnp.ones(3), 'b': {'c': jnp.ones(2)}}
  build = optimizers.from_hparams(
    'adamw', 'd', clip=True, frozen={'a': True, 'b': {'c': False}}
  )
  transform = build(hparams)
  updates, _ = transform.update(params, transform.init(params), params)
  after = optax.apply_updates(params, updates)
  np.testing.assert_array_equal(after['a'], np.ones(3))
  np.testing.assert_allclose(after['b']['c'], 0.01 * np.ones(2), rtol=1e-6)


MLP = {
  'name': 'mlp',
  'mlp': {'features': (8, 8), 'activation': 'tanh', 'norm': 'batch'},
}


def frozen_config(layers, **changes):
  optimizer = {'name': 'adam', 'learning_rate': 0.01, 'freeze_layers': layers}
  return {**TINY, 'discriminator': MLP, 'd_optimizer': optimizer, **changes}


def test_frozen_layers_keep_their_parameters(tmp_path):
  built = experiment.build(frozen_config(1, packing=2))
  before = jax.device_get(built.init_state())
  runner = built.parallel_train_step()
  state, key = runner.put(before), runner.put(built.key)
  with built.batches(0, runner.put_batch) as batches:
    for _ in range(2):
      state, _ = runner.step(state, next(batches), key)
  after = jax.device_get(state)
  old, new = before.discriminator, after.discriminator
  assert old.params.keys() == {
    'Dense_0',
    'Norm_0',
    'Dense_1',
    'Norm_1',
    'Dense_2',
  }
  for name in ('Dense_0', 'Norm_0'):
    chex.assert_trees_all_equal(new.params[name], old.params[name])
  for name in ('Dense_1', 'Norm_1', 'Dense_2'):
    for a, b in zip(
      *map(jax.tree.leaves, (old.params[name], new.params[name]))
    ):
      assert (a != b).any(), name
  stats = jax.tree.leaves(new.batch_stats['Norm_0'])
  assert any(
    (a != b).any()
    for a, b in zip(stats, jax.tree.leaves(old.batch_stats['Norm_0']))
  )
  (tmp_path / 'run').mkdir()
  with run_dir.open_checkpoints(built, tmp_path / 'run') as saved:
    saved.save(2, after)
  back = resume.restore_or_initialize(built, tmp_path / 'run')
  assert back.step == 2
  chex.assert_trees_all_equal(jax.device_get(back.state), after)


def test_what_is_frozen_is_printed():
  built = experiment.build(
    frozen_config(2, g_optimizer={'name': 'sgd', 'freeze_layers': 1})
  )
  size = 2 * 8 + 2 * 8 + 8 * 8 + 2 * 8  # no bias before a norm
  assert freezing.describe_frozen(built) == [
    f'G Dense_0: {3 * 8 + 2 * 8} of {3 * 8 + 2 * 8 + 8 * 2 + 2} parameters',
    f'D Dense_0, Dense_1: {size} of {size + 8 + 1} parameters',
  ]


def test_all_layers_are_too_many():
  with pytest.raises(ValueError) as error:
    experiment.build(frozen_config(3))
  message = str(error.value)
  assert message.startswith(
    'd_optimizer.freeze_layers=3: must be less than the'
  )
  assert message.endswith(': Dense_0, Dense_1, Dense_2')
  with pytest.raises(ValueError, match='freeze_layers=-1'):
    config_lib.resolve({'d_optimizer': {'freeze_layers': -1}})
