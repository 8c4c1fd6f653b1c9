"""Weights that a new run starts from: those of another run, or of a file.

Both players take them, or one of them. Arrays are found by their paths; with
`skip_mismatched` those that are missing or of another shape start anew, such as
the last layer of a discriminator for other classes.
"""

import os
from typing import Any, Mapping, NamedTuple, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import config as config_lib
from gan_jax import training
from gan_jax.conversion import state_dict
from gan_jax.experiment import compatibility, pretrained, run_dir
from gan_jax.io import files

PyTree = Any
Weights = tuple[PyTree, PyTree]
PLAYERS = ('generator', 'discriminator')
_SHOWN = 20  # arrays in a message
# Fields of the config that the networks of a player depend on.
_FIELDS = {
  'generator': ('generator', 'latent_dim', 'latents', 'conditional'),
  'discriminator': ('discriminator', 'packing', 'conditional'),
}


class InitFrom(NamedTuple):
  """Where the weights of a new run come from.

  Attributes:
    path: directory of another run, or file of runner.convert_weights.
    players: which players take them, some of PLAYERS. The average belongs to
      the generator.
    skip_mismatched: whether arrays that do not fit start anew, instead of being
      refused.
  """

  path: str | os.PathLike
  players: tuple[str, ...] = PLAYERS
  skip_mismatched: bool = False

  @property
  def text(self) -> str:
    """Such as 'the generator of runs/digits'."""
    chosen = set(self.players) & set(PLAYERS)
    what = 'weights' if len(chosen) > 1 else self.players[0]
    return f'the {what} of {files.printable(self.path)}'


def make_init_from(
  path: str | os.PathLike,
  players: str | Sequence[str] = PLAYERS,
  skip_mismatched: bool = False,
) -> InitFrom | None:
  """Returns where weights come from, None for an empty path.

  Args:
    path: as in InitFrom; '' for none.
    players: one of PLAYERS, or several.
    skip_mismatched: as in InitFrom.

  Raises:
    ValueError: if a player is unknown or none is named, or if there are options
      without a path.
  """
  players = (players,) if isinstance(players, str) else tuple(players)
  unknown = [name for name in players if name not in PLAYERS]
  if unknown or not players:
    raise ValueError(
      f'init_parts={",".join(map(str, players))}: must be one of '
      f'{", ".join(PLAYERS)}, or both with a comma between'
    )
  if not path:
    if skip_mismatched or set(players) != set(PLAYERS):
      raise ValueError(
        'init_parts and init_skip_mismatched are for init_from, which is empty'
      )
    return None
  path = files.resolve_path(path, 'init_from')
  return InitFrom(path, players, skip_mismatched)


def read_weights(
  experiment: Any, init_from: InitFrom
) -> tuple[dict[str, Any], str]:
  """Reads weights of another run, or of a file, that fit an experiment.

  Args:
    experiment: an experiment.Experiment.
    init_from: where they come from.

  Returns:
    The arrays by path, such as 'generator/params/Dense_0/kernel', for
    `put_weights`; and a sentence that says where they come from.

  Raises:
    FileNotFoundError: if there is no such run or file.
    ValueError: if networks do not fit, or no array does; the message names
      what differs.
  """
  if pretrained.is_pretrained(init_from.path):
    loaded, step = _read_file(init_from), 0
  else:
    loaded, step = _read_run(experiment, init_from)
  like = pretrained.state_weights(experiment.abstract_state())
  found = state_dict.flatten(loaded)
  own = state_dict.flatten(_chosen(like, init_from.players))
  fitting = {
    path
    for path, leaf in own.items()
    if path in found and np.shape(found[path]) == leaf.shape
  }
  others = [path for path in {**own, **found} if path not in fitting]
  if others and not init_from.skip_mismatched:
    raise ValueError(
      f'the networks of {files.printable(init_from.path)} do not fit those of '
      f'the config: {state_dict.differences(found, own)}. With '
      'init_skip_mismatched such arrays start anew'
    )
  if not fitting:
    raise ValueError(
      f'no array of {init_from.text} fits the networks of the config'
    )
  note = f'a new run from {init_from.text}, step {step}'
  if others:
    note += _listing(found, own, others)
  return {path: found[path] for path in fitting}, note


