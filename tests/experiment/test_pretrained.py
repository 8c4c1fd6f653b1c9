"""Weights of the authors' code as files, samplers and starts of a run."""

import json
import struct

import chex
import jax
import numpy as np
import pytest

import gan_jax
from gan_jax import config as config_lib
from gan_jax import data, experiment, sampling
from gan_jax.experiment import initial_weights, pretrained, resume
from tests.helpers import published

SMALL = {'channel_base': 64, 'channel_max': 6}
CONFIG = {
  'generator': {
    'name': 'stylegan2',
    'stylegan2': {**SMALL, 'style_dim': 5, 'mapping_layers': 2},
  },
  'discriminator': {
    'name': 'stylegan2',
    'stylegan2': {**SMALL, 'minibatch_std': 2},
  },
  'latent_dim': 4,
  'batch_size': 4,
  'num_devices': 1,
  'num_steps': 2,
}


def shifted(state):
  return {name: np.asarray(x) + np.float32(0.1) for name, x in state.items()}


def filters(state):
  return {k: x for k, x in state.items() if k.endswith('filter')}


def stylegan2(**options):
  """State dicts of a snapshot; G is not G_ema."""
  options = {'size': 8} | options
  average = published.stylegan2_generator(**options)
  return {
    'G_ema': average,
    'G': shifted(average) | filters(average),
    'D': published.stylegan2_discriminator(**options),
  }


@pytest.fixture(scope='module')
def path(tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'a.safetensors'
  found, _ = pretrained.from_torch('stylegan2', stylegan2())
  pretrained.save_pretrained(path, found)
  return path


@pytest.mark.parametrize('classes', [0, 3])
@pytest.mark.parametrize('network', ['stylegan2', 'r3gan'])
def test_a_file_gives_back_the_weights(tmp_path, network, classes):
  state = lambda player: getattr(published, f'{network}_{player}')(
    classes=classes
  )
  states = {'G_ema': state('generator'), 'D': state('discriminator')}
  found, unused = pretrained.from_torch(network, states)
  assert found.classes == classes and {*unused} == {'ema', 'discriminator'}
  path = tmp_path / 'b.safetensors'
  pretrained.save_pretrained(path, found)
  again = pretrained.load_pretrained(path)
  assert again[:3] == found[:3]
  chex.assert_trees_all_equal(again.weights, found.weights)


def test_state_dicts_with_and_without_prefixes():
  states = stylegan2()
  expected, _ = pretrained.from_torch('stylegan2', states)
  flat = {f'{k}.{name}': x for k, v in states.items() for name, x in v.items()}
  found, _ = pretrained.from_torch('stylegan2', {'': flat})
  chex.assert_trees_all_equal(found.weights, expected.weights)
  for name, role in (('G_ema', 'ema'), ('D', 'discriminator')):
    found, _ = pretrained.from_torch('stylegan2', {'': states[name]})
    assert {*found.weights} == {role}
    chex.assert_trees_all_equal(found.weights[role], expected.weights[role])


def test_networks_of_two_gans_are_refused():
  states = stylegan2() | {'D': published.stylegan2_discriminator(size=16)}
  with pytest.raises(ValueError, match='not of one GAN: shape is .8, 8, 3.'):
    pretrained.from_torch('stylegan2', states)
  states = stylegan2() | {'D': published.stylegan2_discriminator(8, classes=3)}
  with pytest.raises(ValueError, match='not of one GAN: classes is 0, 0, 3'):
    pretrained.from_torch('stylegan2', states)
  states = stylegan2() | {'G': published.stylegan2_generator(8, layers=3)}
  with pytest.raises(ValueError, match='not of one GAN: options is'):
    pretrained.from_torch('stylegan2', states)
  with pytest.raises(ValueError, match='networks .*augment.*; must have some'):
    pretrained.from_torch('stylegan2', {'augment_pipe': {'p': np.ones(1)}})
  with pytest.raises(ValueError, match='the ema of stylegan2: .* sides .4.'):
    pretrained.from_torch('stylegan2', {'G_ema': {'synthesis.b4.a': 1}})


def test_load_samples_from_a_file(path):
  found = pretrained.load_pretrained(path)
  sampler = gan_jax.load(path)
  images = sampler(3, seed=5)
  assert images.shape == (3, 8, 8, 3) and np.isfinite(images).all()
  # Those of the module itself, with the same latents and noise.
  module, weights = gan_jax.models.stylegan2.Generator, found.weights['ema']
  fields = config_lib.to_dict(found.config)['generator']['stylegan2']
  module = module(shape=found.shape, **fields)
  variables = dict(zip(('params', 'batch_stats'), weights))
  keys = gan_jax.prng.per_example_keys(jax.random.key(5), np.arange(3))
  latents = jax.vmap(lambda key: jax.random.normal(key, (4,)))(keys)
  noise = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
  apply = jax.jit(lambda v, z, k: module.apply(v, z, train=False, keys=k))
  expected = apply(variables, latents, noise)
  np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-4)
  mean = stylegan2()['G_ema']['mapping.w_avg']
  np.testing.assert_array_equal(sampling.mean_style(sampler.weights), mean)
  raw = gan_jax.load(path, weights='raw').weights
  chex.assert_trees_all_equal(raw, found.weights['generator'])


