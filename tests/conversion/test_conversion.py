"""Networks of the authors' PyTorch code in the layout of gan_jax.models."""

import jax
import numpy as np
import pytest

from gan_jax import conversion
from tests.helpers import published

# Architectures by the authors' names and by ours.
ARCHITECTURES = {'skip': 'skip', 'resnet': 'residual', 'orig': 'plain'}
CASES = [
  *(('stylegan2', {'architecture': a, 'classes': 0}) for a in ARCHITECTURES),
  ('stylegan2', {'architecture': 'skip', 'classes': 3}),
  ('stylegan2', {'architecture': 'orig', 'classes': 3}),
  ('r3gan', {'classes': 0}),
  ('r3gan', {'classes': 3}),
  ('r3gan', {'widths': (8, 8, 8, 8, 4), 'classes': 0}),
]
PLAYERS = 'generator', 'discriminator'


def converted(network, player, **options):
  state = getattr(published, f'{network}_{player}')(**options)
  found = getattr(conversion.CONVERTERS[network], player)(state)
  return state, found


def numbers(arrays):
  """All values of arrays, sorted."""
  return np.sort(np.concatenate([np.ravel(x) for x in arrays]))


@pytest.mark.parametrize('network, options', CASES)
@pytest.mark.parametrize('player', PLAYERS)
def test_every_tensor_is_placed_once(network, player, options):
  state, found = converted(network, player, **options)
  # R3GAN's names are those without the prefix of its wrapper.
  used = [
    x
    for name, x in state.items()
    if name.removeprefix('Model.') not in found.unused
  ]
  leaves = jax.tree.leaves((found.params, found.batch_stats))
  assert len(leaves) == len(used)
  assert all(leaf.dtype == np.float32 for leaf in leaves)
  np.testing.assert_array_equal(numbers(leaves), numbers(used))
  kinds = {name.rpartition('.')[2] for name in found.unused}
  assert kinds <= {'noise_const', 'resample_filter', 'Kernel'}


def test_options_of_stylegan2():
  for theirs, ours in ARCHITECTURES.items():
    for player in PLAYERS:
      _, found = converted('stylegan2', player, architecture=theirs)
      assert found.fields['architecture'] == ours
  options = dict(size=32, base=96, most=9, classes=4, channels=1)
  _, found = converted('stylegan2', 'generator', style=7, layers=3, **options)
  assert found.shape == (32, 32, 1) and found.latent_dim == 4
  assert found.fields == {
    'channel_base': 96,
    'channel_max': 9,
    'style_dim': 7,
    'mapping_layers': 3,
    'architecture': 'skip',
    'noise': True,
    'classes': 4,
  }
  _, found = converted('stylegan2', 'discriminator', **options)
  assert found.fields == {
    'channel_base': 96,
    'channel_max': 9,
    'architecture': 'residual',
    'minibatch_std': 4,
    'classes': 4,
  }


def test_options_of_r3gan():
  options = dict(widths=(8, 8, 8, 8, 4, 2), group=2, blocks=3, classes=4)
  generator = dict(latents=5, embedding=3)
  _, found = converted('r3gan', 'generator', **options, **generator)
  assert found.shape == (128, 128, 3) and found.latent_dim == 5
  both = {'width': 8, 'taper': True, 'group_size': 2, 'blocks': 3, 'classes': 4}
  assert found.fields == both | {'embedding_dim': 3}
  _, found = converted('r3gan', 'discriminator', **options)
  assert found.fields == both
  options['widths'] = (8,) * 5
  _, found = converted('r3gan', 'generator', **options)
  assert not found.fields['taper']


