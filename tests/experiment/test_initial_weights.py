"""Tests of starting from the weights of part of another run."""

import chex
import jax
import numpy as np
import pytest

from gan_jax.experiment import initial_weights, pretrained, resume
from tests.experiment.test_experiment import build, train_and_save

PLAYERS = initial_weights.PLAYERS


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """Directory and state of a run of two steps."""
  directory = tmp_path_factory.mktemp('old')
  state, _ = train_and_save(directory, num_steps=2)
  return directory, state


def weights(state):
  return jax.device_get(pretrained.state_weights(state))


def start(built, path, *players, skip=False):
  """Returns weights of a new state, and the note, from part of a run."""
  origin = initial_weights.make_init_from(path, players or PLAYERS, skip)
  found = resume.restore_or_initialize(built, None, origin)
  assert found.note == resume.check_start(built, None, origin)
  return weights(found.state), found.note


@pytest.mark.parametrize(
  ('player', 'roles'),
  [
    ('generator', ('generator', 'ema')),
    ('discriminator', ('discriminator',)),
  ],
)
def test_one_player(trained, player, roles):
  path, state = trained
  built = build(seed=5)
  fresh, old = weights(built.init_state()), weights(state)
  found, note = start(built, path, player)
  assert note == f'a new run from the {player} of {path}, step 2'
  for role in fresh:
    chex.assert_trees_all_equal(
      found[role], (old if role in roles else fresh)[role]
    )
  assert (
    found['generator'][0]['Dense_0']['kernel']
    != fresh['generator'][0]['Dense_0']['kernel']
  ).any() == (player == 'generator')


def test_the_other_player_may_be_any(trained):
  """Its fields are not compared; those of the player itself are."""
  path, _ = trained
  wide = {'name': 'mlp', 'mlp': {'features': (9, 9)}}
  built = build(discriminator=wide, packing=2)
  assert 'the generator of' in start(built, path, 'generator')[1]
  with pytest.raises(ValueError) as error:
    start(built, path, 'discriminator')
  assert 'packing: checkpoint has 1, config has 2' in str(error.value)
  assert 'generator' not in str(error.value)
  with pytest.raises(ValueError, match='latent_dim: checkpoint has 3, config'):
    start(build(latent_dim=4), path, 'generator')
  assert 'of' in start(build(latent_dim=4), path, 'discriminator')[1]


def test_arrays_that_do_not_fit_start_anew(trained):
  path, state = trained
  built = build(latent_dim=4, seed=5)
  with pytest.raises(ValueError, match='init_skip_mismatched, those arrays'):
    start(built, path)
  fresh, old = weights(built.init_state()), weights(state)
  found, note = start(built, path, skip=True)
  assert note.endswith(
    '; 1 of 11 arrays start anew, as they do not fit, and 0 are not used:'
    '\n  generator/params/Dense_0/kernel: [4, 8] here, [3, 8] there'
  )
  for role in ('generator', 'ema'):
    kernel = found[role][0]['Dense_0'].pop('kernel')
    np.testing.assert_array_equal(kernel, fresh[role][0]['Dense_0']['kernel'])
    old[role][0]['Dense_0'].pop('kernel')
  chex.assert_trees_all_equal(found, old)


def test_arrays_that_are_missing_or_not_used_are_listed(trained):
  path, _ = trained
  deep = {'name': 'mlp', 'mlp': {'features': (8, 8), 'activation': 'tanh'}}
  bare = {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}}
  built = build(generator=bare, discriminator=deep)
  _, note = start(built, path, skip=True)
  assert 'discriminator/params/Dense_2/kernel: [8, 1] here, none there' in note
  assert (
    'generator/params/Norm_0/BatchNorm_0/scale: none here, [8] there' in note
  )
  linear = {'name': 'linear'}
  with pytest.raises(ValueError, match='no array of the weights of .* fits'):
    start(build(generator=linear, discriminator=linear), path, skip=True)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('a', ('genrator',)), 'init_parts=genrator: must be one of generator, '),
    (('a', ()), 'init_parts=: must be one of'),
    (('', ('generator',)), 'are for init_from, which is empty'),
    (('', PLAYERS, True), 'are for init_from, which is empty'),
  ],
)
def test_options_that_are_wrong(arguments, message):
  with pytest.raises(ValueError, match=message):
    initial_weights.make_init_from(*arguments)


def test_a_player_by_its_name():
  found = initial_weights.make_init_from('a', 'generator')
  assert found.players == ('generator',) and found.path.name == 'a'


def test_no_path_is_none():
  assert initial_weights.make_init_from('') is None
