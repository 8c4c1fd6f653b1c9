"""Weights of the authors' networks: their files, samplers, starts of a run.

A file is a `.safetensors` whose arrays are the leaves of the Flax modules, by
their paths: 'ema/params/...' and 'ema/batch_stats/...' of the averaged
generator, and likewise 'generator/...' and 'discriminator/...', each if it is
there. The text with them has the config of the networks.
"""

import json
import os
import pathlib
from typing import Any, Mapping, NamedTuple

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import conversion, sampling, training
from gan_jax.conversion import state_dict
from gan_jax.experiment import build_gan, build_hparams
from gan_jax.io import array_file, files

PyTree = Any
Weights = tuple[PyTree, PyTree]
SUFFIX = '.safetensors'
# The authors' names of the networks of a snapshot -> those of a state here.
ROLES = {'G_ema': 'ema', 'G': 'generator', 'D': 'discriminator'}
_ABOUT = 'gan_jax'
_FIELDS = ('generator', 'discriminator', 'latent_dim', 'conditional')
_MOST = 2**20  # sides, channels and classes


class Pretrained(NamedTuple):
  """Weights, and the config of their networks.

  Attributes:
    config: resolved config. Only its networks, latent_dim and conditional are
      those of the weights.
    shape: shape of one example.
    classes: number of classes; 0 for none.
    weights: 'ema', 'generator' or 'discriminator' -> (params, batch_stats).
  """

  config: config_lib.Config
  shape: tuple[int, ...]
  classes: int
  weights: dict[str, Weights]


