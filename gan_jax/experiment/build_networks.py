"""Builds networks and optimizers from the parts of a config."""

import dataclasses
import importlib
from typing import Any

import jax.numpy as jnp

from gan_jax import config as config_lib
from gan_jax import models, networks
from gan_jax.training import gan, optimizers


def own_options(part: Any) -> dict[str, Any]:
  """Returns the chosen part's own options by name, {} if it has none.

  Args:
    part: a section of the config that chooses a part by name.
  """
  return dataclasses.asdict(part.options) if part.options else {}


def build_network(
  part: Any, role: str, *, compute_dtype: str, **fields: Any
) -> networks.Network:
  """Builds a network.

  Args:
    part: `config.generator` or `config.discriminator`.
    role: 'generator' or 'discriminator'.
    compute_dtype: type of the network's arithmetic.
    **fields: fields of the Flax module that are no options.
  """
  module = importlib.import_module(models.MODELS[part.name])
  if config_lib.MODELS[part.name].has_dtype:
    fields['dtype'] = jnp.dtype(compute_dtype)
  cls = getattr(module, role.capitalize())
  return networks.from_linen(cls(**fields, **own_options(part)))


def build_optimizer(
  optimizer: Any, prefix: str, frozen: Any = None
) -> gan.Optimizer:
  """Returns the function from `state.hparams` to a player's optimizer.

  Args:
    optimizer: `config.g_optimizer` or `config.d_optimizer`.
    prefix: 'g' or 'd', the prefix of its hyper-parameters.
    frozen: tree with True for the parameters to keep as they are; None for
      none.
  """
  return optimizers.from_hparams(
    optimizer.name, prefix, clip=optimizer.weight_clip > 0, frozen=frozen
  )
