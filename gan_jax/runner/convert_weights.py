"""Converts weights of the authors' code for PyTorch."""

import collections
from typing import Mapping

import jax

from gan_jax import config as config_lib
from gan_jax.experiment import pretrained
from gan_jax.io import files, torch_checkpoint

_SUFFIXES = ('.pkl', '.pth', '.pt')


def convert(
  network: str, source: str, target: str
) -> tuple[pretrained.Pretrained, dict[str, tuple[str, ...]]]:
  """Converts a file of the authors' code.

  Args:
    network: name in conversion.CONVERTERS.
    source: path of the file.
    target: path of the file to write, which ends in `.safetensors`.

  Returns:
    The weights, and role -> names of the tensors that are not needed.

  Raises:
    OSError: if a file cannot be read or written.
    ValueError: if the file is damaged or has another network; the message has
      its name and those of tensors.
  """
  path = files.resolve_path(source, 'SRC')
  if path.suffix.lower() not in _SUFFIXES:
    raise ValueError(f'{path}: must end in one of {", ".join(_SUFFIXES)}')
  pretrained.check_target(target)
  if path.suffix.lower() == '.pkl':
    states = torch_checkpoint.read_pickled_modules(path)
  else:
    states = {'': torch_checkpoint.read_state_dict(path)}
  try:
    found, unused = pretrained.from_torch(network, states)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error
  pretrained.save_pretrained(target, found)
  return found, unused


def describe(
  found: pretrained.Pretrained, unused: Mapping[str, tuple[str, ...]]
) -> list[str]:
  """Returns lines about converted weights.

  They are sizes, the options of train.py for the same networks, and the tensors
  left out.

  Args:
    found: the weights.
    unused: role -> names of the tensors that are not needed.
  """
  shape = ' x '.join(map(str, found.shape))
  lines = [
    f'images of {shape}, latents of {found.config.latent_dim}, '
    f'{found.classes or "no"} classes'
  ]
  for role, (params, _) in found.weights.items():
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    lines.append(f'{role}: {count:,} parameters')
  fields = config_lib.flatten(config_lib.to_dict(found.config))
  for player in ('generator', 'discriminator', 'latent_dim', 'conditional'):
    own = {k: v for k, v in fields.items() if k.partition('.')[0] == player}
    lines.append(' '.join(f'--config.{k}={v}' for k, v in own.items()))
  kinds = collections.Counter(
    name.rpartition('.')[2] for names in unused.values() for name in names
  )
  listed = ', '.join(f'{kind} ({count})' for kind, count in kinds.items())
  return [*lines, f'not needed: {listed or "nothing"}']