def test_places_and_axes():
  state, found = converted('stylegan2', 'generator')
  synthesis = found.params['synthesis_network']
  theirs = 'synthesis.b8.conv0'
  conv = synthesis['block_8']['conv_0']
  np.testing.assert_array_equal(
    conv['conv']['kernel'],
    np.einsum('oihw->hwio', state[f'{theirs}.weight']),
  )
  np.testing.assert_array_equal(
    conv['conv']['style']['kernel'], state[f'{theirs}.affine.weight'].T
  )
  assert conv['noise']['scale'] == state[f'{theirs}.noise_strength']
  np.testing.assert_array_equal(
    found.batch_stats['mapping_network']['track_w'], state['mapping.w_avg']
  )
  state, found = converted('stylegan2', 'discriminator')
  weight = state['b4.fc.weight'].reshape(6, 6, 4, 4)
  np.testing.assert_array_equal(
    found.params['last_dense']['kernel'].reshape(4, 4, 6, 6),
    np.einsum('oihw->hwio', weight),
  )
  state, found = converted('r3gan', 'discriminator')
  np.testing.assert_array_equal(
    found.params['pool']['weights'][3, 1, 2],
    state['Model.MainLayers.2.Layers.2.Basis.weight'][2, 0, 3, 1],
  )


def without(name):
  return lambda state: state.pop(name)


def replaced(name, shape):
  return lambda state: state.update({name: np.ones(shape, np.float32)})


def nan_in(name):
  return lambda state: state.update({name: state[name] * np.nan})


FAULTS = [
  (
    'stylegan2 generator',
    without('synthesis.b8.conv1.affine.bias'),
    'synthesis.b8.conv1.affine.bias is missing',
  ),
  ('stylegan2 generator', without('mapping.w_avg'), 'w_avg is missing'),
  (
    'stylegan2 generator',
    without('synthesis.b8.conv0.noise_strength'),
    r'block_8/conv_0/noise/scale has shape \(missing\), not \(\)',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b8.extra.weight', (1,)),
    'synthesis.b8.extra.weight: not part of the network',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b8.conv0.weight', (6, 6, 5, 5)),
    r'block_8/conv_0/conv/kernel has shape \(5, 5, 6, 6\), not \(3, 3, 6, 6\)',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b8.conv0.weight', (6, 6)),
    r'b8.conv0.weight has shape \(6, 6\); must have 4 axes',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b8.conv0.resample_filter', (4, 4)),
    r'b8.conv0.resample_filter .* is not the filter \[1, 3, 3, 1\]',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b64.conv1.bias', (1,)),
    r'sides \[4, 8, 16, 64\]; must be 4, 8, ...',
  ),
  (
    'stylegan2 generator',
    replaced('synthesis.b8.conv1.bias', (3,)),
    r'channels .* \{4: 6, 8: 3, 16: 4\}; must be min\(channel_base',
  ),
  ('stylegan2 generator', nan_in('mapping.fc1.bias'), 'fc1.bias has values'),
  (
    'stylegan2 discriminator',
    without('b16.skip.weight'),
    r'stage_8/shortcut/kernel has shape .*, not \(absent\)',
  ),
  ('stylegan2 discriminator', without('b4.out.bias'), 'b4.out.bias is missing'),
  (
    'r3gan generator',
    without('Model.MainLayers.1.Layers.1.NonLinearity2.Bias'),
    'MainLayers.1.Layers.1.NonLinearity2.Bias is missing',
  ),
  (
    'r3gan generator',
    without('Model.MainLayers.1.Layers.1.LinearLayer1.Layer.weight'),
    r'MainLayers.1.Layers has residual blocks at \[2\]',
  ),
  (
    'r3gan generator',
    replaced('Model.MainLayers.0.Layers.0.Basis', (8, 8, 8)),
    r'basis/basis has shape \(8, 8, 8\), not \(4, 4, 8\)',
  ),
  (
    'r3gan generator',
    replaced('Model.MainLayers.2.Layers.0.Resampler.Kernel', (6, 6)),
    r'Resampler.Kernel of shape \(6, 6\) is not the filter',
  ),
  (
    'r3gan discriminator',
    replaced('Model.Other', (2,)),
    'Other: not part of the network',
  ),
]


@pytest.mark.parametrize('which, change, message', FAULTS)
def test_other_networks_are_refused_by_name(which, change, message):
  network, player = which.split()
  state = getattr(published, f'{network}_{player}')()
  change(state)
  with pytest.raises(ValueError, match=message):
    getattr(conversion.CONVERTERS[network], player)(state)


@pytest.mark.parametrize('count', [1, 8])
def test_numbers_of_stages(count):
  state = published.r3gan_generator((2,) * count, group=2)
  with pytest.raises(ValueError, match=f'{count} stages; must be one of'):
    conversion.CONVERTERS['r3gan'].generator(state)