def put_weights(
  state: training.GANState, arrays: Mapping[str, Any]
) -> training.GANState:
  """Returns a state with other weights, for build_gan.start_from_weights.

  Args:
    state: state of the experiment at step 0.
    arrays: what `read_weights` returned. Other weights stay.
  """

  def fill(keys, leaf):
    path = state_dict.path_of(keys)
    return jnp.asarray(arrays[path], leaf.dtype) if path in arrays else leaf

  trees = _chosen(pretrained.state_weights(state), PLAYERS)
  trees = jax.tree_util.tree_map_with_path(fill, trees)
  players = {
    player: getattr(state, player).replace(**trees[player])
    for player in PLAYERS
  }
  average = trees['ema']['params'], trees['ema']['batch_stats']
  return state.replace(ema=average, **players)


def _read_file(init_from: InitFrom) -> dict[str, Any]:
  """Returns role -> trees of the players that take weights of a file."""
  found = pretrained.load_pretrained(init_from.path)
  weights: dict[str, Weights] = {}
  if 'generator' in init_from.players:
    weights['generator'] = pretrained.generator_of(found, 'generator')
    weights['ema'] = pretrained.generator_of(found, 'ema')
  if 'discriminator' in init_from.players:
    if 'discriminator' not in found.weights:
      raise ValueError(
        f'{files.printable(init_from.path)} has no discriminator, which a run '
        'needs; with init_parts=generator a new one is trained'
      )
    weights['discriminator'] = found.weights['discriminator']
  return _chosen(weights, init_from.players)


def _read_run(
  experiment: Any, init_from: InitFrom
) -> tuple[dict[str, Any], int]:
  """Returns role -> trees of the players that take weights, and their step."""
  recorded = run_dir.read_config(init_from.path).get('own_parts', {})
  absent = {name: None for name in PLAYERS if name not in recorded}
  gan, config, shape, trained = run_dir.restore(
    init_from.path, parts=experiment.parts._replace(**absent)
  )
  if not init_from.skip_mismatched:
    compatibility.raise_incompatible(
      compatibility.incompatible_fields(
        _facts(init_from.players, config, shape, gan),
        _facts(
          init_from.players,
          experiment.config,
          experiment.shape,
          experiment.gan,
        ),
      ),
      f'the networks of {files.printable(init_from.path)} do not fit; they '
      'differ in',
      'Weights can be taken from the same networks only, or, with '
      'init_skip_mismatched, those arrays that fit.',
    )
  weights = pretrained.state_weights(trained)
  return _chosen(weights, init_from.players), int(trained.step)


def _facts(players, config, shape, gan) -> dict[str, Any]:
  """Returns what the networks of players depend on, by name."""
  fields = config_lib.to_dict(config)
  facts: dict[str, Any] = {'shape': list(shape), 'classes': gan.classes}
  for player in players:
    facts |= {name: fields[name] for name in _FIELDS[player]}
  if 'discriminator' in players:
    facts['class_heads'] = config_lib.class_heads(config)
  return facts


def _chosen(
  weights: Mapping[str, Weights], players: tuple[str, ...]
) -> dict[str, dict[str, PyTree]]:
  """Returns role -> named trees of some players; the average is G's."""
  return {
    role: {'params': params, 'batch_stats': batch_stats}
    for role, (params, batch_stats) in weights.items()
    if (role if role != 'ema' else 'generator') in players
  }


def _listing(
  found: Mapping[str, Any], own: Mapping[str, Any], others: list[str]
) -> str:
  """Returns which arrays of a run start anew, and which are not used."""
  shape = lambda arrays, path: (
    f'{list(np.shape(arrays[path]))}' if path in arrays else 'none'
  )
  # Those of the average are those of the generator.
  others = [path for path in others if not path.startswith('ema/')]
  lines = [
    f'\n  {path}: {shape(own, path)} here, {shape(found, path)} there'
    for path in others
  ]
  more = f'\n  and {len(lines) - _SHOWN} more' if len(lines) > _SHOWN else ''
  anew = sum(path in own for path in others)
  total = sum(not path.startswith('ema/') for path in own)
  return (
    f'; {anew} of {total} arrays start anew, as they do not fit, and '
    f'{len(others) - anew} are not used:{"".join(lines[:_SHOWN])}{more}'
  )