def from_torch(
  network: str, states: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[Pretrained, dict[str, tuple[str, ...]]]:
  """Converts the authors' networks.

  Args:
    network: name in conversion.CONVERTERS.
    states: 'G', 'D' or 'G_ema' -> state dict, as of
      torch_checkpoint.read_pickled_modules; or '' -> a state dict of one
      network, or of several with these names as prefixes ('G_ema.').

  Returns:
    The weights, and role -> names of the tensors that are not needed.

  Raises:
    ValueError: if a tensor is missing, left over or of another shape, or if the
      networks do not belong together; the message names it.
  """
  converter = conversion.CONVERTERS[network]
  found: dict[str, conversion.Converted] = {}
  for role, tensors in _split_roles(states, converter).items():
    player = 'discriminator' if role == 'discriminator' else 'generator'
    try:
      found[role] = getattr(converter, player)(tensors)
    except ValueError as error:
      raise ValueError(f'the {role} of {network}: {error}') from error
  if not found:
    raise ValueError(
      f'it has the networks {sorted(states)}; must have some of {[*ROLES]}'
    )
  _check_alike(found)
  first = next(iter(found.values()))
  result = Pretrained(
    config_lib.resolve(_network_config(network, found)),
    first.shape,
    first.fields['classes'],
    {role: (x.params, x.batch_stats) for role, x in found.items()},
  )
  return result, {role: x.unused for role, x in found.items()}


def _split_roles(states, converter) -> dict[str, dict[str, np.ndarray]]:
  """Returns role -> state dict."""
  split: dict[str, dict[str, np.ndarray]] = {}
  for key, tensors in states.items():
    for name, tensor in tensors.items():
      head, _, rest = name.partition('.')
      player, rest = (head, rest) if not key and head in ROLES else (key, name)
      split.setdefault(player, {})[rest] = tensor
  if '' in split:
    player = 'G_ema' if converter.is_generator(split['']) else 'D'
    split.setdefault(player, {}).update(split.pop(''))
  return {ROLES[name]: x for name, x in split.items() if name in ROLES}


def _check_alike(found: Mapping[str, conversion.Converted]) -> None:
  """Refuses networks of different sizes, classes or options."""
  generators = [x for role, x in found.items() if role != 'discriminator']
  facts = {
    'shape': [x.shape for x in found.values()],
    'classes': [x.fields['classes'] for x in found.values()],
    'latent_dim': [x.latent_dim for x in generators],
    'options': [x.fields for x in generators],
  }
  for name, values in facts.items():
    if any(value != values[0] for value in values):
      raise ValueError(
        f'the networks {", ".join(found)} are not of one GAN: {name} is '
        f'{", ".join(map(str, values))}'
      )


def _network_config(
  network: str, found: Mapping[str, conversion.Converted]
) -> dict[str, Any]:
  """Returns the fields of a config that make these networks."""
  config: dict[str, Any] = {
    'conditional': any(x.fields['classes'] for x in found.values()),
    'generator': {'name': network},
    'discriminator': {'name': network},
  }
  for role, converted in found.items():
    options = {k: v for k, v in converted.fields.items() if k != 'classes'}
    if role == 'discriminator':
      config[role][network] = options
    else:
      config['generator'][network] = options
      config['latent_dim'] = converted.latent_dim
  return config


def check_target(path: str | os.PathLike) -> pathlib.Path:
  """Returns the path of a file of weights to write.

  Raises:
    ValueError: if it does not end in `.safetensors`.
  """
  path = files.resolve_path(path)
  if path.suffix != SUFFIX:
    raise ValueError(f'{path}: must end in {SUFFIX}')
  return path


def save_pretrained(path: str | os.PathLike, found: Pretrained) -> None:
  """Writes weights to a file.

  Args:
    path: path of the file, which ends in `.safetensors`.
    found: the weights.

  Raises:
    OSError: if the file cannot be written.
    ValueError: if the path ends otherwise.
  """
  path = check_target(path)
  config = config_lib.to_dict(found.config)
  about = {
    'config': {name: config[name] for name in _FIELDS},
    'shape': list(found.shape),
    'classes': found.classes,
  }
  leaves = state_dict.flatten(_trees(found.weights))
  array_file.write_arrays(path, leaves, {_ABOUT: json.dumps(about)})


def is_pretrained(path: str | os.PathLike) -> bool:
  """Returns whether a path is that of a file of weights, by its suffix."""
  path = files.resolve_path(path)
  return path.suffix == SUFFIX and path.is_file()


def load_pretrained(path: str | os.PathLike) -> Pretrained:
  """Reads the weights of a file.

  Args:
    path: path of a file of `save_pretrained`.

  Returns:
    The weights, whose leaves are those of the networks of their config.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if it is damaged, or another `.safetensors`; the message names
      it.
  """
  path = files.resolve_path(path)
  arrays, texts = array_file.read_arrays(path)
  try:
    about = json.loads(texts[_ABOUT])
    fields = {name: about['config'][name] for name in _FIELDS}
    config = config_lib.resolve(fields)
    shape, classes = tuple(about['shape']), about['classes']
    if not all(type(n) is int and 0 <= n <= _MOST for n in (*shape, classes)):
      raise ValueError(f'shape={shape}, classes={classes}')
    needed = _needed(config, shape, classes)
    roles = sorted({name.partition('/')[0] for name in arrays})
    needed = _trees({role: needed[role] for role in roles})
  except Exception as error:  # what is in a text can raise any type
    raise ValueError(
      f'{path} has no weights of networks of gan_jax: '
      f'{files.short_message(error)}'
    ) from error
  faults = state_dict.differences(arrays, state_dict.flatten(needed))
  if faults:
    raise ValueError(f'{path} has other weights than its networks: {faults}')
  fill = lambda keys, leaf: arrays[state_dict.path_of(keys)]
  trees = jax.tree_util.tree_map_with_path(fill, needed)
  weights = {
    role: (tree['params'], tree['batch_stats']) for role, tree in trees.items()
  }
  return Pretrained(config, shape, classes, weights)


def make_sampler(found: Pretrained, weights: str = 'ema') -> sampling.Sampler:
  """Returns the generator of weights as a sampling function.

  Args:
    found: the weights.
    weights: 'ema' or 'raw'. If the weights have only one of them, it is taken
      for both.

  Raises:
    ValueError: if there is no generator.
  """
  generator = generator_of(found, 'ema' if weights == 'ema' else 'generator')
  gan = _gan(found.config, found.shape, found.classes)
  return sampling.Sampler(found.config, found.shape, 0, generator, gan)


def generator_of(found: Pretrained, role: str) -> Weights:
  """Returns the averaged or the raw generator, or the one that is there.

  Args:
    found: the weights.
    role: 'ema' or 'generator'.

  Raises:
    ValueError: if there is no generator.
  """
  for name in (role, 'ema', 'generator'):
    if name in found.weights:
      return found.weights[name]
  raise ValueError('the weights have no generator')


def _gan(
  config: config_lib.Config, shape: tuple[int, ...], classes: int
) -> training.GAN:
  share = (1 / classes,) * classes if classes else ()
  return build_gan.build_gan(config, shape, class_share=share)


def _needed(config, shape, classes) -> dict[str, Weights]:
  """Returns role -> shapes and types of (params, batch_stats)."""
  gan = _gan(config, shape, classes)
  hparams = build_hparams.build_hparams(config)
  label = build_gan.CLASS if classes else None
  init = build_gan.build_init(gan, config, shape, hparams, label)
  return state_weights(build_gan.abstract_state(init))


def state_weights(state: training.GANState) -> dict[str, Weights]:
  """Returns role -> (params, batch_stats) of a state.

  Args:
    state: train state, or its shapes and types.
  """
  players = {
    name: getattr(state, name) for name in ('generator', 'discriminator')
  }
  weights = {name: (x.params, x.batch_stats) for name, x in players.items()}
  return weights | {'ema': state.ema}


def _trees(weights: Mapping[str, Weights]) -> dict[str, dict[str, PyTree]]:
  """Returns weights with names in place of the order of their two trees."""
  return {
    role: {'params': params, 'batch_stats': batch_stats}
    for role, (params, batch_stats) in weights.items()
  }