def build(**changes):
  images = np.zeros((8, 8, 8, 3), np.uint8)
  source = data.ArraySource(images)
  return experiment.build(CONFIG | changes, train=source, test=source)


@pytest.mark.slow
def test_a_run_starts_from_a_file(path, tmp_path):
  found = pretrained.load_pretrained(path)
  built = build()
  start = resume.restore_or_initialize(
    built, tmp_path / 'run', initial_weights.InitFrom(path)
  )
  assert 'a.safetensors' in start.note and start.step == 0
  for player in ('generator', 'discriminator'):
    state = getattr(start.state, player)
    own = state.params, state.batch_stats
    chex.assert_trees_all_equal(own, found.weights[player])
  chex.assert_trees_all_equal(start.state.ema, found.weights['ema'])
  assert 'a.safetensors' in resume.check_start(
    built, None, initial_weights.InitFrom(path)
  )
  wider = json.loads(json.dumps(CONFIG['generator']))
  wider['stylegan2']['style_dim'] = 7
  message = (
    r'a.safetensors do not fit .*/layer_0/kernel has shape .4, 5., not .4, 7.'
  )
  with pytest.raises(ValueError, match=message):
    resume.check_start(
      build(generator=wider), None, initial_weights.InitFrom(path)
    )


def test_a_run_needs_a_discriminator(tmp_path):
  states = {'': published.stylegan2_generator(8)}
  found, _ = pretrained.from_torch('stylegan2', states)
  path = tmp_path / 'g.safetensors'
  pretrained.save_pretrained(path, found)
  with pytest.raises(ValueError, match='g.safetensors has no discriminator'):
    resume.check_start(build(), None, initial_weights.InitFrom(path))


def with_text(path, change):
  """The file with another text."""
  content = path.read_bytes()
  size = int.from_bytes(content[:8], 'little')
  header = json.loads(content[8 : 8 + size])
  about = json.loads(header['__metadata__']['gan_jax'])
  header['__metadata__']['gan_jax'] = change(about)
  text = json.dumps(header).encode()
  return struct.pack('<Q', len(text)) + text + content[8 + size :]


@pytest.mark.parametrize(
  'change',
  [
    lambda about: 'no json',
    lambda about: '[]',
    lambda about: json.dumps(about | {'classes': 10**9}),
    lambda about: json.dumps(about | {'classes': -1}),
    lambda about: json.dumps(about | {'shape': [2**30, 2**30, 3]}),
    lambda about: json.dumps(about | {'shape': [[16], 16, 3]}),
    lambda about: json.dumps(about | {'config': {}}),
    lambda about: json.dumps(
      about | {'config': about['config'] | {'generator': {'name': 'evil'}}}
    ),
  ],
)
def test_a_text_of_no_networks(path, tmp_path, change):
  bad = tmp_path / 'bad.safetensors'
  bad.write_bytes(with_text(path, change))
  with pytest.raises(ValueError, match='bad.safetensors has no weights of'):
    pretrained.load_pretrained(bad)


def test_other_files(path, tmp_path):
  bad = tmp_path / 'bad.safetensors'
  bad.write_bytes(path.read_bytes()[:-9])
  with pytest.raises(ValueError, match='bad.safetensors is not a readable'):
    gan_jax.load(bad)
  larger = lambda about: json.dumps(
    about | {'config': about['config'] | {'latent_dim': 9}}
  )
  bad.write_bytes(with_text(path, larger))
  with pytest.raises(ValueError, match=r'bad.*layer_0/kernel has shape .4, 5.'):
    gan_jax.load(bad)
  with pytest.raises(ValueError, match='a.npz: must end in .safetensors'):
    pretrained.save_pretrained(tmp_path / 'a.npz', None)
