"""The two pure functions a network is, and how to get them from Flax.

  init(key, x, label) -> (params, batch_stats)
  apply(params, batch_stats, x, label, *, train, key, axis_name) -> (y, batch_stats)

A generator maps latents `[B, Z]` to examples `[B, ...]`, a discriminator maps
examples to logits `[B]` (`[B, h, w]` for patches), or, where its features are
wanted beside them, to `Scores`. Any pair of functions will do: a renderer, a
formula, another library. Only `from_linen` knows Flax.
"""

from typing import Any, Callable, NamedTuple

import flax.linen as nn
import jax

__all__ = [
  'DiscriminatorOutput',
  'Network',
  'from_linen',
]

Array = jax.Array
PyTree = Any


class DiscriminatorOutput(NamedTuple):
  """What a discriminator returns that gives its features beside its logits.

  Attributes:
    logits: `[B]`, or `[B, h, w]` for patches: what a discriminator without
      features returns by itself.
    features: activations of the last hidden layer, `[B, F]`, float.
  """

  logits: Array
  features: Array


class Network(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: (key, x, label) -> (params, batch_stats). Params are what an optimizer
      changes; batch_stats are arrays that change as a side effect of training
      (running means, power-iteration vectors), `{}` for none.
    apply: (params, batch_stats, x, label, *, train, key, axis_name) -> (y, batch_stats).
      With train=False the statistics come back as they were. axis_name is the
      mapped axis of devices (or None), for statistics over the whole batch.
      The key, for dropout, is another on each device and in each micro-batch:
      unlike latents, dropout depends on their number.
  """

  init: Callable[..., tuple[PyTree, PyTree]]
  apply: Callable[..., tuple[Any, PyTree]]


def from_linen(module: nn.Module) -> Network:
  """Makes a Network of a Flax Linen module.

  The module's `__call__(x, label, *, train)` may use the collections `params`
  and `batch_stats` and the random stream `dropout`. A module with a field
  `axis_name` (for `nn.BatchNorm(axis_name=...)`) gets it set at apply.

  Args:
    module: an unbound Linen module.

  Returns:
    The Network.

  Raises:
    ValueError: at init, where the module makes other collections.
  """

  def init(key, x, label=None):
    variables = dict(
      module.init({'params': key, 'dropout': key}, x, label, train=False)
    )
    params = variables.pop('params', {})
    batch_stats = variables.pop('batch_stats', {})
    if variables:
      raise ValueError(
        f'{type(module).__name__} makes the collections {sorted(variables)}; '
        "allowed are 'params' and 'batch_stats'"
      )
    return params, batch_stats

  def apply(
    params, batch_stats, x, label=None, *, train, key=None, axis_name=None
  ):
    bound = module
    several = axis_name is not None and jax.lax.axis_size(axis_name) > 1
    if several and hasattr(module, 'axis_name'):
      bound = module.clone(axis_name=axis_name)
    variables = {'params': params, 'batch_stats': batch_stats}
    rngs = {} if key is None else {'dropout': key}
    y, updates = bound.apply(
      variables, x, label, train=train, rngs=rngs, mutable=['batch_stats']
    )
    return y, updates.get('batch_stats', batch_stats) if train else batch_stats

  return Network(init, apply)
