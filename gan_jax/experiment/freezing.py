"""Freezes the first layers of a player, as FreezeD does.

References:
  Mo, Cho, Shin, Freeze the Discriminator: a Simple Baseline for Fine-Tuning
  GANs, https://arxiv.org/abs/2002.10964, 2020.
"""

from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import networks
from gan_jax.networks import leaves

PyTree = Any


def frozen_parameters(
  network: networks.Network, count: int, x: Any, label: Any, where: str
) -> PyTree:
  """Returns which parameters of a network belong to its first layers.

  Args:
    network: the network.
    count: number of layers, from the input on; at least 1.
    x: shape and type of its input.
    label: shapes and types of labels, or None.
    where: name of the option, for messages.

  Returns:
    Tree of the parameters' structure, with True for those of the first layers.

  Raises:
    ValueError: if the network has no more layers than that.
  """
  params, found = _layers(network, x, label)
  if count >= len(found):
    named = ', '.join(name for name, _ in found)
    raise ValueError(
      f'{where}={count}: must be less than the {len(found)} layers that there '
      f'are, or nothing would be trained: {named}'
    )
  frozen = {path for _, paths in found[:count] for path in paths}
  flags = [path in frozen for path in leaves.leaf_paths(params)]
  return jax.tree.unflatten(jax.tree.structure(params), flags)


def _layers(network, x, label):
  """Returns the shapes of the parameters, and the layers in order."""
  params, batch_stats = jax.eval_shape(
    network.init, jax.random.key(0), x, label
  )
  return params, networks.layers_in_order(
    network, params, batch_stats, x, label
  )


def describe_frozen(experiment: Any) -> list[str]:
  """Returns a line for each player some of whose layers are frozen.

  Args:
    experiment: an experiment.Experiment.
  """
  lines = []
  for role in ('generator', 'discriminator'):
    part = getattr(experiment.config, f'{role[0]}_optimizer')
    if not part.freeze_layers:
      continue
    inputs = inputs_of(
      role, experiment.config, experiment.shape, experiment.label_spec
    )
    params, found = _layers(getattr(experiment.gan, role), *inputs)
    found = found[: part.freeze_layers]
    frozen = {path for _, paths in found for path in paths}
    sizes = dict(
      zip(leaves.leaf_paths(params), (x.size for x in jax.tree.leaves(params)))
    )
    lines.append(
      f'{role[0].upper()} {", ".join(name for name, _ in found)}: '
      f'{sum(sizes[path] for path in frozen):,} of {sum(sizes.values()):,} '
      'parameters'
    )
  return lines


def inputs_of(
  role: str, config: Any, shape: tuple[int, ...], label: Any
) -> tuple[Any, Any]:
  """Returns the shapes of a batch that a player's network receives.

  Args:
    role: 'generator' or 'discriminator'.
    config: resolved config.
    shape: shape of one example.
    label: shapes and types of the labels of one example; None for none.

  Returns:
    Those of the inputs, and of the labels.
  """
  count = config.batch_size
  batch = lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype)
  labels = jax.tree.map(batch, label)
  if role == 'generator':
    shape = (config.latent_dim,)
  elif config.packing > 1:  # a pack has no single class
    count //= config.packing
    shape, labels = (*shape[:-1], config.packing * shape[-1]), None
  return batch(jax.ShapeDtypeStruct(shape, jnp.float32)), labels
